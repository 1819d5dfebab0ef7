//! What who waits for a device sees of its driver's death: ends the driver while it waits in kevent, and opens the device again.
//! `cargo xtask run --manifest template --app survivor --arg /dev/template --arg template`. Its entry in the manifest has
//! `operator = true`: others may end only what they started.
#![cfg_attr(target_os = "none", no_std, no_main)]
#![cfg_attr(not(target_os = "none"), allow(dead_code))]

use libkq::flag::{O_NONBLOCK, O_RDWR};
use libkq::{Descriptor, Error, KEvent, Queue, Result};
use rt::abi::error::{ENODEV, EPIPE, ESRCH};
use rt::init;

/// Nanoseconds in a moment.
const MOMENT: u64 = 20_000_000;

#[cfg(target_os = "none")]
rt::entry!(main);

#[cfg(target_os = "none")]
fn main(start: &rt::Start) -> i32 {
    match survive(start.arg(1), start.arg(2)) {
        Ok(()) => 0,
        Err(error) => {
            rt::log!("survivor: {error}");
            1
        }
    }
}

fn survive(path: &str, driver: &str) -> Result<()> {
    let device = Descriptor::open(path, O_RDWR | O_NONBLOCK)?;
    let queue = Queue::new()?;
    queue.apply(&[KEvent::read(device.number()).add()])?;
    // The first of that name that is there; `kqstat process` shows all.
    let mut living = init::list(0)?.into_iter().filter(|process| process.ended.is_none());
    let pid = living.find(|process| process.name == driver).ok_or(Error::new(ESRCH))?.pid;
    let killer = rt::thread::spawn(move || {
        rt::thread::sleep(MOMENT);
        init::kill(pid, 9)
    })?;
    let mut events = [KEvent::default()];
    for event in queue.wait(&mut events, None)? {
        rt::log!("survivor: {:?}, error {}", event.flags, event.fflags);
    }
    killer.join()??;
    loop {
        match Descriptor::open(path, O_RDWR) {
            // init has not heard of the death yet.
            Err(error) if [ENODEV, EPIPE].contains(&error.errno) => rt::thread::sleep(MOMENT),
            opened => break opened.map(drop)?,
        }
    }
    rt::log!("survivor: {driver} (pid {pid}) is dead, and {path} can be opened again");
    Ok(())
}

#[cfg(not(target_os = "none"))]
fn main() {}

//! Connects the terminal with a device: what is typed is written to it, what it has to say is shown. `cargo xtask run --manifest
//! template` runs it with the template driver; `--app device --arg /dev/NAME` with any other that is read and written.
#![cfg_attr(target_os = "none", no_std, no_main)]
#![cfg_attr(not(target_os = "none"), allow(dead_code))]

use libkq::flag::{O_NONBLOCK, O_RDWR};
use libkq::{Descriptor, KEvent, Queue, Result};
#[cfg(target_os = "none")]
use rt::abi::error::EINTR;

#[cfg(target_os = "none")]
rt::entry!(main);

#[cfg(target_os = "none")]
fn main(start: &rt::Start) -> i32 {
    if start.arg(1).is_empty() {
        rt::log!("device: which one? `--arg /dev/NAME` says it");
        return 2;
    }
    match connect(start.arg(1)) {
        Ok(()) => 0,
        // Ctrl-C: what a shell reports of a program that it ended, 128 + SIGINT.
        Err(error) if error.errno == EINTR => 130,
        Err(error) => {
            rt::log!("device: {}: {error}", start.arg(1));
            1
        }
    }
}

fn connect(path: &str) -> Result<()> {
    let terminal = Descriptor::open("/dev/tty", O_RDWR)?;
    let device = Descriptor::open(path, O_RDWR | O_NONBLOCK)?;
    let queue = Queue::new()?;
    queue.apply(&[KEvent::read(terminal.number()).add(), KEvent::read(device.number()).add()])?;
    let (mut events, mut bytes) = ([KEvent::default(); 2], [0; 256]);
    let mut typing = true;
    while typing {
        // What is ready at the end of what is typed is shown still.
        for event in queue.wait(&mut events, None)? {
            let (from, to) = match event.ident as i32 == device.number() {
                true => (&device, &terminal),
                false => (&terminal, &device),
            };
            match from.read(&mut bytes)? {
                0 => typing = false,
                count => to.write_all(&bytes[..count])?,
            }
        }
    }
    Ok(())
}

#[cfg(not(target_os = "none"))]
fn main() {}

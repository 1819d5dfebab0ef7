//! Says what it reads and ticks once a second, waiting for both in one call.
#![cfg_attr(target_os = "none", no_std, no_main)]
#![cfg_attr(not(target_os = "none"), allow(dead_code))]

use core::time::Duration;
use libkq::{Descriptor, Filter, KEvent, Queue, Result, flag::O_RDWR};
#[cfg(target_os = "none")]
use rt::abi::error::EINTR;

#[cfg(target_os = "none")]
rt::entry!(main);

#[cfg(target_os = "none")]
fn main(_: &rt::Start) -> i32 {
    match hello() {
        Ok(()) => 0,
        // Ctrl-C: what a shell reports of a program that it ended, 128 + SIGINT.
        Err(error) if error.errno == EINTR => 130,
        Err(error) => {
            rt::log!("hello: {error}");
            1
        }
    }
}

fn hello() -> Result<()> {
    let terminal = Descriptor::open("/dev/tty", O_RDWR)?;
    let queue = Queue::new()?;
    queue.apply(&[KEvent::read(terminal.number()).add(), KEvent::timer(1).every(Duration::from_secs(1))])?;
    let (mut events, mut line) = ([KEvent::default(); 4], [0; 256]);
    loop {
        for event in queue.wait(&mut events, None)? {
            match event.filter {
                Filter::TIMER => terminal.write_all(b"tick\n")?,
                _ => match terminal.read(&mut line)? {
                    0 => return Ok(()),
                    count => terminal.write_all(&line[..count])?,
                },
            }
        }
    }
}

#[cfg(not(target_os = "none"))]
fn main() {}

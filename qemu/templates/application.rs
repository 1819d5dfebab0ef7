//! Says each line that it reads, until the end of the input.
#![no_std]
#![no_main]

use libkq::{Descriptor, KEvent, Queue, Result, flag::O_RDWR};

rt::entry!(main);

fn main(start: &rt::Start) -> i32 {
    match run() {
        Ok(()) => 0,
        Err(error) => {
            rt::log!("{}: {error}", start.arg(0));
            1
        }
    }
}

fn run() -> Result<()> {
    let terminal = Descriptor::open("/dev/tty", O_RDWR)?;
    let queue = Queue::new()?;
    queue.apply(&[KEvent::read(terminal.number()).add()])?;
    let (mut events, mut line) = ([KEvent::default(); 1], [0; 256]);
    loop {
        queue.wait(&mut events, None)?;
        match terminal.read(&mut line)? {
            0 => return Ok(()),
            count => terminal.write_all(&line[..count])?,
        }
    }
}

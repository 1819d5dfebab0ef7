//! A driver dies while clients wait for its device.

use alloc::format;
use core::time::Duration;

use abi::error::{EAGAIN, ENODEV, EPIPE};
use abi::flag::O_NONBLOCK;
use libkq::{Conditions, Descriptor, Filter, KEvent, PollFd, Queue, process};
use rt::init;
use rt::thread::Builder;

use crate::failure::{ensure, equal, refused};
use crate::{Failure, Outcome, PATIENCE, a_moment, soon};

const PATIENTLY: Option<Duration> = Some(Duration::from_nanos(PATIENCE));

/// Ends the process of this name that is there.
pub fn kill(name: &str) -> Outcome {
    let alive = init::list(0)?.into_iter().find(|process| process.name == name && process.ended.is_none());
    Ok(init::kill(alive.ok_or_else(|| Failure::new(format!("no {name}")))?.pid, 9)?)
}

/// Opens a path, whose driver may be on its way back.
pub fn open_again(path: &str, flags: usize) -> Outcome<Descriptor> {
    let deadline = soon();
    loop {
        match Descriptor::open(path, flags) {
            // init has not heard of its end yet, and gave out the endpoint of the dead.
            Err(error) if [ENODEV, EPIPE].contains(&error.errno) => a_moment(),
            opened => return Ok(opened?),
        }
        ensure(rt::clock::now_ns() < deadline, "the driver is started again")?;
    }
}

/// Kills a driver while one thread reads a file of its that is not ready, one waits in kevent and one in poll: each is told
/// once, the file is dead, and another can be opened.
pub fn is_told(file: Descriptor, path: &str, driver: &str) -> Outcome {
    let number = file.number();
    let reader = Builder::new().spawn(move || refused(process().read(number, &mut [0; 64]), ENODEV))?;
    let queue = Queue::new()?;
    queue.apply(&[KEvent::read(number).add()])?;
    let kevent = Builder::new().spawn(move || -> Outcome {
        let mut events = [KEvent::default(); 4];
        let told = queue.wait(&mut events, PATIENTLY)?;
        equal(told.len(), 1)?;
        ensure(told[0].is_eof() && told[0].filter == Filter::READ, "the end of file")?;
        equal(told[0].fflags, ENODEV as u32)
    })?;
    let poll = Builder::new().spawn(move || -> Outcome {
        let mut list = [PollFd::new(number, Conditions::IN)];
        equal(libkq::poll(&mut list, PATIENTLY, None)?, 1)?;
        ensure(list[0].revents.contains(Conditions::HUP), "poll says HUP")
    })?;
    // For them to get into their waits: what they are told is the same if they do not.
    (0..5).for_each(|_| a_moment());
    kill(driver)?;
    reader.join()??;
    kevent.join()??;
    poll.join()??;
    refused(file.read(&mut [0; 64]), ENODEV)?;
    drop(file);
    let again = open_again(path, libkq::flag::O_RDONLY | O_NONBLOCK)?;
    match again.read(&mut [0; 64]) {
        Ok(_) => Ok(()),
        Err(error) if error.errno == EAGAIN => Ok(()),
        Err(error) => Err(error.into()),
    }
}

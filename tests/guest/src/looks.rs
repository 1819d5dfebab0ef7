//! Looks at queues and sets, as all the tests take them.

use alloc::format;
use alloc::vec::Vec;
use core::time::Duration;

use crate::{Failure, Outcome, PATIENCE};
use libkq::control::Control;
use libkq::flag::O_NONBLOCK;
use libkq::process::SocketType;
use libkq::{Conditions, Descriptor, EpollEvent, EpollSet, KEvent, PollFd, Queue, process};

/// The timeout of a call that does not wait.
pub const NOW: Option<Duration> = Some(Duration::ZERO);
/// The timeout of a call whose end is a failure.
pub const PATIENTLY: Option<Duration> = Some(Duration::from_nanos(PATIENCE));

/// The two ends of a pipe, the one that is read first. Neither waits.
pub fn pipe() -> Outcome<(Descriptor, Descriptor)> {
    let (reader, writer) = libkq::pipe(O_NONBLOCK)?;
    Ok((Descriptor::from_number(reader), Descriptor::from_number(writer)))
}

/// Two sockets that are each other's peer. Neither waits.
pub fn pair() -> Outcome<(Descriptor, Descriptor)> {
    let (one, other) = Descriptor::socket_pair(SocketType::Stream)?;
    for end in [&one, &other] {
        process().set_nonblocking(end.number(), true)?;
    }
    Ok((one, other))
}

/// Waits until the driver of a file has heard of all that was closed before: it hears of that before it answers.
pub fn heard(file: &Descriptor) {
    // Whatever it answers.
    let _ = file.control(Control::Available);
}

/// Takes so many bytes out of a file.
pub fn drain(file: &Descriptor, count: usize) -> Outcome {
    let mut buffer = [0; 4096];
    let mut left = count;
    while left > 0 {
        let most = left.min(buffer.len());
        match file.read(&mut buffer[..most])? {
            0 => return Err(Failure::new("the end came early")),
            got => left -= got,
        }
    }
    Ok(())
}

/// Fills a file until it takes no more; how many bytes that were.
pub fn stuff(file: &Descriptor) -> Outcome<usize> {
    let block = [b'.'; 2048];
    let mut count = 0;
    loop {
        match libkq::write(file.number(), &block) {
            Ok(taken) => count += taken,
            Err(error) if error.errno == abi::error::EAGAIN => return Ok(count),
            Err(error) => return Err(error.into()),
        }
    }
}

/// What a queue has to tell now.
pub fn ready(queue: &Queue) -> Outcome<Vec<KEvent>> {
    let mut events = [KEvent::default(); 16];
    Ok(queue.wait(&mut events, NOW)?.to_vec())
}

/// The next event of a queue, waited for.
pub fn next(queue: &Queue) -> Outcome<KEvent> {
    let mut events = [KEvent::default()];
    queue.wait(&mut events, PATIENTLY)?.first().copied().ok_or(Failure::new("nothing came"))
}

/// The one event that a queue has to tell, waited for.
#[track_caller]
pub fn only(queue: &Queue) -> Outcome<KEvent> {
    let mut events = [KEvent::default(); 4];
    match queue.wait(&mut events, PATIENTLY)? {
        [event] => Ok(*event),
        others => Err(Failure::new(format!("not one event: {others:?}"))),
    }
}

/// What an epoll set has to tell now.
pub fn told(set: &EpollSet) -> Outcome<Vec<EpollEvent>> {
    let mut events = [EpollEvent::default(); 16];
    Ok(set.wait(&mut events, NOW)?.to_vec())
}

/// The one event that an epoll set has to tell, waited for.
#[track_caller]
pub fn only_told(set: &EpollSet) -> Outcome<EpollEvent> {
    let mut events = [EpollEvent::default(); 4];
    match set.wait(&mut events, PATIENTLY)? {
        [event] => Ok(*event),
        others => Err(Failure::new(format!("not one event: {others:?}"))),
    }
}

/// What poll says of a file now.
pub fn polled(file: &Descriptor, asked: Conditions) -> Outcome<Conditions> {
    let mut list = [PollFd::new(file.number(), asked)];
    libkq::poll(&mut list, NOW, None)?;
    Ok(list[0].revents)
}

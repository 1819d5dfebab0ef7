//! Threads that write records.

use core::time::Duration;

use abi::error::{EAGAIN, Error};
use guest_tests::Outcome;
use libkq::{Conditions, EpollFlags, EpollSet, FdSet, KEvent, PollFd, Queue};

use crate::field::Worker;
use crate::record::{Channel, Producer};

/// Records unread beyond which a channel is left alone.
const ENOUGH: u64 = 24;

/// Records of a burst that is meant to fill a channel, if its readers let it.
const FLOOD: u64 = 6000;

/// Bursts into channels, at random, until it is enough.
pub fn run(worker: &mut Worker) -> Outcome {
    let field = worker.field;
    while !field.is_enough() {
        let channel = &field.channels[worker.random.below(field.channels.len() as u64) as usize];
        let burst = match worker.one_in(500) {
            true => FLOOD,
            false => 1 + worker.random.below(6),
        };
        if channel.outstanding() < ENOUGH {
            worker.doing("writing", channel.number as u64);
            channel.produce(|producer| write(worker, channel, producer, burst)).unwrap_or(Ok(()))?;
        }
        if worker.one_in(3) {
            worker.doing("waiting for readers of", channel.number as u64);
            worker.until(|| channel.outstanding() == 0);
        }
        worker.pause();
    }
    Ok(())
}

/// Writes a burst, at most until the channel is full, and one more when it says that there is room again.
fn write(worker: &mut Worker, channel: &Channel, producer: &Producer<'_>, burst: u64) -> Outcome {
    for _ in 0..burst {
        match producer.write() {
            Ok(()) => {}
            Err(Error { errno: EAGAIN }) => {
                worker.doing("waiting for room in", channel.number as u64);
                until_writable(worker, channel.writer)?;
                // Nobody else writes: there is room.
                return Ok(producer.write().or_else(|error| match error.errno {
                    // The window is full, not the channel.
                    EAGAIN if channel.outstanding() > 4096 => Ok(()),
                    _ => Err(error),
                })?);
            }
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

/// Waits for ever until a number can be written, by one of the interfaces.
fn until_writable(worker: &mut Worker, fd: i32) -> Outcome {
    match worker.random.below(4) {
        0 => {
            let queue = Queue::new()?;
            queue.apply(&[KEvent::write(fd).add()])?;
            queue.wait(&mut [KEvent::default()], None)?;
        }
        1 => {
            let set = EpollSet::new()?;
            set.add(fd, EpollFlags::OUT, 0)?;
            set.wait(&mut [Default::default()], None)?;
        }
        2 => {
            libkq::poll(&mut [PollFd::new(fd, Conditions::OUT)], None, None)?;
        }
        _ => {
            let mut asked: FdSet = [fd].into_iter().collect();
            libkq::select(fd + 1, [None, Some(&mut asked), None], None::<Duration>, None)?;
        }
    }
    Ok(())
}

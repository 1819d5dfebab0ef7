//! Sets, which can be read when they have something to tell.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicUsize, Ordering};

use abi::flag::{O_NONBLOCK, O_RDWR};
use guest_tests::Outcome;
use libkq::{Conditions, EpollEvent, EpollFlags, EpollOp, KEvent, PollFd, process};

use super::end::End;
use super::{Condition, Source};
use crate::NOW;

/// What a set can have to tell at the same time: each is news for whoever watches the set.
const MEMBERS: usize = 4;

struct Kqueue {
    queue: End,
    next: AtomicUsize,
}

/// A kqueue with events of the program's own.
pub fn kqueue() -> Outcome<Arc<dyn Source>> {
    Ok(Arc::new(Kqueue { queue: End::new(libkq::kqueue()?), next: AtomicUsize::new(0) }))
}

impl Source for Kqueue {
    fn number(&self, _: Condition) -> i32 {
        self.queue.number()
    }

    fn raise(&self, _: Condition) -> Outcome {
        let ident = self.next.fetch_add(1, Ordering::Relaxed) % MEMBERS;
        let trigger = KEvent::user(ident).add().clear().trigger();
        libkq::kevent(self.queue.number(), &[trigger], &mut [], NOW)?;
        Ok(())
    }

    fn lower(&self, _: Condition) -> Outcome {
        libkq::kevent(self.queue.number(), &[], &mut [KEvent::default(); MEMBERS], NOW)?;
        Ok(())
    }

    fn close(&self, _: Condition) {
        self.queue.close();
    }
}

/// A set of pipes that can be read or not.
struct OfPipes {
    set: End,
    /// Reader and writer.
    pipes: Vec<(End, End)>,
    next: AtomicUsize,
}

fn of_pipes(set: i32, watch: fn(i32, i32) -> Outcome) -> Outcome<Arc<dyn Source>> {
    let set = End::new(set);
    let mut pipes = Vec::new();
    for _ in 0..MEMBERS {
        let (reader, writer) = libkq::pipe(O_NONBLOCK)?;
        pipes.push((End::new(reader), End::new(writer)));
        watch(set.number(), reader)?;
    }
    Ok(Arc::new(OfPipes { set, pipes, next: AtomicUsize::new(0) }))
}

/// An epoll set with pipes.
pub fn epoll() -> Outcome<Arc<dyn Source>> {
    of_pipes(libkq::epoll_create1(0)?, |set, pipe| {
        let event = EpollEvent::new(EpollFlags::IN, 0);
        Ok(libkq::epoll_ctl(set, EpollOp::Add, pipe, event)?)
    })
}

/// A /dev/poll set with pipes.
pub fn devpoll() -> Outcome<Arc<dyn Source>> {
    of_pipes(libkq::open("/dev/poll", O_RDWR)?, |set, pipe| {
        Ok(process().devpoll_write(set, &[PollFd::new(pipe, Conditions::IN)])?)
    })
}

impl Source for OfPipes {
    fn number(&self, _: Condition) -> i32 {
        self.set.number()
    }

    fn raise(&self, _: Condition) -> Outcome {
        let at = self.next.fetch_add(1, Ordering::Relaxed) % MEMBERS;
        Ok(self.pipes[at].1.write(b"x")?)
    }

    fn lower(&self, _: Condition) -> Outcome {
        self.pipes.iter().try_for_each(|(reader, _)| Ok(reader.drain()?))
    }

    fn close(&self, _: Condition) {
        self.set.close();
    }
}

//! What a worker waits in: a kqueue or an epoll set. The two have the same readiness and differ in words.

use alloc::vec::Vec;
use core::time::Duration;

use libkq::{EpollEvent, EpollFlags, EpollSet, EventFlags, Filter, KEvent, Queue, Result};

use crate::options::Wake;

/// What a connection waits for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Want {
    /// More of a request.
    Read,
    /// Room for an answer.
    Write,
}

/// How many events are taken at once.
const ROOM: usize = 16;

/// A queue or a set.
#[derive(Debug)]
pub enum Poller {
    /// kevent.
    Kqueue(Queue),
    /// epoll.
    Epoll(EpollSet),
}

impl Want {
    const fn note(self, fd: i32) -> KEvent {
        match self {
            Want::Read => KEvent::read(fd),
            Want::Write => KEvent::write(fd),
        }
    }

    const fn item(self) -> EpollFlags {
        match self {
            Want::Read => EpollFlags::IN,
            Want::Write => EpollFlags::OUT,
        }
    }
}

impl Poller {
    /// An empty one.
    pub fn new(epoll: bool) -> Result<Poller> {
        match epoll {
            false => Queue::new().map(Poller::Kqueue),
            true => EpollSet::new().map(Poller::Epoll),
        }
    }

    /// Waits for connections. This is where it is said whom one wakes.
    pub fn add_listener(&self, fd: i32, wake: Wake) -> Result<()> {
        match self {
            Poller::Kqueue(queue) => {
                let note = KEvent::read(fd).add();
                match wake {
                    Wake::All => queue.apply(&[note]),
                    Wake::One(policy) => {
                        queue.apply(&[note.with(EventFlags::WAKEONE)])?;
                        queue.wake_policy(fd, Filter::READ, policy)
                    }
                }
            }
            Poller::Epoll(set) => match wake {
                Wake::All => set.add(fd, EpollFlags::IN, fd as u64),
                Wake::One(policy) => {
                    set.add(fd, EpollFlags::IN | EpollFlags::EXCLUSIVE, fd as u64)?;
                    set.wake_policy(fd, policy)
                }
            },
        }
    }

    /// Stops waiting for connections, since there is no room for one.
    pub fn remove_listener(&self, fd: i32) -> Result<()> {
        match self {
            Poller::Kqueue(queue) => queue.apply(&[KEvent::read(fd).delete()]),
            Poller::Epoll(set) => set.remove(fd),
        }
    }

    /// Waits on a descriptor. `once`: told once and then not before [`again`](Poller::again), so that of several threads
    /// that wait here one has the connection.
    pub fn add(&self, fd: i32, want: Want, once: bool) -> Result<()> {
        match self {
            Poller::Kqueue(queue) => queue.apply(&[dispatch(want.note(fd).add(), once)]),
            Poller::Epoll(set) => set.add(fd, one_shot(want.item(), once), fd as u64),
        }
    }

    /// Waits on it again, after it was told.
    pub fn again(&self, fd: i32, was: Want, want: Want, once: bool) -> Result<()> {
        match self {
            _ if was == want && !once => Ok(()),
            Poller::Kqueue(queue) if was == want => queue.apply(&[want.note(fd).enable()]),
            Poller::Kqueue(queue) => {
                queue.apply(&[was.note(fd).delete(), dispatch(want.note(fd).add(), once)])
            }
            Poller::Epoll(set) => set.modify(fd, one_shot(want.item(), once), fd as u64),
        }
    }

    /// Waits until something is ready, and puts the descriptors into `ready`. A zero timeout only looks, which takes no
    /// system call.
    pub fn wait(&self, ready: &mut Vec<i32>, most: usize, timeout: Option<Duration>) -> Result<()> {
        ready.clear();
        match self {
            Poller::Kqueue(queue) => {
                let mut events = [KEvent::default(); ROOM];
                let told = queue.wait(&mut events[..most.min(ROOM)], timeout)?;
                ready.extend(told.iter().map(|event| event.ident as i32));
            }
            Poller::Epoll(set) => {
                let mut events = [EpollEvent::default(); ROOM];
                let told = set.wait(&mut events[..most.min(ROOM)], timeout)?;
                ready.extend(told.iter().map(|event| event.data() as i32));
            }
        }
        Ok(())
    }
}

fn dispatch(note: KEvent, once: bool) -> KEvent {
    if once { note.dispatch() } else { note }
}

fn one_shot(events: EpollFlags, once: bool) -> EpollFlags {
    if once { events | EpollFlags::ONESHOT } else { events }
}

//! The interfaces that keep a set, so that each figure is written once.

use abi::error::Result;
use alloc::vec::Vec;
use core::time::Duration;
use libkq::flag::O_RDWR;
use libkq::{Conditions, Descriptor, EpollEvent, EpollFlags, EpollSet, KEvent, PollFd, Queue};

/// Not a moment.
pub const NOW: Option<Duration> = Some(Duration::ZERO);
/// Events that a look has room for.
pub const ROOM: usize = 128;

/// A set of an interface, and room for what it finds. Level-triggered, for reading.
pub trait Interface: Sized {
    /// An empty set.
    fn create() -> Result<Self>;

    /// Puts descriptors into it.
    fn add(&self, fds: &[i32]) -> Result<()>;

    /// Looks, without waiting: how many were found.
    fn look(&mut self) -> Result<usize>;
}

/// kevent.
pub struct Kevent(Queue, [KEvent; ROOM]);

impl Interface for Kevent {
    fn create() -> Result<Kevent> {
        Ok(Kevent(Queue::new()?, [KEvent::default(); ROOM]))
    }

    fn add(&self, fds: &[i32]) -> Result<()> {
        let changes: Vec<KEvent> = fds.iter().map(|&fd| KEvent::read(fd).add()).collect();
        self.0.apply(&changes)
    }

    #[inline(always)]
    fn look(&mut self) -> Result<usize> {
        libkq::kevent(self.0.number(), &[], &mut self.1, NOW)
    }
}

/// epoll.
pub struct Epoll(pub EpollSet, [EpollEvent; ROOM]);

impl Interface for Epoll {
    fn create() -> Result<Epoll> {
        Ok(Epoll(EpollSet::new()?, [EpollEvent::default(); ROOM]))
    }

    fn add(&self, fds: &[i32]) -> Result<()> {
        fds.iter().try_for_each(|&fd| self.0.add(fd, EpollFlags::IN, fd as u64))
    }

    #[inline(always)]
    fn look(&mut self) -> Result<usize> {
        libkq::epoll_wait(self.0.number(), &mut self.1, NOW)
    }
}

/// /dev/poll.
pub struct DevPoll(Descriptor, [PollFd; ROOM]);

impl Interface for DevPoll {
    fn create() -> Result<DevPoll> {
        Ok(DevPoll(Descriptor::open("/dev/poll", O_RDWR)?, [PollFd::default(); ROOM]))
    }

    fn add(&self, fds: &[i32]) -> Result<()> {
        let entries: Vec<PollFd> = fds.iter().map(|&fd| PollFd::new(fd, Conditions::IN)).collect();
        libkq::process().devpoll_write(self.0.number(), &entries)
    }

    #[inline(always)]
    fn look(&mut self) -> Result<usize> {
        libkq::process().devpoll_poll(self.0.number(), &mut self.1, NOW, None)
    }
}

//! The interfaces, seen alike: sets that watch numbers and tell tokens.

use alloc::boxed::Box;
use alloc::vec;
use alloc::vec::Vec;
use core::cell::RefCell;
use core::time::Duration;

use abi::error::{EINVAL, Error, Result};
use abi::flag::O_RDWR;
use guest_tests::random::Random;
use libkq::{
    Conditions, Descriptor, EpollEvent, EpollFlags, EpollSet, EventFlags, FdSet, Filter, KEvent, PollFd,
    Queue,
};

/// How a note behaves.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Mode {
    Level,
    Edge,
    Oneshot,
    Dispatch,
    Exclusive,
    ExclusiveEdge,
}

impl Mode {
    /// Silent after it was told, until it is armed again.
    pub fn is_once(self) -> bool {
        matches!(self, Mode::Oneshot | Mode::Dispatch)
    }

    /// Told of arrivals only.
    pub fn is_edge(self) -> bool {
        matches!(self, Mode::Edge | Mode::ExclusiveEdge)
    }

    pub fn epoll(self) -> EpollFlags {
        EpollFlags::IN
            | match self {
                Mode::Level | Mode::Dispatch => EpollFlags::empty(),
                Mode::Edge => EpollFlags::ET,
                Mode::Oneshot => EpollFlags::ONESHOT,
                Mode::Exclusive => EpollFlags::EXCLUSIVE,
                Mode::ExclusiveEdge => EpollFlags::EXCLUSIVE | EpollFlags::ET,
            }
    }

    pub fn kevent(self) -> EventFlags {
        match self {
            Mode::Edge => EventFlags::CLEAR,
            Mode::Oneshot => EventFlags::ONESHOT,
            Mode::Dispatch => EventFlags::DISPATCH,
            _ => EventFlags::empty(),
        }
    }
}

/// What was told.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Told {
    /// The token that the note was made with.
    Token(u64),
    /// The number, where the interface has no tokens.
    Number(i32),
}

/// A set of one thread's own.
pub trait Set {
    /// Its interface.
    fn name(&self) -> &'static str;
    /// What its notes can be.
    fn modes(&self) -> &'static [Mode];
    /// Whether closing a number takes its notes out.
    fn forgets_closed(&self) -> bool {
        false
    }
    fn add(&self, fd: i32, mode: Mode, token: u64) -> Result<()>;
    /// Has a note that was told once be told again, with another token.
    fn rearm(&self, fd: i32, mode: Mode, token: u64) -> Result<()>;
    fn remove(&self, fd: i32) -> Result<()>;
    fn wait(&self, most: usize, timeout: Option<Duration>) -> Result<Vec<Told>>;
}

/// A set of any interface.
pub fn any(random: &mut Random) -> Result<Box<dyn Set>> {
    Ok(match random.below(7) {
        0 => Box::new(Queue::new()?),
        1 => Box::new(EpollSet::new()?),
        2 => Box::new(DevPoll(Descriptor::open("/dev/poll", O_RDWR)?)),
        3 => Box::new(Poll::default()),
        4 => Box::new(Select::default()),
        5 => Box::new(Nested::new(Inner::Queue(Queue::new()?), Inner::Epoll(EpollSet::new()?))?),
        _ => Box::new(Nested::new(Inner::Epoll(EpollSet::new()?), Inner::Queue(Queue::new()?))?),
    })
}

impl Set for Queue {
    fn name(&self) -> &'static str {
        "kevent"
    }

    fn modes(&self) -> &'static [Mode] {
        &[Mode::Level, Mode::Edge, Mode::Oneshot, Mode::Dispatch]
    }

    fn forgets_closed(&self) -> bool {
        true
    }

    fn add(&self, fd: i32, mode: Mode, token: u64) -> Result<()> {
        self.apply(&[KEvent::read(fd).add().with(mode.kevent()).udata(token as usize)])
    }

    fn rearm(&self, fd: i32, mode: Mode, token: u64) -> Result<()> {
        self.apply(&[KEvent::read(fd).add().enable().with(mode.kevent()).udata(token as usize)])
    }

    fn remove(&self, fd: i32) -> Result<()> {
        self.apply(&[KEvent::read(fd).delete()])
    }

    fn wait(&self, most: usize, timeout: Option<Duration>) -> Result<Vec<Told>> {
        let mut room = vec![KEvent::default(); most];
        let events = Queue::wait(self, &mut room, timeout)?;
        events.iter().map(told_by).collect()
    }
}

/// The token of an event, if it is one of those that were asked for.
pub fn told_by(event: &KEvent) -> Result<Told> {
    let empty = event.filter == Filter::READ && event.data <= 0 && !event.is_eof();
    if event.flags.contains(EventFlags::ERROR) || empty {
        rt::log!("an event that says nothing: {event:?}");
        return Err(Error::new(EINVAL));
    }
    Ok(Told::Token(event.udata as u64))
}

impl Set for EpollSet {
    fn name(&self) -> &'static str {
        "epoll"
    }

    fn modes(&self) -> &'static [Mode] {
        &[Mode::Level, Mode::Edge, Mode::Oneshot, Mode::Exclusive, Mode::ExclusiveEdge]
    }

    fn add(&self, fd: i32, mode: Mode, token: u64) -> Result<()> {
        EpollSet::add(self, fd, mode.epoll(), token)
    }

    fn rearm(&self, fd: i32, mode: Mode, token: u64) -> Result<()> {
        self.modify(fd, mode.epoll(), token)
    }

    fn remove(&self, fd: i32) -> Result<()> {
        EpollSet::remove(self, fd)
    }

    fn wait(&self, most: usize, timeout: Option<Duration>) -> Result<Vec<Told>> {
        let mut room = vec![EpollEvent::default(); most];
        let events = EpollSet::wait(self, &mut room, timeout)?;
        Ok(events.iter().map(|event| Told::Token(event.data())).collect())
    }
}

const LEVEL: &[Mode] = &[Mode::Level];

/// /dev/poll.
struct DevPoll(Descriptor);

impl Set for DevPoll {
    fn name(&self) -> &'static str {
        "/dev/poll"
    }

    fn modes(&self) -> &'static [Mode] {
        LEVEL
    }

    fn add(&self, fd: i32, _: Mode, _: u64) -> Result<()> {
        libkq::process().devpoll_write(self.0.number(), &[PollFd::new(fd, Conditions::IN)])
    }

    fn rearm(&self, fd: i32, mode: Mode, token: u64) -> Result<()> {
        self.add(fd, mode, token)
    }

    fn remove(&self, fd: i32) -> Result<()> {
        libkq::process().devpoll_write(self.0.number(), &[PollFd::new(fd, Conditions::REMOVE)])
    }

    fn wait(&self, most: usize, timeout: Option<Duration>) -> Result<Vec<Told>> {
        devpoll_wait(self.0.number(), most, timeout)
    }
}

/// What a /dev/poll set tells.
pub fn devpoll_wait(set: i32, most: usize, timeout: Option<Duration>) -> Result<Vec<Told>> {
    let mut room = vec![PollFd::new(-1, Conditions::empty()); most];
    let count = libkq::process().devpoll_poll(set, &mut room, timeout, None)?;
    Ok(room[..count].iter().map(|entry| Told::Number(entry.fd)).collect())
}

/// The numbers that a thread asks poll about.
#[derive(Default)]
struct Poll(RefCell<Vec<PollFd>>);

impl Set for Poll {
    fn name(&self) -> &'static str {
        "poll"
    }

    fn modes(&self) -> &'static [Mode] {
        LEVEL
    }

    fn add(&self, fd: i32, _: Mode, _: u64) -> Result<()> {
        self.0.borrow_mut().push(PollFd::new(fd, Conditions::IN));
        Ok(())
    }

    fn rearm(&self, _: i32, _: Mode, _: u64) -> Result<()> {
        Ok(())
    }

    fn remove(&self, fd: i32) -> Result<()> {
        self.0.borrow_mut().retain(|entry| entry.fd != fd);
        Ok(())
    }

    fn wait(&self, _: usize, timeout: Option<Duration>) -> Result<Vec<Told>> {
        let mut list = self.0.borrow_mut();
        let count = libkq::poll(&mut list, timeout, None)?;
        let told: Vec<Told> = list
            .iter()
            .filter(|entry| !entry.revents.is_empty())
            .map(|entry| Told::Number(entry.fd))
            .collect();
        if told.len() == count { Ok(told) } else { Err(Error::new(EINVAL)) }
    }
}

/// The numbers that a thread asks select about.
#[derive(Default)]
struct Select(RefCell<FdSet>);

impl Set for Select {
    fn name(&self) -> &'static str {
        "select"
    }

    fn modes(&self) -> &'static [Mode] {
        LEVEL
    }

    fn add(&self, fd: i32, _: Mode, _: u64) -> Result<()> {
        self.0.borrow_mut().insert(fd);
        Ok(())
    }

    fn rearm(&self, _: i32, _: Mode, _: u64) -> Result<()> {
        Ok(())
    }

    fn remove(&self, fd: i32) -> Result<()> {
        self.0.borrow_mut().remove(fd);
        Ok(())
    }

    fn wait(&self, _: usize, timeout: Option<Duration>) -> Result<Vec<Told>> {
        let mut asked = self.0.borrow().clone();
        let nfds = asked.iter().last().map_or(0, |last| last + 1);
        let count = libkq::select(nfds, [Some(&mut asked), None, None], timeout, None)?;
        let told: Vec<Told> = if count == 0 { Vec::new() } else { asked.iter().map(Told::Number).collect() };
        if told.len() == count { Ok(told) } else { Err(Error::new(EINVAL)) }
    }
}

/// One of the two sets of a nest.
enum Inner {
    Queue(Queue),
    Epoll(EpollSet),
}

impl Inner {
    fn number(&self) -> i32 {
        match self {
            Inner::Queue(queue) => queue.number(),
            Inner::Epoll(set) => set.number(),
        }
    }

    fn set(&self) -> &dyn Set {
        match self {
            Inner::Queue(queue) => queue,
            Inner::Epoll(set) => set,
        }
    }
}

/// A set in a set of another interface. Who waits for the outer one then looks into the inner one.
struct Nested {
    outer: Inner,
    inner: Inner,
}

impl Nested {
    fn new(outer: Inner, inner: Inner) -> Result<Nested> {
        outer.set().add(inner.number(), Mode::Level, 1)?;
        Ok(Nested { outer, inner })
    }
}

impl Set for Nested {
    fn name(&self) -> &'static str {
        match self.outer {
            Inner::Queue(_) => "epoll in kevent",
            Inner::Epoll(_) => "kevent in epoll",
        }
    }

    fn modes(&self) -> &'static [Mode] {
        self.inner.set().modes()
    }

    fn forgets_closed(&self) -> bool {
        self.inner.set().forgets_closed()
    }

    fn add(&self, fd: i32, mode: Mode, token: u64) -> Result<()> {
        self.inner.set().add(fd, mode, token)
    }

    fn rearm(&self, fd: i32, mode: Mode, token: u64) -> Result<()> {
        self.inner.set().rearm(fd, mode, token)
    }

    fn remove(&self, fd: i32) -> Result<()> {
        self.inner.set().remove(fd)
    }

    fn wait(&self, most: usize, timeout: Option<Duration>) -> Result<Vec<Told>> {
        loop {
            let told = self.outer.set().wait(1, timeout)?;
            let within = self.inner.set().wait(most, Some(Duration::ZERO))?;
            // What the outer one told may be true no more.
            if !within.is_empty() || told.is_empty() || timeout.is_some() {
                return Ok(within);
            }
        }
    }
}

//! Sets that many threads wait for.

use alloc::format;
use alloc::vec;
use alloc::vec::Vec;
use core::sync::atomic::Ordering;
use core::time::Duration;

use abi::error::Result;
use abi::flag::O_RDWR;
use guest_tests::{Failure, Outcome};
use libkq::machine::Machine;
use libkq::user_ring::UserRing;
use libkq::{Conditions, EpollEvent, EpollOp, KEvent, PollFd};

use crate::consumer::drain;
use crate::field::{Field, STOP, Worker};
use crate::sets::{Mode, Told, devpoll_wait, told_by};
use crate::token::Promise;

/// Events of a user ring: more than there are threads, so that there is always room.
const RING: usize = 128;

/// What a shared set is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    Kevent,
    Ring,
    Epoll,
    DevPoll,
}

/// All of them: interface, and how the notes behave that are there from the beginning to the end.
pub const SETS: [(Kind, Mode); 10] = [
    (Kind::Kevent, Mode::Level),
    (Kind::Kevent, Mode::Edge),
    (Kind::Kevent, Mode::Dispatch),
    (Kind::Epoll, Mode::Level),
    (Kind::Epoll, Mode::Edge),
    (Kind::Epoll, Mode::Oneshot),
    (Kind::Epoll, Mode::Exclusive),
    (Kind::DevPoll, Mode::Level),
    (Kind::Ring, Mode::Dispatch),
    (Kind::Ring, Mode::Edge),
];

/// Channels that only one shared set watches.
pub const CHANNELS_OF_SET: usize = 2;

/// Whether to go on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Way {
    On,
    Stop,
}

/// A set that many threads wait for.
pub struct SharedSet {
    pub number: usize,
    pub kind: Kind,
    pub mode: Mode,
    /// Its descriptor.
    pub set: i32,
    ring: Option<UserRing<Machine>>,
}

/// What a token of a shared set means: a channel to be read, or nothing.
pub const NOTHING: u64 = u64::MAX;

impl SharedSet {
    pub fn open(number: usize, (kind, mode): (Kind, Mode)) -> Result<SharedSet> {
        let set = match kind {
            Kind::Kevent | Kind::Ring => libkq::kqueue()?,
            Kind::Epoll => libkq::epoll_create1(0)?,
            Kind::DevPoll => libkq::open("/dev/poll", O_RDWR)?,
        };
        let ring = match kind {
            Kind::Ring => Some(UserRing::new(libkq::process().queue(set)?, RING)?),
            _ => None,
        };
        Ok(SharedSet { number, kind, mode, set, ring })
    }

    /// Whether it is a kqueue, with a ring or without.
    pub fn is_queue(&self) -> bool {
        matches!(self.kind, Kind::Kevent | Kind::Ring)
    }

    /// Watches what it watches to the end: its own channels, some that others watch too, and the end itself.
    pub fn fill(&self, field: &Field, mut next_slot: impl FnMut() -> usize) -> Result<()> {
        self.watch(field.stop.0, Mode::Level, STOP)?;
        let own = field.common + self.number * CHANNELS_OF_SET;
        let common = (0..field.common).filter(|channel| (channel + self.number).is_multiple_of(3));
        for channel in (own..own + CHANNELS_OF_SET).chain(common) {
            let promise = if self.mode.is_once() { Promise::Once } else { Promise::Many };
            let token = field.tokens.issue(next_slot(), promise, channel as u64);
            self.watch(field.channels[channel].reader, self.mode, token)?;
        }
        Ok(())
    }

    /// Makes a note.
    pub fn watch(&self, fd: i32, mode: Mode, token: u64) -> Result<()> {
        match self.kind {
            Kind::Kevent | Kind::Ring => {
                change(self.set, KEvent::read(fd).add().with(mode.kevent()).udata(token as usize))
            }
            Kind::Epoll => libkq::epoll_ctl(self.set, EpollOp::Add, fd, EpollEvent::new(mode.epoll(), token)),
            Kind::DevPoll => libkq::process().devpoll_write(self.set, &[PollFd::new(fd, Conditions::IN)]),
        }
    }

    /// Has a note be told once more, with another token.
    pub fn rearm(&self, fd: i32, mode: Mode, token: u64) -> Result<()> {
        match self.kind {
            Kind::Epoll => {
                libkq::epoll_ctl(self.set, EpollOp::Modify, fd, EpollEvent::new(mode.epoll(), token))
            }
            _ => change(self.set, KEvent::read(fd).add().enable().with(mode.kevent()).udata(token as usize)),
        }
    }

    /// Takes a note out.
    pub fn unwatch(&self, fd: i32) -> Result<()> {
        match self.kind {
            Kind::Kevent | Kind::Ring => change(self.set, KEvent::read(fd).delete()),
            Kind::Epoll => libkq::epoll_ctl(self.set, EpollOp::Delete, fd, EpollEvent::default()),
            Kind::DevPoll => libkq::process().devpoll_write(self.set, &[PollFd::new(fd, Conditions::REMOVE)]),
        }
    }

    /// Waits once and does what was told.
    pub fn round(&self, worker: &mut Worker, timeout: Option<Duration>) -> Outcome<Way> {
        let most = 1 + worker.random.below(3) as usize;
        let began = worker.doing("waiting in shared set", self.number as u64);
        let told = match self.kind {
            Kind::Kevent => {
                let mut room = vec![KEvent::default(); most];
                let count = libkq::kevent(self.set, &[], &mut room, timeout)?;
                room[..count].iter().map(told_by).collect::<Result<Vec<Told>>>()?
            }
            Kind::Ring => self.take(worker, timeout)?,
            Kind::Epoll => {
                let mut room = vec![EpollEvent::default(); most];
                let count = libkq::epoll_wait(self.set, &mut room, timeout)?;
                room[..count].iter().map(|event| Told::Token(event.data())).collect()
            }
            Kind::DevPoll => devpoll_wait(self.set, most, timeout)?,
        };
        worker.doing("doing what was told in shared set", self.number as u64);
        worker.field.events.fetch_add(told.len() as u64, Ordering::Relaxed);
        if told.is_empty() && timeout.is_none() && self.kind != Kind::Ring {
            return Err(Failure::new(format!("set {}: nothing, without a timeout", self.number)));
        }
        for told in told {
            if self.done(worker, told, began)? == Way::Stop {
                return Ok(Way::Stop);
            }
        }
        Ok(Way::On)
    }

    /// From the ring: now and then an event is taken and not committed, and so is another's to do.
    fn take(&self, worker: &mut Worker, timeout: Option<Duration>) -> Outcome<Vec<Told>> {
        let Some(ring) = &self.ring else { return Ok(Vec::new()) };
        let Some(taken) = ring.take(libkq::process(), timeout)? else { return Ok(Vec::new()) };
        let event = taken.event();
        if event.udata as u64 != STOP && worker.one_in(10) {
            drop(taken);
            return Ok(Vec::new());
        }
        taken.commit()?;
        Ok(vec![told_by(&event)?])
    }

    fn done(&self, worker: &mut Worker, told: Told, began: u64) -> Outcome<Way> {
        let field = worker.field;
        let token = match told {
            Told::Token(STOP) => return Ok(Way::Stop),
            Told::Number(number) if number == field.stop.0 => return Ok(Way::Stop),
            Told::Number(number) => {
                let channel = field.channels.iter().find(|channel| channel.reader == number);
                // Another's, which has taken it out meanwhile.
                let Some(channel) = channel else { return Ok(Way::On) };
                drain(worker, channel, channel.reader, Mode::Level)?;
                return Ok(Way::On);
            }
            Told::Token(token) => token,
        };
        // What it means, before it can mean something else.
        let meaning = field.tokens.meaning(token);
        if !field.tokens.told(token, began)? || meaning == NOTHING {
            return Ok(Way::On);
        }
        let channel = field
            .channels
            .get(meaning as usize)
            .ok_or_else(|| Failure::new(format!("set {}: token {token:#x} of nothing", self.number)))?;
        drain(worker, channel, channel.reader, self.mode)?;
        if self.mode.is_once() {
            field.tokens.retire(token, true);
            let slot = (token & 0xffff) as usize;
            let next = field.tokens.issue(slot, Promise::Once, meaning);
            self.rearm(channel.reader, self.mode, next)?;
        }
        Ok(Way::On)
    }
}

/// Applies one change.
pub fn change(queue: i32, change: KEvent) -> Result<()> {
    libkq::kevent(queue, &[change], &mut [], Some(Duration::ZERO)).map(drop)
}

/// A thread that waits in one set from the beginning to the end.
pub fn reside(worker: &mut Worker, set: usize) -> Outcome {
    let field = worker.field;
    while field.sets[set].round(worker, None)? == Way::On {}
    Ok(())
}

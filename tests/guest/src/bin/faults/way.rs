//! The five interfaces, each as one way to wait until a file can be read.

use core::time::Duration;

use abi::error::ENODEV;
use abi::error::Result;
use abi::flag::O_RDWR;
use guest_tests::failure::{ensure, equal};
use guest_tests::looks::{NOW, PATIENTLY};
use guest_tests::{Failure, Outcome};
use libkq::platform::Platform;
use libkq::process::Process;
use libkq::{Conditions, EpollEvent, EpollFlags, EpollOp, FdSet, KEvent, PollFd};

use crate::step::Interface;

/// What a wait was told.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Told {
    /// The file can be read.
    Ready,
    /// Its device is gone.
    Gone,
    /// One of them: select has one word for both.
    Either,
}

/// A set, if the interface has one, in a process.
pub struct Way<'a, P: Platform> {
    process: &'a Process<P>,
    interface: Interface,
    set: i32,
}

impl<'a, P: Platform> Way<'a, P> {
    /// A set without notes.
    pub fn new(process: &'a Process<P>, interface: Interface) -> Result<Way<'a, P>> {
        let set = match interface {
            Interface::Kevent => process.kqueue()?,
            Interface::Epoll => process.epoll_create(0)?,
            Interface::DevPoll => process.open(libkq::devpoll::PATH, O_RDWR as u64)?,
            Interface::Select | Interface::Poll => -1,
        };
        Ok(Way { process, interface, set })
    }

    /// Says what to wait for, where that is a call of its own.
    pub fn add(&self, file: i32) -> Result<()> {
        match self.interface {
            Interface::Kevent => {
                self.process.kevent(self.set, &[KEvent::read(file).add()], &mut [], NOW).map(drop)
            }
            Interface::Epoll => {
                self.process.epoll_ctl(self.set, EpollOp::Add, file, EpollEvent::new(EpollFlags::IN, 7))
            }
            Interface::DevPoll => self.process.devpoll_write(self.set, &[PollFd::new(file, Conditions::IN)]),
            Interface::Select | Interface::Poll => Ok(()),
        }
    }

    /// Whether [`Way::add`] tells that a file's device is gone; where it does not, the wait does.
    pub fn add_refuses(&self) -> bool {
        matches!(self.interface, Interface::Kevent | Interface::Epoll)
    }

    /// Waits for the file: tells one thing, and of that file.
    pub fn wait(&self, file: i32) -> Outcome<Told> {
        self.look(file, PATIENTLY)?.ok_or(Failure::new("the wait ends with nothing"))
    }

    /// What there is to tell now. A note of kevent tells an end once (R57); the others are asked for a level, and the end is one.
    pub fn again(&self, file: i32) -> Outcome<Option<Told>> {
        self.look(file, NOW)
    }

    /// Sleeps for a moment, with nothing to tell: what the library keeps for a thread that sleeps is there then.
    pub fn rest(&self, file: i32) -> Outcome {
        equal(self.look(file, Some(Duration::from_millis(1)))?, None)
    }

    fn look(&self, file: i32, timeout: Option<Duration>) -> Outcome<Option<Told>> {
        let told = match self.interface {
            Interface::Kevent => {
                let mut events = [KEvent::default(); 4];
                let count = self.process.kevent(self.set, &[], &mut events, timeout)?;
                if count == 0 {
                    return Ok(None);
                }
                equal(count, 1)?;
                equal(events[0].ident, file as usize)?;
                match (events[0].is_eof(), events[0].fflags) {
                    (true, errno) if errno == ENODEV as u32 => Told::Gone,
                    (false, 0) => Told::Ready,
                    _ => return Err(Failure::new(alloc::format!("{:?}", events[0]))),
                }
            }
            Interface::Select => {
                let mut reading: FdSet = [file].into_iter().collect();
                let count = self.process.select(file + 1, [Some(&mut reading), None, None], timeout, None)?;
                if count == 0 {
                    return Ok(None);
                }
                ensure(count == 1 && reading.contains(file), "select tells of the file")?;
                Told::Either
            }
            Interface::Poll => {
                let mut list = [PollFd::new(file, Conditions::IN)];
                match self.process.poll(&mut list, timeout, None)? {
                    0 => return Ok(None),
                    _ => conditions(list[0].revents)?,
                }
            }
            Interface::Epoll => {
                let mut events = [EpollEvent::default(); 4];
                let count = self.process.epoll_wait(self.set, &mut events, timeout)?;
                if count == 0 {
                    return Ok(None);
                }
                equal((count, events[0].data()), (1, 7))?;
                conditions(Conditions::from_bits_retain(events[0].events().bits() as u16))?
            }
            Interface::DevPoll => {
                let mut list = [PollFd::default(); 4];
                let count = self.process.devpoll_poll(self.set, &mut list, timeout, None)?;
                if count == 0 {
                    return Ok(None);
                }
                equal((count, list[0].fd), (1, file))?;
                conditions(list[0].revents)?
            }
        };
        Ok(Some(told))
    }

    /// Closes the set.
    pub fn close(self) -> Result<()> {
        if self.set >= 0 { self.process.close(self.set) } else { Ok(()) }
    }
}

/// What poll's words say, which epoll has too.
fn conditions(found: Conditions) -> Outcome<Told> {
    if found.contains(Conditions::HUP) {
        return Ok(Told::Gone);
    }
    equal(found, Conditions::IN)?;
    Ok(Told::Ready)
}

//! Descriptors that close when dropped.

use alloc::sync::Arc;
use core::fmt;
use core::time::Duration;

use abi::error::Result;
use event_protocol::control::policy::Policy as WakePolicy;
use event_protocol::descriptor::{Control, ControlReply};
use rt::sys::Endpoint;

use crate::epoll::{Epoll, EpollEvent, EpollFlags, EpollOp};
use crate::event::filter::Filter;
use crate::event::{KEvent, Separate};
use crate::kqueue::Kqueue;
use crate::machine::Machine;
use crate::platform::Read;
use crate::process::SocketType;

/// An open file.
#[derive(Debug)]
pub struct Descriptor(i32);

impl Descriptor {
    /// Opens a path with `O_*` flags of [`abi::flag`]. `open(2)`. To be read, if no access mode is among them.
    pub fn open(path: &str, flags: usize) -> Result<Descriptor> {
        crate::open(path, flags).map(Descriptor)
    }

    /// Opens a path at a driver that is known by its endpoint and not by a name.
    pub fn open_at(driver: &Endpoint, path: &str, flags: usize) -> Result<Descriptor> {
        let process = crate::process();
        let file = process.platform().open_at(driver, path, flags as u64)?;
        process.insert(file, flags as u64).map(Descriptor)
    }

    /// The two ends of a pipe, the one that is read first. `pipe(2)`.
    pub fn pipe() -> Result<(Descriptor, Descriptor)> {
        let (reader, writer) = crate::pipe(0)?;
        Ok((Descriptor(reader), Descriptor(writer)))
    }

    /// Two sockets that are each other's peer. `socketpair(2)`.
    pub fn socket_pair(kind: SocketType) -> Result<(Descriptor, Descriptor)> {
        let (first, second) = crate::process().socketpair(kind, 0)?;
        Ok((Descriptor(first), Descriptor(second)))
    }

    /// A local socket. `socket(2)`.
    pub fn socket(kind: SocketType) -> Result<Descriptor> {
        crate::process().socket(kind, 0).map(Descriptor)
    }

    /// A new socket of TCP or UDP over IPv4. `socket(2)` with `AF_INET`.
    pub fn inet_socket(kind: SocketType) -> Result<Descriptor> {
        crate::process().inet_socket(kind, 0).map(Descriptor)
    }

    /// The next connection of this listener. `accept(2)`.
    pub fn accept(&self) -> Result<Descriptor> {
        crate::process().accept(self.0, 0).map(Descriptor)
    }

    /// A descriptor that has this number already and is closed with the value.
    pub const fn from_number(number: i32) -> Descriptor {
        Descriptor(number)
    }

    /// Its number.
    pub fn number(&self) -> i32 {
        self.0
    }

    /// Reads what there is. `read(2)`.
    pub fn read(&self, buffer: &mut [u8]) -> Result<usize> {
        crate::read(self.0, buffer)
    }

    /// Reads, and tells when the interrupt came that brought it.
    pub fn read_stamped(&self, buffer: &mut [u8]) -> Result<Read> {
        crate::process().read(self.0, buffer)
    }

    /// Writes all of it. `write(2)`.
    pub fn write_all(&self, mut bytes: &[u8]) -> Result<()> {
        while !bytes.is_empty() {
            let taken = crate::write(self.0, bytes)?;
            bytes = &bytes[taken..];
        }
        Ok(())
    }

    /// Anything else. `ioctl(2)`.
    pub fn control(&self, control: Control) -> Result<ControlReply> {
        crate::process().control(self.0, control)
    }

    /// A second number for it. `dup(2)`.
    pub fn duplicate(&self) -> Result<Descriptor> {
        crate::dup(self.0).map(Descriptor)
    }
}

impl Drop for Descriptor {
    fn drop(&mut self) {
        // Somebody closed it by number: then there is nothing left to do.
        let _ = crate::close(self.0);
    }
}

/// An event queue. `kqueue(2)`.
pub struct Queue {
    number: i32,
    /// So that a wait need not look the number up.
    queue: Arc<Kqueue<Machine>>,
}

impl Queue {
    /// A new one.
    pub fn new() -> Result<Queue> {
        let number = crate::kqueue()?;
        Ok(Queue { number, queue: crate::process().queue(number)? })
    }

    /// Its number.
    pub fn number(&self) -> i32 {
        self.number
    }

    /// Applies changes, up to the first that fails, which is the error.
    pub fn apply(&self, changes: &[KEvent]) -> Result<()> {
        crate::kevent(self.number, changes, &mut [], Some(Duration::ZERO)).map(drop)
    }

    /// Whom an arrival wakes that a note with `EV_WAKEONE` waits for; see [`Process::kevent_wake_policy`].
    ///
    /// [`Process::kevent_wake_policy`]: crate::process::Process::kevent_wake_policy
    pub fn wake_policy(&self, ident: i32, filter: Filter, policy: Option<WakePolicy>) -> Result<()> {
        crate::process().kevent_wake_policy(self.number, ident as usize, filter, policy)
    }

    /// The same for all who have the file; see [`Process::kevent_file_wake_policy`].
    ///
    /// [`Process::kevent_file_wake_policy`]: crate::process::Process::kevent_file_wake_policy
    pub fn file_wake_policy(&self, ident: i32, filter: Filter, policy: Option<WakePolicy>) -> Result<()> {
        crate::process().kevent_file_wake_policy(self.number, ident as usize, filter, policy)
    }

    /// Waits for the first event up to `timeout` (`None`: for ever) and gives all that are ready and fit.
    #[inline]
    pub fn wait<'a>(&self, events: &'a mut [KEvent], timeout: Option<Duration>) -> Result<&'a [KEvent]> {
        let count = self.queue.kevent(&mut Separate::new(&[], events), crate::process(), timeout)?;
        Ok(&events[..count])
    }
}

impl Drop for Queue {
    fn drop(&mut self) {
        // As for a descriptor.
        let _ = crate::close(self.number);
    }
}

impl fmt::Debug for Queue {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_tuple("Queue").field(&self.number).finish()
    }
}

/// An epoll set. `epoll(7)`.
///
/// ```no_run
/// use libkq::{Descriptor, EpollFlags, EpollSet};
///
/// # fn main() -> libkq::Result<()> {
/// let terminal = Descriptor::open("/dev/tty", libkq::flag::O_RDWR)?;
/// let set = EpollSet::new()?;
/// set.add(terminal.number(), EpollFlags::IN | EpollFlags::ET, 7)?;
/// let mut room = [Default::default(); 16];
/// for event in set.wait(&mut room, None)? {
///     assert_eq!(event.data(), 7);
/// }
/// # Ok(())
/// # }
/// ```
pub struct EpollSet {
    number: i32,
    set: Arc<Epoll<Machine>>,
}

impl EpollSet {
    /// A new one.
    pub fn new() -> Result<EpollSet> {
        let number = crate::epoll_create1(0)?;
        Ok(EpollSet { number, set: crate::process().epoll(number)? })
    }

    /// Its number.
    pub fn number(&self) -> i32 {
        self.number
    }

    /// Adds a descriptor; `data` comes back with its events. `EPOLL_CTL_ADD`.
    pub fn add(&self, fd: i32, events: EpollFlags, data: u64) -> Result<()> {
        crate::epoll_ctl(self.number, EpollOp::Add, fd, EpollEvent::new(events, data))
    }

    /// Whom an arrival wakes that an item with `EPOLLEXCLUSIVE` waits for; see [`Process::epoll_wake_policy`].
    ///
    /// [`Process::epoll_wake_policy`]: crate::process::Process::epoll_wake_policy
    pub fn wake_policy(&self, fd: i32, policy: Option<WakePolicy>) -> Result<()> {
        crate::process().epoll_wake_policy(self.number, fd, policy)
    }

    /// The same for all who have the file; see [`Process::epoll_file_wake_policy`].
    ///
    /// [`Process::epoll_file_wake_policy`]: crate::process::Process::epoll_file_wake_policy
    pub fn file_wake_policy(&self, fd: i32, policy: Option<WakePolicy>) -> Result<()> {
        crate::process().epoll_file_wake_policy(self.number, fd, policy)
    }

    /// Asks for something else, and arms a one-shot again. `EPOLL_CTL_MOD`.
    pub fn modify(&self, fd: i32, events: EpollFlags, data: u64) -> Result<()> {
        crate::epoll_ctl(self.number, EpollOp::Modify, fd, EpollEvent::new(events, data))
    }

    /// Removes a descriptor. `EPOLL_CTL_DEL`.
    pub fn remove(&self, fd: i32) -> Result<()> {
        crate::epoll_ctl(self.number, EpollOp::Delete, fd, EpollEvent::default())
    }

    /// Waits for the first event up to `timeout` (`None`: for ever) and gives all that are ready and fit.
    #[inline]
    pub fn wait<'a>(
        &self,
        events: &'a mut [EpollEvent],
        timeout: Option<Duration>,
    ) -> Result<&'a [EpollEvent]> {
        let count = self.set.wait(crate::process(), events, timeout)?;
        Ok(&events[..count])
    }
}

impl Drop for EpollSet {
    fn drop(&mut self) {
        // As for a descriptor.
        let _ = crate::close(self.number);
    }
}

impl fmt::Debug for EpollSet {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_tuple("EpollSet").field(&self.number).finish()
    }
}

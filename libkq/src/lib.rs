//! Descriptors and event queues for programs: `open`, `read`, `write`, `close`, `dup`; kevent, epoll, poll, select, /dev/poll.
//!
//! Readiness is data. A driver publishes the level of each descriptor in memory that the program can read; the event
//! server tells which notes became true, through memory too; and a harvest looks at both. So [`kevent`] enters the kernel
//! to register, to sleep and to wake, and never to look.
//!
//! Programs use [`Queue`], [`Descriptor`] and [`KEvent`], or the functions of the same names as the system calls, which
//! deal in numbers. Below them, in layers: [`mod@process`] (descriptor numbers); a thin view for each interface,
//! [`mod@kqueue`] (with [`mod@event`], its vocabulary), [`mod@epoll`], [`mod@poll`] for poll and select, [`devpoll`]; [`set`]
//! (what their sets have in common); [`engine`] (notes, ready list, harvest); [`platform`] (what all of this asks of the
//! world) and [`machine`], which is the world. All but the last runs, and is tested, on the host.
#![cfg_attr(not(test), no_std)]
#![deny(unsafe_code)]

extern crate alloc;

pub mod conditions;
pub mod description;
pub mod devpoll;
pub mod ending;
pub mod engine;
pub mod epoll;
pub mod event;
pub mod file;
pub mod inheritance;
pub mod interruption;
pub mod kqueue;
pub mod machine;
pub mod nesting;
mod owned;
pub mod platform;
pub mod poll;
pub mod process;
pub mod process_calls;
pub mod set;
pub mod signal;
mod sync;
pub mod table;
pub mod trace;
pub mod user_ring;

use core::time::Duration;

pub use abi::error::{Error, Result};
pub use conditions::Conditions;
pub use epoll::{EpollEvent, EpollFlags, EpollOp};
pub use event::KEvent;
pub use event::filter::Filter;
pub use event::flags::EventFlags;
pub use event_protocol::control::policy::Policy as WakePolicy;
pub use event_protocol::descriptor as control;
pub use interruption::SignalMask;
pub use owned::{Descriptor, EpollSet, Queue};
pub use poll::{FdSet, PollFd};

use machine::Machine;
use process::Process;
use rt::sync::OnceLock;

static PROCESS: OnceLock<Process<Machine>> = OnceLock::new();

/// `O_*`.
pub mod flag {
    pub use abi::flag::*;

    /// The descriptor survives the restart of its driver: it waits for the next one, with all its notes. `EOPNOTSUPP`: that one could
    /// not go on with it. Redox has no such flag, and no other of this value.
    pub const O_DURABLE: usize = event_protocol::descriptor::DURABLE as usize;
}

/// This process's descriptors.
#[inline(always)]
pub fn process() -> &'static Process<Machine> {
    match PROCESS.get() {
        Some(process) => process,
        None => first_process(),
    }
}

#[cold]
fn first_process() -> &'static Process<Machine> {
    PROCESS.get_or_init(|| {
        let process = Process::new(Machine::new());
        inheritance::take(&process);
        process
    })
}

/// Opens a path with `O_*` [`flag`]s; the lowest free number. `open(2)`. `O_RDONLY` is not 0 here, but flags without an access
/// mode mean it.
pub fn open(path: &str, flags: usize) -> Result<i32> {
    process().open(path, flags as u64)
}

/// Reads what there is, waiting for the first byte unless `O_NONBLOCK` is set (`EAGAIN`). 0 is the end. `read(2)`.
pub fn read(fd: i32, buffer: &mut [u8]) -> Result<usize> {
    signal::boundary();
    process().read(fd, buffer).map(|read| read.count)
}

/// Writes; may take less than all, as std's `write`. `EPIPE`, and `SIGPIPE` besides: nobody will read it. C's `write(2)` is
/// [`write_whole`].
pub fn write(fd: i32, bytes: &[u8]) -> Result<usize> {
    signal::boundary();
    process().write(fd, bytes).inspect_err(broken)
}

/// Reads, of a regular file as much as there is up to its end; see [`Process::read_whole`]. `read(2)` as POSIX has it.
pub fn read_whole(fd: i32, buffer: &mut [u8]) -> Result<usize> {
    signal::boundary();
    process().read_whole(fd, buffer, control::CURRENT)
}

/// Writes all of it; less when a signal or an error came in between, or when it is nonblocking. See
/// [`Process::write_whole`]. `write(2)` as POSIX has it.
pub fn write_whole(fd: i32, bytes: &[u8]) -> Result<usize> {
    signal::boundary();
    process().write_whole(fd, bytes, control::CURRENT).inspect_err(broken)
}

fn broken(error: &Error) {
    if error.errno == abi::error::EPIPE {
        signal::broken_pipe();
    }
}

/// A pipe: the end that is read and the end that is written. `pipe2(2)`: `O_NONBLOCK` or nothing.
pub fn pipe(flags: usize) -> Result<(i32, i32)> {
    process().pipe(flags as u64)
}

/// Closes a number. `close(2)`; see [`Process::close`].
pub fn close(fd: i32) -> Result<()> {
    process().close(fd)
}

/// A second number for the same open file. `dup(2)`.
pub fn dup(fd: i32) -> Result<i32> {
    process().dup(fd)
}

/// The same with a number of the caller's choice, which is closed first. `dup2(2)`.
pub fn dup2(fd: i32, number: i32) -> Result<i32> {
    process().dup2(fd, number)
}

/// A new event queue. `kqueue(2)`.
pub fn kqueue() -> Result<i32> {
    process().kqueue()
}

/// Changes notes and takes events. `kevent(2)`; see [`Process::kevent`].
///
/// What finds events without waiting is inlined into the caller, and short.
#[inline(always)]
pub fn kevent(
    fd: i32,
    changes: &[KEvent],
    events: &mut [KEvent],
    timeout: Option<Duration>,
) -> Result<usize> {
    process().kevent(fd, changes, events, timeout)
}

/// A new epoll set. `epoll_create1(2)`; see [`Process::epoll_create`].
pub fn epoll_create1(flags: u64) -> Result<i32> {
    process().epoll_create(flags)
}

/// Makes, changes or removes an item. `epoll_ctl(2)`; see [`Process::epoll_ctl`].
pub fn epoll_ctl(epfd: i32, op: EpollOp, fd: i32, event: EpollEvent) -> Result<()> {
    process().epoll_ctl(epfd, op, fd, event)
}

/// Takes events, waiting for the first. `epoll_wait(2)`, with a fine timeout as that of `epoll_pwait2(2)`.
#[inline(always)]
pub fn epoll_wait(epfd: i32, events: &mut [EpollEvent], timeout: Option<Duration>) -> Result<usize> {
    process().epoll_wait(epfd, events, timeout)
}

/// The same with a signal mask for the time of the call. `epoll_pwait2(2)`.
pub fn epoll_pwait(
    epfd: i32,
    events: &mut [EpollEvent],
    timeout: Option<Duration>,
    mask: SignalMask,
) -> Result<usize> {
    process().epoll_pwait(epfd, events, timeout, mask)
}

/// Looks at descriptors, waiting for the first that is ready. `poll(2)`, with a mask `ppoll(2)`; see [`Process::poll`].
pub fn poll(list: &mut [PollFd], timeout: Option<Duration>, mask: Option<SignalMask>) -> Result<usize> {
    process().poll(list, timeout, mask)
}

/// Looks at descriptors, waiting for the first that is ready. `select(2)`, with a mask `pselect(2)`; the sets are those of
/// reading, of writing and of what is exceptional. See [`Process::select`].
pub fn select(
    nfds: i32,
    sets: [Option<&mut FdSet>; 3],
    timeout: Option<Duration>,
    mask: Option<SignalMask>,
) -> Result<usize> {
    process().select(nfds, sets, timeout, mask)
}

//! The calls of epoll, /dev/poll, poll and select.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::time::Duration;

use abi::error::{EINVAL, Error, Result};
use event_protocol::control::policy::Policy;

use super::{Open, Process};
use crate::conditions::Conditions;
use crate::devpoll::DevPoll;
use crate::epoll::{CLOEXEC, Epoll, EpollEvent, EpollOp};
use crate::event::filter::Filter;
use crate::interruption::SignalMask;
use crate::platform::Platform;
use crate::poll::{FdSet, PollFd};

impl<P: Platform> Process<P> {
    /// Adds, widens and removes entries of a /dev/poll set: `write(2)` of a list of `struct pollfd`. A number again ORs its
    /// conditions; [`Conditions::REMOVE`](crate::conditions::Conditions::REMOVE), which stands alone, removes it.
    pub fn devpoll_write(&self, fd: i32, list: &[PollFd]) -> Result<()> {
        self.devpoll(fd)?.write(self, list)
    }

    /// Puts the entries that are ready into `list`, waiting for the first up to `timeout`; an empty list is a sleep. Over
    /// time every entry that is ready is told, however short the list. `ioctl(DP_POLL)`, with a mask `DP_PPOLL`.
    #[inline(always)]
    pub fn devpoll_poll(
        &self,
        fd: i32,
        list: &mut [PollFd],
        timeout: Option<Duration>,
        mask: Option<SignalMask>,
    ) -> Result<usize> {
        self.devpoll(fd)?.poll(self, list, timeout, mask)
    }

    /// What a /dev/poll set asks about a number, if it has an entry. `ioctl(DP_ISPOLLED)`.
    pub fn devpoll_is_polled(&self, fd: i32, number: i32) -> Result<Option<Conditions>> {
        self.devpoll(fd)?.is_polled(number)
    }

    #[inline(always)]
    fn devpoll(&self, fd: i32) -> Result<Arc<DevPoll<P>>> {
        let table = self.table.lock();
        match table.get(fd)? {
            Open::DevPoll(set) => Ok(set.clone()),
            _ => Err(Error::new(EINVAL)),
        }
    }

    /// A new epoll set. `epoll_create1(2)`: [`CLOEXEC`] or nothing.
    pub fn epoll_create(&self, flags: u64) -> Result<i32> {
        if flags & !CLOEXEC != 0 {
            return Err(Error::new(EINVAL));
        }
        let set = Epoll::create(&self.platform)?;
        set.set_cloexec(flags & CLOEXEC != 0);
        self.number(Open::Epoll(set.clone())).inspect_err(|_| set.close())
    }

    /// A new epoll set of this very number. `EBADF`: it is none; `EBUSY`: it is open.
    pub fn epoll_at(&self, number: i32, cloexec: bool) -> Result<Arc<Epoll<P>>> {
        let set = Epoll::create(&self.platform)?;
        set.set_cloexec(cloexec);
        self.number_at(number, Open::Epoll(set.clone())).inspect_err(|_| set.close()).map(|()| set)
    }

    /// The numbers of epoll sets that programs get that are started.
    pub fn epoll_sets_that_travel(&self) -> Vec<i32> {
        let table = self.table.lock();
        let travels = |(fd, open): (i32, &Open<P>)| match open {
            Open::Epoll(set) if !set.is_cloexec() => Some(fd),
            _ => None,
        };
        table.items().filter_map(travels).collect()
    }

    /// Whom an arrival wakes that an item with `EPOLLEXCLUSIVE` waits for; `None`: as the event server does by itself. `EBADF`,
    /// `EINVAL`: the item, or the set, is none such; `ENOENT`.
    pub fn epoll_wake_policy(&self, epfd: i32, fd: i32, policy: Option<Policy>) -> Result<()> {
        self.epoll(epfd)?.wake_policy(self, fd, policy)
    }

    /// The same of a note with `EV_WAKEONE`, on what is a level: READ, WRITE, EXCEPT.
    pub fn kevent_wake_policy(
        &self,
        kq: i32,
        ident: usize,
        filter: Filter,
        policy: Option<Policy>,
    ) -> Result<()> {
        self.queue(kq)?.wake_policy(ident, filter, policy)
    }

    /// What [`epoll_wake_policy`](Process::epoll_wake_policy) says, for all who have the file in whatever process, where their own
    /// notes do not say it: it is the file's, as its position is.
    pub fn epoll_file_wake_policy(&self, epfd: i32, fd: i32, policy: Option<Policy>) -> Result<()> {
        self.epoll(epfd)?.file_wake_policy(self, fd, policy)
    }

    /// The same of a note with `EV_WAKEONE`.
    pub fn kevent_file_wake_policy(
        &self,
        kq: i32,
        ident: usize,
        filter: Filter,
        policy: Option<Policy>,
    ) -> Result<()> {
        self.queue(kq)?.file_wake_policy(self, ident, filter, policy)
    }

    /// Makes, changes or removes the item of a descriptor. `epoll_ctl(2)`.
    ///
    /// `EBADF`: one of the numbers is not open. `EPERM`: it is always ready, so nothing can be waited for. `EINVAL`: `epfd`
    /// is no epoll set, or is the descriptor itself, or `EPOLLEXCLUSIVE` with what it does not go with. `EEXIST`, `ENOENT`.
    /// `ENOSPC`: over quota.
    pub fn epoll_ctl(&self, epfd: i32, op: EpollOp, fd: i32, event: EpollEvent) -> Result<()> {
        let set = {
            let table = self.table.lock();
            table.get(fd)?;
            match table.get(epfd)? {
                Open::Epoll(_) if epfd == fd => return Err(Error::new(EINVAL)),
                Open::Epoll(set) => set.clone(),
                _ => return Err(Error::new(EINVAL)),
            }
        };
        set.control(self, op, fd, event)
    }

    /// Puts what is ready into `events`, waiting for the first up to `timeout`. `epoll_wait(2)`. `EINVAL`: no room.
    #[inline(always)]
    pub fn epoll_wait(
        &self,
        epfd: i32,
        events: &mut [EpollEvent],
        timeout: Option<Duration>,
    ) -> Result<usize> {
        self.epoll(epfd)?.wait(self, events, timeout)
    }

    /// The same with a mask of signals for the time of the call. `epoll_pwait(2)`, `epoll_pwait2(2)`. `EINTR`: a signal came
    /// that the mask lets through, and nothing was ready.
    pub fn epoll_pwait(
        &self,
        epfd: i32,
        events: &mut [EpollEvent],
        timeout: Option<Duration>,
        mask: SignalMask,
    ) -> Result<usize> {
        self.epoll(epfd)?.wait_masked(self, events, timeout, mask)
    }

    /// The epoll set that a number stands for.
    #[inline(always)]
    pub fn epoll(&self, fd: i32) -> Result<Arc<Epoll<P>>> {
        let table = self.table.lock();
        match table.get(fd)? {
            Open::Epoll(set) => Ok(set.clone()),
            _ => Err(Error::new(EINVAL)),
        }
    }

    /// Fills `revents` of each entry, waiting until one has any, up to `timeout`; returns how many have. With a mask it is
    /// the thread's for the time of the call. `poll(2)`, `ppoll(2)`.
    ///
    /// Negative numbers are skipped, closed ones are `NVAL` at once (R45), `ERR` and `HUP` are told unasked; regular files are
    /// always ready.
    pub fn poll(
        &self,
        list: &mut [PollFd],
        timeout: Option<Duration>,
        mask: Option<SignalMask>,
    ) -> Result<usize> {
        self.polled.poll(&self.platform, self, list, timeout, mask)
    }

    /// Leaves in each set the numbers below `nfds` that are ready, waiting for the first up to `timeout`; returns how many
    /// that are in all. `select(2)`, `pselect(2)`. `EBADF`: a number is not open, and the sets are as they were (R47).
    pub fn select(
        &self,
        nfds: i32,
        sets: [Option<&mut FdSet>; 3],
        timeout: Option<Duration>,
        mask: Option<SignalMask>,
    ) -> Result<usize> {
        self.polled.select(&self.platform, self, nfds, sets, timeout, mask)
    }
}

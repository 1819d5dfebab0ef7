//! A process's descriptors: numbers, files, queues.

use alloc::sync::Arc;
use core::time::Duration;

use abi::error::{EBADF, EINVAL, Error, Result};
use event_protocol::descriptor::{Control, ControlReply};

use crate::conditions::Conditions;
use crate::description::Description;
use crate::devpoll::{self, DevPoll};
use crate::epoll::{CLOEXEC, Epoll, EpollEvent, EpollOp};
use crate::event::{KEvent, Lists, Separate, Shared};
use crate::file::{File, Files};
use crate::interruption::{self, Interruption, SignalMask};
use crate::kqueue::Kqueue;
use crate::platform::{Platform, Read};
use crate::poll::{FdSet, PollFd, Sets};
use crate::sync::Mutex;
use crate::table::Table;

/// Numbers that a process may have open (R55).
pub const MAX_DESCRIPTORS: usize = 65536;

/// The descriptor table and the way to everything that it names.
pub struct Process<P: Platform> {
    platform: Arc<P>,
    table: Mutex<Table<Open<P>>>,
    interruption: Mutex<Option<Arc<dyn Interruption>>>,
    polled: Sets<P>,
}

/// What a number stands for. Numbers that were duplicated share it.
enum Open<P: Platform> {
    File(Arc<File<P>>),
    Kqueue(Arc<Kqueue<P>>),
    Epoll(Arc<Epoll<P>>),
    DevPoll(Arc<DevPoll<P>>),
}

impl<P: Platform> Clone for Open<P> {
    fn clone(&self) -> Self {
        match self {
            Open::File(file) => Open::File(file.clone()),
            Open::Kqueue(queue) => Open::Kqueue(queue.clone()),
            Open::Epoll(set) => Open::Epoll(set.clone()),
            Open::DevPoll(set) => Open::DevPoll(set.clone()),
        }
    }
}

impl<P: Platform> Files<P> for Process<P> {
    fn file(&self, fd: i32) -> Result<Arc<File<P>>> {
        match self.table.lock().get(fd)? {
            Open::File(file) => Ok(file.clone()),
            _ => Err(Error::new(EINVAL)),
        }
    }

    fn interruption(&self) -> Option<Arc<dyn Interruption>> {
        self.interruption.lock().clone()
    }
}

impl<P: Platform> Process<P> {
    /// No descriptors.
    pub fn new(platform: P) -> Process<P> {
        Process {
            platform: Arc::new(platform),
            table: Mutex::new(Table::new(MAX_DESCRIPTORS)),
            interruption: Mutex::new(None),
            polled: Sets::new(),
        }
    }

    /// Opens a path; the lowest free number. `open(2)`.
    pub fn open(&self, path: &str, flags: u64) -> Result<i32> {
        if path == devpoll::PATH {
            let set = DevPoll::create(&self.platform)?;
            return self.number(Open::DevPoll(set.clone())).inspect_err(|_| set.close());
        }
        self.insert(self.platform.open(path, flags)?, flags)
    }

    /// What the descriptors are reached through.
    pub fn platform(&self) -> &P {
        &self.platform
    }

    /// Gives an open file the lowest free number.
    pub fn insert(&self, handle: P::File, flags: u64) -> Result<i32> {
        self.number(Open::File(Arc::new(File::new(self.platform.clone(), handle, flags))))
    }

    /// Gives what is open the lowest free number.
    fn number(&self, open: Open<P>) -> Result<i32> {
        let mut table = self.table.lock();
        let number = table.insert(open.clone())?;
        open.description().numbered();
        Ok(number)
    }

    /// Says what may interrupt the waits of this process's threads.
    pub fn set_interruption(&self, interruption: Arc<dyn Interruption>) {
        *self.interruption.lock() = Some(interruption);
    }

    /// Ends the wait of a thread (its [`Platform::thread`]) with `EINTR`, if it waits now; what it waits for is not lost.
    pub fn interrupt(&self, thread: u64) {
        interruption::interrupt(&*self.platform, thread);
    }

    /// Reads what there is, waiting for the first byte unless the file is nonblocking. `read(2)`.
    pub fn read(&self, fd: i32, buffer: &mut [u8]) -> Result<Read> {
        self.file_or_bad(fd)?.read(buffer)
    }

    /// Writes; may take less than all. `write(2)`.
    pub fn write(&self, fd: i32, bytes: &[u8]) -> Result<usize> {
        self.file_or_bad(fd)?.write(bytes)
    }

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

    /// A new epoll set. `epoll_create1(2)`: [`CLOEXEC`](crate::epoll::CLOEXEC) or nothing.
    pub fn epoll_create(&self, flags: u64) -> Result<i32> {
        if flags & !CLOEXEC != 0 {
            return Err(Error::new(EINVAL));
        }
        let set = Epoll::create(&self.platform)?;
        self.number(Open::Epoll(set.clone())).inspect_err(|_| set.close())
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

    /// Anything else that is done to a file. `ioctl(2)`.
    pub fn control(&self, fd: i32, control: Control) -> Result<ControlReply> {
        self.file_or_bad(fd)?.control(control)
    }

    /// Makes calls on the open file wait or not. `fcntl(2)`, `O_NONBLOCK`.
    pub fn set_nonblocking(&self, fd: i32, nonblocking: bool) -> Result<()> {
        self.file_or_bad(fd).map(|file| file.set_nonblocking(nonblocking))
    }

    /// A queue is not read or written.
    fn file_or_bad(&self, fd: i32) -> Result<Arc<File<P>>> {
        self.file(fd).map_err(|_| Error::new(EBADF))
    }

    /// A second number for the same open file or queue. `dup(2)`.
    pub fn dup(&self, fd: i32) -> Result<i32> {
        let mut table = self.table.lock();
        let open = table.get(fd)?.clone();
        let number = table.insert(open.clone())?;
        open.description().numbered();
        Ok(number)
    }

    /// The same with a number of the caller's choice, which is closed first. `dup2(2)`. `EBUSY`: another thread is closing
    /// that number at this moment.
    pub fn dup2(&self, fd: i32, number: i32) -> Result<i32> {
        let (open, replaced) = {
            let mut table = self.table.lock();
            let open = table.get(fd)?.clone();
            if fd == number {
                return Ok(number);
            }
            let replaced = match table.begin_close(number) {
                Ok(replaced) => Some(replaced),
                Err(_) => {
                    table.insert_at(number, open.clone())?;
                    None
                }
            };
            // Counted while its first number cannot be closed.
            open.description().numbered();
            (open, replaced)
        };
        if let Some(replaced) = replaced {
            replaced.close(number);
            self.table.lock().replace_closing(number, open);
        }
        Ok(number)
    }

    /// Closes a number. Notes on it go at once, in every queue, before it can be used again (R31); the open file closes
    /// with its last number, and so does a queue, waking who waits in it (R34). `close(2)`.
    pub fn close(&self, fd: i32) -> Result<()> {
        let open = self.table.lock().begin_close(fd)?;
        open.close(fd);
        self.table.lock().finish_close(fd);
        Ok(())
    }

    /// Numbers that are open.
    pub fn open_descriptors(&self) -> usize {
        self.table.lock().open()
    }

    /// A new queue. `kqueue(2)`.
    pub fn kqueue(&self) -> Result<i32> {
        let queue = Kqueue::create(&self.platform)?;
        self.number(Open::Kqueue(queue.clone())).inspect_err(|_| queue.close())
    }

    /// The queue that a number stands for: `EBADF` when it is none.
    #[inline(always)]
    pub fn queue(&self, fd: i32) -> Result<Arc<Kqueue<P>>> {
        let table = self.table.lock();
        match table.get(fd) {
            Ok(Open::Kqueue(queue)) => {
                let queue = queue.clone();
                drop(table);
                Ok(queue)
            }
            _ => {
                drop(table);
                Err(Error::new(EBADF))
            }
        }
    }

    /// Applies `changes` in order (R1), then puts what is ready into `events`, waiting for the first up to `timeout`
    /// (`None`: for ever; zero: not at all). Returns how many were put. `kevent(2)`.
    ///
    /// A change that fails, and each with `EV_RECEIPT`, is answered by an event with `EV_ERROR`, and then nothing is
    /// waited for or taken (R2, R3); without room for the answer the call fails with the error, the later changes
    /// undone.
    #[inline(always)]
    pub fn kevent(
        &self,
        fd: i32,
        changes: &[KEvent],
        events: &mut [KEvent],
        timeout: Option<Duration>,
    ) -> Result<usize> {
        self.queue(fd)?.kevent(&mut Separate::new(changes, events), self, timeout)
    }

    /// [`kevent`](Process::kevent) with one list for both: its first `changes` entries are changes, and up to `events` of
    /// it receive events (R5). Counts beyond the list are `EINVAL` (R4).
    pub fn kevent_in_place(
        &self,
        fd: i32,
        list: &mut [KEvent],
        changes: usize,
        events: usize,
        timeout: Option<Duration>,
    ) -> Result<usize> {
        if changes > list.len() || events > list.len() {
            return Err(Error::new(EINVAL));
        }
        let mut lists = Shared::new(list, changes, events);
        self.queue(fd)?.kevent(&mut lists, self, timeout)?;
        Ok(lists.used())
    }
}

impl<P: Platform> Open<P> {
    fn description(&self) -> &Description {
        match self {
            Open::File(file) => &file.description,
            Open::Kqueue(queue) => &queue.description,
            Open::Epoll(set) => &set.description,
            Open::DevPoll(set) => &set.description,
        }
    }

    /// One of its numbers is being closed.
    fn close(&self, fd: i32) {
        let last = self.description().close(fd);
        match self {
            Open::Kqueue(queue) if last => queue.close(),
            Open::Epoll(set) if last => set.close(),
            Open::DevPoll(set) if last => set.close(),
            _ => {}
        }
    }
}

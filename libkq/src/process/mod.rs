//! A process's descriptors: numbers, files, queues.

mod lasting;
mod paths;
mod pipes;
mod sets;
mod sockets;
mod transfer;
mod whole;

use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;
use core::sync::atomic::{AtomicBool, Ordering, fence};
use core::time::Duration;

use abi::error::{EBADF, EINVAL, ENOMEM, Error, Result};
use abi::flag::{O_ACCMODE, O_RDONLY};

use crate::description::Description;
use crate::devpoll::{self, DevPoll};
use crate::epoll::Epoll;
use crate::event::{KEvent, Lists, Separate, Shared};
use crate::file::{File, Files, Target};
use crate::interruption::{self, Interruption};
use crate::kqueue::Kqueue;
use crate::platform::Platform;
use crate::poll::Sets;
use crate::sync::Mutex;
use crate::table::Table;
pub use sockets::{Message, SocketType};

/// Numbers that a process may have open (R55).
pub const MAX_DESCRIPTORS: usize = 65536;

/// The descriptor table and the way to everything that it names.
pub struct Process<P: Platform> {
    platform: Arc<P>,
    table: Mutex<Table<Open<P>>>,
    interruption: Mutex<Option<Arc<dyn Interruption>>>,
    /// It is there: a wait of a program without signals takes no lock to know that.
    hears: AtomicBool,
    /// Signals are pending, perhaps: for looks that do not wait.
    due: AtomicBool,
    polled: Sets<P>,
    /// Its /dev/poll sets, whose entries are of numbers, open or not.
    devpolls: Mutex<Vec<Weak<DevPoll<P>>>>,
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

    fn target(&self, fd: i32) -> Result<Target<P>> {
        Ok(match self.table.lock().get(fd)? {
            Open::File(file) => Target::File(file.clone()),
            Open::Kqueue(queue) => Target::Set(queue.clone()),
            Open::Epoll(set) => Target::Set(set.clone()),
            Open::DevPoll(set) => Target::Set(set.clone()),
        })
    }

    fn interruption(&self) -> Option<Arc<dyn Interruption>> {
        if self.hears.load(Ordering::Acquire) { self.interruption.lock().clone() } else { None }
    }

    #[inline(always)]
    fn boundary(&self) {
        if self.due.load(Ordering::Relaxed) {
            self.run_handlers();
        }
    }
}

impl<P: Platform> Process<P> {
    /// No descriptors.
    pub fn new(platform: P) -> Process<P> {
        Process {
            platform: Arc::new(platform),
            table: Mutex::new(Table::new(MAX_DESCRIPTORS)),
            interruption: Mutex::new(None),
            hears: AtomicBool::new(false),
            due: AtomicBool::new(false),
            polled: Sets::new(),
            devpolls: Mutex::new(Vec::new()),
        }
    }

    /// Opens a path; the lowest free number. `open(2)`. Without one of `O_RDONLY`, `O_WRONLY` and `O_RDWR` it is to be read, as
    /// where `O_RDONLY` is 0.
    pub fn open(&self, path: &str, flags: u64) -> Result<i32> {
        if path == devpoll::PATH {
            let set = DevPoll::create(&self.platform)?;
            let mut sets = self.devpolls.lock();
            sets.retain(|known| known.strong_count() > 0);
            sets.try_reserve(1).map_err(|_| Error::new(ENOMEM))?;
            sets.push(Arc::downgrade(&set));
            drop(sets);
            return self.number(Open::DevPoll(set.clone())).inspect_err(|_| set.close());
        }
        let reads = if flags & O_ACCMODE as u64 == 0 { O_RDONLY as u64 } else { 0 };
        self.insert(self.platform.open(path, flags | reads)?, flags | reads)
    }

    /// What the descriptors are reached through.
    pub fn platform(&self) -> &P {
        &self.platform
    }

    /// Gives an open file the lowest free number.
    pub fn insert(&self, handle: P::File, flags: u64) -> Result<i32> {
        self.number(Open::File(Arc::new(File::new(self.platform.clone(), handle, flags))))
    }

    /// Gives an open file this very number. `EBADF`: it is none; `EBUSY`: it is open.
    pub fn insert_at(&self, number: i32, handle: P::File, flags: u64) -> Result<Arc<File<P>>> {
        let file = self.unnumbered(handle, flags);
        self.number_at(number, Open::File(file.clone())).map(|()| file)
    }

    /// Gives an open file this number besides those that it has. `EBADF`: it is none; `EBUSY`: it is open.
    pub fn also_at(&self, number: i32, file: &Arc<File<P>>) -> Result<()> {
        self.number_at(number, Open::File(file.clone()))
    }

    /// An open file without a number.
    pub fn unnumbered(&self, handle: P::File, flags: u64) -> Arc<File<P>> {
        Arc::new(File::new(self.platform.clone(), handle, flags))
    }

    /// The file of this name, if a number stands for it.
    pub fn described(&self, name: u64) -> Option<Arc<File<P>>> {
        self.table.lock().items().find_map(|(_, open)| match open {
            Open::File(file) if file.description.name() == name => Some(file.clone()),
            _ => None,
        })
    }

    /// Gives what is open this very number.
    fn number_at(&self, number: i32, open: Open<P>) -> Result<()> {
        let mut table = self.table.lock();
        table.insert_at(number, open.clone())?;
        open.description().numbered();
        drop(table);
        self.opened(number);
        Ok(())
    }

    /// A number is open. Entries of it in /dev/poll sets, which were invalid until now, are its own: others may wait for the sets
    /// and would be told of what is not so (R45).
    fn opened(&self, number: i32) {
        // Most processes have none.
        let sets: Vec<Arc<DevPoll<P>>> = self.devpolls.lock().iter().filter_map(Weak::upgrade).collect();
        sets.iter().for_each(|set| set.opened(self, number));
    }

    /// Keeps a number that is free from whoever wants the lowest: only [`dup2`](Process::dup2) and who names it gets it. Once
    /// it has been open it is as any other.
    pub fn reserve(&self, number: i32) -> Result<()> {
        self.table.lock().reserve(number)
    }

    /// Gives what is open the lowest free number.
    fn number(&self, open: Open<P>) -> Result<i32> {
        let mut table = self.table.lock();
        let number = table.insert(open.clone())?;
        open.description().numbered();
        drop(table);
        self.opened(number);
        Ok(number)
    }

    /// Says what may interrupt the waits of this process's threads.
    pub fn set_interruption(&self, interruption: Arc<dyn Interruption>) {
        *self.interruption.lock() = Some(interruption);
        self.hears.store(true, Ordering::Release);
    }

    /// Whether signals are pending, perhaps. Said after they are, and before it is looked whether they are.
    pub fn set_due(&self, due: bool) {
        // After what was made pending; before the look at what is.
        fence(Ordering::SeqCst);
        self.due.store(due, Ordering::Relaxed);
        fence(Ordering::SeqCst);
    }

    #[cold]
    #[inline(never)]
    fn run_handlers(&self) {
        if let Some(interruption) = Files::interruption(self) {
            interruption.run_handlers();
        }
    }

    /// Ends the wait of a thread (its [`Platform::thread`]) with `EINTR`, if it waits now and, in a process that has
    /// signals, one is due for it; what it waits for is not lost.
    pub fn interrupt(&self, thread: u64) {
        interruption::interrupt(&*self.platform, thread);
    }

    fn open_file(&self, fd: i32) -> Result<Open<P>> {
        self.table.lock().get(fd).cloned()
    }

    /// A set is not read or written.
    fn file_or_bad(&self, fd: i32) -> Result<Arc<File<P>>> {
        self.file(fd).map_err(|_| Error::new(EBADF))
    }

    /// A second number for the same open file or queue. `dup(2)`.
    pub fn dup(&self, fd: i32) -> Result<i32> {
        let mut table = self.table.lock();
        let open = table.get(fd)?.clone();
        let number = table.insert(open.clone())?;
        open.description().numbered();
        drop(table);
        self.opened(number);
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
        self.opened(number);
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

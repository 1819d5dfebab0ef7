//! The machine as libkq sees it, with places at which a thread stops. What runs between them is the library itself.

use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;
use core::sync::atomic::{AtomicBool, AtomicI32, Ordering};

use abi::error::{ENODEV, ENOSYS, EPIPE, Error, Result};
use abi::limits::FOREVER;
use event_protocol::badge::SourceId;
use event_protocol::control::client::{Change, QueueNumber};
use event_protocol::control::limits::MIN_BANK_SLOTS;
use event_protocol::descriptor::message::MessageFlags;
use event_protocol::descriptor::{Control, ControlReply, Kind, PathReply, PathRequest};
use event_protocol::park::Waiter;
use libkq::ending::Ending;
use libkq::engine::Seats;
use libkq::machine::{Machine, OpenFile, SharedMemory};
use libkq::platform::{Bank, Changed, Platform, Read, Received, Source};
use rt::sys::{Endpoint, Notification};

use crate::step::Step;

/// A client's thread signals this when it has stopped, to who strikes.
pub const STOPPED: u64 = 1;
/// A client's thread signals this when it is about to sleep, within its process.
pub const SLEEPS: u64 = 1;

/// Where a thread of the client stops, once.
#[derive(Debug)]
pub struct Place {
    /// The step; `None`: it is none of the client's.
    pub step: Option<Step>,
    /// Who strikes is told here that it has stopped.
    pub told: Notification,
    /// It goes on when this is signalled.
    pub go: Notification,
    /// The client's first thread is told here that another is about to sleep.
    pub news: Notification,
    /// One is asleep, or about to be.
    pub sleeping: AtomicBool,
    /// The file, once it is open.
    pub file: AtomicI32,
    stopped: AtomicBool,
}

impl Place {
    /// A place where nobody has been.
    pub fn new(step: Option<Step>, told: Notification, go: Notification, news: Notification) -> Place {
        let (sleeping, stopped) = (AtomicBool::new(false), AtomicBool::new(false));
        Place { step, told, go, news, sleeping, file: AtomicI32::new(-1), stopped }
    }

    /// Stops if this is the place.
    pub fn reach(&self, step: Step) {
        if self.step == Some(step) && !self.stopped.swap(true, Ordering::SeqCst) {
            // Notifications of its own, and bits that are not 0: nothing can be refused.
            let _ = self.told.signal(STOPPED);
            let _ = self.go.wait(FOREVER);
        }
    }
}

/// The machine, with the driver of the case as the only one.
#[derive(Debug)]
pub struct Stopping {
    machine: Machine,
    driver: Endpoint,
    place: Arc<Place>,
}

impl Stopping {
    /// A client of this driver, with a session already: what it does first is to open.
    pub fn new(driver: Endpoint, place: Arc<Place>) -> Result<Stopping> {
        let machine = Machine::new();
        let (queue, _) = machine.create_queue(MIN_BANK_SLOTS)?;
        machine.close_queue(queue, 0);
        Ok(Stopping { machine, driver, place })
    }
}

impl Platform for Stopping {
    type Memory = SharedMemory;
    type File = OpenFile;

    fn now(&self) -> u64 {
        self.machine.now()
    }

    fn cpu(&self) -> u32 {
        self.machine.cpu()
    }

    fn thread(&self) -> u64 {
        self.machine.thread()
    }

    fn is_alone(&self) -> bool {
        self.machine.is_alone()
    }

    fn when_thread_ends(&self, told: Weak<dyn Ending>) -> Result<()> {
        self.machine.when_thread_ends(told)
    }

    fn waiters(&self) -> (&[Waiter], &Seats) {
        self.machine.waiters()
    }

    fn register_waiter(&self, number: u32) -> Result<()> {
        self.machine.register_waiter(number)
    }

    fn sleep(&self, number: u32, deadline: u64) -> Result<()> {
        // It has announced itself. By when it is to go on it has been chosen, perhaps.
        self.place.reach(Step::Announced);
        self.place.reach(Step::Chosen);
        self.place.sleeping.store(true, Ordering::SeqCst);
        let _ = self.place.news.signal(SLEEPS);
        let slept = self.machine.sleep(number, deadline);
        self.place.sleeping.store(false, Ordering::SeqCst);
        self.place.reach(Step::Woken);
        slept
    }

    fn wake(&self, number: u32) {
        self.machine.wake(number);
    }

    fn create_queue(&self, slots: u32) -> Result<(QueueNumber, Bank<SharedMemory>)> {
        let made = self.machine.create_queue(slots)?;
        self.place.reach(Step::QueueMade);
        Ok(made)
    }

    fn grow_queue(&self, queue: QueueNumber, banks: usize, slots: u32) -> Result<Bank<SharedMemory>> {
        self.machine.grow_queue(queue, banks, slots)
    }

    fn close_queue(&self, queue: QueueNumber, shards: u64) {
        self.machine.close_queue(queue, shards);
    }

    fn hand_back(&self, queue: QueueNumber, shards: u64) {
        self.machine.hand_back(queue, shards);
    }

    fn changes(
        &self,
        shard: u32,
        queue: QueueNumber,
        failures_allowed: u32,
        changes: Vec<Change>,
    ) -> Result<Changed> {
        let changed = self.machine.changes(shard, queue, failures_allowed, changes)?;
        self.place.reach(Step::NoteAdded);
        Ok(changed)
    }

    fn adopt(&self, file: &OpenFile) -> Result<Source<SharedMemory>> {
        let source = self.machine.adopt(file)?;
        self.place.reach(Step::Adopted);
        Ok(source)
    }

    fn release(&self, source: SourceId) {
        self.machine.release(source);
        self.place.reach(Step::Released);
    }

    fn renew(&self, file: &OpenFile, source: SourceId) -> Result<()> {
        let descriptor = self.machine.reopen(source)?;
        self.place.reach(Step::Reopened);
        file.renew(descriptor);
        self.place.reach(Step::Renewed);
        Ok(())
    }

    fn is_left(&self, file: &OpenFile) -> bool {
        self.machine.is_left(file)
    }

    fn open(&self, path: &str, flags: u64) -> Result<OpenFile> {
        // As the machine has it for drivers with names.
        let opened = self.machine.open_at(&self.driver, path, flags);
        opened.map_err(|error| if error.errno == EPIPE { Error::new(ENODEV) } else { error })
    }

    fn kind(&self, file: &OpenFile) -> Kind {
        self.machine.kind(file)
    }

    fn open_timer(&self) -> Result<OpenFile> {
        Err(Error::new(ENOSYS))
    }

    fn open_beside(&self, file: &OpenFile, path: &str, flags: u64) -> Result<OpenFile> {
        self.machine.open_beside(file, path, flags)
    }

    fn path(&self, path: &str, request: PathRequest) -> Result<PathReply> {
        self.machine.path(path, request)
    }

    fn read(&self, file: &OpenFile, buffer: &mut [u8], flags: u64, offset: u64) -> Result<Read> {
        self.machine.read(file, buffer, flags, offset)
    }

    fn write(&self, file: &OpenFile, bytes: &[u8], flags: u64, offset: u64) -> Result<usize> {
        self.machine.write(file, bytes, flags, offset)
    }

    fn send(
        &self,
        file: &OpenFile,
        address: &str,
        bytes: &[u8],
        files: &[&OpenFile],
        flags: MessageFlags,
    ) -> Result<usize> {
        self.machine.send(file, address, bytes, files, flags)
    }

    fn receive(
        &self,
        file: &OpenFile,
        buffer: &mut [u8],
        files: usize,
        flags: MessageFlags,
    ) -> Result<Received<OpenFile>> {
        self.machine.receive(file, buffer, files, flags)
    }

    fn control(&self, file: &OpenFile, control: Control, flags: u64) -> Result<ControlReply> {
        self.machine.control(file, control, flags)
    }
}

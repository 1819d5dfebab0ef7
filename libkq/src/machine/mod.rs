//! The machine's own platform: the kernel's calls, init's services, the event server, the drivers.

mod driver;
mod ends;
mod memory;
mod message;
mod services;
mod session;
mod trace;

use alloc::string::String;
use alloc::sync::Weak;
use alloc::vec::Vec;

use abi::error::{ENOBUFS, ENODEV, ENOMEM, ENOTCONN, EPIPE, Error, Result};
use abi::flag::O_RDWR;
use abi::limits::FOREVER;
use event_protocol::badge::SourceId;
use event_protocol::control::client::{Change, QueueNumber};
use event_protocol::descriptor::message::MessageFlags;
use event_protocol::descriptor::{Control, ControlReply, Kind, Open, PathReply, PathRequest, label};
use event_protocol::park::Waiter;
use event_protocol::trace::Event;
use rt::ipc::call_postcard;
use rt::sync::OnceLock;
use rt::sys::Endpoint;

use crate::ending::Ending;
use crate::engine::Seats;
use crate::platform::{Bank, Changed, Platform, Read, Received, Source};
pub use driver::OpenFile;
use ends::Ends;
pub use memory::SharedMemory;
use services::Services;
pub(crate) use services::name as service_of;
use session::Session;
pub use trace::Look;

/// Timers are opened by this path.
const TIMER: &str = "/dev/timer";

/// The error of a message with handles as a program knows it: a system that cannot pay for what it was sent has no memory.
fn unpaid(error: Error) -> Error {
    if error.errno == ENOBUFS { Error::new(ENOMEM) } else { error }
}

/// This process on this machine. The session with the event server begins when something first needs it.
#[derive(Debug)]
pub struct Machine {
    session: OnceLock<Session>,
    services: Services,
    /// What `waiters` gives while there is no session.
    no_seats: Seats,
    ends: Ends,
}

impl Machine {
    /// Nothing connected yet.
    pub const fn new() -> Machine {
        Machine {
            session: OnceLock::new(),
            services: Services::new(),
            no_seats: Seats::new(),
            ends: Ends::new(),
        }
    }

    fn session(&self) -> Result<&Session> {
        self.session.get_or_try_init(Session::open)
    }
}

impl Machine {
    /// Opens a path at a driver that is known by its endpoint and not by a name.
    pub fn open_at(&self, service: &Endpoint, path: &str, flags: u64) -> Result<OpenFile> {
        let request = Open { path: String::from(path), flags };
        OpenFile::open(service, &request, self.session()?.ticket())
    }

    /// The descriptor of a durable source at the driver that has it now, for [`OpenFile::renew`].
    pub fn reopen(&self, source: SourceId) -> Result<Endpoint> {
        self.session()?.reopen(source)
    }
}

impl Default for Machine {
    fn default() -> Self {
        Machine::new()
    }
}

impl Platform for Machine {
    type Memory = SharedMemory;
    type File = OpenFile;

    fn now(&self) -> u64 {
        rt::clock::now_ns()
    }

    fn cpu(&self) -> u32 {
        rt::clock::cpu() as u32
    }

    fn thread(&self) -> u64 {
        rt::block::current().number()
    }

    #[inline]
    fn is_alone(&self) -> bool {
        rt::block::is_only_thread()
    }

    fn when_thread_ends(&self, told: Weak<dyn Ending>) -> Result<()> {
        self.ends.watch(told)
    }

    #[inline]
    fn waiters(&self) -> (&[Waiter], &Seats) {
        match self.session.get() {
            Some(session) => session.waiters(),
            None => (&[], &self.no_seats),
        }
    }

    fn register_waiter(&self, number: u32) -> Result<()> {
        self.session()?.register_waiter(number)
    }

    #[inline]
    fn sleep(&self, number: u32, deadline: u64) -> Result<()> {
        self.session.get().ok_or(Error::new(ENOTCONN))?.sleep(number, deadline)
    }

    fn wake(&self, number: u32) {
        if let Some(session) = self.session.get() {
            session.wake(number);
        }
    }

    fn create_queue(&self, slots: u32) -> Result<(QueueNumber, Bank<SharedMemory>)> {
        self.session()?.create_queue(slots)
    }

    fn grow_queue(&self, queue: QueueNumber, banks: usize, slots: u32) -> Result<Bank<SharedMemory>> {
        self.session()?.grow_queue(queue, banks, slots)
    }

    fn close_queue(&self, queue: QueueNumber, shards: u64) {
        if let Some(session) = self.session.get() {
            session.close_queue(queue, shards);
        }
    }

    fn hand_back(&self, queue: QueueNumber, shards: u64) {
        if let Some(session) = self.session.get() {
            session.hand_back(queue, shards);
        }
    }

    fn changes(
        &self,
        shard: u32,
        queue: QueueNumber,
        failures_allowed: u32,
        changes: Vec<Change>,
    ) -> Result<Changed> {
        self.session()?.changes(shard, queue, failures_allowed, changes)
    }

    fn adopt(&self, file: &OpenFile) -> Result<Source<SharedMemory>> {
        let session = self.session()?;
        session.adopt(file.watch(session.ticket())?)
    }

    fn release(&self, source: SourceId) {
        if let Some(session) = self.session.get() {
            session.release(source);
        }
    }

    fn renew(&self, file: &OpenFile, source: SourceId) -> Result<()> {
        file.renew(self.reopen(source)?);
        trace::note(Event::Reclaimed, 0, source.0);
        Ok(())
    }

    fn is_left(&self, file: &OpenFile) -> bool {
        file.is_left()
    }

    fn open(&self, path: &str, flags: u64) -> Result<OpenFile> {
        let name = services::name(path)?;
        let opened = self.services.with(name, |service| self.open_at(service, path, flags));
        let errno = opened.as_ref().map_or_else(|error| error.errno.unsigned_abs(), |_| 0);
        trace::note(Event::Opened, errno, event_protocol::trace::service(name));
        // A driver that is dead now, whether or not it comes back.
        opened.map_err(|error| if error.errno == EPIPE { Error::new(ENODEV) } else { error })
    }

    fn kind(&self, file: &OpenFile) -> Kind {
        file.kind()
    }

    fn open_timer(&self) -> Result<OpenFile> {
        self.open(TIMER, O_RDWR as u64)
    }

    fn open_beside(&self, file: &OpenFile, path: &str, flags: u64) -> Result<OpenFile> {
        file.open_beside(&Open { path: String::from(path), flags }, self.session()?.ticket())
    }

    fn path(&self, path: &str, request: PathRequest) -> Result<PathReply> {
        let ask = |service: &Endpoint| call_postcard(service, label::PATH, &request, Vec::new(), FOREVER);
        let asked = self.services.with(services::name(path)?, |service| ask(service));
        asked.map(|(reply, _)| reply).map_err(driver::dead)
    }

    fn read(&self, file: &OpenFile, buffer: &mut [u8], flags: u64, offset: u64) -> Result<Read> {
        file.read(buffer, flags, offset)
    }

    fn write(&self, file: &OpenFile, bytes: &[u8], flags: u64, offset: u64) -> Result<usize> {
        file.write(bytes, flags, offset)
    }

    fn send(
        &self,
        file: &OpenFile,
        address: &str,
        bytes: &[u8],
        files: &[&OpenFile],
        flags: MessageFlags,
    ) -> Result<usize> {
        file.send(address, bytes, files, flags)
    }

    fn receive(
        &self,
        file: &OpenFile,
        buffer: &mut [u8],
        files: usize,
        flags: MessageFlags,
    ) -> Result<Received<OpenFile>> {
        file.receive(buffer, files, flags)
    }

    fn control(&self, file: &OpenFile, control: Control, flags: u64) -> Result<ControlReply> {
        file.control(control, flags)
    }
}

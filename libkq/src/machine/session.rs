//! The session with the event server.

use alloc::sync::{Arc, Weak};
use alloc::vec;
use alloc::vec::Vec;

use abi::Rights;
use abi::error::{EACCES, EBADF, EBADMSG, EINVAL, EMFILE, ENOENT, ENOTCONN, EPERM, EPIPE, Error, Result};
use abi::limits::FOREVER;
use event_protocol::activation::BankLayout;
use event_protocol::badge::SourceId;
use event_protocol::control::client::{Change, QueueNumber, Reply, Request};
use event_protocol::control::limits::MAX_QUEUES;
use event_protocol::control::{SERVICE, label, lobby};
use event_protocol::park::{MAX_WAITERS, SESSION_SIZE, Waiter};
use event_protocol::shared::Region;
use event_protocol::trace::Event;
use hashbrown::HashMap;
use rt::ipc::{Arrivals, Transfer, call_postcard};
use rt::sync::{Mutex, OnceLock};
use rt::sys::{Endpoint, Memory, Notification, Process};

use super::driver::Watch;
use super::memory::SharedMemory;
use super::{trace, unpaid};
use crate::engine::Seats;
use crate::platform::{Bank, Changed, Source};

/// Bit of a waiter's notification: it was chosen.
const CHOSEN: u64 = 1 << 0;
/// Bit of a waiter's notification: the server is dead.
const DEAD: u64 = 1 << 1;

/// A session: the same on every shard, with a handle for each.
#[derive(Debug)]
pub struct Session {
    region: Region<SharedMemory>,
    first: u32,
    /// Who this process is, to be shown to drivers.
    ticket: Endpoint,
    /// The shards' handles, each from when the first source there was to be adopted. The first shard's came from the server
    /// that init knows, the others from that shard: nothing is asked of a handle that a driver gave.
    shards: Vec<OnceLock<Endpoint>>,
    /// To be told of its death; `None` when the server does not show itself.
    server: Option<Process>,
    seats: Seats,
    notifications: Vec<OnceLock<Notification>>,
    queues: Mutex<[bool; MAX_QUEUES as usize]>,
    pages: Mutex<HashMap<u64, Weak<Region<SharedMemory>>>>,
}

impl Session {
    /// Introduces the process to the server.
    pub fn open() -> Result<Session> {
        trace::begin();
        let lobby = rt::init::connect(SERVICE)?;
        let memory = Memory::create(SESSION_SIZE)?;
        let region = Region::new(SharedMemory::writable(&memory)?);
        region.waiters()?;
        let send = vec![Transfer::moved(memory)];
        let (reply, mut handles) =
            call_postcard(&lobby, label::LOBBY, &lobby::Request::OpenSession, send, FOREVER)
                .map_err(unpaid)?;
        let lobby::Reply::Session { shards, shard, .. } = reply else { return nonsense() };
        let handle = handles.object(0)?;
        let ticket = handles.object(1)?;
        let server = handles.object(2).ok();
        let shards: Vec<OnceLock<Endpoint>> = (0..shards).map(|_| OnceLock::new()).collect();
        shards.get(shard as usize).ok_or(Error::new(EBADMSG))?.get_or_init(|| handle);
        trace::note(Event::Begun, 0, shard.into());
        Ok(Session {
            region,
            first: shard,
            ticket,
            shards,
            server,
            seats: Seats::new(),
            notifications: (0..MAX_WAITERS).map(|_| OnceLock::new()).collect(),
            queues: Mutex::new([false; MAX_QUEUES as usize]),
            pages: Mutex::new(HashMap::new()),
        })
    }

    /// Who this process is, to be shown to drivers.
    pub fn ticket(&self) -> &Endpoint {
        &self.ticket
    }

    /// The handle of a shard.
    fn shard(&self, shard: u32) -> Result<&Endpoint> {
        self.shards.get(shard as usize).and_then(OnceLock::get).ok_or(Error::new(EBADMSG))
    }

    /// Asks the first shard for the handle of another one, once: others who need it wait for the answer.
    fn meet(&self, shard: u32) -> Result<()> {
        let place = self.shards.get(shard as usize).ok_or(Error::new(EBADMSG))?;
        let handle = || match self.ask_for(self.first, &Request::Meet { shard }, Vec::new())? {
            (Reply::Done, mut handles) => handles.object(0),
            _ => nonsense(),
        };
        place.get_or_try_init(handle).map(drop)
    }

    fn ask_for(&self, shard: u32, request: &Request, send: Vec<Transfer>) -> Result<(Reply, Arrivals)> {
        call_postcard(self.shard(shard)?, label::CLIENT, request, send, FOREVER)
            .map_err(|error| trace::failed(Event::ServerFailed, shard, dead(error)))
    }

    fn ask(&self, shard: u32, request: &Request, send: Vec<Transfer>) -> Result<Reply> {
        self.ask_for(shard, request, send).map(|(reply, _)| reply)
    }

    fn done(&self, shard: u32, request: &Request, send: Vec<Transfer>) -> Result<()> {
        match self.ask(shard, request, send)? {
            Reply::Done => Ok(()),
            _ => nonsense(),
        }
    }

    /// The waiter records.
    #[inline]
    pub fn waiters(&self) -> (&[Waiter], &Seats) {
        (self.region.waiters().unwrap_or_default(), &self.seats)
    }

    /// Makes a waiter's notification and gives it to the server.
    pub fn register_waiter(&self, number: u32) -> Result<()> {
        let place = self.notifications.get(number as usize).ok_or(Error::new(EINVAL))?;
        let notification = place.get_or_try_init(|| {
            let notification = Notification::create()?;
            if let Some(server) = &self.server {
                notification.watch_exit(server, DEAD)?;
            }
            Ok::<_, Error>(notification)
        })?;
        let send = vec![Transfer::copy_with(notification, Rights::WRITE)];
        self.done(self.first, &Request::RegisterWaiter { number }, send)
    }

    /// Sleeps until the waiter is signalled.
    #[inline]
    pub fn sleep(&self, number: u32, deadline: u64) -> Result<()> {
        let notification = self.notifications.get(number as usize).and_then(OnceLock::get);
        let bits = notification.ok_or(Error::new(EINVAL))?.wait(deadline)?;
        if bits & DEAD != 0 {
            // The next wait in this record must end too.
            self.wake_with(number, DEAD);
            return Err(Error::new(ENOTCONN));
        }
        Ok(())
    }

    /// Signals a waiter.
    pub fn wake(&self, number: u32) {
        self.wake_with(number, CHOSEN);
    }

    fn wake_with(&self, number: u32, bits: u64) {
        if let Some(notification) = self.notifications.get(number as usize).and_then(OnceLock::get) {
            // A notification of our own with bits that are not zero: there is nothing to refuse.
            let _ = notification.signal(bits);
        }
    }

    fn shard_count(&self) -> u32 {
        self.shards.len() as u32
    }

    /// See [`Platform::create_queue`](crate::platform::Platform::create_queue).
    pub fn create_queue(&self, slots: u32) -> Result<(QueueNumber, Bank<SharedMemory>)> {
        let queue = {
            let mut queues = self.queues.lock();
            let free = queues.iter().position(|used| !used).ok_or(Error::new(EMFILE))?;
            queues[free] = true;
            free as QueueNumber
        };
        let made = self.bank(slots).and_then(|(memory, bank)| {
            self.done(self.first, &Request::CreateQueue { queue, slots }, vec![Transfer::moved(memory)])
                .map(|()| bank)
        });
        made.map(|bank| (queue, bank)).inspect_err(|_| self.free_number(queue))
    }

    /// See [`Platform::grow_queue`](crate::platform::Platform::grow_queue).
    pub fn grow_queue(&self, queue: QueueNumber, banks: usize, slots: u32) -> Result<Bank<SharedMemory>> {
        let (memory, bank) = self.bank(slots)?;
        match self.ask(self.first, &Request::GrowQueue { queue, slots }, vec![Transfer::moved(memory)])? {
            Reply::Bank { bank: number } if usize::from(number) == banks => Ok(bank),
            _ => nonsense(),
        }
    }

    fn bank(&self, slots: u32) -> Result<(Memory, Bank<SharedMemory>)> {
        let layout = BankLayout::new(slots, self.shard_count()).ok_or(Error::new(abi::error::ENOMEM))?;
        let memory = Memory::create(layout.size())?;
        let region = Arc::new(Region::new(SharedMemory::writable(&memory)?));
        Ok((memory, (region, layout)))
    }

    /// See [`Platform::close_queue`](crate::platform::Platform::close_queue).
    pub fn close_queue(&self, queue: QueueNumber, shards: u64) {
        let shards = shards | 1 << self.first;
        let mut closed = true;
        for shard in 0..self.shard_count().min(u64::BITS) {
            if shards & 1 << shard != 0 {
                closed &= self.done(shard, &Request::CloseQueue { queue }, Vec::new()).is_ok();
            }
        }
        // A number that the server may still know is not used again.
        if closed {
            self.free_number(queue);
        }
    }

    /// See [`Platform::hand_back`](crate::platform::Platform::hand_back).
    pub fn hand_back(&self, queue: QueueNumber, shards: u64) {
        for shard in (0..self.shard_count().min(u64::BITS)).filter(|shard| shards & 1 << shard != 0) {
            // A dead server wakes nobody.
            let _ = self.done(shard, &Request::HandBack { queue }, Vec::new());
        }
    }

    fn free_number(&self, queue: QueueNumber) {
        self.queues.lock()[queue as usize] = false;
    }

    /// See [`Platform::changes`](crate::platform::Platform::changes).
    pub fn changes(
        &self,
        shard: u32,
        queue: QueueNumber,
        failures_allowed: u32,
        changes: Vec<Change>,
    ) -> Result<Changed> {
        let request = Request::Change { queue, failures_allowed, changes };
        let Reply::Changed { processed, failures } = self.ask(shard, &request, Vec::new())? else {
            return nonsense();
        };
        let failures = failures.into_iter().map(|failure| {
            let errno = i32::try_from(failure.errno).unwrap_or(EBADMSG);
            (failure.index as usize, Error::new(errno))
        });
        Ok(Changed { processed: processed as usize, failures: failures.collect() })
    }

    /// See [`Platform::adopt`](crate::platform::Platform::adopt). A driver may have given any handle and any number: the
    /// handle is only shown to the server, who knows its own, and the server alone says what it stands for (R56).
    pub fn adopt(&self, watch: &Watch) -> Result<Source<SharedMemory>> {
        let shard = u32::try_from(watch.home).map_err(|_| Error::new(EBADMSG))?;
        self.meet(shard)?;
        let show = Transfer::copy_with(&watch.handle, Rights::WRITE);
        let (reply, mut handles) = self.ask_for(shard, &Request::Adopt, vec![show]).map_err(untrue)?;
        let Reply::Adopted(adopted) = reply else { return nonsense() };
        let page = self.page(adopted.page, handles.object(0)?)?;
        Ok(Source {
            id: adopted.source,
            cell: page.keep_cell(adopted.cell)?,
            filters: adopted.filters,
            low_water: adopted.low_water,
        })
    }

    /// A page of cells, mapped once for all the sources on it.
    fn page(&self, number: u64, memory: Memory) -> Result<Arc<Region<SharedMemory>>> {
        let mut pages = self.pages.lock();
        if let Some(page) = pages.get(&number).and_then(Weak::upgrade) {
            return Ok(page);
        }
        pages.retain(|_, page| page.strong_count() > 0);
        let page = Arc::new(Region::new(SharedMemory::readable(&memory)?));
        pages.insert(number, Arc::downgrade(&page));
        Ok(page)
    }

    /// The descriptor of a durable source that a driver has gone on with.
    pub fn reopen(&self, source: SourceId) -> Result<Endpoint> {
        match self.ask_for(source.shard(), &Request::Reopen { source }, Vec::new())? {
            (Reply::Done, mut handles) => handles.object(0),
            _ => nonsense(),
        }
    }

    /// See [`Platform::release`](crate::platform::Platform::release).
    pub fn release(&self, source: SourceId) {
        // It fails only when the server, and with it the source, is gone.
        let _ = self.done(source.shard(), &Request::Release { source }, Vec::new());
    }
}

/// The server refuses what a driver gave out as a watch handle, or the kernel to show it: not the program's mistake (R56).
fn untrue(error: Error) -> Error {
    match error.errno {
        EINVAL | EBADF | ENOENT | EACCES | EPERM => Error::new(EBADMSG),
        _ => error,
    }
}

fn nonsense<T>() -> Result<T> {
    Err(Error::new(EBADMSG))
}

/// The kernel says `EPIPE` of a call to the dead, which here would read as a broken pipe of the program's.
fn dead(error: Error) -> Error {
    if error.errno == EPIPE { Error::new(ENOTCONN) } else { unpaid(error) }
}

//! What kevent costs, and an event's way from a driver through the event server to a client that waits.
//!
//! All on one CPU; the server above the client above the driver in priority, so that each hands over to the next at once
//! and the driver runs when the client waits.

use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec;
use core::time::Duration;

use abi::Rights;
use abi::error::{EBADMSG, Error, Result};
use abi::message::WORDS;
use event_protocol::cell::{Cell, Direction};
use event_protocol::changed::{Publisher, Told, memory_size};
use event_protocol::control::{self, SERVICE, driver, lobby};
use event_protocol::descriptor::{Kind, Opened, label};
use event_protocol::filter::Filters;
use event_protocol::level::Level;
use event_protocol::shared::{Kept, KeptChanged, Region};
use guest_tests::child::{self, Role};
use guest_tests::measure::{Clock, Stamp, measure, tell};
use guest_tests::shared::Shared;
use guest_tests::{Failure, Outcome, soon};
use libkq::flag::O_RDONLY;
use libkq::machine::SharedMemory;
use libkq::{Descriptor, KEvent, Queue};
use rt::init::Child;
use rt::ipc::{Arrivals, Transfer, call_postcard, set_accept};
use rt::sys::{Endpoint, Memory, Notification, Object};

use crate::PROGRAM;
use crate::kernel::{Figure, meet};

pub const FIGURES: &[Figure] = &[
    ("kevent_none_ready", none_ready),
    ("kevent_one_ready", one_ready),
    ("event_to_blocked_client", event_to_blocked_client),
];

const NOW: Option<Duration> = Some(Duration::ZERO);
/// Cells that the driver asks for.
const CELLS: u32 = 64;
/// Word 0 of the shared page ends the driver; here it leaves its stamp.
const STAMP: usize = 1;

/// The driver's process and a descriptor of it.
struct Partner {
    child: Child,
    shared: Shared,
    go: Notification,
    file: Descriptor,
}

impl Partner {
    fn start() -> Outcome<Partner> {
        let (meeting, shared, go) = (Endpoint::create()?, Shared::create()?, Notification::create()?);
        let handles = vec![
            ("meeting", Transfer::moved(meeting.with_badge(Rights::all(), 1)?)),
            ("shared", Transfer::copy(shared.memory())),
            ("go", Transfer::copy(&go)),
        ];
        let below = rt::block::current().priority() - 1;
        let child = Role::new(PROGRAM, "driver").on(1).priority(below).spawn(handles)?;
        let driver = meet(&meeting)?;
        let file = Descriptor::open_at(&driver, "/dev/bench", O_RDONLY)?;
        Ok(Partner { child, shared, go, file })
    }

    /// Lets it publish without end.
    fn go(&self) -> Result<()> {
        self.go.signal(1)
    }

    fn end(self) -> Outcome {
        self.shared.set(0, 1);
        self.go()?;
        child::ends_well(&self.child)
    }
}

/// A call that finds nothing: one note, which is not true.
fn none_ready(name: &str) -> Outcome {
    let partner = Partner::start()?;
    looks(name, &partner, 0)?;
    partner.end()
}

/// A call that finds one event.
fn one_ready(name: &str) -> Outcome {
    let partner = Partner::start()?;
    // Once round: it publishes, and then it waits for the CPU for ever.
    partner.go()?;
    rt::thread::sleep(1_000_000);
    looks(name, &partner, 1)?;
    partner.end()
}

fn looks(name: &str, partner: &Partner, ready: usize) -> Outcome {
    let clock = Clock::here();
    let kq = libkq::kqueue()?;
    let mut events = [KEvent::default(); 8];
    libkq::kevent(kq, &[KEvent::read(partner.file.number()).add()], &mut [], NOW)?;
    let cost = measure(|| {
        let begin = clock.begin();
        let count = libkq::kevent(kq, &[], &mut events, NOW);
        let end = clock.end();
        if count? != ready {
            return Err(Failure::new("another number of events"));
        }
        Ok(end.since(begin))
    })?;
    tell(name, cost);
    Ok(libkq::close(kq)?)
}

/// From before the driver's publish to the return of the client's call.
fn event_to_blocked_client(name: &str) -> Outcome {
    let clock = Clock::here();
    let partner = Partner::start()?;
    let queue = Queue::new()?;
    queue.apply(&[KEvent::read(partner.file.number()).add().clear()])?;
    partner.go()?;
    let mut events = [KEvent::default(); 8];
    let cost = measure(|| {
        let count = libkq::kevent(queue.number(), &[], &mut events, None);
        let end = clock.end();
        if count? != 1 {
            return Err(Failure::new("another number of events"));
        }
        Ok(end.since(Stamp::load(&partner.shared, STAMP)))
    })?;
    tell(name, cost);
    partner.end()
}

/// The driver: it speaks the protocols itself, for what it does besides publishing must not count.
pub fn driver(start: &rt::Start) -> Outcome {
    let clock = Clock::here();
    let missing = || Failure::new("handles are missing");
    let meeting: Endpoint = start.object("meeting").ok_or_else(missing)?;
    let shared = Shared::open(start.object("shared").ok_or_else(missing)?)?;
    let go: Notification = start.object("go").ok_or_else(missing)?;
    let endpoint = Endpoint::create()?;
    let client = endpoint.with_badge(Rights::all(), 7)?;
    rt::ipc::call(&meeting, 1, [0; WORDS], 0, vec![Transfer::moved(client)], soon())?;
    let mut source = Source::open(&endpoint)?;
    let mut amount = 0;
    loop {
        if shared.get(0) != 0 {
            return Ok(());
        }
        // The first time, and whenever somebody ends it.
        if amount == 0 {
            go.wait(soon())?;
        }
        amount += 1;
        clock.begin().store(&shared, STAMP);
        source.publish(amount)?;
    }
}

/// The one source of the driver.
struct Source {
    _session: Endpoint,
    doorbell: Notification,
    bits: u64,
    ring: KeptChanged<SharedMemory>,
    publisher: Publisher,
    id: event_protocol::badge::SourceId,
    cell: Kept<SharedMemory, Cell>,
}

impl Source {
    /// Attaches, waits for the client to open, and makes the source for it.
    fn open(endpoint: &Endpoint) -> Outcome<Source> {
        let lobby = rt::init::connect(SERVICE)?;
        let memory = Memory::create(memory_size(CELLS).ok_or(Failure::new("cells"))?)?;
        let ring = Arc::new(Region::new(SharedMemory::writable(&memory)?));
        let request =
            lobby::Request::Attach { name: String::from("bench"), filters: Filters::READ, cells: CELLS };
        let (reply, mut handles) =
            call_postcard(&lobby, control::label::LOBBY, &request, vec![Transfer::moved(memory)], soon())?;
        let lobby::Reply::Attached { doorbell_bits: bits, .. } = reply else { return nonsense() };
        let (session, doorbell): (Endpoint, Notification) = (handles.object(0)?, handles.object(1)?);
        set_accept(1);
        let opening = endpoint.recv(soon());
        set_accept(0);
        let opening = opening?;
        let ticket: Endpoint = Arrivals::of(opening.tag).object(0)?;
        let request =
            driver::Request::CreateSource { filters: Filters::READ, shared: false, low_water: (1, 1) };
        let send = vec![Transfer::copy_with(&ticket, Rights::WRITE)];
        let (reply, mut handles) = call_postcard(&session, control::label::DRIVER, &request, send, soon())?;
        let driver::Reply::Created { source, cell, .. } = reply else { return nonsense() };
        let page = Arc::new(Region::new(SharedMemory::writable(&handles.object::<Memory>(0)?)?));
        let descriptor = endpoint.with_badge(Rights::all(), 8)?;
        let opened = rt::ipc::Reply::document(label::REPLY, &Opened { kind: Kind::Device })
            .handle(Transfer::moved(descriptor))
            .handle(Transfer::moved(handles.object::<Endpoint>(1)?));
        opened.send(opening.token)?;
        Ok(Source {
            _session: session,
            doorbell,
            bits,
            ring: ring.keep_changed(CELLS).map_err(Error::from)?,
            publisher: Publisher::new(),
            id: source,
            cell: page.keep_cell(cell).map_err(Error::from)?,
        })
    }

    #[inline]
    fn publish(&mut self, amount: i64) -> Result<()> {
        let level = Level::new(amount);
        let ring = self.ring.get();
        match self.publisher.publish(ring, &self.cell, self.id, Direction::Read, level, true)? {
            Told::Ring => self.doorbell.signal(self.bits),
            Told::Nothing => Ok(()),
        }
    }
}

fn nonsense<T>() -> Outcome<T> {
    Err(Error::new(EBADMSG).into())
}

//! A driver of one source that publishes whenever it runs, below its client in priority: so it runs when the client waits.

use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec;

use abi::Rights;
use abi::error::{EBADMSG, Error, Result};
use abi::message::WORDS;
use event_protocol::cell::{Cell, Direction};
use event_protocol::changed::{Publisher, Told, memory_size};
use event_protocol::control::{self, SERVICE, driver, lobby};
use event_protocol::descriptor::{Kind, Opened, label, words};
use event_protocol::filter::Filters;
use event_protocol::level::Level;
use event_protocol::shared::{Kept, KeptChanged, Region};
use guest_tests::child::{self, Role};
use guest_tests::measure::{Clock, Stamp};
use guest_tests::shared::Shared;
use guest_tests::{Failure, Outcome, soon};
use libkq::Descriptor;
use libkq::flag::O_RDONLY;
use libkq::machine::SharedMemory;
use rt::init::Child;
use rt::ipc::{Arrivals, Transfer, call_postcard, set_accept};
use rt::sys::{Endpoint, Memory, Notification, Object};

use crate::PROGRAM;
use crate::kernel::meet;

/// Cells that the driver asks for.
const CELLS: u32 = 64;
/// Word 0 of the shared page ends the driver; here it leaves its stamp.
const STAMP: usize = 1;

/// The driver's process and a descriptor of it.
pub struct Partner {
    child: Child,
    shared: Shared,
    go: Notification,
    lowered: Notification,
    /// The descriptor.
    pub file: Descriptor,
}

impl Partner {
    /// Starts it; it waits to [`go`](Partner::go).
    pub fn start() -> Outcome<Partner> {
        let (meeting, shared) = (Endpoint::create()?, Shared::create()?);
        let (go, lowered) = (Notification::create()?, Notification::create()?);
        let handles = vec![
            ("meeting", Transfer::moved(meeting.with_badge(Rights::all(), 1)?)),
            ("shared", Transfer::copy(shared.memory())),
            ("go", Transfer::copy(&go)),
            ("lowered", Transfer::copy(&lowered)),
        ];
        let below = rt::block::current().priority() - 1;
        let child = Role::new(PROGRAM, "driver").on(1).priority(below).spawn(handles)?;
        let driver = meet(&meeting)?;
        let file = Descriptor::open_at(&driver, "/dev/bench", O_RDONLY)?;
        Ok(Partner { child, shared, go, lowered, file })
    }

    /// Lets it publish without end.
    pub fn go(&self) -> Result<()> {
        self.go.signal(1)
    }

    /// Waits until what was published is gone. The next event is not published before the caller waits again.
    pub fn lower(&self) -> Result<()> {
        self.lowered.poll()?;
        self.lowered.wait(soon()).map(drop)
    }

    /// When it began to publish the last time.
    pub fn began(&self) -> Stamp {
        Stamp::load(&self.shared, STAMP)
    }

    /// Ends it.
    pub fn end(self) -> Outcome {
        self.shared.set(0, 1);
        self.go()?;
        child::ends_well(&self.child)
    }
}

/// The driver: it speaks the protocols itself, for what it does besides publishing must not count.
pub fn driver(start: &rt::Start) -> Outcome {
    let clock = Clock::here();
    let missing = || Failure::new("handles are missing");
    let meeting: Endpoint = start.object("meeting").ok_or_else(missing)?;
    let shared = Shared::open(start.object("shared").ok_or_else(missing)?)?;
    let go: Notification = start.object("go").ok_or_else(missing)?;
    let lowered: Notification = start.object("lowered").ok_or_else(missing)?;
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
        source.publish(0, false)?;
        lowered.signal(1)?;
        clock.begin().store(&shared, STAMP);
        source.publish(amount, true)?;
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
        let request = lobby::Request::Attach {
            version: control::VERSION,
            name: String::from("bench"),
            filters: Filters::READ,
            cells: CELLS,
        };
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
            .word(words::HOME, u64::from(source.shard()))
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
    fn publish(&mut self, amount: i64, arrived: bool) -> Result<()> {
        let level = Level::new(amount);
        let ring = self.ring.get();
        match self.publisher.publish(ring, &self.cell, self.id, Direction::Read, level, arrived)? {
            Told::Ring => self.doorbell.signal(self.bits),
            Told::Nothing => Ok(()),
        }
    }
}

fn nonsense<T>() -> Outcome<T> {
    Err(Error::new(EBADMSG).into())
}

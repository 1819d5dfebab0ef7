//! One source of a driver that speaks the protocols itself, since what it does besides publishing must not count.

use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;

use abi::Rights;
use abi::error::{EBADMSG, Error, Result};
use event_protocol::cell::{Cell, Direction};
use event_protocol::changed::{Publisher, Told, memory_size};
use event_protocol::control::{self, SERVICE, driver, lobby};
use event_protocol::descriptor::{Kind, Opened, label, words};
use event_protocol::filter::Filters;
use event_protocol::level::Level;
use event_protocol::shared::{Kept, KeptChanged, Region};
use guest_tests::{Outcome, soon};
use libkq::machine::SharedMemory;
use rt::ipc::{Arrivals, Transfer, call_postcard, set_accept};
use rt::sys::{Endpoint, Memory, Notification, Object};

/// Cells that the driver asks for.
const CELLS: u32 = 64;

/// The one source of a driver.
pub struct Source {
    _session: Endpoint,
    doorbell: Notification,
    bits: u64,
    ring: KeptChanged<SharedMemory>,
    publisher: Publisher,
    id: event_protocol::badge::SourceId,
    cell: Kept<SharedMemory, Cell>,
    watch: Endpoint,
}

impl Source {
    /// Attaches, waits for a client to open, and makes the source for it.
    pub fn for_one(endpoint: &Endpoint) -> Outcome<Source> {
        let session = Session::attach()?;
        set_accept(1);
        let opening = endpoint.recv(soon());
        set_accept(0);
        let opening = opening?;
        let ticket: Endpoint = Arrivals::of(opening.tag).object(0)?;
        let source = session.create(false, vec![Transfer::copy_with(&ticket, Rights::WRITE)])?;
        source.opened(endpoint, opening.token)?;
        Ok(source)
    }

    /// Attaches, and makes a source for all to whom it will be opened.
    pub fn for_all() -> Outcome<Source> {
        Session::attach()?.create(true, Vec::new())
    }

    /// Answers who opens it.
    pub fn opened(&self, endpoint: &Endpoint, token: u64) -> Result<()> {
        rt::ipc::Reply::document(label::REPLY, &Opened { kind: Kind::Device })
            .word(words::HOME, u64::from(self.id.shard()))
            .handle(Transfer::moved(endpoint.with_badge(Rights::all(), 8)?))
            .handle(Transfer::copy(&self.watch))
            .send(token)
    }

    /// Says what there is to read.
    #[inline]
    pub fn publish(&mut self, level: Level, arrived: bool) -> Result<()> {
        let ring = self.ring.get();
        match self.publisher.publish(ring, &self.cell, self.id, Direction::Read, level, arrived)? {
            Told::Ring => self.doorbell.signal(self.bits),
            Told::Nothing => Ok(()),
        }
    }
}

/// A driver that the event server knows.
struct Session {
    session: Endpoint,
    doorbell: Notification,
    bits: u64,
    ring: KeptChanged<SharedMemory>,
}

impl Session {
    fn attach() -> Outcome<Session> {
        let lobby = rt::init::connect(SERVICE)?;
        let memory = Memory::create(memory_size(CELLS).ok_or(guest_tests::Failure::new("cells"))?)?;
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
        let (session, doorbell) = (handles.object(0)?, handles.object(1)?);
        Ok(Session { session, doorbell, bits, ring: ring.keep_changed(CELLS).map_err(Error::from)? })
    }

    fn create(self, shared: bool, ticket: Vec<Transfer>) -> Outcome<Source> {
        let request = driver::Request::CreateSource { filters: Filters::READ, shared, low_water: (1, 1) };
        let (reply, mut handles) =
            call_postcard(&self.session, control::label::DRIVER, &request, ticket, soon())?;
        let driver::Reply::Created { source, cell, .. } = reply else { return nonsense() };
        let page = Arc::new(Region::new(SharedMemory::writable(&handles.object::<Memory>(0)?)?));
        Ok(Source {
            _session: self.session,
            doorbell: self.doorbell,
            bits: self.bits,
            ring: self.ring,
            publisher: Publisher::new(),
            id: source,
            cell: page.keep_cell(cell).map_err(Error::from)?,
            watch: handles.object(1)?,
        })
    }
}

fn nonsense<T>() -> Outcome<T> {
    Err(Error::new(EBADMSG).into())
}

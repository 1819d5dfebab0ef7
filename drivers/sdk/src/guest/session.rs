//! The driver's session with the event server, and its replies to clients.

use super::cells::{Cells, OwnCell};
use super::mapped::Shared;
use crate::driver::Opening;
use crate::files::FileId;
use crate::link::{Link, SourceKey, Sources};
use abi::error::{EBADMSG, EINVAL, EMFILE, ENOBUFS, ENOMEM, EPIPE, Error, Result};
use abi::limits::FOREVER;
use abi::message::WORDS;
use abi::{Message, Rights, Tag};
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;
use core::sync::atomic::Ordering::Relaxed;
use event_protocol::badge::{Badge, SourceId};
use event_protocol::cell::{Cell, Direction};
use event_protocol::changed::{Changed, Publisher, Told, memory_size};
use event_protocol::control::{self, SERVICE, VERSION, driver, lobby};
use event_protocol::descriptor::{self, Opened};
use event_protocol::fault::Fault;
use event_protocol::filter::Filters;
use event_protocol::level::Level;
use event_protocol::shared::KeptChanged;
use rt::ipc::{self, Transfer, call_postcard};
use rt::sys::{AnyHandle, Endpoint, Memory, Notification, Object};

/// What clients may do with a descriptor handle.
const DESCRIPTOR: Rights = Rights::WRITE.union(Rights::DUPLICATE).union(Rights::TRANSFER);

struct Source {
    id: SourceId,
    cell: OwnCell,
    /// The watch handle, until the client has it.
    watch: Option<AnyHandle>,
}

/// What the event server answers about a new source.
struct Created {
    source: SourceId,
    page: u64,
    cell: u32,
}

/// A session with the shard of this CPU.
pub struct Session {
    server: Endpoint,
    doorbell: Notification,
    doorbell_bits: u64,
    /// What its sources may serve.
    filters: Filters,
    ring: KeptChanged<Shared>,
    publisher: Publisher,
    cells: Cells,
    sources: Vec<Option<Source>>,
    /// The driver's own endpoint, of which descriptors are badged handles.
    endpoint: Endpoint,
    lost: Option<Error>,
}

impl Session {
    /// Attaches to the event server's shard of this CPU.
    pub fn attach(name: &str, filters: Filters, cells: u32, endpoint: Endpoint) -> Result<Session> {
        let size = memory_size(cells).ok_or(Error::new(EINVAL))?;
        let any = rt::init::connect(SERVICE)?;
        let ask = |on: &Endpoint, request: &lobby::Request, send| {
            call_postcard::<_, lobby::Reply>(on, control::label::LOBBY, request, send, FOREVER)
        };
        let shard = rt::clock::cpu() as u32;
        let (_, mut handles) = ask(&any, &lobby::Request::Shard { shard }, vec![])?;
        let lobby: Endpoint = handles.object(0)?;
        let memory = Memory::create(size)?;
        let ring = Arc::new(Shared::map(&memory)?).keep_changed(cells)?;
        let attach = lobby::Request::Attach { version: VERSION, name: String::from(name), filters, cells };
        let (reply, mut handles) = ask(&lobby, &attach, vec![Transfer::moved(memory)])?;
        let lobby::Reply::Attached { doorbell_bits, .. } = reply else { return Err(Error::new(EBADMSG)) };
        Ok(Session {
            server: handles.object(0)?,
            doorbell: handles.object(1)?,
            doorbell_bits,
            filters,
            ring,
            publisher: Publisher::new(),
            cells: Cells::default(),
            sources: vec![],
            endpoint,
            lost: None,
        })
    }

    /// Why there is no event server any more, if there is none: the driver cannot do without.
    pub fn lost(&self) -> Option<Error> {
        self.lost
    }

    fn ask(
        &mut self,
        request: &driver::Request,
        send: Vec<Transfer>,
    ) -> Result<(driver::Reply, ipc::Arrivals)> {
        let answer = call_postcard(&self.server, control::label::DRIVER, request, send, FOREVER);
        if let Err(error) = &answer
            && error.errno == EPIPE
        {
            self.lost = Some(*error);
        }
        answer
    }

    fn create_source(
        &mut self,
        filters: Filters,
        low_water: (u32, u32),
        ticket: Option<Transfer>,
    ) -> Result<(Created, ipc::Arrivals)> {
        let request = driver::Request::CreateSource { filters, shared: ticket.is_none(), low_water };
        match self.ask(&request, ticket.into_iter().collect())? {
            (driver::Reply::Created { source, page, cell }, handles) => {
                Ok((Created { source, page, cell }, handles))
            }
            _ => Err(Error::new(EBADMSG)),
        }
    }

    fn destroy(&mut self, source: SourceId, errno: i32) {
        let request = driver::Request::DestroySource { source, errno: errno.unsigned_abs() };
        if let Err(error) = self.ask(&request, vec![]) {
            rt::log!("{}: {source:?} cannot be destroyed: {error}", rt::start::program());
        }
    }

    /// Has the event server look at a ticket, which it does when it makes a source of the client's own.
    fn prove(&mut self, ticket: &AnyHandle) -> Result<()> {
        let (proof, _) = self.create_source(self.filters, (1, 1), Some(Transfer::copy(ticket)))?;
        self.destroy(proof.source, 0);
        Ok(())
    }

    /// Runs a publishing function on a source's cell and rings if it says so.
    #[inline]
    fn tell(
        &mut self,
        source: SourceKey,
        publish: impl FnOnce(&mut Publisher, Changed<'_>, &Cell, SourceId) -> Result<Told, Fault>,
    ) {
        let Some(Some(source)) = self.sources.get(source.index()) else { return };
        match publish(&mut self.publisher, self.ring.get(), &source.cell, source.id) {
            Ok(Told::Nothing) => {}
            // A doorbell fails only with its server, which the next request tells.
            Ok(Told::Ring) => _ = self.doorbell.signal(self.doorbell_bits),
            Err(fault) => {
                rt::log!("{}: the event server's ring is broken: {fault}", rt::start::program());
                self.lost = Some(fault.into());
            }
        }
    }
}

impl Sources for Session {
    fn publish(&mut self, source: SourceKey, direction: Direction, level: Level, arrived: bool) {
        self.tell(source, |publisher, changed, cell, id| {
            publisher.publish(changed, cell, id, direction, level, arrived)
        });
    }

    fn publish_both(&mut self, source: SourceKey, levels: [(Level, bool); 2]) {
        self.tell(source, |publisher, changed, cell, id| publisher.publish_both(changed, cell, id, levels));
    }

    fn post(&mut self, source: SourceKey, occurrences: u64) {
        self.tell(source, |publisher, changed, cell, id| publisher.post(changed, cell, id, occurrences));
    }

    fn note(&mut self, source: SourceKey, bits: u32, data: u32) {
        self.tell(source, |publisher, changed, cell, id| publisher.note(changed, cell, id, bits, data));
    }

    fn set_error(&mut self, source: SourceKey, errno: u32) {
        if let Some(Some(source)) = self.sources.get(source.index()) {
            source.cell.set_error(errno);
        }
    }

    fn is_abandoned(&self, source: SourceKey) -> bool {
        self.sources.get(source.index()).is_some_and(|source| {
            source.as_ref().is_some_and(|source| source.watch.is_none() && source.cell.is_abandoned())
        })
    }

    fn retire(&mut self, source: SourceKey, errno: i32) {
        if let Some(source) = self.sources.get_mut(source.index()).and_then(Option::take) {
            self.destroy(source.id, errno);
        }
    }

    fn clock(&self) -> u64 {
        rt::clock::now_ns()
    }

    fn realtime_offset(&self) -> u64 {
        rt::hints().realtime_base.load(Relaxed)
    }
}

impl Link for Session {
    type Handle = AnyHandle;

    fn identity(&self, ticket: &AnyHandle) -> Result<u64> {
        // That it is one of the event server's own is seen when a source is made for it.
        let badge = ticket.info()?.badge;
        match Badge::decode(badge) {
            Badge::Ticket(ticket) => Ok(u64::from(ticket.process())),
            _ => Err(Error::new(EINVAL)),
        }
    }

    fn is_alive(&mut self, ticket: &AnyHandle) -> bool {
        match self.prove(ticket) {
            Ok(()) => true,
            // A quota that is used up, here or there, says nothing against its owner.
            Err(error) => [EMFILE, ENOMEM, ENOBUFS].contains(&error.errno),
        }
    }

    fn can_travel(&self, handle: &AnyHandle) -> bool {
        let needed = Rights::DUPLICATE.union(Rights::TRANSFER);
        handle.info().is_ok_and(|info| Rights::from_bits_truncate(info.rights).contains(needed))
    }

    fn create(&mut self, source: SourceKey, opening: &Opening, ticket: AnyHandle) -> Result<()> {
        let Opening { filters, low_water, .. } = *opening;
        let ticket = if opening.shared {
            // Only a source of the client's own has its ticket looked at. A forged one would let a client use up the
            // quotas of others.
            self.prove(&ticket)?;
            None
        } else {
            Some(Transfer::moved(ticket))
        };
        let (Created { source: id, page, cell }, mut handles) =
            self.create_source(filters, low_water, ticket)?;
        let mut own = || -> Result<(OwnCell, AnyHandle)> {
            let memory: Memory = handles.object(0)?;
            Ok((self.cells.open(page, &memory, cell)?, handles.object(1)?))
        };
        let (cell, watch) = own().inspect_err(|_| self.destroy(id, 0))?;
        if self.sources.len() <= source.index() {
            self.sources.resize_with(source.index() + 1, || None);
        }
        self.sources[source.index()] = Some(Source { id, cell, watch: Some(watch) });
        Ok(())
    }

    fn mint(&mut self, file: FileId) -> Result<AnyHandle> {
        let handle = self.endpoint.with_badge(DESCRIPTOR, file.badge())?;
        Ok(AnyHandle::from_handle(handle.into_handle()))
    }

    fn reply_opened(
        &mut self,
        token: u64,
        descriptor: Option<AnyHandle>,
        source: Option<SourceKey>,
        opened: Opened,
    ) -> Result<()> {
        let source = source.and_then(|source| self.sources.get_mut(source.index())?.as_mut());
        let home = source.as_ref().map_or(0, |source| source.id.shard());
        let watch = source.and_then(|source| source.watch.take());
        let reply = ipc::Reply::document(descriptor::label::REPLY, &opened)
            .word(descriptor::words::HOME, u64::from(home));
        let handles = descriptor.into_iter().chain(watch).map(Transfer::moved);
        handles.fold(reply, ipc::Reply::handle).deliver(token)
    }

    fn reply(&mut self, token: u64, words: [u64; WORDS], bytes: &[u8]) -> Result<()> {
        let length = ipc::write_bytes(bytes)?;
        Endpoint::reply(token, Message { tag: Tag::new(descriptor::label::REPLY, length, 0), words })
    }

    fn reply_message(
        &mut self,
        token: u64,
        words: [u64; WORDS],
        bytes: &[u8],
        handles: &[&AnyHandle],
    ) -> Result<()> {
        let reply = ipc::Reply::data(descriptor::label::REPLY, bytes);
        let reply = (0..WORDS).fold(reply, |reply, at| reply.word(at, words[at]));
        handles.iter().fold(reply, |reply, handle| reply.handle(Transfer::copy(*handle))).deliver(token)
    }
}

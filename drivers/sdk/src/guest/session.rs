//! The driver's session with the event server, and its replies to clients.

use super::cells::{Cells, OwnCell};
use super::mapped::Shared;
use crate::driver::Opening;
use crate::engine::Left;
use crate::files::FileId;
use crate::link::{Link, SourceKey, Sources};
use abi::error::{EBADMSG, EINVAL, EMFILE, ENOBUFS, ENODEV, ENOMEM, EPIPE, Error, Result};
use abi::limits::FOREVER;
use abi::message::WORDS;
use abi::{Message, Rights, Tag};
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;
use core::sync::atomic::Ordering::Relaxed;
use event_protocol::badge::{Badge, DriverId, SourceId};
use event_protocol::cell::{Cell, Direction};
use event_protocol::changed::{Changed, Publisher, Told, memory_size};
use event_protocol::control::driver::Orphan;
use event_protocol::control::{self, SERVICE, VERSION, driver, lobby};
use event_protocol::descriptor::{self, Opened};
use event_protocol::fault::Fault;
use event_protocol::filter::Filters;
use event_protocol::level::Level;
use event_protocol::shared::{Kept, KeptChanged};
use event_protocol::trace::Trace;
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

fn ask_lobby(
    on: &Endpoint,
    request: &lobby::Request,
    send: Vec<Transfer>,
) -> Result<(lobby::Reply, ipc::Arrivals)> {
    call_postcard(on, control::label::LOBBY, request, send, FOREVER)
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
    id: DriverId,
    /// Whether somebody goes on with what is durable when this session is over.
    has_heirs: bool,
    trace: Kept<Shared, Trace>,
}

impl Session {
    /// Attaches to the event server's shard of this CPU. With a lineage's handle the session is the next of that, if it can be.
    pub fn attach(
        name: &str,
        filters: Filters,
        cells: u32,
        endpoint: Endpoint,
        lineage: Option<&Endpoint>,
        trace: Kept<Shared, Trace>,
    ) -> Result<Session> {
        let size = memory_size(cells).ok_or(Error::new(EINVAL))?;
        let any = rt::init::connect(SERVICE)?;
        let shard = rt::clock::cpu() as u32;
        let (_, mut handles) = ask_lobby(&any, &lobby::Request::Shard { shard }, vec![])?;
        let lobby: Endpoint = handles.object(0)?;
        let memory = Memory::create(size)?;
        let ring = Arc::new(Shared::map(&memory)?).keep_changed(cells)?;
        let attach = lobby::Request::Attach { version: VERSION, name: String::from(name), filters, cells };
        let follow = lineage.map(Transfer::copy);
        let send = [Transfer::moved(memory)].into_iter().chain(follow).collect();
        let (reply, mut handles) = ask_lobby(&lobby, &attach, send)?;
        let lobby::Reply::Attached { driver: id, doorbell_bits, .. } = reply else {
            return Err(Error::new(EBADMSG));
        };
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
            id,
            has_heirs: lineage.is_some(),
            trace,
        })
    }

    /// The shard in which a lineage is at home; `None`: it is none any more.
    pub fn home(lineage: &Endpoint) -> Option<u32> {
        let any = rt::init::connect(SERVICE).ok()?;
        match ask_lobby(&any, &lobby::Request::Home, vec![Transfer::copy(lineage)]) {
            Ok((lobby::Reply::Home { shard }, _)) => Some(shard),
            _ => None,
        }
    }

    /// Has init keep the right to go on with what this session leaves. Where it does not, nothing is durable.
    pub fn bequeath(&mut self) -> Result<()> {
        let (_, mut handles) = self.ask(&driver::Request::Bequeath, vec![])?;
        let lineage: Endpoint = handles.object(0)?;
        self.has_heirs = rt::init::keep(lineage).is_ok();
        Ok(())
    }

    /// What the sessions before this one left.
    pub fn left(&mut self) -> Result<Vec<Left>> {
        let mut left = vec![];
        let mut after = None;
        loop {
            let driver::Reply::Orphans(some) = self.ask(&driver::Request::Orphans { after }, vec![])?.0
            else {
                return Err(Error::new(EBADMSG));
            };
            let Some(last) = some.last() else { return Ok(left) };
            after = Some(last.source.index() as u32);
            left.extend(some.into_iter().map(|Orphan { source, kept, word, levels }| {
                let levels = levels.map(Level::unpack);
                Left { source, kept, word, levels }
            }));
        }
    }

    /// What was not claimed ends.
    pub fn settled(&mut self) -> Result<()> {
        self.ask(&driver::Request::Settled, vec![]).map(drop)
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
        kept: Option<&[u8]>,
    ) -> Result<(Created, ipc::Arrivals)> {
        let shared = ticket.is_none();
        let request = match kept {
            None => driver::Request::CreateSource { filters, shared, low_water },
            Some(kept) => driver::Request::CreateDurable { filters, shared, low_water, kept: kept.into() },
        };
        match self.ask(&request, ticket.into_iter().collect())? {
            (driver::Reply::Created { source, page, cell }, handles) => {
                Ok((Created { source, page, cell }, handles))
            }
            _ => Err(Error::new(EBADMSG)),
        }
    }

    fn place(&mut self, key: SourceKey, source: Source) {
        if self.sources.len() <= key.index() {
            self.sources.resize_with(key.index() + 1, || None);
        }
        self.sources[key.index()] = Some(source);
    }

    fn destroy(&mut self, source: SourceId, errno: i32) {
        let request = driver::Request::DestroySource { source, errno: errno.unsigned_abs() };
        if let Err(error) = self.ask(&request, vec![]) {
            rt::log!("{}: {source:?} cannot be destroyed: {error}", rt::start::program());
        }
    }

    /// Has the event server look at a ticket, which it does when it makes a source of the client's own.
    fn prove(&mut self, ticket: &AnyHandle) -> Result<()> {
        let (proof, _) = self.create_source(self.filters, (1, 1), Some(Transfer::copy(ticket)), None)?;
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

    fn keep(&mut self, source: SourceKey, word: u64) {
        if let Some(Some(source)) = self.sources.get(source.index()) {
            source.cell.keep(word);
        }
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

    fn trace(&self) -> &Trace {
        &self.trace
    }

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

    fn create(
        &mut self,
        source: SourceKey,
        opening: &Opening,
        ticket: AnyHandle,
        kept: Option<&[u8]>,
    ) -> Result<()> {
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
            self.create_source(filters, low_water, ticket, kept)?;
        let mut own = || -> Result<(OwnCell, AnyHandle)> {
            let memory: Memory = handles.object(0)?;
            Ok((self.cells.open(page, &memory, cell)?, handles.object(1)?))
        };
        let (cell, watch) = own().inspect_err(|_| self.destroy(id, 0))?;
        self.place(source, Source { id, cell, watch: Some(watch) });
        Ok(())
    }

    fn share(&mut self, source: SourceKey, others: SourceKey, ticket: AnyHandle) -> Result<()> {
        let known = self.sources.get(source.index()).and_then(Option::as_ref).ok_or(Error::new(EINVAL))?;
        let request = driver::Request::Share { source: known.id };
        let (reply, mut handles) = self.ask(&request, vec![Transfer::moved(ticket)])?;
        let driver::Reply::Shared { source: id, page, cell, is_new } = reply else {
            return Err(Error::new(EBADMSG));
        };
        let mut own = || -> Result<(OwnCell, AnyHandle)> {
            let memory: Memory = handles.object(0)?;
            Ok((self.cells.open(page, &memory, cell)?, handles.object(1)?))
        };
        let made = own();
        if made.is_err() && is_new {
            self.destroy(id, 0);
        }
        let (cell, watch) = made?;
        self.place(others, Source { id, cell, watch: Some(watch) });
        Ok(())
    }

    fn lineage(&self) -> Option<u64> {
        self.has_heirs.then_some(self.id.0)
    }

    fn claim(&mut self, source: SourceKey, left: SourceId, descriptor: AnyHandle) -> Result<()> {
        let request = driver::Request::Claim { source: left };
        let (reply, mut handles) = self.ask(&request, vec![Transfer::moved(descriptor)])?;
        let driver::Reply::Created { source: id, page, cell } = reply else {
            return Err(Error::new(EBADMSG));
        };
        let mut own = || -> Result<OwnCell> { self.cells.open(page, &handles.object(0)?, cell) };
        let cell = own().inspect_err(|_| self.destroy(id, ENODEV))?;
        self.place(source, Source { id, cell, watch: None });
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

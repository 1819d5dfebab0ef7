//! Drivers: each with a session, and files that have a source for the open description that is watched first, and one for all
//! others.

use std::collections::BTreeMap;
use std::sync::Arc;

use abi::error::{ENODEV, Error, Result};
use event_core::shard::Shard;
use event_protocol::badge::{ClientId, DriverId, SourceId};
use event_protocol::cell::Direction;
use event_protocol::changed::{Publisher, Told, memory_size};
use event_protocol::descriptor::Kind;
use event_protocol::filter::Filters;
use event_protocol::level::Level;
use event_protocol::shared::{Owned, Region};
use init_protocol::caller::Caller;
use shard_host::{Kernel, Memory};

use super::server::Server;

const CELLS: u32 = 256;
/// Number of the first one's process, above those of clients.
const DRIVERS: u32 = 1 << 20;

/// A driver's session.
struct Session {
    id: DriverId,
    memory: Region<Memory>,
    publisher: Publisher,
}

/// What a driver has been asked to open.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Nature {
    /// The driver.
    pub driver: usize,
    /// What it is.
    pub kind: Kind,
    /// The filters that it serves.
    pub filters: Filters,
    /// Low-water marks.
    pub low_water: (u32, u32),
    /// Whether its sources lie in pages of their own.
    pub shared: bool,
}

/// A file of a driver.
struct File {
    nature: Nature,
    levels: [Level; 2],
    error: u32,
    gone: bool,
    /// In the order in which they are told.
    sources: Vec<Source>,
    /// By what each open description is watched.
    watches: BTreeMap<u64, SourceId>,
}

struct Source {
    id: SourceId,
    page: Region<Memory>,
    cell: u32,
    /// Further ones watch by it.
    for_all: bool,
}

impl File {
    /// Sources that nobody watches any more go.
    fn sweep(&mut self, driver: DriverId, shard: &mut Shard<Memory>, kernel: &mut Kernel) {
        self.sources.retain(|source| {
            let is_abandoned = source.page.cell(source.cell).unwrap().is_abandoned();
            if is_abandoned {
                shard.destroy_source(driver, source.id, 0, kernel).unwrap();
            }
            !is_abandoned
        });
    }

    fn destroy(&mut self, driver: DriverId, errno: i32, shard: &mut Shard<Memory>, kernel: &mut Kernel) {
        for source in std::mem::take(&mut self.sources) {
            shard.destroy_source(driver, source.id, errno as u32, kernel).unwrap();
        }
    }
}

/// All drivers and their files.
#[derive(Default)]
pub struct Drivers {
    sessions: Vec<Option<Session>>,
    files: Vec<File>,
    /// The doorbell bits that each shard has not heard of.
    bells: BTreeMap<u32, u64>,
}

/// Number of a file among all that ever were.
pub type FileNumber = usize;

fn place(direction: Direction) -> usize {
    usize::from(direction == Direction::Write)
}

impl Drivers {
    /// A driver begins, in a shard.
    pub fn attach(&mut self, server: &mut Server, shard: u32) -> usize {
        let memory = Arc::new(Owned::new(memory_size(CELLS).unwrap()));
        let account =
            server.directory.account(Caller { pid: DRIVERS + self.sessions.len() as u32, provider: true });
        let own = &mut server.shards[shard as usize];
        let id = own.attach(account, Default::default(), memory.clone(), Filters::all(), CELLS).unwrap();
        let session = Session { id, memory: Region::new(memory), publisher: Publisher::new() };
        self.sessions.push(Some(session));
        self.sessions.len() - 1
    }

    /// A file comes to be.
    pub fn create(&mut self, nature: Nature) -> FileNumber {
        let levels = [Level::default(); 2];
        self.files.push(File {
            nature,
            levels,
            error: 0,
            gone: false,
            sources: vec![],
            watches: BTreeMap::new(),
        });
        self.files.len() - 1
    }

    /// What a file is.
    pub fn nature(&self, file: FileNumber) -> Nature {
        self.files[file].nature
    }

    /// Whether it is no more.
    pub fn is_gone(&self, file: FileNumber) -> bool {
        self.files[file].gone
    }

    /// By what an open description is watched.
    pub fn watch(
        &mut self,
        server: &mut Server,
        file: FileNumber,
        description: u64,
        client: ClientId,
    ) -> Result<SourceId> {
        let found = &mut self.files[file];
        if found.gone {
            return Err(Error::new(ENODEV));
        }
        let Nature { driver, filters, low_water, shared, .. } = found.nature;
        let session = self.sessions[driver].as_mut().ok_or(Error::new(ENODEV))?;
        let owner = server.directory.session(client)?;
        let Server { shards, kernel, .. } = server;
        let shard = &mut shards[session.id.shard() as usize];
        found.sweep(session.id, shard, kernel);
        if let Some(source) = found.sources.last() {
            let (known, named) = (source.for_all, source.id);
            let made = shard.share(session.id, named, &owner, kernel)?;
            assert_eq!((made.is_new, made.hub.source == named), (!known, known));
            if made.is_new {
                let page = Region::new(kernel.pages[&made.hub.handle].clone());
                found.sources.push(Source { id: made.hub.source, page, cell: made.hub.cell, for_all: true });
            }
            found.watches.insert(description, made.view);
            return Ok(made.view);
        }
        let owner = if shared { None } else { Some(owner) };
        let made = shard.create_source(session.id, filters, owner.as_deref(), low_water, kernel)?;
        let page = Region::new(kernel.pages[&made.handle].clone());
        let source = Source { id: made.source, page, cell: made.cell, for_all: shared };
        let cell = source.page.cell(source.cell)?;
        cell.set_error(found.error);
        let changed = session.memory.changed(CELLS)?;
        for direction in [Direction::Read, Direction::Write] {
            let level = found.levels[place(direction)];
            let told = session.publisher.publish(changed, cell, source.id, direction, level, false)?;
            assert_eq!(told, Told::Nothing, "nobody can be interested yet");
        }
        found.sources.push(source);
        found.watches.insert(description, made.source);
        Ok(made.source)
    }

    /// An open description is closed: its driver hears that its handle is, and the server that the watch handle is.
    pub fn close(&mut self, server: &mut Server, file: FileNumber, description: u64, driver_first: bool) {
        let found = &mut self.files[file];
        let Some(watch) = found.watches.remove(&description) else { return };
        let session = self.sessions[found.nature.driver].as_ref();
        let Server { shards, kernel, .. } = server;
        let shard = &mut shards[watch.shard() as usize];
        if !driver_first {
            shard.watch_closed(watch, kernel);
        }
        if let Some(session) = session {
            found.sweep(session.id, shard, kernel);
            if found.watches.is_empty() {
                found.destroy(session.id, 0, shard, kernel);
            }
        }
        if driver_first {
            shard.watch_closed(watch, kernel);
        }
    }

    /// Publishes a level in all sources of a file.
    pub fn publish(
        &mut self,
        file: FileNumber,
        direction: Direction,
        level: Level,
        error: u32,
        arrived: bool,
    ) {
        let found = &mut self.files[file];
        found.levels[place(direction)] = level;
        found.error = error;
        self.tell(file, |publisher, changed, cell, source| {
            cell.set_error(error);
            publisher.publish(changed, cell, source, direction, level, arrived).unwrap()
        });
    }

    /// Posts occurrences of a file that counts.
    pub fn count(&mut self, file: FileNumber, occurrences: u64) {
        self.tell(file, |publisher, changed, cell, source| {
            publisher.post(changed, cell, source, occurrences).unwrap()
        });
    }

    /// Posts note bits.
    pub fn note(&mut self, file: FileNumber, bits: u32) {
        self.tell(file, |publisher, changed, cell, source| {
            publisher.note(changed, cell, source, bits, 0).unwrap()
        });
    }

    fn tell(
        &mut self,
        file: FileNumber,
        mut tell: impl FnMut(
            &mut Publisher,
            event_protocol::changed::Changed<'_>,
            &event_protocol::cell::Cell,
            SourceId,
        ) -> Told,
    ) {
        let found = &self.files[file];
        let Some(session) = self.sessions[found.nature.driver].as_mut().filter(|_| !found.gone) else {
            return;
        };
        let changed = session.memory.changed(CELLS).unwrap();
        for source in &found.sources {
            let cell = source.page.cell(source.cell).unwrap();
            if tell(&mut session.publisher, changed, cell, source.id) == Told::Ring {
                *self.bells.entry(session.id.shard()).or_default() |= 1 << session.id.index();
            }
        }
    }

    /// The shards hear their doorbells.
    pub fn ring(&mut self, server: &mut Server) {
        for (shard, bits) in std::mem::take(&mut self.bells) {
            let left = server.shards[shard as usize].doorbell(bits, &mut server.kernel);
            assert_eq!(left, 0, "a ring of {CELLS} entries is drained at once");
        }
    }

    /// A device is unplugged: its driver lives on (R57).
    pub fn detach(&mut self, server: &mut Server, file: FileNumber) {
        let found = &mut self.files[file];
        if std::mem::replace(&mut found.gone, true) {
            return;
        }
        let Some(session) = &self.sessions[found.nature.driver] else { return };
        let shard = &mut server.shards[session.id.shard() as usize];
        found.destroy(session.id, ENODEV, shard, &mut server.kernel);
    }

    /// A driver dies (R57).
    pub fn die(&mut self, server: &mut Server, driver: usize) {
        let Some(session) = self.sessions[driver].take() else { return };
        for file in self.files.iter_mut().filter(|file| file.nature.driver == driver) {
            file.gone = true;
            file.sources.clear();
        }
        self.bells.entry(session.id.shard()).and_modify(|bits| *bits &= !(1 << session.id.index()));
        server.shards[session.id.shard() as usize].driver_closed(session.id, &mut server.kernel);
    }
}

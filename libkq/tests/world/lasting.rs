//! A driver of durable files: it dies, perhaps in the midst of what it does, and another one goes on with what it left, or does not.
//!
//! What its devices hold is theirs, and there whoever drives them.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use abi::error::{EAGAIN, EMFILE, EOWNERDEAD};
use event_protocol::badge::SourceId;
use event_protocol::cell::Direction;
use event_protocol::descriptor::DURABLE;
use event_protocol::filter::Filters;
use event_protocol::level::{Level, LevelFlags};
use libkq::{Error, Result};

use super::server::Server;
use super::{ENODEV, ENOENT, FakeFile, World};

/// Where these files are; those of which the names end in `p` have a position.
pub const PATH: &str = "/lasting/";

/// The drivers, one after the other.
#[derive(Default)]
pub(super) struct Drivers {
    /// Which one it is, or was.
    number: u64,
    is_alive: bool,
    /// What each device has to be read.
    devices: BTreeMap<String, i64>,
    /// Where the present one dies, once, over the next request.
    dies_over: Option<Death>,
    /// Descriptor handles that there are.
    handles: Arc<AtomicUsize>,
    /// The next open is refused.
    pub(super) is_full: bool,
}

/// When a driver dies over a request.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Death {
    /// Before it has done anything.
    Before,
    /// When it has done it, and published, and not answered.
    After,
}

/// How far a driver gets with an arrival in one of several sources; in those before it, it is through.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Stop {
    pub source: usize,
    /// The level is stored, and not counted.
    pub stored: bool,
}

/// What the next driver does with a source.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Heir {
    GoesOn,
    /// It has no room for it, or the device is no more: it is not claimed.
    Cannot,
}

/// A descriptor handle, counted.
pub(super) struct Handle {
    driver: u64,
    handles: Arc<AtomicUsize>,
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.handles.fetch_sub(1, Ordering::SeqCst);
    }
}

/// What the server keeps of a durable source.
pub(super) struct Durable {
    away: bool,
    levels: [Level; 2],
    descriptor: Option<Arc<Handle>>,
}

/// The handle that a file has now, if it is durable.
pub(super) type Descriptor = Mutex<Option<Arc<Handle>>>;

impl Server {
    fn mint(&self) -> Arc<Handle> {
        let handles = self.drivers.handles.clone();
        handles.fetch_add(1, Ordering::SeqCst);
        Arc::new(Handle { driver: self.drivers.number, handles })
    }

    /// Cells of a device's sources, in the order in which they were made.
    fn of(&self, device: &str) -> Vec<u32> {
        let mut found: Vec<_> = self
            .sources
            .iter()
            .filter(|(_, source)| source.name == device && source.durable.is_some() && !source.gone)
            .collect();
        found.sort_by_key(|(_, source)| source.id.generation());
        found.into_iter().map(|(&cell, _)| cell).collect()
    }

    fn publish_device(&mut self, device: &str, arrived: bool) {
        let level = Level::new(self.drivers.devices[device]);
        for cell in self.of(device) {
            self.publish(cell, Direction::Read, level, arrived);
        }
    }
}

impl FakeFile {
    fn driver(&self) -> Option<u64> {
        self.descriptor.lock().unwrap().as_ref().map(|handle| handle.driver)
    }
}

impl World {
    pub(super) fn open_lasting(&self, path: &str, flags: u64) -> Result<FakeFile> {
        if self.lock().drivers.is_full {
            return Err(Error::new(EMFILE));
        }
        if !self.lock().drivers.is_alive {
            return Err(Error::new(ENODEV));
        }
        let file = self.open_named(path, Filters::READ | Filters::WRITE)?;
        let mut server = self.lock();
        server.drivers.devices.entry(path.into()).or_default();
        let handle = server.mint();
        if flags & DURABLE != 0 {
            let durable = Durable { away: false, levels: [Level::default(); 2], descriptor: None };
            server.sources.get_mut(&file.cell).unwrap().durable = Some(durable);
        }
        let level = Level::new(server.drivers.devices[path]);
        server.publish(file.cell, Direction::Read, level, level.amount > 0);
        drop(server);
        *file.descriptor.lock().unwrap() = Some(handle);
        Ok(file)
    }

    /// A request to the driver, which may die over it: `act` is what it does.
    pub(super) fn ask_lasting<T>(
        &self,
        file: &FakeFile,
        act: impl FnOnce(&mut Server) -> Result<T>,
    ) -> Result<T> {
        let mut server = self.lock();
        let drivers = &mut server.drivers;
        if !drivers.is_alive || file.driver() != Some(drivers.number) {
            return Err(Error::new(EOWNERDEAD));
        }
        let death = drivers.dies_over.take();
        if death == Some(Death::Before) {
            drivers.is_alive = false;
            return Err(Error::new(EOWNERDEAD));
        }
        let done = act(&mut server);
        server.shard(&self.0);
        if death.is_some() {
            server.drivers.is_alive = false;
            return Err(Error::new(EOWNERDEAD));
        }
        done
    }

    pub(super) fn read_lasting(&self, file: &FakeFile, most: usize) -> Result<usize> {
        self.ask_lasting(file, |server| {
            let device = server.sources[&file.cell].name.clone();
            let amount = server.drivers.devices.get_mut(&device).unwrap();
            if *amount == 0 {
                return Err(Error::new(EAGAIN));
            }
            let count = most.min(*amount as usize);
            *amount -= count as i64;
            server.publish_device(&device, false);
            Ok(count)
        })
    }

    pub(super) fn is_lasting(&self, file: &FakeFile) -> bool {
        file.driver().is_some()
    }

    pub(super) fn renew_lasting(&self, file: &FakeFile, source: SourceId) -> Result<()> {
        let server = self.lock();
        let found = server.sources.get(&(source.index() as u32)).filter(|found| found.id == source);
        let found = found.ok_or(Error::new(ENOENT))?;
        match &found.durable {
            _ if found.gone => Err(Error::new(ENODEV)),
            Some(durable) if durable.away => Err(Error::new(EAGAIN)),
            Some(Durable { descriptor: Some(descriptor), .. }) => {
                let old = file.descriptor.lock().unwrap().replace(descriptor.clone());
                drop(old);
                Ok(())
            }
            _ => Err(Error::new(ENOENT)),
        }
    }

    pub(super) fn is_left_lasting(&self, file: &FakeFile) -> bool {
        let server = self.lock();
        file.driver().is_some_and(|driver| driver != server.drivers.number || !server.drivers.is_alive)
    }

    /// A first driver runs.
    pub fn start_driver(&self) {
        let drivers = &mut self.lock().drivers;
        (drivers.number, drivers.is_alive) = (drivers.number + 1, true);
    }

    /// A device has so many bytes more. The driver, if there is one, tells; or dies over it.
    pub fn arrive(&self, device: &str, bytes: i64, stop: Option<Stop>) {
        let mut server = self.lock();
        *server.drivers.devices.entry(device.into()).or_default() += bytes;
        if !server.drivers.is_alive {
            return;
        }
        let level = Level::new(server.drivers.devices[device]);
        for (at, cell) in server.of(device).into_iter().enumerate() {
            match stop.filter(|stop| stop.source == at) {
                None => server.publish(cell, Direction::Read, level, true),
                Some(stop) => {
                    if stop.stored {
                        server.page.cell(cell).unwrap().set_level(Direction::Read, level, true);
                    }
                    server.drivers.is_alive = false;
                    break;
                }
            }
        }
        server.shard(&self.0);
    }

    /// The driver dies over the next request.
    pub fn dies_over(&self, death: Death) {
        self.lock().drivers.dies_over = Some(death);
    }

    /// It does not, after all.
    pub fn dies_over_nothing(&self) {
        self.lock().drivers.dies_over = None;
    }

    /// It dies now.
    pub fn kill_driver(&self) {
        self.lock().drivers.is_alive = false;
    }

    pub fn has_driver(&self) -> bool {
        self.lock().drivers.is_alive
    }

    /// Opens are refused, or no longer.
    pub fn refuse_opens(&self, refuse: bool) {
        self.lock().drivers.is_full = refuse;
    }

    /// The server hears that the driver is dead.
    pub fn hear_of_death(&self) {
        let mut server = self.lock();
        assert!(!server.drivers.is_alive);
        server.drivers.dies_over = None;
        let page = server.page.clone();
        for cell in server.sources.keys().copied().collect::<Vec<_>>() {
            let source = server.sources.get_mut(&cell).unwrap();
            let (id, words) = (source.id, page.cell(cell).unwrap());
            let Some(durable) = source.durable.as_mut().filter(|durable| !durable.away) else { continue };
            if source.gone {
                continue;
            }
            (durable.away, durable.descriptor) = (true, None);
            words.make_up();
            words.begin_look();
            server.look(&self.0, id);
            let told = words.leave();
            let durable = server.sources.get_mut(&cell).unwrap().durable.as_mut().unwrap();
            for (level, told) in durable.levels.iter_mut().zip(told) {
                if !told.flags.contains(LevelFlags::AWAY) {
                    *level = told;
                }
            }
        }
    }

    /// The next driver goes on with what it can, in the order of the cells; with `dies_after` so many it is dead again, the last of them
    /// claimed and not published. Otherwise the rest ends.
    pub fn next_driver(&self, mut heir: impl FnMut(&str) -> Heir, dies_after: Option<usize>) {
        self.start_driver();
        let mut server = self.lock();
        let mut claimed = 0;
        for cell in server.sources.keys().copied().collect::<Vec<_>>() {
            if server.sources[&cell].durable.is_none() {
                continue;
            }
            let descriptor = server.mint();
            let source = server.sources.get_mut(&cell).unwrap();
            let Some(durable) = source.durable.as_mut().filter(|durable| durable.away && !source.gone) else {
                continue;
            };
            if heir(&source.name) == Heir::Cannot {
                continue;
            }
            (durable.away, durable.descriptor) = (false, Some(descriptor));
            let (before, device) = (durable.levels[0], source.name.clone());
            claimed += 1;
            if dies_after == Some(claimed) {
                server.drivers.is_alive = false;
                server.shard(&self.0);
                return;
            }
            let level = Level::new(server.drivers.devices[&device]);
            server.publish(cell, Direction::Read, level, level.rose_from(before));
        }
        drop(server);
        self.end_orphans();
    }

    /// Nobody goes on with what is left.
    pub fn end_orphans(&self) {
        let mut server = self.lock();
        for cell in server.sources.keys().copied().collect::<Vec<_>>() {
            let source = server.sources.get_mut(&cell).unwrap();
            if source.gone || source.durable.as_ref().is_none_or(|durable| !durable.away) {
                continue;
            }
            source.gone = true;
            let id = source.id;
            server.page.cell(cell).unwrap().end(ENODEV as u32);
            server.look(&self.0, id);
        }
        server.shard(&self.0);
    }

    /// Descriptor handles that there are, with clients and with the server.
    pub fn handles(&self) -> usize {
        self.lock().drivers.handles.load(Ordering::SeqCst)
    }
}

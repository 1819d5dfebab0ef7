//! The sources of open files: one for the client that opened a file, and one for all who watch it besides, which are told the
//! same, in this order. Of a durable file each client has one of its own, with which it goes on.
//!
//! A source that is made later starts with what the others were told last. One whose clients are gone is destroyed when the
//! file has others, or gets one more; else it goes with its file.

use crate::driver::Opening;
use crate::files::FileId;
use crate::limits::{LEAST_CLIENTS, SOURCES_PER_FILE};
use crate::link::{Link, SourceKey, Sources};
use crate::record::Record;
use abi::error::{EMFILE, ENFILE, ENODEV, EPERM, Error, Result};
use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use event_protocol::badge::SourceId;
use event_protocol::cell::Direction;
use event_protocol::level::Level;

/// What was published of a file.
#[derive(Clone, Copy, Default)]
struct Told {
    level: Level,
    /// Anything has arrived ever.
    arrived: bool,
}

impl Told {
    /// Takes down what is told now, and says whether it is news.
    #[inline]
    fn tell(&mut self, level: Level, arrived: bool) -> bool {
        let news = arrived || level.rose_from(self.level);
        self.level = level;
        self.arrived |= arrived;
        news
    }
}

struct Watch {
    source: SourceKey,
    /// By whose quota it is counted: who needed it first.
    client: u64,
    /// Others may watch by it, too.
    for_all: bool,
}

struct Watched {
    file: FileId,
    opening: Opening,
    read: Told,
    write: Told,
    errno: u32,
    /// The word that is kept of it.
    kept: u64,
    /// What is kept of a durable file.
    record: Option<Record>,
    /// What the file stood for is gone: why.
    gone: Option<i32>,
    watches: Vec<Watch>,
}

/// Sources by the files that they belong to.
pub struct Watches {
    most: usize,
    files: Vec<Option<Watched>>,
    /// Numbers below this one are in use or in `free`.
    used: u32,
    free: Vec<u32>,
    clients: BTreeMap<u64, usize>,
}

impl Watches {
    /// Room for so many sources, of which one client may have a quarter.
    pub const fn new(most: usize) -> Watches {
        Watches { most, files: Vec::new(), used: 0, free: Vec::new(), clients: BTreeMap::new() }
    }

    /// A file that can be watched from here on.
    pub fn begin(&mut self, file: FileId, opening: Opening, record: Option<Record>) {
        if self.files.len() <= file.index() {
            self.files.resize_with(file.index() + 1, || None);
        }
        let [read, write] = opening.levels.map(|level| Told { level, arrived: level != Level::default() });
        let (kept, watches) = (opening.kept, Vec::new());
        self.files[file.index()] =
            Some(Watched { file, opening, read, write, errno: 0, kept, record, gone: None, watches });
    }

    /// What the file was opened as.
    pub fn opening(&self, file: FileId) -> Option<Opening> {
        self.get(file).map(|watched| watched.opening)
    }

    /// Why requests on a file fail: what it stood for is gone.
    #[inline]
    pub fn gone(&self, file: FileId) -> Option<Error> {
        let errno = self.get(file)?.gone?;
        Some(Error::new(if errno == 0 { ENODEV } else { errno }))
    }

    /// The source by which one more client watches. EPERM: the file cannot be watched; ENODEV: what it stood for is gone; EMFILE, ENFILE:
    /// quotas (R55).
    pub fn add<L: Link>(
        &mut self,
        link: &mut L,
        file: FileId,
        client: u64,
        ticket: L::Handle,
    ) -> Result<SourceKey> {
        self.sweep(link, file);
        let watched = self.get(file).ok_or(Error::new(ENODEV))?;
        if watched.gone.is_some() {
            return Err(Error::new(ENODEV));
        }
        if watched.opening.filters.is_empty() {
            return Err(Error::new(EPERM));
        }
        if watched.record.is_none()
            && let Some(first) = watched.watches.first()
        {
            let first = first.source;
            return self.share(link, file, client, first, ticket);
        }
        self.check_quota(client)?;
        if watched.watches.len() >= SOURCES_PER_FILE {
            return Err(Error::new(EMFILE));
        }
        let opening = watched.opening;
        let kept = watched.record.as_ref().map(|record| record.of(client)).transpose()?;
        let source = self.number()?;
        if let Err(error) = link.create(source, &opening, ticket, kept.as_deref()) {
            self.free.push(source.0);
            return Err(error);
        }
        self.begin_watch(link, file, Watch { source, client, for_all: opening.shared }, None);
        Ok(source)
    }

    fn check_quota(&self, client: u64) -> Result<()> {
        let owned = self.clients.get(&client).copied().unwrap_or(0);
        if owned >= (self.most / LEAST_CLIENTS).max(1) { Err(Error::new(EMFILE)) } else { Ok(()) }
    }

    /// The source of all but the first, which is made when there is none. How many clients it has is the event server's to
    /// count.
    fn share<L: Link>(
        &mut self,
        link: &mut L,
        file: FileId,
        client: u64,
        first: SourceKey,
        ticket: L::Handle,
    ) -> Result<SourceKey> {
        let watches = self.get(file).map_or(&[][..], |watched| &watched.watches);
        if let Some(source) = watches.iter().find(|watch| watch.for_all).map(|watch| watch.source) {
            link.share(source, source, ticket)?;
            return Ok(source);
        }
        self.check_quota(client)?;
        let source = self.number()?;
        if let Err(error) = link.share(first, source, ticket) {
            self.free.push(source.0);
            return Err(error);
        }
        *self.clients.entry(client).or_default() += 1;
        if let Some(watched) = self.get_mut(file) {
            watched.watches.push(Watch { source, client, for_all: true });
        }
        Ok(source)
    }

    /// Goes on with a source of a file that was left with these levels. EMFILE, ENFILE as above.
    pub fn claim<L: Link>(
        &mut self,
        link: &mut L,
        file: FileId,
        client: u64,
        (left, before): (SourceId, [Level; 2]),
        descriptor: L::Handle,
    ) -> Result<()> {
        let source = self.number()?;
        if let Err(error) = link.claim(source, left, descriptor) {
            self.free.push(source.0);
            return Err(error);
        }
        self.begin_watch(link, file, Watch { source, client, for_all: false }, Some(before));
        Ok(())
    }

    /// A number for a source.
    fn number(&mut self) -> Result<SourceKey> {
        let key = match self.free.pop() {
            Some(key) => key,
            None if self.used as usize >= self.most => return Err(Error::new(ENFILE)),
            None => {
                self.used += 1;
                self.used - 1
            }
        };
        Ok(SourceKey(key))
    }

    /// A source is told what others were told last; of one that was there `before`, only what is more than that is news.
    fn begin_watch<L: Link>(&mut self, link: &mut L, file: FileId, watch: Watch, before: Option<[Level; 2]>) {
        let Watch { source, client, .. } = watch;
        *self.clients.entry(client).or_default() += 1;
        let Some(watched) = self.get_mut(file) else { return };
        watched.watches.push(watch);
        if watched.record.is_some() {
            link.keep(source, watched.kept);
        }
        if watched.errno != 0 {
            link.set_error(source, watched.errno);
        }
        if let Some([read, write]) = before {
            let news = |told: Told, before| (told.level, told.level.rose_from(before));
            return link.publish_both(source, [news(watched.read, read), news(watched.write, write)]);
        }
        for (direction, told) in [(Direction::Read, watched.read), (Direction::Write, watched.write)] {
            if told.arrived || told.level != Level::default() {
                link.publish(source, direction, told.level, told.arrived);
            }
        }
    }

    /// Keeps a word of a durable file.
    pub fn keep(&mut self, sources: &mut dyn Sources, file: FileId, word: u64) {
        let Some(watched) = self.get_mut(file) else { return };
        watched.kept = word;
        if watched.record.is_some() {
            watched.watches.iter().for_each(|watch| sources.keep(watch.source, word));
        }
    }

    /// Publishes a level in all sources of a file. Whether that is news to who waits for it.
    #[inline]
    pub fn publish(
        &mut self,
        sources: &mut dyn Sources,
        file: FileId,
        direction: Direction,
        level: Level,
        arrived: bool,
    ) -> bool {
        let Some(watched) = self.get_mut(file) else { return false };
        let told = match direction {
            Direction::Read => &mut watched.read,
            Direction::Write => &mut watched.write,
        };
        let news = told.tell(level, arrived);
        for watch in &watched.watches {
            sources.publish(watch.source, direction, level, arrived);
        }
        if watched.watches.len() > 1 {
            self.sweep(sources, file);
        }
        news
    }

    /// Publishes both levels in all sources of a file, as one change. Whether each is news.
    pub fn publish_both(
        &mut self,
        sources: &mut dyn Sources,
        file: FileId,
        levels: [(Level, bool); 2],
    ) -> [bool; 2] {
        let Some(watched) = self.get_mut(file) else { return [false; 2] };
        let [(read, came), (write, went)] = levels;
        let news = [watched.read.tell(read, came), watched.write.tell(write, went)];
        for watch in &watched.watches {
            sources.publish_both(watch.source, levels);
        }
        if watched.watches.len() > 1 {
            self.sweep(sources, file);
        }
        news
    }

    /// Sets the errno of a file in all of its sources.
    pub fn set_error(&mut self, sources: &mut dyn Sources, file: FileId, errno: u32) {
        let Some(watched) = self.get_mut(file) else { return };
        watched.errno = errno;
        watched.watches.iter().for_each(|watch| sources.set_error(watch.source, errno));
    }

    /// Does something to each source of a file.
    pub fn each(&self, file: FileId, act: impl FnMut(SourceKey)) {
        let watches = self.get(file).map_or(&[][..], |watched| &watched.watches);
        watches.iter().map(|watch| watch.source).for_each(act);
    }

    /// What the file stood for is gone: its sources end with `errno`, and it gets no others.
    pub fn retire(&mut self, sources: &mut dyn Sources, file: FileId, errno: i32) {
        let Some(watched) = self.get_mut(file) else { return };
        watched.gone.get_or_insert(errno);
        for watch in core::mem::take(&mut watched.watches) {
            self.drop_watch(sources, watch, errno);
        }
    }

    /// The file is closed.
    pub fn end(&mut self, sources: &mut dyn Sources, file: FileId) {
        self.retire(sources, file, 0);
        if self.get(file).is_some() {
            self.files[file.index()] = None;
        }
    }

    /// Sources in all.
    pub fn len(&self) -> usize {
        self.used as usize - self.free.len()
    }

    fn get(&self, file: FileId) -> Option<&Watched> {
        self.files.get(file.index())?.as_ref().filter(|watched| watched.file == file)
    }

    #[inline]
    fn get_mut(&mut self, file: FileId) -> Option<&mut Watched> {
        self.files.get_mut(file.index())?.as_mut().filter(|watched| watched.file == file)
    }

    fn sweep<S: Sources + ?Sized>(&mut self, sources: &mut S, file: FileId) {
        let Some(watched) = self.get_mut(file) else { return };
        let mut at = 0;
        let mut dead = Vec::new();
        while at < watched.watches.len() {
            if sources.is_abandoned(watched.watches[at].source) {
                dead.push(watched.watches.remove(at));
            } else {
                at += 1;
            }
        }
        for watch in dead {
            self.drop_watch(sources, watch, 0);
        }
    }

    fn drop_watch<S: Sources + ?Sized>(&mut self, sources: &mut S, watch: Watch, errno: i32) {
        sources.retire(watch.source, errno);
        self.free.push(watch.source.0);
        if let Some(count) = self.clients.get_mut(&watch.client) {
            *count -= 1;
            if *count == 0 {
                self.clients.remove(&watch.client);
            }
        }
    }
}

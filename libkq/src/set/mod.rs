//! A set of notes: what a kqueue, an epoll set, a /dev/poll set and the sets of poll and select have in common.
//!
//! A set is a [`Queue`] of the engine with its registration at the event server, the threads that wait on it, and its
//! end. What its notes are called, which conditions they ask for and what a delivery writes is its interface's, which
//! says so as [`Member`] and [`View`].
//!
//! Two locks. The *core* lock guards the notes and the ready list; it is held for a harvest and for what changes without
//! a message, never across a call. The *order* lock is held across the calls that make and remove notes, so that these
//! happen one after the other in each set. Order before core.

mod register;
mod wait;

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::hash::Hash;
use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use abi::error::{EAGAIN, EBADF, ENOMEM, Error, Result};
use event_protocol::activation::QueueHeader;
use event_protocol::control::client::{QueueNumber, View as Interface};
use event_protocol::filter::Filters;
use event_protocol::parked::Parked;
use event_protocol::shared::Kept;
use event_protocol::slot::Terms;
use hashbrown::HashMap;

use crate::engine::{Own, Queue, Sink, Unfinished, View};
use crate::nesting::Inner;
use crate::platform::Platform;
use crate::sync::{Mutex, MutexGuard};
pub use register::Registered;

/// Notes for which a fresh set has memory.
const FIRST_BANK: u32 = 256;

/// A note as its set sees it.
pub trait Member: Send + 'static {
    /// What a note is called: a set has at most one of each name.
    type Key: Copy + Eq + Hash + Send;
    /// Whose it is.
    const INTERFACE: Interface;

    /// Its name, which never changes.
    fn key(&self) -> Self::Key;

    /// The shard that knows it.
    fn home(&self) -> u32;

    /// The filters that its slot asks for.
    fn filters(&self) -> Filters;

    /// What its slot says.
    fn terms(&self) -> Terms;

    /// Whether an arrival that it waits for wakes one of all who wait for it.
    fn is_exclusive(&self) -> bool {
        false
    }

    /// Of one of the program's own: whether it is true now.
    fn is_due(&self) -> bool;

    /// The set that it watches, if that is what it watches.
    fn inner(&self) -> Option<&Arc<dyn Inner>> {
        None
    }
}

/// A set.
pub struct Set<P: Platform, V: Member> {
    platform: Arc<P>,
    number: QueueNumber,
    header: Kept<P::Memory, QueueHeader>,
    order: Mutex<()>,
    core: Mutex<Core<P, V>>,
    /// Shards that have seen a note of this set.
    shards: AtomicU64,
    /// Threads that waited here and of whose ends the set hears.
    heard_of: Mutex<Vec<u64>>,
    /// How often a wake-up was handed on: counted with the core lock held.
    handed_on: AtomicU64,
    /// Of arrivals and wake-ups handed on, how many everybody was woken for.
    woken_for: AtomicU64,
    /// A harvest had no room to look at an exclusive note.
    missed: AtomicBool,
}

/// What the core lock guards.
pub struct Core<P: Platform, V: Member> {
    /// The notes and the ready list.
    pub queue: Queue<P::Memory, V>,
    keys: HashMap<V::Key, u32>,
    /// Notes that were told for the last time. They keep their name, so that they can be revived without a call; the
    /// next call or wait frees them.
    retired: Vec<u32>,
    /// Notes that watch sets, and others that have their numbers now.
    nested: Vec<u32>,
    /// The waiter that was woken last, for rotation.
    last_woken: u32,
    closed: bool,
}

/// A harvest that a plain look did not finish; of a closed set nothing is.
pub struct Rest<'a, P: Platform, V: Member> {
    core: MutexGuard<'a, Core<P, V>>,
    unfinished: Option<Unfinished>,
}

/// Held while notes are made and removed.
pub type Order<'a> = MutexGuard<'a, ()>;

impl<P: Platform, V: Member> Set<P, V> {
    /// A set without notes.
    pub fn create(platform: &Arc<P>) -> Result<Set<P, V>> {
        let (number, (region, layout)) = platform.create_queue(FIRST_BANK)?;
        let header = region.keep_queue_header()?;
        let core = Core {
            queue: Queue::new(region, layout)?,
            keys: HashMap::new(),
            retired: Vec::new(),
            nested: Vec::new(),
            last_woken: 0,
            closed: false,
        };
        Ok(Set {
            platform: platform.clone(),
            number,
            header,
            order: Mutex::new(()),
            core: Mutex::new(core),
            shards: AtomicU64::new(0),
            heard_of: Mutex::new(Vec::new()),
            handed_on: AtomicU64::new(0),
            woken_for: AtomicU64::new(0),
            missed: AtomicBool::new(false),
        })
    }

    /// What the set is reached through.
    pub fn platform(&self) -> &Arc<P> {
        &self.platform
    }

    /// Nobody else makes or removes notes while this is held.
    pub fn order(&self) -> Order<'_> {
        self.order.lock()
    }

    /// The notes. `EBADF` when the set is closed.
    #[inline(always)]
    pub fn core(&self) -> Result<MutexGuard<'_, Core<P, V>>> {
        let core = self.core.lock();
        if core.closed { Err(Error::new(EBADF)) } else { Ok(core) }
    }

    /// Harvests what is ready now. `EAGAIN`: a note [needs a call](crate::engine::After::Call).
    #[inline(always)]
    pub fn collect<S: Sink>(&self, sink: &mut S) -> Result<()>
    where
        V: View<S>,
    {
        self.collect_plain(sink).or_else(|rest| self.collect_rest(rest, sink))
    }

    /// The part of it that most looks consist of; the rest is [`collect_rest`](Set::collect_rest)'s.
    #[inline(always)]
    pub fn collect_plain<S: Sink>(&self, sink: &mut S) -> Result<(), Rest<'_, P, V>>
    where
        V: View<S>,
    {
        let mut core = self.core.lock();
        if core.closed {
            return Err(Rest { core, unfinished: None });
        }
        match core.queue.harvest_plain(sink) {
            Ok(false) => {}
            // R13: what is still on the list may be somebody else's to take.
            Ok(true) => self.hand_on(core),
            Err(unfinished) => return Err(Rest { core, unfinished: Some(unfinished) }),
        }
        Ok(())
    }

    /// What a plain look leaves.
    #[inline(never)]
    pub fn collect_rest<S: Sink>(&self, rest: Rest<'_, P, V>, sink: &mut S) -> Result<()>
    where
        V: View<S>,
    {
        let Rest { core, unfinished } = rest;
        let Some(unfinished) = unfinished else { return Err(Error::new(EBADF)) };
        self.harvest(core, unfinished, sink)
    }

    /// Harvests when there is news for certain: after a wake-up.
    #[inline(always)]
    fn collect_news<S: Sink>(&self, sink: &mut S) -> Result<()>
    where
        V: View<S>,
    {
        self.harvest(self.core()?, Unfinished::FROM_NEWS, sink)
    }

    #[inline(always)]
    fn harvest<S: Sink>(
        &self,
        mut core: MutexGuard<'_, Core<P, V>>,
        unfinished: Unfinished,
        sink: &mut S,
    ) -> Result<()>
    where
        V: View<S>,
    {
        let Core { queue, retired, .. } = &mut *core;
        let before = retired.len();
        let left = queue.harvest(unfinished, sink, retired)?;
        if retired.len() != before {
            core.forget_own(before)?;
        }
        if left.more {
            if left.exclusive {
                self.missed.store(true, Ordering::Relaxed);
            }
            self.hand_on(core);
        } else {
            drop(core);
        }
        if left.declined {
            self.hand_back();
        }
        if left.call { Err(Error::new(EAGAIN)) } else { Ok(()) }
    }

    /// Whether it has neither sets in it nor notes to be freed: most have not.
    fn is_plain(&self) -> bool {
        let core = self.core.lock();
        core.retired.is_empty() && core.nested.is_empty()
    }

    /// The sets in it.
    pub fn nested(&self) -> Vec<Arc<dyn Inner>> {
        let mut core = self.core.lock();
        let Core { queue, nested, .. } = &mut *core;
        let mut inner = Vec::new();
        nested.retain(|&index| {
            let found =
                queue.note(index).filter(|note| !note.is_retired()).and_then(|note| note.view.inner());
            found.is_some_and(|found| {
                inner.push(found.clone());
                true
            })
        });
        inner
    }

    /// How many notes are true, and how often something came, here or in a set within; nothing of a closed set.
    pub fn pending(&self) -> (usize, u64) {
        let Ok(mut core) = self.core() else { return (0, 0) };
        let own = |view: &V| {
            let inner = view.inner();
            let arrivals = inner.map_or(0, |inner| inner.look().1);
            Own { due: view.is_due(), stays: inner.is_some(), arrivals }
        };
        core.queue.pending(own).unwrap_or_default()
    }

    /// A set around it is told of every arrival.
    pub fn tell_every_arrival(&self) {
        self.header.tell_every_arrival();
    }

    /// Its parked waiters.
    pub fn parked(&self) -> &Parked {
        self.header.parked()
    }

    /// Whether a note is true, and something has come or was handed on since this was asked last. The caller wakes
    /// everybody next.
    pub fn has_news(&self) -> bool {
        let (due, arrivals) = self.pending();
        // Who was chosen by a wake-up that was handed on has had the lock since, for the line above: it is counted. What
        // comes between the two counts makes them at most that much too large, and everybody is woken after that.
        let came = arrivals.wrapping_add(self.handed_on.load(Ordering::Relaxed));
        due > 0 && self.woken_for.fetch_max(came, Ordering::AcqRel) < came
    }

    /// Closes the set: notes go, and who waits is woken with an error (R34).
    pub fn close(&self) {
        let _order = self.order();
        let notes = {
            let mut core = self.core.lock();
            core.closed = true;
            self.wake_all(&mut core);
            core.clear()
        };
        self.platform.close_queue(self.number, self.shards.load(Ordering::Relaxed));
        // What notes keep open closes here, with no lock held that a harvest needs.
        drop(notes);
    }
}

impl<P: Platform, V: Member> Core<P, V> {
    /// The note of this name, retired or not.
    pub fn find(&self, key: V::Key) -> Option<u32> {
        self.keys.get(&key).copied()
    }

    /// The note of this name.
    pub fn view_of(&self, key: V::Key) -> Option<&V> {
        self.queue.note(self.find(key)?).map(|note| &note.view)
    }

    /// A note loses its name, unless another has it by now.
    fn unname(&mut self, index: u32) {
        if let Some(note) = self.queue.note(index) {
            let key = note.view.key();
            if self.find(key) == Some(index) {
                self.keys.remove(&key);
            }
        }
    }

    /// The names and numbers of all notes.
    pub fn keys(&self) -> impl Iterator<Item = (V::Key, u32)> + '_ {
        self.keys.iter().map(|(key, index)| (*key, *index))
    }

    /// The notes whose names are such.
    pub fn of(&self, such: impl Fn(&V::Key) -> bool) -> Vec<u32> {
        self.keys.iter().filter(|&(key, _)| such(key)).map(|(_, &index)| index).collect()
    }

    /// A note of the program's own, which no server knows.
    pub fn insert_own(&mut self, view: V) -> Result<u32> {
        self.keys.try_reserve(1).map_err(|_| Error::new(ENOMEM))?;
        let (key, nested) = (view.key(), view.inner().is_some());
        self.reserve_name()?;
        let index = self.queue.insert(None, view.terms(), view, false)?;
        self.keys.insert(key, index);
        if nested {
            self.nested.retain(|&other| other != index);
            self.nested.push(index);
        }
        Ok(index)
    }

    /// Makes sure that one more note can have a name. `ENOMEM` (R55).
    fn reserve_name(&mut self) -> Result<()> {
        self.keys.try_reserve(1).map_err(|_| Error::new(ENOMEM))
    }

    /// Removes a note of the program's own.
    pub fn remove_own(&mut self, index: u32) -> Result<()> {
        self.unname(index);
        self.queue.remove(index).map(drop)
    }

    /// Frees the notes of the program's own that were retired at or after position `from`.
    #[cold]
    fn forget_own(&mut self, from: usize) -> Result<()> {
        let mut at = from;
        while let Some(&index) = self.retired.get(at) {
            match self.queue.note(index) {
                Some(note) if note.cell.is_none() => {
                    self.remove_own(index)?;
                    self.retired.swap_remove(at);
                }
                _ => at += 1,
            }
        }
        Ok(())
    }

    /// Takes every note out.
    fn clear(&mut self) -> Vec<V> {
        let Core { queue, keys, retired, .. } = self;
        retired.clear();
        // A note whose ring cannot be drained any more goes with the queue.
        keys.drain().filter_map(|(_, index)| queue.remove(index).ok().flatten()).collect()
    }
}

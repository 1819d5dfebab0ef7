//! The kevent interface over the queue engine. `kqueue(2)`.
//!
//! Two locks. The *core* lock guards the notes and the ready list; it is held for a harvest and for what changes without
//! a message, never across a call. The *order* lock is held across the calls that make and remove notes, so that these
//! happen one after the other in each queue. Order before core.

mod change;
mod knote;
mod schedule;
mod user;
mod wait;

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use abi::error::{EBADF, Error, Result};
use event_protocol::activation::QueueHeader;
use event_protocol::control::client::QueueNumber;
use event_protocol::shared::Kept;
use hashbrown::HashMap;

use crate::engine::{Queue, Unfinished};
use crate::event::filter::Filter;
use crate::event::flags::EventFlags;
use crate::event::{KEvent, Lists};
use crate::file::File;
use crate::platform::Platform;
use crate::sync::{Mutex, MutexGuard};
use knote::KNote;

/// Notes for which a fresh queue has memory.
const FIRST_BANK: u32 = 256;

/// A queue.
pub struct Kqueue<P: Platform> {
    platform: Arc<P>,
    number: QueueNumber,
    header: Kept<P::Memory, QueueHeader>,
    /// Descriptor numbers that stand for it.
    pub(crate) numbers: AtomicU32,
    order: Mutex<()>,
    core: Mutex<Core<P>>,
    /// Shards that have seen a note of this queue.
    shards: AtomicU64,
}

/// What the core lock guards.
struct Core<P: Platform> {
    queue: Queue<P::Memory, KNote<P>>,
    keys: HashMap<(usize, Filter), u32>,
    /// Notes that were told for the last time. They keep their key, so that an `EV_ADD` can revive them without a call;
    /// the next call or wait frees them.
    retired: Vec<u32>,
    /// The waiter that was woken last, for rotation.
    last_woken: u32,
    closed: bool,
}

/// How to find the file behind a number.
pub trait Files<P: Platform> {
    /// The file; `EBADF` when the number is not open, `EINVAL` when it is none that can be watched.
    fn file(&self, fd: i32) -> Result<Arc<File<P>>>;
}

impl<P: Platform> Kqueue<P> {
    /// A new queue.
    pub fn create(platform: &Arc<P>) -> Result<Kqueue<P>> {
        let (number, (region, layout)) = platform.create_queue(FIRST_BANK)?;
        let header = region.keep_queue_header()?;
        let core = Core {
            queue: Queue::new(region, layout)?,
            keys: HashMap::new(),
            retired: Vec::new(),
            last_woken: 0,
            closed: false,
        };
        Ok(Kqueue {
            platform: platform.clone(),
            number,
            header,
            numbers: AtomicU32::new(1),
            order: Mutex::new(()),
            core: Mutex::new(core),
            shards: AtomicU64::new(0),
        })
    }

    /// Applies the changes, then gives events: see [`Process::kevent`](crate::Process::kevent).
    #[inline(always)]
    pub fn kevent<L: Lists>(
        self: &Arc<Self>,
        lists: &mut L,
        files: &impl Files<P>,
        timeout: Option<core::time::Duration>,
    ) -> Result<usize> {
        if lists.change(0).is_some() {
            self.apply(lists, files)?;
            // R2, R3: answers are the whole result, and nothing is drained.
            if lists.used() > 0 {
                return Ok(lists.used());
            }
        }
        if lists.room() == 0 {
            return Ok(0);
        }
        self.collect(lists)?;
        if lists.used() > 0 || timeout.is_some_and(|timeout| timeout.is_zero()) {
            return Ok(lists.used());
        }
        self.wait(lists, timeout)
    }

    /// R1: all changes, in order, before any event.
    #[cold]
    #[inline(never)]
    fn apply<L: Lists>(self: &Arc<Self>, lists: &mut L, files: &impl Files<P>) -> Result<()> {
        let mut index = 0;
        while let Some(change) = lists.change(index) {
            index += 1;
            let errno = match self.change(&change, files) {
                Ok(()) if !change.flags.contains(EventFlags::RECEIPT) => continue,
                Ok(()) => 0,
                Err(error) if lists.room() == 0 => return Err(error),
                Err(error) => error.errno,
            };
            if lists.room() > 0 {
                lists.put(KEvent { flags: EventFlags::ERROR, data: i64::from(errno), ..change });
            }
        }
        Ok(())
    }

    /// Harvests what is ready now.
    #[inline(always)]
    fn collect<L: Lists>(&self, lists: &mut L) -> Result<()> {
        let mut core = self.core.lock();
        if core.closed {
            return Err(Error::new(EBADF));
        }
        match core.queue.harvest_plain(&mut Events(lists)) {
            Ok(false) => {}
            // R13: what is still on the list may be somebody else's to take.
            Ok(true) => self.hand_on(core),
            Err(unfinished) => self.collect_rest(core, unfinished, lists)?,
        }
        Ok(())
    }

    #[inline(never)]
    fn collect_rest<L: Lists>(
        &self,
        mut core: MutexGuard<'_, Core<P>>,
        unfinished: Unfinished,
        lists: &mut L,
    ) -> Result<()> {
        let Core { queue, retired, .. } = &mut *core;
        let before = retired.len();
        queue.harvest(unfinished, &mut Events(lists), retired)?;
        if retired.len() != before {
            core.forget_users(before)?;
        }
        if core.queue.has_ready() {
            self.hand_on(core);
        }
        Ok(())
    }

    /// Closes the queue: notes go, and who waits is woken with an error (R34).
    pub fn close(&self) {
        let _order = self.order.lock();
        let notes = {
            let mut core = self.core.lock();
            core.closed = true;
            self.wake_all(&mut core);
            core.clear()
        };
        self.platform.close_queue(self.number, self.shards.load(Ordering::Relaxed));
        // Timers close here, with no lock held that a harvest needs.
        drop(notes);
    }
}

impl<P: Platform> Core<P> {
    /// Frees the notes of the program's own that were retired at or after position `from`: no server knows them.
    #[cold]
    fn forget_users(&mut self, from: usize) -> Result<()> {
        let mut at = from;
        while let Some(&index) = self.retired.get(at) {
            match self.queue.note(index) {
                Some(note) if note.cell.is_none() => {
                    self.keys.remove(&note.view.key());
                    self.queue.remove(index)?;
                    self.retired.swap_remove(at);
                }
                _ => at += 1,
            }
        }
        Ok(())
    }

    /// Takes every note out.
    fn clear(&mut self) -> Vec<KNote<P>> {
        let Core { queue, keys, retired, .. } = self;
        retired.clear();
        // A note whose ring cannot be drained any more goes with the queue.
        keys.drain().filter_map(|(_, index)| queue.remove(index).ok().flatten()).collect()
    }
}

/// The event list as a sink of the engine.
pub struct Events<'a, L>(&'a mut L);

impl<L: Lists> crate::engine::Sink for Events<'_, L> {
    #[inline]
    fn is_full(&self) -> bool {
        self.0.room() == 0
    }
}

impl<L: Lists> Lists for Events<'_, L> {
    #[inline]
    fn change(&self, index: usize) -> Option<KEvent> {
        self.0.change(index)
    }

    #[inline]
    fn put(&mut self, event: KEvent) -> bool {
        self.0.put(event)
    }

    #[inline(always)]
    fn put_with(&mut self, event: &KEvent, data: i64) -> bool {
        self.0.put_with(event, data)
    }

    #[inline]
    fn room(&self) -> usize {
        self.0.room()
    }

    #[inline]
    fn used(&self) -> usize {
        self.0.used()
    }
}

//! Notes of a set at the event server: made, removed, changed, in as few calls as order allows.

use alloc::vec::Vec;
use core::sync::atomic::Ordering;

use abi::error::{EBADMSG, EINVAL, ENOENT, ENOMEM, Error, Result};
use event_protocol::badge::SourceId;
use event_protocol::control::client::Change;
use event_protocol::control::limits::{MAX_BANK_SLOTS, MAX_CHANGES};
use event_protocol::control::policy::Policy;

use super::{Core, Member, Order, Set};
use crate::engine::Truth;
use crate::platform::{Platform, Source};
use crate::sync::MutexGuard;

/// Each further bank is so many times larger than the one before, up to the largest.
const GROWTH: u32 = 4;

/// A note that is made here and not yet at the server.
#[derive(Clone, Copy, Debug)]
pub struct Registered {
    /// Its number in the set.
    pub index: u32,
    shard: u32,
    change: Change,
    exclusive: bool,
}

impl Registered {
    /// The shard that must be asked.
    pub fn shard(&self) -> u32 {
        self.shard
    }
}

impl<P: Platform, V: Member> Set<P, V> {
    /// Makes a note, here and with the server, which activates it at once when it is true.
    pub fn add(&self, order: &Order<'_>, note: V, source: &Source<P::Memory>) -> Result<u32> {
        let made = self.prepare(order, note, source)?;
        let results = self.register(order, &[made], 1);
        // Every change has a result, or those after a failure have none.
        results.into_iter().next().unwrap_or(Err(Error::new(EBADMSG))).map(|()| made.index)
    }

    /// Makes a note here. The server must be told next, under the same order lock: [`register`](Set::register).
    pub fn prepare(&self, order: &Order<'_>, note: V, source: &Source<P::Memory>) -> Result<Registered> {
        self.make_room(order)?;
        let (key, filters) = (note.key(), note.filters());
        let mut core = self.core()?;
        core.keys.try_reserve(1).map_err(|_| Error::new(ENOMEM))?;
        let terms = note.terms();
        core.reserve_name()?;
        let shard = source.id.shard();
        let exclusive = note.is_exclusive();
        let index = core.queue.insert(Some((shard, source.cell.clone())), terms, note, exclusive)?;
        core.keys.insert(key, index);
        let (bank, slot, generation) = core.queue.name(index).ok_or(Error::new(EINVAL))?;
        let (source, view) = (source.id, V::INTERFACE);
        let change = Change::Add { source, bank, slot, generation, filters, view, exclusive };
        Ok(Registered { index, shard, change, exclusive })
    }

    /// Tells the server of notes that were prepared, in order within each shard, one call for each shard that has any
    /// (and for each [`MAX_CHANGES`]). What fails is not made. After `failures` failures in a shard what follows there is
    /// undone too and has no result: results are of the first so many notes. Only with all notes of one shard is that a
    /// stop at the failure.
    pub fn register(&self, order: &Order<'_>, made: &[Registered], failures: u32) -> Vec<Result<()>> {
        let mut results: Vec<Option<Result<()>>> = made.iter().map(|_| None).collect();
        let mut asked = 0_u64;
        for note in made {
            let bit = 1 << (note.shard & 63);
            if asked & bit == 0 {
                asked |= bit;
                self.shards.fetch_or(bit, Ordering::Relaxed);
                self.register_in(note.shard, made, failures, &mut results);
            }
        }
        for (note, result) in made.iter().zip(&results) {
            match result {
                Some(Ok(())) if note.exclusive => self.show(note.index),
                Some(Ok(())) => {}
                _ => self.take_back(order, note.index),
            }
        }
        results.into_iter().map_while(|result| result).collect()
    }

    fn register_in(
        &self,
        shard: u32,
        made: &[Registered],
        failures: u32,
        results: &mut [Option<Result<()>>],
    ) {
        let own: Vec<usize> = (0..made.len()).filter(|&at| made[at].shard == shard).collect();
        for part in own.chunks(MAX_CHANGES) {
            let changes = part.iter().map(|&at| made[at].change).collect();
            match self.platform.changes(shard, self.number, failures, changes) {
                Ok(done) => {
                    for &at in part.iter().take(done.processed) {
                        results[at] = Some(Ok(()));
                    }
                    for (failed, error) in &done.failures {
                        if let Some(&at) = part.get(*failed) {
                            results[at] = Some(Err(*error));
                        }
                    }
                    if done.processed < part.len() {
                        return;
                    }
                }
                Err(error) => {
                    for &at in part {
                        results[at] = Some(Err(error));
                    }
                }
            }
        }
    }

    /// Has an exclusive note that the server knows be looked at by everybody who comes here, and by one who waits here if it
    /// is true (R50), or by all if it says that something is over.
    pub fn show(&self, index: u32) {
        let Ok(mut core) = self.core() else { return };
        match core.queue.show(index) {
            Truth::No => {}
            Truth::Yes => self.hand_on(core),
            Truth::Over => self.wake_all(&mut core),
        }
    }

    /// Makes a note exclusive, or no longer, here and at the server, after it was changed.
    pub fn set_exclusive(&self, order: &Order<'_>, index: u32, exclusive: bool) -> Result<()> {
        self.core()?.queue.set_exclusive(index, exclusive);
        let told = self.refilter(order, index);
        if told.is_ok() {
            self.show(index);
        }
        told
    }

    /// Whom an arrival wakes, as far as the exclusive notes that the set has on this one's source are concerned; `None`: as the
    /// source or the server says. `EINVAL`: the note is not exclusive.
    pub fn prefer(&self, order: &Order<'_>, key: V::Key, policy: Option<Policy>) -> Result<()> {
        self.say_policy(order, key, |(bank, slot, generation)| Change::Prefer {
            bank,
            slot,
            generation,
            policy,
        })
    }

    /// The same for all who have the file of an exclusive note, which is watched by this source.
    pub fn prefer_all(
        &self,
        order: &Order<'_>,
        key: V::Key,
        source: SourceId,
        policy: Option<Policy>,
    ) -> Result<()> {
        self.say_policy(order, key, |_| Change::PreferAll { source, policy })
    }

    fn say_policy(
        &self,
        _order: &Order<'_>,
        key: V::Key,
        change: impl FnOnce((u8, u32, u32)) -> Change,
    ) -> Result<()> {
        let (name, shard) = {
            let core = self.core()?;
            let index = core.find(key).ok_or(Error::new(ENOENT))?;
            let note = core.queue.note(index).filter(|note| !note.is_retired()).ok_or(Error::new(ENOENT))?;
            if !note.view.is_exclusive() {
                return Err(Error::new(EINVAL));
            }
            (core.queue.name(index), note.view.home())
        };
        let name = name.ok_or(Error::new(EINVAL))?;
        self.platform.change(shard, self.number, change(name))
    }

    /// Undoes [`prepare`](Set::prepare).
    fn take_back(&self, _order: &Order<'_>, index: u32) {
        let mut core = self.core.lock();
        core.unname(index);
        let note = core.queue.remove(index);
        drop(core);
        // What it keeps open closes here: not under the lock.
        drop(note);
    }

    /// Has `make` make a note of this name in the place of the one that has it now: that one goes when this is made, and
    /// keeps its name when it cannot be.
    pub fn replace<T>(&self, order: &Order<'_>, key: V::Key, make: impl FnOnce() -> Result<T>) -> Result<T> {
        let before = self.core()?.find(key);
        let made = make();
        if let Some(before) = before {
            match made {
                // The note is gone here; a dead server cannot object.
                Ok(_) => drop(self.delete(order, before)),
                Err(_) => drop(self.core.lock().keys.insert(key, before)),
            }
        }
        made
    }

    /// Makes the note of this name one of the program's own, which needs no memory here. False when there is none.
    pub fn turn(&self, _order: &Order<'_>, key: V::Key, view: V) -> bool {
        let (index, known) = {
            let mut core = self.core.lock();
            let Some(index) = core.find(key) else { return false };
            let known = core.queue.note(index).filter(|note| note.cell.is_some());
            let shard = known.map(|note| note.view.home());
            core.queue.silence(index);
            (index, shard.zip(core.queue.name(index)))
        };
        if let Some((shard, (bank, slot, generation))) = known {
            // The note is silent; a dead server cannot object.
            let _ = self.platform.change(shard, self.number, Change::Delete { bank, slot, generation });
        }
        let mut core = self.core.lock();
        let before = core.queue.turn(index, view);
        self.look(core, index, true);
        // What it kept open closes here: not under the lock.
        drop(before);
        true
    }

    /// Removes a note that the server knows. R35: it is silent before the server is asked.
    pub fn delete(&self, order: &Order<'_>, index: u32) -> Result<()> {
        self.delete_if(order, index, |_| true)
    }

    /// Removes a note that may still be told. R10: one that was told for the last time is gone, though it was there a
    /// moment ago: `ENOENT`.
    pub fn delete_live(&self, order: &Order<'_>, index: u32) -> Result<()> {
        self.delete_if(order, index, |retired| !retired)
    }

    fn delete_if(&self, _order: &Order<'_>, index: u32, may: impl FnOnce(bool) -> bool) -> Result<()> {
        let (name, shard) = {
            let mut core = self.core.lock();
            let Some(note) = core.queue.note(index) else { return Ok(()) };
            if !may(note.is_retired()) {
                return Err(Error::new(ENOENT));
            }
            if note.cell.is_none() {
                return core.remove_own(index);
            }
            let shard = note.view.home();
            core.unname(index);
            core.queue.silence(index);
            (core.queue.name(index), shard)
        };
        let (bank, slot, generation) = name.ok_or(Error::new(EINVAL))?;
        let asked = self.platform.change(shard, self.number, Change::Delete { bank, slot, generation });
        let note = self.core.lock().queue.remove(index);
        drop(note?);
        match asked {
            // Gone with its source already.
            Err(error) if error.errno == ENOENT => Ok(()),
            asked => asked,
        }
    }

    /// Tells the server which filters a note asks for now, after its slot says so.
    pub fn refilter(&self, _order: &Order<'_>, index: u32) -> Result<()> {
        let (name, shard, filters, exclusive) = {
            let core = self.core()?;
            let Some(note) = core.queue.note(index) else { return Err(Error::new(ENOENT)) };
            (core.queue.name(index), note.view.home(), note.view.filters(), note.view.is_exclusive())
        };
        let (bank, slot, generation) = name.ok_or(Error::new(EINVAL))?;
        let change = Change::Modify { bank, slot, generation, filters, exclusive };
        self.platform.change(shard, self.number, change)
    }

    /// R31: removes a note whose descriptor is being closed, if there is one of this name.
    pub fn purge(&self, order: &Order<'_>, key: V::Key) {
        let found = self.core.lock().find(key);
        if let Some(index) = found {
            // The note is gone here; a dead server cannot object.
            let _ = self.delete(order, index);
        }
    }

    /// Puts a note where a harvest finds it, if it may be true (`worth`), and wakes somebody for it.
    pub fn look(&self, mut core: MutexGuard<'_, Core<P, V>>, index: u32, worth: bool) {
        if worth {
            core.queue.look(index);
        }
        if core.queue.has_ready() {
            self.hand_on(core);
        }
    }

    /// Frees what was delivered for the last time.
    pub fn free_retired(&self) -> Result<()> {
        if self.core.lock().retired.is_empty() {
            return Ok(());
        }
        self.free_retired_but(&self.order(), None)
    }

    /// The same, but for the note that a change may revive.
    pub fn free_retired_but(&self, order: &Order<'_>, kept: Option<V::Key>) -> Result<()> {
        let retired: Vec<u32> = {
            let mut core = self.core.lock();
            let Core { queue, keys, retired, .. } = &mut *core;
            let mut gone = core::mem::take(retired);
            // One that was revived and told again is in it twice.
            gone.sort_unstable();
            gone.dedup();
            gone.retain(|&index| match queue.note(index) {
                Some(note) if note.is_retired() => {
                    let keep = kept.is_some_and(|key| key == note.view.key());
                    if keep {
                        retired.push(index);
                    } else {
                        // From here on nobody can revive it.
                        keys.remove(&note.view.key());
                    }
                    !keep
                }
                _ => false,
            });
            gone
        };
        retired.into_iter().try_for_each(|index| self.delete(order, index))
    }

    /// Makes sure that one note can be inserted.
    pub fn make_room(&self, _order: &Order<'_>) -> Result<()> {
        let (banks, slots) = {
            let mut core = self.core.lock();
            if core.queue.has_room() {
                return Ok(());
            }
            let banks = core.queue.banks();
            let slots =
                GROWTH.saturating_pow(banks as u32).saturating_mul(super::FIRST_BANK).min(MAX_BANK_SLOTS);
            core.queue.reserve(slots)?;
            (banks, slots)
        };
        let (region, layout) = self.platform.grow_queue(self.number, banks, slots)?;
        self.core.lock().queue.grow(region, layout)
    }
}

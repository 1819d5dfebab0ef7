//! Change lists: all changes in order (R1), and those that need the server in as few calls as order allows.

use alloc::vec::Vec;

use abi::error::Result;
use event_protocol::control::limits::MAX_CHANGES;

use super::change::{check, key};
use super::{Kqueue, ON_DESCRIPTORS};
use crate::event::flags::EventFlags;
use crate::event::{KEvent, Lists};
use crate::file::Files;
use crate::platform::Platform;
use crate::set::Registered;

impl<P: Platform> Kqueue<P> {
    /// R1: all changes, in order, before any event.
    #[cold]
    #[inline(never)]
    pub(super) fn apply<L: Lists>(&self, lists: &mut L, files: &impl Files<P>) -> Result<()> {
        let mut index = 0;
        while let Some(change) = lists.change(index) {
            // A run of one is a change like any other.
            if is_new(&change) && lists.change(index + 1).is_some_and(|next| is_new(&next)) {
                let done = self.add_run(lists, index, files)?;
                index += done;
                if done > 0 {
                    continue;
                }
            }
            index += 1;
            answer(lists, &change, self.change(&change, files))?;
        }
        Ok(())
    }

    /// Makes the notes that the changes from `first` on ask for, as long as they are new ones on descriptors, with one
    /// call to each shard. Returns how many changes that were. Whatever is not of this kind, or fails here, ends the run
    /// and is done by itself.
    ///
    /// R2: with room in the event list no failure keeps a later change from being made, so the order of shards does not
    /// matter; without, the run is of one shard, which stops at the first failure.
    fn add_run<L: Lists>(&self, lists: &mut L, first: usize, files: &impl Files<P>) -> Result<usize> {
        let room = lists.room();
        let most = if room == 0 { MAX_CHANGES } else { room.min(MAX_CHANGES) };
        let asked = (0..most).map_while(|at| lists.change(first + at)).take_while(is_new);
        asked.for_each(|change| self.ask(&change, files));
        let order = self.set.order();
        let mut run: Vec<(KEvent, Registered)> = Vec::new();
        while run.len() < most
            && let Some(change) = lists.change(first + run.len())
            && is_new(&change)
            && check(&change).is_ok()
            && self.set.core()?.find(key(&change)).is_none()
        {
            let Ok((note, source)) = self.on_descriptor(&change, files) else { break };
            let other = run.first().is_some_and(|(_, made)| made.shard() != source.id.shard());
            if room == 0 && other {
                break;
            }
            let Ok(made) = self.set.prepare(&order, note, &source) else { break };
            run.push((change, made));
        }
        let made: Vec<Registered> = run.iter().map(|(_, made)| *made).collect();
        let failures = if room == 0 { 1 } else { u32::MAX };
        let results = self.set.register(&order, &made, failures);
        let done = results.len();
        for ((change, _), result) in run.iter().zip(results) {
            answer(lists, change, result)?;
        }
        Ok(done)
    }
}

/// Whether the change asks for a note on a descriptor, which may be a new one.
fn is_new(change: &KEvent) -> bool {
    change.flags.contains(EventFlags::ADD) && ON_DESCRIPTORS.contains(&change.filter)
}

/// R2, R3: failures and receipts are answered; without room for a failure the call fails.
fn answer<L: Lists>(lists: &mut L, change: &KEvent, result: Result<()>) -> Result<()> {
    let errno = match result {
        Ok(()) if !change.flags.contains(EventFlags::RECEIPT) => return Ok(()),
        Ok(()) => 0,
        Err(error) if lists.room() == 0 => return Err(error),
        Err(error) => error.errno,
    };
    if lists.room() > 0 {
        lists.put(KEvent { flags: EventFlags::ERROR, data: i64::from(errno), ..*change });
    }
    Ok(())
}

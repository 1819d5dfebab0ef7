//! A queue's events in a ring of the program's own, where threads read them in place and commit them by index.
//!
//! A thread that takes an event from `kevent` and dies has taken it with it. Here an event is a thread's only when the thread
//! [commits](Taken::commit) it: dropped without that, or [recovered](UserRing::recover) from a thread that is no more, it
//! reaches another thread. Deliveries are put into the ring under the queue's own lock, so none is between the two.
//!
//! An event is in the ring once for each time that `kevent` would have told it. Threads that share a queue add notes with
//! `EV_DISPATCH`, `EV_ONESHOT` or `EV_CLEAR`, as they would without a ring. R35 holds: when a delete has returned, nobody
//! is handed the event any more, also not from a dead thread.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::time::Duration;

use abi::error::{ECANCELED, EINVAL, ENOBUFS, Error, Result};
use abi::limits::FOREVER;
use claim_ring::{Claim, Event, Ring};

use crate::event::filter::Filter;
use crate::event::flags::EventFlags;
use crate::event::{KEvent, Lists};
use crate::file::Files;
use crate::interruption::deadline;
use crate::kqueue::{Kqueue, POKE};
use crate::platform::Platform;
use crate::sync::Mutex;

/// Events that a ring has room for, at most.
pub const MAX_EVENTS: usize = 65536;

/// A ring.
pub struct UserRing<P: Platform> {
    queue: Arc<Kqueue<P>>,
    ring: Arc<Ring>,
    /// Threads that have taken events; a claim names its thread by the place here. Never reused: a thread that is believed
    /// dead is another one when it comes back.
    owners: Mutex<Vec<Option<u64>>>,
}

/// An event that a thread has taken. Dropped without a commit it is another's to take.
#[must_use]
pub struct Taken<'a, P: Platform> {
    from: &'a UserRing<P>,
    claim: Option<Claim>,
}

impl<P: Platform> UserRing<P> {
    /// A ring of so many events over a queue, which can be used without it too. `EINVAL`: more than [`MAX_EVENTS`].
    pub fn new(queue: Arc<Kqueue<P>>, events: usize) -> Result<UserRing<P>> {
        if events > MAX_EVENTS {
            return Err(Error::new(EINVAL));
        }
        let ring = Arc::new(Ring::new(events.max(1)));
        queue.attach(&ring)?;
        Ok(UserRing { queue, ring, owners: Mutex::new(Vec::new()) })
    }

    /// Takes an event, waiting for one up to `timeout`. `ENOBUFS`: there is no room, since every event in the ring is taken
    /// and not committed.
    pub fn take(&self, files: &impl Files<P>, timeout: Option<Duration>) -> Result<Option<Taken<'_, P>>> {
        let platform = self.queue.platform();
        let until = deadline(&**platform, timeout);
        let owner = self.owner(platform.thread());
        loop {
            if let Some(claim) = self.ring.claim(owner) {
                return Ok(Some(Taken { from: self, claim: Some(claim) }));
            }
            if self.ring.room() == 0 {
                return Err(Error::new(ENOBUFS));
            }
            let left = match until {
                FOREVER => None,
                until => Some(Duration::from_nanos(until.saturating_sub(platform.now()))),
            };
            let mut places = Places { ring: &self.ring, used: 0 };
            let told = self.queue.kevent(&mut places, files, left)?;
            if told == 0 && left.is_some_and(|left| left.is_zero()) {
                return Ok(None);
            }
        }
    }

    fn owner(&self, thread: u64) -> u32 {
        let mut owners = self.owners.lock();
        let known = owners.iter().position(|&owner| owner == Some(thread));
        let place = known.unwrap_or(owners.len());
        if known.is_none() {
            owners.push(Some(thread));
        }
        place as u32
    }

    /// A thread is no more, or will not come back to what it has taken: others get it. Returns how many events that are.
    pub fn recover(&self, thread: u64) -> usize {
        let owner = {
            let mut owners = self.owners.lock();
            let Some(place) = owners.iter().position(|&owner| owner == Some(thread)) else { return 0 };
            owners[place] = None;
            place as u32
        };
        let ready = self.ring.recover(owner);
        if ready > 0 {
            self.queue.poke();
        }
        ready
    }
}

impl<P: Platform> Taken<'_, P> {
    /// Its place in the ring.
    pub fn index(&self) -> u32 {
        self.claim.map_or(0, |claim| claim.index())
    }

    /// The event.
    pub fn event(&self) -> KEvent {
        self.claim.map_or(KEvent::default(), |claim| unpack(self.from.ring.event(&claim)))
    }

    /// The event is done. `ECANCELED`: it had been taken away from this thread, and is another's to do.
    pub fn commit(mut self) -> Result<()> {
        let done = self.claim.take().is_some_and(|claim| self.from.ring.commit(claim));
        if self.from.ring.room() == 1 {
            // There was no room: what could not be told can be now.
            self.from.queue.poke();
        }
        if done { Ok(()) } else { Err(Error::new(ECANCELED)) }
    }
}

impl<P: Platform> Drop for Taken<'_, P> {
    fn drop(&mut self) {
        if let Some(claim) = self.claim.take()
            && self.from.ring.give_back(claim)
        {
            self.from.queue.poke();
        }
    }
}

/// The ring as an event list. Its events are put under the queue's lock, so one thread at a time does.
struct Places<'a> {
    ring: &'a Ring,
    used: usize,
}

impl Lists for Places<'_> {
    fn change(&self, _index: usize) -> Option<KEvent> {
        None
    }

    fn put(&mut self, event: KEvent) -> bool {
        // A poke says only that there is something to look for.
        let told = event.filter == POKE || self.ring.put(pack(&event));
        self.used += usize::from(told);
        told
    }

    fn room(&self) -> usize {
        self.ring.room()
    }

    fn used(&self) -> usize {
        self.used
    }
}

fn pack(event: &KEvent) -> Event {
    let filter = u64::from(event.filter.0 as u16);
    let what = filter | u64::from(event.flags.bits()) << 16 | u64::from(event.fflags) << 32;
    [event.ident as u64, what, event.data as u64, event.udata as u64]
}

fn unpack([ident, what, data, udata]: Event) -> KEvent {
    KEvent {
        ident: ident as usize,
        filter: Filter(what as u16 as i16),
        flags: EventFlags::from_bits_retain((what >> 16) as u16),
        fflags: (what >> 32) as u32,
        data: data as i64,
        udata: udata as usize,
    }
}

/// Whether an event in a ring is one of this name.
pub(crate) fn is_of(event: &Event, ident: usize, filter: Filter) -> bool {
    let event = unpack(*event);
    (event.ident, event.filter) == (ident, filter)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_comes_back_as_it_was() {
        let event = KEvent {
            ident: usize::MAX - 1,
            filter: Filter::EXCEPT,
            flags: EventFlags::EOF | EventFlags::ONESHOT,
            fflags: 0x8000_0001,
            data: -5,
            udata: 77,
        };
        assert_eq!(unpack(pack(&event)), event);
        assert!(is_of(&pack(&event), event.ident, event.filter));
        assert!(!is_of(&pack(&event), event.ident, Filter::READ));
    }
}

//! A queue's events in a ring of the program's own, where threads read them in place and commit them by index.
//!
//! A thread that takes an event from `kevent` and dies has taken it with it. Here an event is a thread's only when the thread
//! [commits](Taken::commit) it: dropped without that, or when the thread ends, by itself or killed from outside, it reaches
//! another thread, by itself (R58). [Recovered](UserRing::recover) it does so from a thread that lives. Deliveries are put into the ring under the queue's own lock, so none is between the two.
//!
//! An event is in the ring once for each time that `kevent` would have told it. Threads that share a queue add notes with
//! `EV_DISPATCH`, `EV_ONESHOT` or `EV_CLEAR`, as they would without a ring. R35 holds: when a delete has returned, nobody
//! is handed the event any more, also not from a dead thread.
//!
//! Who waits is parked on the queue and on the ring, so that what becomes ready in the ring without the queue, because it
//! was given back or because another thread told it all at once, wakes one who waits for just that:
//!
//! ```text
//! who waits                               who makes an event ready, or leaves one behind
//! ring's parked |= bit                     its place is ready
//! state = PARKED, queue's parked |= bit    fence(SeqCst)
//! fence(SeqCst)                            look at the ring's parked
//! look at the queue, and at the ring         CAS state PARKED → CHOSEN: signal
//! nothing: wait
//! ```
//! Who was woken claims one event and, when there are more, wakes the next.

use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;
use core::sync::atomic::{AtomicU32, Ordering, fence};
use core::time::Duration;

use abi::error::{ECANCELED, EINVAL, ENOBUFS, Error, Result};
use abi::limits::FOREVER;
use claim_ring::{Claim, Event, Ring};
use event_protocol::park::choose;
use event_protocol::parked::Parked;

use crate::ending::Ending;
use crate::event::filter::Filter;
use crate::event::flags::EventFlags;
use crate::event::{KEvent, Lists};
use crate::file::Files;
use crate::interruption::deadline;
use crate::kqueue::Kqueue;
use crate::platform::Platform;
use crate::sync::Mutex;

/// Events that a ring has room for, at most.
pub const MAX_EVENTS: usize = 65536;

/// A ring.
pub struct UserRing<P: Platform> {
    shared: Arc<Shared<P>>,
}

/// What is there as long as somebody may have to hear of a thread's end.
struct Shared<P: Platform> {
    queue: Arc<Kqueue<P>>,
    ring: Arc<Served>,
    owners: Mutex<Owners>,
}

/// Threads that live and have taken events, and the numbers by which claims name them. A number is never used again: a
/// thread that is believed dead is another one when it comes back.
#[derive(Default)]
struct Owners {
    known: Vec<(u64, Option<u32>)>,
    next: u32,
}

impl Owners {
    /// The number of a thread that is known.
    fn number(&mut self, thread: u64) -> Option<u32> {
        let Owners { known, next } = self;
        let (_, number) = known.iter_mut().find(|&&mut (owner, _)| owner == thread)?;
        Some(*number.get_or_insert_with(|| {
            *next = next.wrapping_add(1);
            *next
        }))
    }

    /// The number is no thread's any more.
    fn take(&mut self, thread: u64) -> Option<u32> {
        self.known.iter_mut().find(|&&mut (owner, _)| owner == thread)?.1.take()
    }
}

/// An event that a thread has taken. Dropped without a commit it is another's to take.
#[must_use]
pub struct Taken<'a, P: Platform> {
    from: &'a Shared<P>,
    claim: Option<Claim>,
}

impl<P: Platform> UserRing<P> {
    /// A ring of so many events over a queue, which can be used without it too. `EINVAL`: more than [`MAX_EVENTS`].
    pub fn new(queue: Arc<Kqueue<P>>, events: usize) -> Result<UserRing<P>> {
        if events > MAX_EVENTS {
            return Err(Error::new(EINVAL));
        }
        let ring = Arc::new(Served {
            ring: Ring::new(events.max(1)),
            parked: Parked::default(),
            last_woken: AtomicU32::new(0),
        });
        queue.attach(&ring)?;
        let owners = Mutex::new(Owners::default());
        Ok(UserRing { shared: Arc::new(Shared { queue, ring, owners }) })
    }

    /// Takes an event, waiting for one up to `timeout`. `ENOBUFS`: there is no room, since every event in the ring is taken
    /// and not committed.
    pub fn take(&self, files: &impl Files<P>, timeout: Option<Duration>) -> Result<Option<Taken<'_, P>>> {
        let Shared { queue, ring: served, .. } = &*self.shared;
        let ring = &served.ring;
        let platform = queue.platform();
        let until = deadline(&**platform, timeout);
        let thread = platform.thread();
        self.know(thread)?;
        loop {
            if let Some(taken) = self.claim(thread) {
                return Ok(Some(taken));
            }
            if ring.room() == 0 {
                return Err(Error::new(ENOBUFS));
            }
            let left = match until {
                FOREVER => None,
                until => Some(Duration::from_nanos(until.saturating_sub(platform.now()))),
            };
            let mut places = Places { served, used: 0 };
            let told = queue.kevent(&mut places, files, left)?;
            if told == 0 && left.is_some_and(|left| left.is_zero()) {
                // Another thread may have told what there was.
                return Ok(self.claim(thread));
            }
        }
    }

    /// The number is asked for with each claim and not before a wait: a recovery takes it from a thread that waits, too. With the
    /// lock held, since what is claimed by a number that was taken between the two would be nobody's to recover.
    fn claim(&self, thread: u64) -> Option<Taken<'_, P>> {
        let claim = {
            let mut owners = self.shared.owners.lock();
            self.shared.ring.ring.claim(owners.number(thread)?)?
        };
        self.shared.wake_if_ready();
        Some(Taken { from: &self.shared, claim: Some(claim) })
    }

    /// The end of the calling thread is heard of from now on.
    fn know(&self, thread: u64) -> Result<()> {
        if self.shared.owners.lock().number(thread).is_some() {
            return Ok(());
        }
        let shared: Weak<Shared<P>> = Arc::downgrade(&self.shared);
        self.shared.queue.platform().when_thread_ends(shared)?;
        self.shared.owners.lock().known.push((thread, None));
        Ok(())
    }

    /// A thread will not come back to what it has taken: others get it. Returns how many events that are. Of threads that end
    /// nobody has to say so.
    pub fn recover(&self, thread: u64) -> usize {
        self.shared.recover(thread)
    }
}

impl<P: Platform> Shared<P> {
    fn recover(&self, thread: u64) -> usize {
        let Some(owner) = self.owners.lock().take(thread) else { return 0 };
        let ready = self.ring.ring.recover(owner);
        if ready > 0 {
            self.wake_one();
        }
        ready
    }

    /// Wakes one who waits with this ring.
    fn wake_one(&self) {
        self.ring.wake_one(&**self.queue.platform(), |_| true);
    }

    /// The same, if an event is ready.
    fn wake_if_ready(&self) {
        self.ring.wake_one(&**self.queue.platform(), Ring::has_ready);
    }
}

impl<P: Platform> Ending for Shared<P> {
    /// R58: what it had taken, and what it was woken for, is another's.
    fn thread_ended(&self, thread: u64) {
        // First it waits no more, so that it is not chosen again.
        self.queue.thread_ended(thread);
        self.recover(thread);
        self.owners.lock().known.retain(|&(owner, _)| owner != thread);
        // What it was woken for, or told and did not claim.
        self.wake_if_ready();
    }
}

impl<P: Platform> Taken<'_, P> {
    /// Its place in the ring.
    pub fn index(&self) -> u32 {
        self.claim.map_or(0, |claim| claim.index())
    }

    /// The event.
    pub fn event(&self) -> KEvent {
        self.claim.map_or(KEvent::default(), |claim| unpack(self.from.ring.ring.event(&claim)))
    }

    /// The event is done. `ECANCELED`: it had been taken away from this thread, and is another's to do.
    pub fn commit(mut self) -> Result<()> {
        let done = self.claim.take().is_some_and(|claim| self.from.ring.ring.commit(claim));
        if self.from.ring.ring.room() == 1 {
            // There was no room: what could not be told can be now.
            self.from.wake_one();
        }
        if done { Ok(()) } else { Err(Error::new(ECANCELED)) }
    }
}

impl<P: Platform> Drop for Taken<'_, P> {
    fn drop(&mut self) {
        if let Some(claim) = self.claim.take()
            && self.from.ring.ring.give_back(claim)
        {
            self.from.wake_one();
        }
    }
}

/// A ring, and who waits for what is in it.
pub(crate) struct Served {
    ring: Ring,
    parked: Parked,
    /// For rotation: a hint.
    last_woken: AtomicU32,
}

impl Served {
    /// Who waits with this ring.
    pub fn parked(&self) -> &Parked {
        &self.parked
    }

    /// Drops the events of this name.
    pub fn forget(&self, ident: usize, filter: Filter) {
        self.ring.forget(|event| is_of(event, ident, filter));
    }

    /// Wakes one who waits, if there is a reason still.
    fn wake_one(&self, platform: &impl Platform, reason: impl FnOnce(&Ring) -> bool) {
        // The ring is as it is before the look at who waits.
        fence(Ordering::SeqCst);
        if self.parked.looks_empty() || !reason(&self.ring) {
            return;
        }
        let (waiters, _) = platform.waiters();
        if let Some(number) = choose(&self.parked, waiters, self.last_woken.load(Ordering::Relaxed)) {
            self.last_woken.store(number, Ordering::Relaxed);
            platform.wake(number);
        }
    }
}

/// The ring as an event list. Its events are put under the queue's lock, so one thread at a time does.
struct Places<'a> {
    served: &'a Served,
    used: usize,
}

impl Lists for Places<'_> {
    fn change(&self, _index: usize) -> Option<KEvent> {
        None
    }

    fn put(&mut self, event: KEvent) -> bool {
        let told = self.served.ring.put(pack(&event));
        self.used += usize::from(told);
        told
    }

    fn room(&self) -> usize {
        self.served.ring.room()
    }

    fn used(&self) -> usize {
        self.used
    }

    fn is_done(&self) -> bool {
        self.used > 0 || self.served.ring.has_ready() || self.room() == 0
    }

    fn parked(&self) -> Option<&Parked> {
        Some(&self.served.parked)
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
fn is_of(event: &Event, ident: usize, filter: Filter) -> bool {
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

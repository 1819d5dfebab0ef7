//! Sets that are watched by other sets.
//!
//! A set is a source inside its process: it can be read when it has something to tell. No server knows that note. The
//! outer set asks the inner one at each look, and whoever waits on the outer set is parked on the inner ones too, so that
//! what comes for them, from the event server or from the program, may choose it.
//!
//! ```text
//! who waits on the outer set             shard, or a thread that triggers
//! inner.parked |= bit, for each inner     push, pending |= bit
//! state = PARKED, outer.parked |= bit     fence(SeqCst)
//! fence(SeqCst)                           look at inner.parked
//! look at the outer set, which looks        CAS state PARKED → CHOSEN: signal
//!   at the inner ones; nothing: wait
//! ```
//! What comes chooses one waiter, who may be one that has no use for it: an edge that its set has told, a note that is
//! off. So who was chosen wakes all others that are parked on the sets within which have something to tell, unless somebody
//! has done so since that came: a set counts what came and what was handed on, and remembers up to which count all were woken.
//! Who parks after that has looked at what had come. So each arrival wakes everybody once at most, and that ends it.
//!
//! An edge-triggered set around another tells each arrival in it once, also at a level note that is true and was not
//! told. Such a note is queued already, so the shard is told to wake for it all the same
//! ([`QueueHeader::tell_every_arrival`](event_protocol::activation::QueueHeader::tell_every_arrival)).
//!
//! A bit that is seen before the state says PARKED chooses nobody, and then the look after the fence finds what was
//! pushed. The bits are taken out of the very sets that they were put into, after the state is won back.
//!
//! Looks go down, from outer to inner sets, and hold the core locks on their way; so rings of sets are refused, and chains
//! are short (R37).

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicU64, Ordering, fence};

use abi::error::{EINVAL, ELOOP, Error, Result};
use event_protocol::park::End;
use event_protocol::parked::Parked;

use crate::description::Description;
use crate::sync::Mutex;

/// Sets in a chain (R37).
pub const DEPTH: usize = 5;

/// Ways that a look at a set goes at most, itself one of them: each set in it is asked once for each chain that leads there,
/// and a few sets could have millions of chains.
pub const WAYS: u64 = 1024;

/// Held while the shape of nested sets is looked at and changed.
static SHAPE: Mutex<()> = Mutex::new(());

/// How often a set was put into another one.
static NESTED: AtomicU64 = AtomicU64::new(0);

/// A number that moves when a set is put into another one. Who waits reads it before it looks which sets are within, and
/// again when it is parked: a set that came in between is one on which it is not parked, and that wakes only those who
/// are parked already (R50).
pub(crate) fn shape() -> u64 {
    NESTED.load(Ordering::SeqCst)
}

/// A set as seen from outside.
pub trait Inner: Send + Sync {
    /// Its numbers, and who watches it.
    fn description(&self) -> &Description;

    /// How many of its notes are true, and a number that moves with each arrival, told or not. None when it is closed.
    fn look(&self) -> (usize, u64);

    /// Its parked waiters.
    fn parked(&self) -> &Parked;

    /// Whether it has something to tell, and something has come, or was handed on (R13), since this was asked last: the
    /// caller wakes everybody next.
    fn has_news(&self) -> bool;

    /// From now on whoever waits for it, or for a set around it, is woken for every arrival.
    fn tell_every_arrival(&self);

    /// Wakes everybody who waits for it or for a set around it.
    fn wake_everybody(&self);

    /// The sets in it.
    fn nested(&self) -> Vec<Arc<dyn Inner>>;
}

/// The sets within the one that a thread waits for: it announces itself in each, and takes itself out of the very same
/// ones, whatever has changed meanwhile.
pub(crate) struct Within {
    sets: Vec<Arc<dyn Inner>>,
    /// The waiter.
    number: u32,
}

impl Within {
    /// Parks a waiter in the sets and all that are in them.
    pub fn park(sets: Vec<Arc<dyn Inner>>, number: u32) -> Within {
        let sets = with_nested(sets);
        sets.iter().for_each(|set| set.parked().add(number));
        Within { sets, number }
    }

    /// Those in which a thread that is no more may have parked.
    pub fn of_dead(sets: Vec<Arc<dyn Inner>>, number: u32) -> Within {
        Within { sets: with_nested(sets), number }
    }

    /// The wait is over.
    pub fn leave(&self, end: End) {
        for set in &self.sets {
            set.parked().remove(self.number);
            if end == End::Chosen && set.has_news() {
                set.wake_everybody();
            }
        }
    }

    /// The wait of a thread that is no more is over. What it has said that it would wake others for, perhaps it has not.
    pub fn leave_dead(&self, end: End) {
        for set in &self.sets {
            set.parked().remove(self.number);
            if end == End::Chosen && set.look().0 > 0 {
                set.wake_everybody();
            }
        }
    }
}

/// The sets one step from these, each once.
fn step(from: &[Arc<dyn Inner>], to: impl Fn(&dyn Inner) -> Vec<Arc<dyn Inner>>) -> Vec<Arc<dyn Inner>> {
    let mut known = BTreeSet::new();
    let mut next: Vec<_> = from.iter().flat_map(|set| to(&**set)).collect();
    next.retain(|set| known.insert(set.description().name()));
    next
}

fn inwards(set: &dyn Inner) -> Vec<Arc<dyn Inner>> {
    set.nested()
}

/// The sets around one. One that has let it go is none.
fn outwards(description: &Description) -> Vec<Arc<dyn Inner>> {
    let name = description.name();
    let holds = |set: &Arc<dyn Inner>| set.nested().iter().any(|inner| inner.description().name() == name);
    description.sets_around().into_iter().filter(holds).collect()
}

/// These sets and all that are in them, each once.
fn with_nested(sets: Vec<Arc<dyn Inner>>) -> Vec<Arc<dyn Inner>> {
    let mut known = BTreeSet::new();
    let (mut all, mut level) = (Vec::new(), sets);
    while !level.is_empty() {
        level.retain(|set| known.insert(set.description().name()));
        let next = step(&level, inwards);
        all.append(&mut level);
        level = next;
    }
    all
}

/// Chains that begin with a set.
struct Chains {
    /// Sets in the longest.
    longest: usize,
    /// Where they end, by name, and how many end there.
    ends: BTreeMap<u64, (Arc<dyn Inner>, u64)>,
    all: u64,
}

/// The chains that begin in front of `first`, one from each of them, and go this way. There are no rings, so they end.
fn chains(first: Vec<Arc<dyn Inner>>, way: impl Fn(&dyn Inner) -> Vec<Arc<dyn Inner>>) -> Chains {
    let mut chains = Chains { longest: 0, ends: BTreeMap::new(), all: 0 };
    let begin = |set: Arc<dyn Inner>| (set.description().name(), (set, 1));
    let mut level: BTreeMap<u64, (Arc<dyn Inner>, u64)> = first.into_iter().map(begin).collect();
    while !level.is_empty() {
        chains.longest += 1;
        let mut next = BTreeMap::new();
        for (name, (set, count)) in level {
            for further in way(&*set) {
                let name = further.description().name();
                let entry: &mut (Arc<dyn Inner>, u64) = next.entry(name).or_insert((further, 0));
                entry.1 = entry.1.saturating_add(count);
            }
            chains.all = chains.all.saturating_add(count);
            let end = chains.ends.entry(name).or_insert((set, 0));
            end.1 = end.1.saturating_add(count);
        }
        level = next;
    }
    chains
}

/// Has `make` put `inner` into `outer`, if that makes neither a ring nor too long a chain (`ELOOP`), nor too many chains
/// (`EINVAL`, R37). `EINVAL` too when they are one set (R38).
pub(crate) fn nest<T>(
    outer: &Description,
    around: alloc::sync::Weak<dyn Inner>,
    inner: &Arc<dyn Inner>,
    make: impl FnOnce() -> Result<T>,
) -> Result<T> {
    let _shape = SHAPE.lock();
    if inner.description().name() == outer.name() {
        return Err(Error::new(EINVAL));
    }
    // A ring is found first: chains in one have no end.
    let reached = with_nested([inner.clone()].into());
    if reached.iter().any(|set| set.description().name() == outer.name()) {
        return Err(Error::new(ELOOP));
    }
    let within = chains([inner.clone()].into(), inwards);
    let around_it = chains(outwards(outer), |set| outwards(set.description()));
    if 1 + around_it.longest + within.longest > DEPTH {
        return Err(Error::new(ELOOP));
    }
    // The outer set itself, and each around it, as often as a chain leads from there.
    let own = around.upgrade().into_iter().map(|set| (set, 1));
    let crowded = own.chain(around_it.ends.into_values()).any(|(set, count)| {
        let before = chains([set].into(), inwards).all;
        before.saturating_add(count.saturating_mul(within.all)) > WAYS
    });
    if crowded {
        return Err(Error::new(EINVAL));
    }
    inner.description().lies_in(around);
    inner.tell_every_arrival();
    let made = make()?;
    // The set is in the outer one, the number moves, and then the caller looks who is parked.
    NESTED.fetch_add(1, Ordering::SeqCst);
    fence(Ordering::SeqCst);
    Ok(made)
}

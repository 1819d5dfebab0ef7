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
//! A bit that is seen before the state says PARKED chooses nobody, and then the look after the fence finds what was
//! pushed. The bits are taken out of the very sets that they were put into, after the state is won back.
//!
//! Looks go down, from outer to inner sets, and hold the core locks on their way; so rings of sets are refused, and chains
//! are short (R37).

use abi::error::{EINVAL, ELOOP, Error, Result};
use alloc::sync::Arc;
use alloc::vec::Vec;
use event_protocol::parked::Parked;

use crate::description::Description;
use crate::sync::Mutex;

/// Sets in a chain (R37).
pub const DEPTH: usize = 5;

/// Held while the shape of nested sets is looked at and changed.
static SHAPE: Mutex<()> = Mutex::new(());

/// A set as seen from outside.
pub trait Inner: Send + Sync {
    /// Its numbers, and who watches it.
    fn description(&self) -> &Description;

    /// How many of its notes are true, and how often something came. None when it is closed.
    fn look(&self) -> (usize, u64);

    /// Its parked waiters.
    fn parked(&self) -> &Parked;

    /// Wakes a waiter of its own, or of a set around it, if it has something to tell.
    fn hand_on(&self);

    /// The sets in it.
    fn nested(&self) -> Vec<Arc<dyn Inner>>;
}

/// These sets and all that are in them: who sleeps announces itself in each, and takes itself out of the very same ones,
/// whatever has changed meanwhile.
pub(crate) fn with_nested(sets: Vec<Arc<dyn Inner>>) -> Vec<Arc<dyn Inner>> {
    let mut all = sets;
    let mut next = 0;
    while let Some(set) = all.get(next) {
        let within = set.nested();
        all.extend(within);
        next += 1;
    }
    all
}

/// Sets in the longest chain that begins with `set`.
fn depth(set: &dyn Inner) -> usize {
    1 + set.nested().iter().map(|inner| depth(&**inner)).max().unwrap_or(0)
}

/// Sets in the longest chain that ends with it. A set around it that has let it go counts no more.
fn height(description: &Description) -> usize {
    let name = description.name();
    let around = description.sets_around();
    let holds = |set: &&Arc<dyn Inner>| set.nested().iter().any(|inner| inner.description().name() == name);
    1 + around.iter().filter(holds).map(|set| height(set.description())).max().unwrap_or(0)
}

fn reaches(set: &dyn Inner, name: u64) -> bool {
    set.description().name() == name || set.nested().iter().any(|inner| reaches(&**inner, name))
}

/// Has `make` put `inner` into `outer`, if that makes neither a ring nor too long a chain. `EINVAL`: they are one set
/// (R38); `ELOOP` (R37).
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
    if reaches(&**inner, outer.name()) || height(outer) + depth(&**inner) > DEPTH {
        return Err(Error::new(ELOOP));
    }
    inner.description().lies_in(around);
    make()
}

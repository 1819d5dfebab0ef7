//! Sleeping until something is ready, and waking those who sleep.

use alloc::sync::Arc;
use alloc::vec::Vec;

use abi::error::{EINTR, ENOMEM, ETIMEDOUT, Error, Result};
use event_protocol::park::{End, choose};

use super::{Core, Member, Set};
use crate::engine::{Sink, View};
use crate::interruption::Interruption;
use crate::nesting::{Inner, with_nested};
use crate::platform::Platform;
use crate::sync::MutexGuard;

impl<P: Platform, V: Member> Set<P, V> {
    /// Waits until something is in `sink`, or until the deadline, never less (R48). `EINTR`: a signal came that the wait
    /// does not block, and nothing else.
    #[cold]
    #[inline(never)]
    pub fn wait<S: Sink>(
        &self,
        sink: &mut S,
        deadline: u64,
        interruption: Option<&dyn Interruption>,
    ) -> Result<()>
    where
        V: View<S>,
    {
        let (waiters, seats) = self.platform.waiters();
        // R55: more threads wait than a session has records for.
        let seat = seats.take(self.platform.thread()).ok_or(Error::new(ENOMEM))?;
        let number = seat.number();
        if !seat.is_registered() {
            self.platform.register_waiter(number)?;
            seat.set_registered();
        }
        let waiter = waiters.get(number as usize).ok_or(Error::new(ENOMEM))?;
        let parked = self.header.parked();
        loop {
            // What comes for a set within may choose this thread too, as soon as it has announced itself.
            let within = match self.is_plain() {
                true => Vec::new(),
                false => {
                    self.free_retired()?;
                    with_nested(self.nested())
                }
            };
            for inner in &within {
                inner.parked().add(number);
            }
            waiter.announce(parked, number, self.platform.cpu());
            let looked = self.collect(sink);
            // A sink without room has nothing to wait for: its owner makes some, or finds what it waits for there.
            if looked.is_err() || !sink.is_empty() || sink.is_full() {
                let end = waiter.withdraw(parked, number);
                leave(&within, number, end);
                if end == End::Chosen {
                    // Chosen for what came after the look: that wake-up is another's.
                    self.hand_on(self.core.lock());
                }
                return looked;
            }
            let mut slept = Ok(());
            // A signal of an earlier wait may come late: only the state says that this one is over.
            while slept.is_ok() && !waiter.is_chosen() {
                slept = if seat.is_interrupted() || interruption.is_some_and(Interruption::is_due) {
                    Err(Error::new(EINTR))
                } else {
                    self.platform.sleep(number, deadline)
                };
            }
            let end = waiter.withdraw(parked, number);
            if !within.is_empty() {
                leave(&within, number, end);
            }
            self.collect_news(sink)?;
            match slept {
                _ if !sink.is_empty() || sink.is_full() => return Ok(()),
                Ok(()) => {}
                Err(error) if error.errno == ETIMEDOUT => return Ok(()),
                Err(error) => return Err(error),
            }
        }
    }

    /// Wakes a parked waiter, if there is one, since something may be there for it. Signals with the lock free, which the
    /// woken thread needs next.
    #[inline]
    pub fn hand_on(&self, mut core: MutexGuard<'_, Core<P, V>>) {
        if !self.header.parked().looks_empty()
            && let Some(number) = self.choose(&mut core)
        {
            drop(core);
            self.platform.wake(number);
        }
    }

    /// Has everybody who waits look again: what is waited for has another shape.
    pub fn wake_everybody(&self) {
        // A set that is closed has woken them.
        if let Ok(mut core) = self.core() {
            self.wake_all(&mut core);
        }
    }

    /// Wakes everybody.
    pub(super) fn wake_all(&self, core: &mut Core<P, V>) {
        while let Some(number) = self.choose(core) {
            self.platform.wake(number);
        }
    }

    #[cold]
    fn choose(&self, core: &mut Core<P, V>) -> Option<u32> {
        let (waiters, _) = self.platform.waiters();
        let number = choose(self.header.parked(), waiters, core.last_woken)?;
        core.last_woken = number;
        Some(number)
    }
}

/// The wait is over for the sets within too.
#[cold]
fn leave(within: &[Arc<dyn Inner>], number: u32, end: End) {
    for inner in within {
        inner.parked().remove(number);
        if end == End::Chosen {
            // Those who wait for it alone have not heard.
            inner.hand_on();
        }
    }
}

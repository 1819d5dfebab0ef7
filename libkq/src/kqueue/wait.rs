//! Sleeping until something is ready, and waking those who sleep.

use core::sync::atomic::Ordering;
use core::time::Duration;

use abi::error::{ENOMEM, ETIMEDOUT, Error, Result};
use abi::limits::FOREVER;
use event_protocol::park::{End, choose};

use super::{Core, Kqueue};
use crate::event::Lists;
use crate::platform::Platform;
use crate::sync::MutexGuard;

impl<P: Platform> Kqueue<P> {
    /// Waits for the first event. 0 at the deadline, never before it (R48).
    #[cold]
    #[inline(never)]
    pub(super) fn wait<L: Lists>(&self, lists: &mut L, timeout: Option<Duration>) -> Result<usize> {
        let deadline = match timeout {
            Some(timeout) => {
                let distance = u64::try_from(timeout.as_nanos()).unwrap_or(FOREVER);
                self.platform.now().saturating_add(distance)
            }
            None => FOREVER,
        };
        self.free_retired()?;
        let (waiters, seats) = self.platform.waiters();
        // R55: more threads wait than a session has records for.
        let seat = seats.take().ok_or(Error::new(ENOMEM))?;
        let number = seat.number();
        if !seat.is_registered() {
            self.platform.register_waiter(number)?;
            seat.set_registered();
        }
        let waiter = waiters.get(number as usize).ok_or(Error::new(ENOMEM))?;
        let parked = self.header.parked();
        loop {
            waiter.announce(parked, number, self.platform.cpu());
            let looked = self.collect(lists);
            let mut slept = Ok(());
            if looked.is_ok() && lists.used() == 0 {
                // A signal of an earlier wait may come late: only the state says that this one is over.
                while slept.is_ok() && !waiter.is_chosen() {
                    slept = self.platform.sleep(number, deadline);
                }
            }
            let end = waiter.withdraw(parked, number);
            if looked.is_err() || lists.used() > 0 {
                if end == End::Chosen {
                    // Chosen for what came after the look: that wake-up is another's.
                    self.hand_on(self.core.lock());
                }
                return looked.map(|()| lists.used());
            }
            self.collect(lists)?;
            match slept {
                _ if lists.used() > 0 => return Ok(lists.used()),
                Ok(()) => {}
                Err(error) if error.errno == ETIMEDOUT => return Ok(0),
                Err(error) => return Err(error),
            }
        }
    }

    /// Wakes a parked waiter, if there is one, since something may be there for it. Signals with the lock free, which the
    /// woken thread needs next.
    #[inline]
    pub(super) fn hand_on(&self, mut core: MutexGuard<'_, Core<P>>) {
        if self.header.parked().load(Ordering::Relaxed) != 0
            && let Some(number) = self.choose(&mut core)
        {
            drop(core);
            self.platform.wake(number);
        }
    }

    /// Wakes everybody.
    pub(super) fn wake_all(&self, core: &mut Core<P>) {
        while let Some(number) = self.choose(core) {
            self.platform.wake(number);
        }
    }

    #[cold]
    fn choose(&self, core: &mut Core<P>) -> Option<u32> {
        let (waiters, _) = self.platform.waiters();
        let number = choose(self.header.parked(), waiters, u64::MAX, core.last_woken)?;
        core.last_woken = number;
        Some(number)
    }
}

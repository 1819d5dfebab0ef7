//! Sleeping until something is ready, and waking those who sleep.

use alloc::sync::Weak;
use core::sync::atomic::Ordering;

use abi::error::{EINTR, ENOMEM, ETIMEDOUT, Error, Result};
use event_protocol::park::{End, choose};

use super::{Core, Member, Set};
use crate::description::Watcher;
use crate::ending::Ending;
use crate::engine::{Sink, View};
use crate::interruption::Interruption;
use crate::nesting::{Within, shape};
use crate::platform::Platform;
use crate::sync::MutexGuard;

impl<P: Platform, V: Member> Set<P, V> {
    /// Waits until something is in `sink`, or until the deadline, never less (R48). `EINTR`: a signal came that the wait
    /// does not block, and nothing else. `whose` the set is hears of the end of a thread that ends in its wait, and has the set
    /// [told](Set::thread_ended).
    #[cold]
    #[inline(never)]
    pub fn wait<S: Sink>(
        &self,
        sink: &mut S,
        deadline: u64,
        interruption: Option<&dyn Interruption>,
        whose: &Weak<dyn Watcher>,
    ) -> Result<()>
    where
        V: View<S>,
    {
        self.hear_of_its_end(whose)?;
        let (waiters, seats) = self.platform.waiters();
        // R55: more threads wait than a session has records for.
        let seat = seats.take(self.platform.thread(), u64::from(self.number)).ok_or(Error::new(ENOMEM))?;
        let number = seat.number();
        if !seat.is_registered() {
            self.platform.register_waiter(number)?;
            seat.set_registered();
        }
        let waiter = waiters.get(number as usize).ok_or(Error::new(ENOMEM))?;
        let parked = self.header.parked();
        loop {
            let shaped = shape();
            // What comes for a set within may choose this thread too, as soon as it has announced itself.
            let within = match self.is_plain() {
                true => None,
                false => {
                    self.free_retired()?;
                    Some(Within::park(self.nested(), number))
                }
            };
            if let Some(others) = sink.parked() {
                others.add(number);
            }
            waiter.announce(parked, number, self.platform.cpu());
            let looked = self.collect(sink);
            let again = shape() != shaped;
            if looked.is_err() || sink.is_done() || again {
                let end = waiter.withdraw(parked, number);
                leave(&within, sink, number, end);
                if end == End::Chosen {
                    // Chosen for what came after the look: that wake-up is another's.
                    self.pass_on();
                }
                if looked.is_ok() && !sink.is_done() {
                    continue;
                }
                return looked;
            }
            let mut slept = Ok(());
            // A signal of an earlier wait may come late: only the state says that this one is over.
            while slept.is_ok() && !waiter.is_chosen() {
                // Whoever interrupts names a thread, and not the wait for which it meant it; and another thread may have
                // taken the signal by now. What counts is what is due.
                let over = interruption.map_or_else(|| seat.is_interrupted(), Interruption::is_due);
                slept = if over { Err(Error::new(EINTR)) } else { self.platform.sleep(number, deadline) };
            }
            let end = waiter.withdraw(parked, number);
            leave(&within, sink, number, end);
            self.collect_news(sink)?;
            // It was woken for that, perhaps.
            if end == End::Chosen && self.missed.load(Ordering::Relaxed) {
                self.missed.store(false, Ordering::Relaxed);
                self.pass_on();
            }
            match slept {
                _ if sink.is_done() => return Ok(()),
                Ok(()) => {}
                Err(error) if error.errno == ETIMEDOUT => return Ok(()),
                Err(error) => return Err(error),
            }
        }
    }

    /// `whose` hears of the calling thread's end, if anybody is left then.
    fn hear_of_its_end(&self, whose: &Weak<dyn Watcher>) -> Result<()> {
        if self.platform.is_alone() {
            return Ok(());
        }
        let thread = self.platform.thread();
        let mut heard_of = self.heard_of.lock();
        if heard_of.contains(&thread) {
            return Ok(());
        }
        heard_of.try_reserve(1).map_err(|_| Error::new(ENOMEM))?;
        let told: Weak<dyn Ending> = whose.clone();
        self.platform.when_thread_ends(told)?;
        heard_of.push(thread);
        Ok(())
    }

    /// Wakes a parked waiter, if there is one, since something may be there for it. Signals with the lock free, which the
    /// woken thread needs next.
    #[inline]
    pub fn hand_on(&self, mut core: MutexGuard<'_, Core<P, V>>) {
        if self.header.parked().looks_empty() {
            return;
        }
        if let Some(number) = self.choose(&mut core) {
            // With the lock held, which who is chosen takes before it looks at the count.
            self.handed_on.fetch_add(1, Ordering::Relaxed);
            drop(core);
            self.platform.wake(number);
        }
    }

    /// A thread that waited here, perhaps, is no more: what it was chosen for is another's (R44, R58). Its sink is nobody's:
    /// `leave` takes the waiter out of what others put into.
    pub fn thread_ended(&self, thread: u64, leave: impl Fn(u32)) {
        self.heard_of.lock().retain(|&other| other != thread);
        let (waiters, seats) = self.platform.waiters();
        for seat in seats.of_dead(thread, u64::from(self.number)) {
            let number = seat.number();
            let Some(waiter) = waiters.get(number as usize) else { continue };
            let end = waiter.withdraw(self.header.parked(), number);
            leave(number);
            // It may have announced itself in sets that have been taken out since: those were to wake it, and look.
            Within::of_dead(self.nested(), number).leave_dead(end);
            if end == End::Chosen {
                self.hand_on(self.core.lock());
            }
        }
        // Nobody knows what it was told of and has not done.
        if self.core.lock().queue.has_exclusive() {
            self.pass_on();
        }
    }

    /// What exclusive notes were to be told to a thread is not for that: another one that is parked here is woken, or else
    /// one that is parked anywhere on their sources.
    #[cold]
    #[inline(never)]
    pub fn pass_on(&self) {
        let Ok(mut core) = self.core() else { return };
        let (parked, exclusive) = (self.header.parked(), core.queue.has_exclusive());
        let here = if parked.looks_empty() { None } else { self.choose(&mut core) };
        if here.is_some() {
            self.handed_on.fetch_add(1, Ordering::Relaxed);
        }
        drop(core);
        match here {
            Some(number) => self.platform.wake(number),
            None if exclusive => self.hand_back(),
            None => {}
        }
    }

    /// Somebody else is woken for exclusive notes that are true, wherever it is parked.
    #[cold]
    #[inline(never)]
    pub fn hand_back(&self) {
        self.platform.hand_back(self.number, self.shards.load(Ordering::Relaxed));
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

/// The wait is over for the sets within too, and for others who put into the sink.
#[inline]
fn leave(within: &Option<Within>, sink: &impl Sink, number: u32, end: End) {
    if let Some(others) = sink.parked() {
        others.remove(number);
    }
    if let Some(within) = within {
        within.leave(end);
    }
}

//! A process's signals as its threads have them.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use abi::error::{EINTR, EINVAL, ETIMEDOUT, Error, Result};
use process_protocol::handoff::{Gate, Pending};
use process_protocol::signal::{LAST, SIGCHLD};
use process_protocol::{Default as ByDefault, SignalSet};

use super::action::{Action, Disposition};
use crate::interruption::{Interruption, SignalMask};
use crate::sync::Mutex;

/// What the process's signals need from the world.
pub trait Outside: Send + Sync + 'static {
    /// The calling thread's number.
    fn thread(&self) -> u64;

    /// Ends the wait of a thread, if it is in one, with `EINTR`.
    fn interrupt(&self, thread: u64);

    /// Says what becomes of signals. Whoever is told of some begins to wait for them.
    fn dispose(&self, ignored: SignalSet, told: SignalSet) -> Result<()>;

    /// Takes what is pending at the service.
    fn take(&self) -> SignalSet;

    /// Has a signal's default action done.
    fn by_default(&self, signal: u8);

    /// Signals are pending, perhaps: said after they are, and before it is looked whether they are.
    fn pending(&self, _some: bool) {}

    /// Waits while the word is `seen`. `ETIMEDOUT` at the deadline.
    fn sleep(&self, word: &AtomicU32, seen: u32, deadline: u64) -> Result<()>;

    /// Wakes who waits for the word to change.
    fn wake(&self, word: &AtomicU32);
}

/// How a mask is changed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum How {
    /// These are blocked besides.
    Block,
    /// These are not blocked any more.
    Unblock,
    /// These are blocked and no others.
    Set,
}

/// A thread that has to do with signals.
#[derive(Debug)]
struct Thread {
    number: u64,
    gate: Gate,
    /// Moves when the thread has something to look at.
    news: AtomicU32,
}

/// What was said of each signal.
struct Actions {
    of: [Action; LAST as usize],
    /// What the service was told.
    ignored: SignalSet,
    told: SignalSet,
}

/// The signals of a process.
pub struct Signals<O> {
    outside: O,
    pending: Pending,
    actions: Mutex<Actions>,
    /// Signals that something happens for when they come.
    effective: AtomicU64,
    threads: Mutex<Vec<Arc<Thread>>>,
    /// Held while what is pending at the service moves here: what one thread has taken, another can see.
    arrival: Mutex<()>,
}

fn everything_by_default() -> SignalSet {
    let ends = (1..=LAST).filter(|&signal| ByDefault::of(signal) == ByDefault::End);
    ends.fold(SignalSet::EMPTY, |all, signal| all.union(SignalSet::of(signal)))
}

fn number(signal: i32) -> Result<u8> {
    u8::try_from(signal).ok().filter(|signal| (1..=LAST).contains(signal)).ok_or(Error::new(EINVAL))
}

impl<O: Outside> Signals<O> {
    /// Every action the default one, nothing blocked.
    pub fn new(outside: O) -> Signals<O> {
        let by_default = Action::by_default();
        Signals {
            outside,
            pending: Pending::new(),
            actions: Mutex::new(Actions {
                of: [by_default; LAST as usize],
                ignored: SignalSet::EMPTY,
                told: SignalSet::EMPTY,
            }),
            effective: AtomicU64::new(everything_by_default().0),
            threads: Mutex::new(Vec::new()),
            arrival: Mutex::new(()),
        }
    }

    /// What they need from the world.
    pub fn outside(&self) -> &O {
        &self.outside
    }

    /// See [`sigaction`](super::sigaction).
    pub fn action(&self, signal: i32, new: Option<Action>) -> Result<Action> {
        let signal = number(signal)?;
        let mut actions = self.actions.lock();
        let place = usize::from(signal) - 1;
        let old = actions.of[place];
        let Some(new) = new else { return Ok(old) };
        if SignalSet::UNSTOPPABLE.contains(signal) {
            return Err(Error::new(EINVAL));
        }
        let this = SignalSet::of(signal);
        let mut ignored = actions.ignored.without(this);
        let mut told = actions.told;
        match new.disposition {
            Disposition::Ignore => ignored = ignored.union(this),
            Disposition::Default => {}
            Disposition::Handler(_) | Disposition::Foreign(_) => told = told.union(this),
        }
        self.tell(&mut actions, ignored, told)?;
        actions.of[place] = new;
        self.weigh(&actions, signal);
        if new.disposition == Disposition::Ignore {
            self.pending.forget(this);
        }
        Ok(old)
    }

    /// Tells the service what it does not know yet.
    fn tell(&self, actions: &mut Actions, ignored: SignalSet, told: SignalSet) -> Result<()> {
        // With the first signal that is told, ends of children are too: whoever waits for one looks again then.
        let told = if told.is_empty() { told } else { told.union(SignalSet::of(SIGCHLD)) };
        if (ignored, told) != (actions.ignored, actions.told) {
            self.outside.dispose(ignored, told)?;
            (actions.ignored, actions.told) = (ignored, told);
        }
        Ok(())
    }

    /// From now on this process hears of the ends of its children: who waits for one looks again then.
    pub fn told_of_children(&self) -> Result<()> {
        self.tell_blocked(SignalSet::of(SIGCHLD))
    }

    /// Tells the service again: it has forgotten.
    pub fn tell_again(&self) -> Result<()> {
        let actions = self.actions.lock();
        self.outside.dispose(actions.ignored, actions.told)
    }

    /// Puts down whether something happens when a signal comes.
    fn weigh(&self, actions: &Actions, signal: u8) {
        let action = actions.of[usize::from(signal) - 1];
        let effective = match action.disposition {
            Disposition::Default => ByDefault::of(signal) == ByDefault::End,
            Disposition::Ignore => false,
            Disposition::Handler(_) | Disposition::Foreign(_) => true,
        };
        let bit = SignalSet::of(signal).0;
        if effective {
            self.effective.fetch_or(bit, Ordering::AcqRel);
        } else {
            self.effective.fetch_and(!bit, Ordering::AcqRel);
        }
    }

    fn effective(&self) -> SignalSet {
        SignalSet(self.effective.load(Ordering::Acquire))
    }

    /// The calling thread.
    fn current(&self) -> Arc<Thread> {
        let number = self.outside.thread();
        let mut threads = self.threads.lock();
        if let Some(thread) = threads.iter().find(|thread| thread.number == number) {
            return thread.clone();
        }
        let thread = Arc::new(Thread { number, gate: Gate::new(SignalSet::EMPTY), news: AtomicU32::new(0) });
        threads.push(thread.clone());
        thread
    }

    /// A thread has ended.
    pub fn forget_thread(&self, number: u64) {
        self.threads.lock().retain(|thread| thread.number != number);
    }

    /// See [`sigmask`](super::sigmask).
    pub fn change_mask(&self, change: Option<(How, SignalMask)>) -> Result<SignalMask> {
        let thread = self.current();
        let before = thread.gate.mask();
        if let Some((how, SignalMask(set))) = change {
            let set = SignalSet(set);
            let mask = match how {
                How::Block => before.union(set),
                How::Unblock => before.without(set),
                How::Set => set,
            };
            self.block(&thread, mask)?;
            self.deliver_to(&thread);
        }
        Ok(SignalMask(before.0))
    }

    /// Sets a thread's mask. What is blocked must be told before, or its default action would be done.
    fn block(&self, thread: &Thread, mask: SignalSet) -> Result<()> {
        let mask = mask.without(SignalSet::UNSTOPPABLE);
        self.tell_blocked(mask)?;
        thread.gate.set_mask(mask);
        Ok(())
    }

    fn tell_blocked(&self, mask: SignalSet) -> Result<()> {
        let mut actions = self.actions.lock();
        let (ignored, told) = (actions.ignored, actions.told.union(mask));
        self.tell(&mut actions, ignored, told)
    }

    /// See [`sigpending`](super::sigpending).
    pub fn pending(&self) -> SignalMask {
        self.arrived();
        SignalMask(self.pending.get().intersection(self.current().gate.mask()).0)
    }

    /// Something is pending at the service, perhaps: takes it, and interrupts threads that wait and let it through.
    pub fn arrived(&self) {
        let lock = self.arrival.lock();
        let taken = self.outside.take();
        if taken.is_empty() {
            return;
        }
        let threads: Vec<Arc<Thread>> = self.threads.lock().clone();
        let mut kept = SignalSet::EMPTY;
        for signal in taken.iter() {
            let this = SignalSet::of(signal);
            let blocks = |thread: &&Arc<Thread>| thread.gate.mask().contains(signal);
            let blockers = threads.iter().filter(blocks).count();
            if !self.effective().contains(signal) {
                // Blocked, it stays: perhaps there is a handler when it is unblocked.
                if blockers > 0 {
                    kept = kept.union(this);
                }
            } else if self.is_caught(signal) || blockers > 0 && blockers == threads.len() {
                kept = kept.union(this);
            } else {
                self.outside.by_default(signal);
            }
        }
        self.pending.post(kept);
        if !kept.is_empty() {
            self.outside.pending(true);
        }
        drop(lock);
        // Again: a thread that began its first wait meanwhile has not seen what is pending now.
        let threads: Vec<Arc<Thread>> = self.threads.lock().clone();
        let mut open = kept.intersection(self.effective());
        for thread in &threads {
            let interrupted = !open.is_empty() && thread.gate.is_open_to(open);
            if interrupted {
                // One thread for each signal: the others sleep on.
                open = open.intersection(thread.gate.mask());
            }
            if interrupted || taken.contains(SIGCHLD) {
                thread.news.fetch_add(1, Ordering::AcqRel);
                self.outside.wake(&thread.news);
            }
            if interrupted {
                self.outside.interrupt(thread.number);
            }
        }
    }

    fn is_caught(&self, signal: u8) -> bool {
        self.actions.lock().of[usize::from(signal) - 1].is_handler()
    }

    /// Runs what is due for the calling thread.
    #[inline]
    pub fn deliver(&self) {
        if !self.pending.get().is_empty() {
            self.deliver_to(&self.current());
        }
    }

    fn deliver_to(&self, thread: &Thread) {
        self.outside.pending(false);
        while let Some(signal) = self.pending.take(self.effective().without(thread.gate.mask())) {
            self.run(thread, signal);
        }
        // What this thread blocks is another's, or its own later.
        if !self.pending.get().is_empty() {
            self.outside.pending(true);
        }
    }

    fn run(&self, thread: &Thread, signal: u8) {
        let action = {
            let mut actions = self.actions.lock();
            let place = usize::from(signal) - 1;
            let action = actions.of[place];
            if action.is_handler() && action.flags.contains(super::ActionFlags::RESETHAND) {
                actions.of[place].disposition = Disposition::Default;
                self.weigh(&actions, signal);
            }
            action
        };
        let before = thread.gate.mask();
        let own = if action.flags.contains(super::ActionFlags::NODEFER) {
            SignalSet::EMPTY
        } else {
            SignalSet::of(signal)
        };
        let during = before.union(SignalSet(action.mask.0)).union(own).without(SignalSet::UNSTOPPABLE);
        let call = |handler: &dyn Fn(i32)| {
            // A handler without what it should block is better than none.
            let _ = self.tell_blocked(during);
            thread.gate.set_mask(during);
            handler(i32::from(signal));
            thread.gate.set_mask(before);
        };
        match action.disposition {
            Disposition::Handler(handler) => call(&handler),
            Disposition::Foreign(handler) => call(&|signal| handler(signal)),
            Disposition::Default => self.outside.by_default(signal),
            Disposition::Ignore => {}
        }
    }

    /// Whether something is due for the thread.
    fn is_due_for(&self, thread: &Thread) -> bool {
        !self.pending.get().intersection(self.effective()).without(thread.gate.mask()).is_empty()
    }

    /// Sleeps until a time, with this mask or the thread's own; `EINTR` when something was due, which has run then.
    pub fn sleep_until(&self, deadline: u64, mask: Option<SignalMask>) -> Result<()> {
        self.wait_for(deadline, mask, || Ok(None)).map(|_: Option<()>| ())
    }

    /// Waits until `look` finds something; it is called again when a child has ended. `None` at the deadline.
    pub fn wait_for<T>(
        &self,
        deadline: u64,
        mask: Option<SignalMask>,
        mut look: impl FnMut() -> Result<Option<T>>,
    ) -> Result<Option<T>> {
        let thread = self.current();
        let before = self.enter(mask);
        let found = loop {
            let seen = thread.news.load(Ordering::Acquire);
            match look() {
                Ok(None) => {}
                found => break found,
            }
            if self.is_due_for(&thread) {
                break Err(Error::new(EINTR));
            }
            match self.outside.sleep(&thread.news, seen, deadline) {
                Err(error) if error.errno == ETIMEDOUT => break Ok(None),
                _ => {}
            }
        };
        self.leave(before);
        found
    }

    /// Everybody looks again: what was to come may never have.
    pub fn wake_all(&self) {
        for thread in self.threads.lock().iter() {
            thread.news.fetch_add(1, Ordering::AcqRel);
            self.outside.wake(&thread.news);
        }
    }
}

impl<O: Outside> Interruption for Signals<O> {
    fn enter(&self, mask: Option<SignalMask>) -> SignalMask {
        let thread = self.current();
        let mask = mask.map(|mask| SignalSet(mask.0).without(SignalSet::UNSTOPPABLE));
        if let Some(mask) = mask {
            // It cannot be told only if there is no service, which then sends no signals either.
            let _ = self.tell_blocked(mask);
        }
        SignalMask(thread.gate.begin_wait(mask).0)
    }

    fn is_due(&self) -> bool {
        self.is_due_for(&self.current())
    }

    fn run_handlers(&self) {
        self.deliver_to(&self.current());
    }

    fn leave(&self, before: SignalMask) {
        let thread = self.current();
        thread.gate.end_wait();
        self.deliver_to(&thread);
        thread.gate.set_mask(SignalSet(before.0));
        // What the mask of the call has kept away.
        self.deliver_to(&thread);
    }
}

//! The kevent interface over a set. `kqueue(2)`.

mod change;
mod changes;
mod knote;
mod process;
mod processes;
mod schedule;
mod user;

use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;

use abi::error::{EAGAIN, EBADF, ENOMEM, Error, Result};
use event_protocol::control::policy::Policy;
use event_protocol::parked::Parked;

use crate::description::{Description, Watcher};
use crate::ending::Ending;
use crate::engine::Sink;
use crate::event::filter::Filter;
use crate::event::{KEvent, Lists};
use crate::file::Files;
use crate::interruption::{Call, deadline};
use crate::nesting::Inner;
use crate::platform::Platform;
use crate::set::{Rest, Set};
use crate::sync::Mutex;
use crate::user_ring::Served;
use knote::KNote;

/// Filters whose ident is a descriptor.
const ON_DESCRIPTORS: [Filter; 4] = [Filter::READ, Filter::WRITE, Filter::EXCEPT, Filter::VNODE];

/// A queue.
pub struct Kqueue<P: Platform> {
    /// Its numbers, and who watches it.
    pub description: Description,
    set: Set<P, KNote<P>>,
    /// Itself, as the descriptions that it watches know it.
    watcher: Weak<dyn Watcher>,
    /// Held while the process service is asked about its notes, and while its stream is read. Before the order lock, which is
    /// not held then: closing a descriptor waits for no service (R56).
    processes: Mutex<()>,
    /// Rings into which its events are told.
    rings: Mutex<Vec<Weak<Served>>>,
    /// Itself, as sets in it know it.
    around: Weak<dyn Inner>,
}

impl<P: Platform> Kqueue<P> {
    /// A new queue.
    pub fn create(platform: &Arc<P>) -> Result<Arc<Kqueue<P>>> {
        let set = Set::create(platform)?;
        Ok(Arc::new_cyclic(|this: &Weak<Kqueue<P>>| Kqueue {
            description: Description::new(),
            set,
            watcher: this.clone(),
            processes: Mutex::new(()),
            rings: Mutex::new(Vec::new()),
            around: this.clone(),
        }))
    }

    /// Applies the changes, then gives events: see [`Process::kevent`](crate::Process::kevent).
    #[inline(always)]
    pub fn kevent<L: Lists>(
        &self,
        lists: &mut L,
        files: &impl Files<P>,
        timeout: Option<core::time::Duration>,
    ) -> Result<usize> {
        if lists.change(0).is_some() {
            self.apply(lists, files)?;
            // R2, R3: answers are the whole result, and nothing is drained.
            if lists.used() > 0 {
                return Ok(lists.used());
            }
        }
        if lists.room() == 0 {
            return Ok(0);
        }
        if let Err(rest) = self.set.collect_plain(&mut Events(lists)) {
            return self.look_on(rest, lists, files, timeout);
        }
        if lists.used() > 0 || timeout.is_some_and(|timeout| timeout.is_zero()) {
            files.boundary();
            return Ok(lists.used());
        }
        self.wait(lists, files, timeout)
    }

    /// The rest of a call whose first look was not plain. Apart, so that the others are short.
    #[inline(never)]
    fn look_on<L: Lists>(
        &self,
        rest: Rest<'_, P, KNote<P>>,
        lists: &mut L,
        files: &impl Files<P>,
        timeout: Option<core::time::Duration>,
    ) -> Result<usize> {
        if let Err(error) = self.set.collect_rest(rest, &mut Events(lists)) {
            self.collected(error, lists)?;
        }
        if lists.used() > 0 || timeout.is_some_and(|timeout| timeout.is_zero()) {
            files.boundary();
            return Ok(lists.used());
        }
        self.wait(lists, files, timeout)
    }

    #[cold]
    #[inline(never)]
    fn wait<L: Lists>(
        &self,
        lists: &mut L,
        files: &impl Files<P>,
        timeout: Option<core::time::Duration>,
    ) -> Result<usize> {
        let deadline = deadline(&**self.set.platform(), timeout);
        let interruption = files.interruption();
        let call = Call::enter(interruption.as_deref(), None);
        loop {
            match self.set.wait(&mut Events(lists), deadline, call.interruption(), &self.watcher) {
                Ok(()) => return Ok(lists.used()),
                Err(error) => self.collected(error, lists)?,
            }
            if lists.used() > 0 {
                return Ok(lists.used());
            }
        }
    }

    /// A harvest ended with an error, which was perhaps that the stream must be read.
    #[cold]
    #[inline(never)]
    fn collected<L: Lists>(&self, error: Error, lists: &mut L) -> Result<()> {
        if error.errno == EAGAIN { self.hear(lists) } else { Err(error) }
    }

    /// Whom an arrival wakes that a note with `EV_WAKEONE` waits for.
    pub fn wake_policy(&self, ident: usize, filter: Filter, policy: Option<Policy>) -> Result<()> {
        self.set.prefer(&self.set.order(), (ident, filter), policy)
    }

    /// The same for all who have the file.
    pub fn file_wake_policy(
        &self,
        files: &impl Files<P>,
        ident: usize,
        filter: Filter,
        policy: Option<Policy>,
    ) -> Result<()> {
        let fd = i32::try_from(ident).map_err(|_| Error::new(EBADF))?;
        let source = files.file(fd)?.source()?.id;
        self.set.prefer_all(&self.set.order(), (ident, filter), source, policy)
    }

    /// What the queue is reached through.
    pub fn platform(&self) -> &Arc<P> {
        self.set.platform()
    }

    /// Its events are told into this ring too.
    pub(crate) fn attach(&self, ring: &Arc<Served>) -> Result<()> {
        let mut rings = self.rings.lock();
        rings.retain(|ring| ring.strong_count() > 0);
        rings.try_reserve(1).map_err(|_| Error::new(ENOMEM))?;
        rings.push(Arc::downgrade(ring));
        Ok(())
    }

    /// R35: what is in rings of a note that is gone reaches nobody.
    fn forget(&self, ident: usize, filter: Filter) {
        for ring in self.rings.lock().iter().filter_map(Weak::upgrade) {
            ring.forget(ident, filter);
        }
    }

    /// Closes the queue: notes go, and who waits is woken with an error (R34).
    pub fn close(&self) {
        self.set.close();
    }
}

impl<P: Platform> Inner for Kqueue<P> {
    fn description(&self) -> &Description {
        &self.description
    }

    fn look(&self) -> (usize, u64) {
        self.set.pending()
    }

    fn parked(&self) -> &Parked {
        self.set.parked()
    }

    fn has_news(&self) -> bool {
        self.set.has_news()
    }

    fn tell_every_arrival(&self) {
        self.set.tell_every_arrival();
    }

    fn wake_everybody(&self) {
        self.set.wake_everybody();
    }

    fn nested(&self) -> Vec<Arc<dyn Inner>> {
        self.set.nested()
    }
}

impl<P: Platform> Ending for Kqueue<P> {
    fn thread_ended(&self, thread: u64) {
        let rings: Vec<Arc<Served>> = self.rings.lock().iter().filter_map(Weak::upgrade).collect();
        self.set.thread_ended(thread, |number| {
            rings.iter().for_each(|ring| ring.parked().remove(number));
        });
    }
}

impl<P: Platform> Watcher for Kqueue<P> {
    /// R31: the notes on the number go.
    fn closed(&self, _description: u64, fd: i32, _last: bool) {
        let order = self.set.order();
        for filter in ON_DESCRIPTORS {
            self.set.purge(&order, (fd as usize, filter));
            self.forget(fd as usize, filter);
        }
    }
}

/// The event list as a sink of the engine.
pub struct Events<'a, L>(&'a mut L);

impl<L: Lists> Sink for Events<'_, L> {
    #[inline]
    fn is_full(&self) -> bool {
        self.0.room() == 0
    }

    #[inline]
    fn is_empty(&self) -> bool {
        self.0.used() == 0
    }

    #[inline]
    fn is_done(&self) -> bool {
        self.0.is_done()
    }

    #[inline]
    fn parked(&self) -> Option<&Parked> {
        self.0.parked()
    }
}

impl<L: Lists> Lists for Events<'_, L> {
    #[inline]
    fn change(&self, index: usize) -> Option<KEvent> {
        self.0.change(index)
    }

    #[inline]
    fn put(&mut self, event: KEvent) -> bool {
        self.0.put(event)
    }

    #[inline(always)]
    fn put_with(&mut self, event: &KEvent, data: i64) -> bool {
        self.0.put_with(event, data)
    }

    #[inline]
    fn room(&self) -> usize {
        self.0.room()
    }

    #[inline]
    fn used(&self) -> usize {
        self.0.used()
    }
}

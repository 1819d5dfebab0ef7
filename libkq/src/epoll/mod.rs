//! The epoll interface over a set. `epoll(7)`.

mod event;
mod item;

use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;
use core::sync::atomic::{AtomicBool, Ordering};
use core::time::Duration;

use abi::error::{EBADF, EEXIST, EINTR, EINVAL, ENOENT, ENOMEM, ENOSPC, EPERM, Error, Result};
use event_protocol::control::policy::Policy;
use event_protocol::filter::Filters;
use event_protocol::parked::Parked;
use hashbrown::HashMap;

use crate::description::{Description, Watcher};
use crate::ending::Ending;
use crate::file::{File, Files, Target};
use crate::interruption::{Call, SignalMask, deadline};
use crate::nesting::{Inner, nest};
use crate::platform::Platform;
use crate::set::{Member, Order, Set};
use crate::sync::Mutex;
pub use event::{EpollEvent, EpollFlags, EpollOp};
use item::{Events, Item, Key};

/// `EPOLL_CLOEXEC`: a program that is started does not get the set unless it is [handed](crate::inheritance) it.
pub const CLOEXEC: u64 = 0x0100_0000;

/// An epoll set.
pub struct Epoll<P: Platform> {
    /// Its numbers, and who watches it.
    pub description: Description,
    set: Set<P, Item>,
    /// By which numbers a description was added: all of these items go when it closes (R32).
    added: Mutex<HashMap<u64, Vec<i32>>>,
    watcher: Weak<dyn Watcher>,
    around: Weak<dyn Inner>,
    cloexec: AtomicBool,
}

/// An item as another set can have it.
#[derive(Clone, Copy, Debug)]
pub struct ItemState {
    /// The name of what it watches in this process.
    pub description: u64,
    /// By which number it was added.
    pub fd: i32,
    /// What it asks for and tells.
    pub event: EpollEvent,
    /// False of a one-shot that was told.
    pub armed: bool,
}

impl<P: Platform> Epoll<P> {
    /// A new set.
    pub fn create(platform: &Arc<P>) -> Result<Arc<Epoll<P>>> {
        let set = Set::create(platform)?;
        Ok(Arc::new_cyclic(|this: &Weak<Epoll<P>>| Epoll {
            description: Description::new(),
            set,
            added: Mutex::new(HashMap::new()),
            watcher: this.clone(),
            around: this.clone(),
            cloexec: AtomicBool::new(false),
        }))
    }

    /// Whether programs that are started do not get it by themselves: [`CLOEXEC`], which is the set's.
    pub fn is_cloexec(&self) -> bool {
        self.cloexec.load(Ordering::Relaxed)
    }

    /// Says so.
    pub fn set_cloexec(&self, cloexec: bool) {
        self.cloexec.store(cloexec, Ordering::Relaxed);
    }

    /// Its items.
    pub fn items(&self) -> Result<Vec<ItemState>> {
        let core = self.set.core()?;
        let state = |((description, fd), index): (Key, u32)| {
            let (event, armed) = core.queue.note(index)?.view.state();
            Some(ItemState { description, fd, event, armed })
        };
        Ok(core.keys().filter_map(state).collect())
    }

    /// Makes an item as another set had it. It keeps the file open, which may have no number here; with the last number it
    /// goes, as others do (R32). What is ready is news to it.
    pub fn adopt(&self, fd: i32, file: &Arc<File<P>>, event: EpollEvent, armed: bool) -> Result<()> {
        // R56: its driver is asked before the lock is taken.
        let source = file.pollable()?.ok_or(Error::new(EPERM))?;
        let order = self.set.order();
        file.description.watched_by(&self.watcher);
        let key = (file.description.name(), fd);
        let item = Item::new(key, source.id.shard(), source.filters, source.low_water, event);
        self.set.add(&order, item.of_another_set(file.clone(), armed), &source)?;
        self.added.lock().entry(key.0).or_default().push(fd);
        Ok(())
    }

    /// Makes, changes or removes an item. `epoll_ctl(2)`; see [`Process::epoll_ctl`](crate::process::Process::epoll_ctl).
    pub fn control(&self, files: &impl Files<P>, op: EpollOp, fd: i32, event: EpollEvent) -> Result<()> {
        files.ask(fd);
        let order = self.set.order();
        // R31, R32: known to the descriptor first, and found open after that.
        let target = files.target(fd)?;
        let description = target.description();
        description.watched_by(&self.watcher);
        if files.target(fd)?.description().name() != description.name() {
            return Err(Error::new(EBADF));
        }
        let key = (description.name(), fd);
        let found = self.set.core()?.find(key);
        match (op, found) {
            (EpollOp::Add, Some(_)) => Err(Error::new(EEXIST)),
            (EpollOp::Add, None) => self.add(&order, &target, key, event),
            (_, None) => {
                if let Target::File(file) = &target {
                    pollable(file)?;
                }
                Err(Error::new(ENOENT))
            }
            (EpollOp::Modify, Some(index)) => self.modify(&order, index, event),
            (EpollOp::Delete, Some(index)) => {
                self.forget(key);
                self.set.delete(&order, index)
            }
        }
    }

    fn add(&self, order: &Order<'_>, target: &Target<P>, key: Key, event: EpollEvent) -> Result<()> {
        let flags = event.events();
        if flags.contains(EpollFlags::EXCLUSIVE) && !EpollFlags::WITH_EXCLUSIVE.contains(flags) {
            return Err(Error::new(EINVAL));
        }
        let added = self.remember(key).and_then(|()| match target {
            Target::File(file) => {
                let source = pollable(file)?;
                let item = Item::new(key, source.id.shard(), source.filters, source.low_water, event);
                self.set.add(order, item, &source).map(drop)
            }
            Target::Set(inner) if !flags.contains(EpollFlags::EXCLUSIVE) => {
                self.set.make_room(order)?;
                nest(&self.description, self.around.clone(), inner, || {
                    let mut core = self.set.core()?;
                    let index = core.insert_own(Item::on_set(key, inner.clone(), event))?;
                    self.set.look(core, index, true);
                    Ok(())
                })?;
                self.set.wake_everybody();
                Ok(())
            }
            Target::Set(_) => Err(Error::new(EINVAL)),
        });
        added.map_err(|error| {
            self.forget(key);
            // R55: over quota has an error of its own here.
            if error.errno == ENOMEM { Error::new(ENOSPC) } else { error }
        })
    }

    /// Puts down by which number a description is added.
    fn remember(&self, key: Key) -> Result<()> {
        let mut added = self.added.lock();
        added.try_reserve(1).map_err(|_| Error::new(ENOMEM))?;
        let numbers = added.entry(key.0).or_default();
        numbers.try_reserve(1).map_err(|_| Error::new(ENOMEM))?;
        numbers.push(key.1);
        Ok(())
    }

    /// R39, R40: evaluated at once, what is there now being news.
    fn modify(&self, order: &Order<'_>, index: u32, event: EpollEvent) -> Result<()> {
        let mut core = self.set.core()?;
        let note = core.queue.note_mut(index).ok_or(Error::new(ENOENT))?;
        if event.events().contains(EpollFlags::EXCLUSIVE) || Member::is_exclusive(&note.view) {
            return Err(Error::new(EINVAL));
        }
        let before = Member::filters(&note.view);
        note.view.modify(event);
        let terms = Member::terms(&note.view);
        if let Some(cell) = &note.cell {
            let (read, write) = cell.activity();
            note.slot().see_activity((read.wrapping_sub(1), write.wrapping_sub(1)), Filters::all());
        }
        note.slot().set_terms(terms);
        let known = note.cell.is_some();
        self.set.look(core, index, true);
        if known && terms.filters != before { self.set.refilter(order, index) } else { Ok(()) }
    }

    /// Whom an arrival wakes that an item with `EPOLLEXCLUSIVE` waits for.
    pub fn wake_policy(&self, files: &impl Files<P>, fd: i32, policy: Option<Policy>) -> Result<()> {
        let order = self.set.order();
        let key = (files.target(fd)?.description().name(), fd);
        self.set.prefer(&order, key, policy)
    }

    /// The same for all who have the file.
    pub fn file_wake_policy(&self, files: &impl Files<P>, fd: i32, policy: Option<Policy>) -> Result<()> {
        let file = files.file(fd)?;
        let source = file.source()?.id;
        self.set.prefer_all(&self.set.order(), (file.description.name(), fd), source, policy)
    }

    fn forget(&self, key: Key) {
        let mut added = self.added.lock();
        if let Some(numbers) = added.get_mut(&key.0) {
            numbers.retain(|&number| number != key.1);
            if numbers.is_empty() {
                added.remove(&key.0);
            }
        }
    }

    /// Puts what is ready into `events`, waiting for the first. `epoll_wait(2)`; see
    /// [`Process::epoll_wait`](crate::process::Process::epoll_wait).
    #[inline(always)]
    pub fn wait(
        &self,
        files: &impl Files<P>,
        events: &mut [EpollEvent],
        timeout: Option<Duration>,
    ) -> Result<usize> {
        if events.is_empty() {
            return Err(Error::new(EINVAL));
        }
        let mut events = Events::new(events);
        self.set.collect(&mut events)?;
        if events.used() > 0 || timeout.is_some_and(|timeout| timeout.is_zero()) {
            files.boundary();
            return Ok(events.used());
        }
        self.sleep(files, &mut events, timeout, None)
    }

    /// The same with a mask of signals for the time of the call (R49). `epoll_pwait(2)`.
    pub fn wait_masked(
        &self,
        files: &impl Files<P>,
        events: &mut [EpollEvent],
        timeout: Option<Duration>,
        mask: SignalMask,
    ) -> Result<usize> {
        if events.is_empty() {
            return Err(Error::new(EINVAL));
        }
        self.sleep(files, &mut Events::new(events), timeout, Some(mask))
    }

    #[cold]
    #[inline(never)]
    fn sleep(
        &self,
        files: &impl Files<P>,
        events: &mut Events<'_>,
        timeout: Option<Duration>,
        mask: Option<SignalMask>,
    ) -> Result<usize> {
        let deadline = deadline(&**self.set.platform(), timeout);
        let interruption = files.interruption();
        let call = Call::enter(interruption.as_deref(), mask);
        if timeout.is_some_and(|timeout| timeout.is_zero()) {
            self.set.collect(events)?;
            if events.used() == 0 && call.is_due() {
                return Err(Error::new(EINTR));
            }
            return Ok(events.used());
        }
        self.set.wait(events, deadline, call.interruption(), &self.watcher)?;
        Ok(events.used())
    }

    /// Items that it has.
    pub fn len(&self) -> usize {
        self.set.core().map_or(0, |core| core.queue.len())
    }

    /// Whether it has none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Closes the set: items go, and who waits is woken with an error (R34).
    pub fn close(&self) {
        self.set.close();
    }
}

impl<P: Platform> Inner for Epoll<P> {
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

impl<P: Platform> Ending for Epoll<P> {
    fn thread_ended(&self, thread: u64) {
        self.set.thread_ended(thread, |_| {});
    }
}

impl<P: Platform> Watcher for Epoll<P> {
    /// R32: items go with the description's last number, not with theirs.
    fn closed(&self, description: u64, _fd: i32, last: bool) {
        if !last {
            return;
        }
        let order = self.set.order();
        let numbers = self.added.lock().remove(&description).unwrap_or_default();
        for fd in numbers {
            self.set.purge(&order, (description, fd));
        }
    }
}

/// The source of a file that can be polled. `EPERM`: it cannot, since it is always ready or has other events.
fn pollable<P: Platform>(file: &File<P>) -> Result<Arc<crate::platform::Source<P::Memory>>> {
    file.known_pollable()?.ok_or(Error::new(EPERM))
}

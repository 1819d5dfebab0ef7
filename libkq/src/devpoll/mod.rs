//! The /dev/poll interface over a set. `poll(4D)` of illumos.

mod entry;

use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;
use core::time::Duration;

use abi::error::{EBADF, EINTR, EINVAL, ELOOP, ENOENT, ENOMEM, Error, Result};
use event_protocol::parked::Parked;

use crate::conditions::{Conditions, Interest};
use crate::description::{Description, Watcher};
use crate::ending::Ending;
use crate::file::{Files, Target};
use crate::interruption::{Call, SignalMask, deadline};
use crate::nesting::{Inner, nest};
use crate::platform::Platform;
use crate::poll::{PollFd, is_gone};
use crate::set::{Member, Order, Set};
use crate::sync::Mutex;
use entry::{Entry, Found, State};

/// The path by which a set is opened.
pub const PATH: &str = "/dev/poll";

/// A /dev/poll set.
pub struct DevPoll<P: Platform> {
    /// Its numbers, and who watches it.
    pub description: Description,
    set: Set<P, Entry>,
    /// Entries whose numbers were not open when they were last looked at. It has room for every entry, so that closing a
    /// number needs none.
    invalid: Mutex<Vec<i32>>,
    watcher: Weak<dyn Watcher>,
    around: Weak<dyn Inner>,
}

impl<P: Platform> DevPoll<P> {
    /// A new set.
    pub fn create(platform: &Arc<P>) -> Result<Arc<DevPoll<P>>> {
        let set = Set::create(platform)?;
        Ok(Arc::new_cyclic(|this: &Weak<DevPoll<P>>| DevPoll {
            description: Description::new(),
            set,
            invalid: Mutex::new(Vec::new()),
            watcher: this.clone(),
            around: this.clone(),
        }))
    }

    /// Adds, widens and removes entries, in order: `write(2)` of a list of `struct pollfd`. `EINVAL`: an entry asks for
    /// [`Conditions::REMOVE`] and something else, and nothing is done. Negative numbers are skipped.
    pub fn write(&self, files: &impl Files<P>, list: &[PollFd]) -> Result<()> {
        let wishes = || list.iter().filter(|wish| wish.fd >= 0);
        let removes = |wish: &PollFd| wish.events.contains(Conditions::REMOVE);
        if wishes().any(|wish| removes(wish) && wish.events != Conditions::REMOVE) {
            return Err(Error::new(EINVAL));
        }
        list.iter().for_each(|wish| files.ask(wish.fd));
        let order = self.set.order();
        for wish in wishes() {
            if removes(wish) {
                self.remove(&order, wish.fd)?;
            } else {
                let before = self.wanted(wish.fd)?.unwrap_or_default();
                self.put(&order, files, wish.fd, before | wish.events)?;
            }
        }
        Ok(())
    }

    /// What is asked about a number; `None` when there is no entry.
    fn wanted(&self, fd: i32) -> Result<Option<Conditions>> {
        Ok(self.set.core()?.view_of(fd).map(Entry::wanted))
    }

    /// Makes or changes the entry of a number, open or not.
    fn put(&self, order: &Order<'_>, files: &impl Files<P>, fd: i32, wanted: Conditions) -> Result<()> {
        let own = match self.target(files, fd)? {
            None => State::Invalid,
            Some(Target::Set(inner)) => return self.put_set(order, fd, wanted, inner),
            Some(Target::File(file)) => match file.known_pollable() {
                Ok(None) => State::Always,
                Err(error) if is_gone(error) => State::Gone,
                Err(error) => return Err(error),
                Ok(Some(source)) => {
                    let interest = Interest::new(wanted, source.filters, source.low_water);
                    let home = source.id.shard();
                    let state = State::Live { description: file.description.name(), home, interest };
                    if self.change(order, fd, wanted, state)? {
                        return Ok(());
                    }
                    let entry = Entry::new(fd, wanted, state);
                    match self.replace(order, fd, || self.set.add(order, entry, &source).map(drop)) {
                        Err(error) if is_gone(error) => State::Gone,
                        done => return done,
                    }
                }
            },
        };
        self.put_own(order, Entry::new(fd, wanted, own))
    }

    /// Makes the entry of a number in the place of the one that it has, which stays when that fails.
    fn replace(&self, order: &Order<'_>, fd: i32, make: impl FnOnce() -> Result<()>) -> Result<()> {
        let is_invalid = || self.set.core().map(|core| core.view_of(fd).is_some_and(Entry::is_invalid));
        let entries = self.set.core()?.queue.len() + 1;
        {
            let mut invalid = self.invalid.lock();
            let more = entries.saturating_sub(invalid.len());
            invalid.try_reserve(more).map_err(|_| Error::new(ENOMEM))?;
        }
        let before = is_invalid()?;
        self.set.replace(order, fd, make)?;
        match (before, is_invalid()?) {
            (false, true) => self.invalid.lock().push(fd),
            (true, false) => self.invalid.lock().retain(|&number| number != fd),
            _ => {}
        }
        Ok(())
    }

    /// An entry on another set (R37).
    fn put_set(&self, order: &Order<'_>, fd: i32, wanted: Conditions, inner: Arc<dyn Inner>) -> Result<()> {
        nest(&self.description, self.around.clone(), &inner, || {
            self.put_own(order, Entry::on_set(fd, wanted, inner.clone()))
        })?;
        self.set.wake_everybody();
        Ok(())
    }

    /// R31: known to the descriptor first, and found open after that.
    fn target(&self, files: &impl Files<P>, fd: i32) -> Result<Option<Target<P>>> {
        let open = |found: Result<Target<P>>| match found {
            Err(error) if error.errno == EBADF => Ok(None),
            found => found.map(Some),
        };
        let Some(target) = open(files.target(fd))? else { return Ok(None) };
        target.description().watched_by(&self.watcher);
        let same = |found: &Target<P>| found.description().name() == target.description().name();
        Ok(open(files.target(fd))?.filter(same))
    }

    /// Changes a live entry of the same file; false when there is none.
    fn change(&self, order: &Order<'_>, fd: i32, wanted: Conditions, state: State) -> Result<bool> {
        let mut core = self.set.core()?;
        let Some(index) = core.find(fd) else { return Ok(false) };
        let Some(note) = core.queue.note_mut(index) else { return Ok(false) };
        let before = note.view.filters();
        if !note.view.change(wanted, state) {
            return Ok(false);
        }
        let terms = note.view.terms();
        note.slot().set_terms(terms);
        self.set.look(core, index, true);
        if terms.filters != before {
            self.set.refilter(order, index)?;
        }
        Ok(true)
    }

    /// An entry that no server knows, in the place of the one that its number has.
    fn put_own(&self, order: &Order<'_>, entry: Entry) -> Result<()> {
        self.replace(order, entry.key(), || {
            self.set.make_room(order)?;
            let mut core = self.set.core()?;
            let index = core.insert_own(entry)?;
            self.set.look(core, index, true);
            Ok(())
        })
    }

    fn remove(&self, order: &Order<'_>, fd: i32) -> Result<()> {
        let mut core = self.set.core()?;
        let Some(index) = core.find(fd) else { return Ok(()) };
        if core.view_of(fd).is_some_and(Entry::is_invalid) {
            self.invalid.lock().retain(|&number| number != fd);
        }
        if core.queue.note(index).is_some_and(|note| note.cell.is_none()) {
            return core.remove_own(index);
        }
        drop(core);
        self.set.delete(order, index)
    }

    /// Numbers that are open again are adopted.
    #[cold]
    fn adopt(&self, files: &impl Files<P>) -> Result<()> {
        let invalid = self.invalid.lock().clone();
        invalid.iter().for_each(|&fd| files.ask(fd));
        let order = self.set.order();
        for fd in invalid {
            if self.target(files, fd)?.is_some()
                && let Some(wanted) = self.wanted(fd)?
            {
                match self.put(&order, files, fd, wanted) {
                    // A set that cannot lie in this one: to this one the number stands for nothing.
                    Err(error) if [EINVAL, ELOOP].contains(&error.errno) => {}
                    done => done?,
                }
            }
        }
        Ok(())
    }

    /// Puts what is ready into `list`, waiting for the first. `ioctl(DP_POLL)`; see
    /// [`Process::devpoll_poll`](crate::process::Process::devpoll_poll).
    #[inline(always)]
    pub fn poll(
        &self,
        files: &impl Files<P>,
        list: &mut [PollFd],
        timeout: Option<Duration>,
        mask: Option<SignalMask>,
    ) -> Result<usize> {
        let mut found = Found::new(list);
        if mask.is_none() && !found.has_no_room() {
            self.set.collect(&mut found)?;
            if found.used() > 0 && !found.has_invalid() {
                files.boundary();
                return Ok(found.used());
            }
            // A number that is not open would have been found.
            if found.used() == 0 && timeout.is_some_and(|timeout| timeout.is_zero()) {
                return Ok(0);
            }
        }
        self.poll_rest(files, found, timeout, mask)
    }

    #[cold]
    #[inline(never)]
    fn poll_rest(
        &self,
        files: &impl Files<P>,
        mut found: Found<'_>,
        timeout: Option<Duration>,
        mask: Option<SignalMask>,
    ) -> Result<usize> {
        let until = deadline(&**self.set.platform(), timeout);
        let interruption = files.interruption();
        let call = Call::enter(interruption.as_deref(), mask);
        if found.has_no_room() {
            // Nothing is asked for: it is a sleep.
            let rest = Set::<P, Entry>::create(self.set.platform())?;
            let slept = rest.wait(
                &mut Found::new(&mut [PollFd::default()]),
                until,
                call.interruption(),
                &self.watcher,
            );
            rest.close();
            return slept.map(|()| 0);
        }
        loop {
            if !self.invalid.lock().is_empty() {
                // What was found so far may be about numbers that are open again.
                found.forget();
                self.adopt(files)?;
            }
            if found.used() == 0 {
                self.set.collect(&mut found)?;
            }
            if found.used() > 0 {
                return Ok(found.used());
            }
            if timeout.is_some_and(|timeout| timeout.is_zero()) {
                return if call.is_due() { Err(Error::new(EINTR)) } else { Ok(0) };
            }
            self.set.wait(&mut found, until, call.interruption(), &self.watcher)?;
            // A number that was closed while we slept may be open again, as after a dup2.
            if !found.has_invalid() {
                return Ok(found.used());
            }
        }
    }

    /// What is asked about a number, if it has an entry. `ioctl(DP_ISPOLLED)`. `ENOENT`: the number cannot have one.
    pub fn is_polled(&self, fd: i32) -> Result<Option<Conditions>> {
        if fd < 0 {
            return Err(Error::new(ENOENT));
        }
        self.wanted(fd)
    }

    /// Closes the set: entries go, and who waits is woken with an error.
    pub fn close(&self) {
        self.set.close();
    }
}

impl<P: Platform> Inner for DevPoll<P> {
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

impl<P: Platform> Ending for DevPoll<P> {
    fn thread_ended(&self, thread: u64) {
        self.set.thread_ended(thread, |_| {});
    }
}

impl<P: Platform> Watcher for DevPoll<P> {
    /// A closed number that is not removed is invalid from here on. Nothing of it can fail (R31): what its entry reads may be
    /// another file's in a moment.
    fn closed(&self, _description: u64, fd: i32, _last: bool) {
        let order = self.set.order();
        let wanted = match self.set.core() {
            Ok(core) => core.view_of(fd).filter(|entry| !entry.is_invalid()).map(Entry::wanted),
            // Of a closed set nobody asks.
            Err(_) => None,
        };
        let Some(wanted) = wanted else { return };
        if self.set.turn(&order, fd, Entry::new(fd, wanted, State::Invalid)) {
            self.invalid.lock().push(fd);
        }
    }
}

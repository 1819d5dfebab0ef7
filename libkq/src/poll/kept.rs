//! A set that a thread keeps between its calls.

use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;
use core::sync::atomic::{AtomicBool, Ordering};

use abi::error::{EBADF, ENODEV, ENOENT, Error, Result};
use event_protocol::cell::Cell;
use event_protocol::shared;
use hashbrown::HashMap;

use super::note::{Awake, CLOSED, PollNote};
use super::{Question, Rules};
use crate::conditions::{Conditions, Interest};
use crate::description::Watcher;
use crate::ending::Ending;
use crate::file::{Files, Target};
use crate::interruption::Interruption;
use crate::nesting::Inner;
use crate::platform::{Platform, Source};
use crate::set::{Order, Set};
use crate::sync::Mutex;

/// A set, and what its thread asked last.
pub struct Kept<P: Platform> {
    thread: u64,
    rules: Rules,
    set: Set<P, PollNote>,
    /// The questions of the last call and where each is answered. One thread uses it: the lock is never waited for.
    plan: Mutex<Plan<P>>,
    /// A descriptor of the plan was closed, or the plan could not be carried out.
    stale: AtomicBool,
    watcher: Weak<dyn Watcher>,
}

/// What was asked last.
struct Plan<P: Platform> {
    planned: Vec<Planned<P>>,
    /// Whether a number was not open, which may be now.
    has_invalid: bool,
}

/// A question and where its answer is.
struct Planned<P: Platform> {
    question: Question,
    place: Place<P>,
}

/// Where an answer is.
enum Place<P: Platform> {
    /// Nowhere: the number is negative.
    Skipped,
    /// The number is not open.
    Invalid,
    /// Always ready.
    Always,
    /// The driver is gone (R57).
    Gone,
    /// In a set.
    Set(Arc<dyn Inner>),
    /// In a cell.
    Cell(shared::Kept<P::Memory, Cell>, Interest),
}

/// What a number that is open stands for.
enum Found<P: Platform> {
    Watched(Arc<Source<P::Memory>>),
    Set(Arc<dyn Inner>),
    Always,
    Gone,
}

impl<P: Platform> Kept<P> {
    /// A set without notes, for this thread.
    pub fn create(platform: &Arc<P>, thread: u64, rules: Rules) -> Result<Arc<Kept<P>>> {
        let set = Set::create(platform)?;
        set.core()?.insert_own(PollNote::Closed(false))?;
        Ok(Arc::new_cyclic(|this: &Weak<Kept<P>>| Kept {
            thread,
            rules,
            set,
            plan: Mutex::new(Plan { planned: Vec::new(), has_invalid: false }),
            stale: AtomicBool::new(false),
            watcher: this.clone(),
        }))
    }

    /// Whether it is this thread's, and asks by these rules.
    pub fn belongs_to(&self, thread: u64, rules: Rules) -> bool {
        (self.thread, self.rules) == (thread, rules)
    }

    /// Nobody uses it any more.
    pub fn close(&self) {
        self.set.close();
    }

    /// Gives `take` the answers to the questions, in order, until it finds something in them or `until` has passed;
    /// without `until` once. What it was given last counts.
    pub fn ask(
        &self,
        files: &impl Files<P>,
        questions: impl Iterator<Item = Question> + Clone,
        mut take: impl FnMut(&mut dyn Iterator<Item = Conditions>) -> Result<usize>,
        until: Option<u64>,
        interruption: Option<&dyn Interruption>,
    ) -> Result<usize> {
        let mut plan = self.plan.lock();
        loop {
            self.follow(&mut plan, files, questions.clone())?;
            let count = take(&mut plan.planned.iter().map(|planned| self.answer(planned)))?;
            // R45: a number was closed since, and its cell perhaps says that its source is gone.
            if self.stale.load(Ordering::Acquire) {
                continue;
            }
            let Some(until) = until else { return Ok(count) };
            if count > 0 {
                return Ok(count);
            }
            let mut found = Awake::default();
            let slept = self.set.wait(&mut found, until, interruption, &self.watcher);
            if !found.0 {
                // The time is over, or the wait was: in either case nothing was found.
                return slept.map(|()| 0);
            }
        }
    }

    fn answer(&self, planned: &Planned<P>) -> Conditions {
        let all = Conditions::READABLE.union(Conditions::WRITABLE);
        match &planned.place {
            Place::Skipped => Conditions::empty(),
            Place::Invalid => Conditions::NVAL,
            Place::Always => planned.question.wanted.intersection(all),
            Place::Gone => match self.rules {
                Rules::Poll => Conditions::HUP,
                Rules::Select => planned.question.wanted,
            },
            Place::Set(inner) if inner.look().0 == 0 => Conditions::empty(),
            Place::Set(_) => planned.question.wanted.intersection(Conditions::READABLE),
            Place::Cell(cell, interest) => interest.told(cell),
        }
    }

    /// Makes the plan that of these questions. When they are the last call's and nothing was closed, it is.
    fn follow(
        &self,
        plan: &mut Plan<P>,
        files: &impl Files<P>,
        questions: impl Iterator<Item = Question> + Clone,
    ) -> Result<()> {
        let same = !self.stale.load(Ordering::Acquire)
            && !plan.has_invalid
            && plan.planned.iter().map(|planned| planned.question).eq(questions.clone());
        if same {
            return Ok(());
        }
        questions.clone().for_each(|question| files.ask(question.fd));
        plan.planned.clear();
        plan.has_invalid = false;
        // Until the notes are the plan's.
        self.stale.store(true, Ordering::Release);
        let order = self.set.order();
        self.set_closed(false)?;
        let mut wanted: HashMap<i32, Conditions> = HashMap::new();
        for question in questions.clone().filter(|question| question.fd >= 0) {
            *wanted.entry(question.fd).or_default() |= question.wanted;
        }
        self.drop_others(&order, &wanted)?;
        let places = self.places(&order, files, &wanted)?;
        for question in questions {
            let place = match places.get(&question.fd) {
                _ if question.fd < 0 => Place::Skipped,
                Some(Found::Watched(source)) => {
                    Place::Cell(source.cell.clone(), self.interest(question.wanted, source))
                }
                Some(Found::Always) => Place::Always,
                Some(Found::Gone) => Place::Gone,
                Some(Found::Set(inner)) => Place::Set(inner.clone()),
                None => Place::Invalid,
            };
            plan.has_invalid |= matches!(place, Place::Invalid);
            plan.planned.push(Planned { question, place });
        }
        // Who closes a number says so under the order lock.
        self.stale.store(false, Ordering::Release);
        Ok(())
    }

    fn interest(&self, wanted: Conditions, source: &Source<P::Memory>) -> Interest {
        match self.rules {
            Rules::Poll => Interest::new(wanted, source.filters, source.low_water),
            Rules::Select => Interest::of_select(wanted, source.filters, source.low_water),
        }
    }

    /// Removes the notes that nobody asks for any more.
    fn drop_others(&self, order: &Order<'_>, wanted: &HashMap<i32, Conditions>) -> Result<()> {
        let others: Vec<u32> = {
            let core = self.set.core()?;
            core.keys()
                .filter(|(fd, _)| *fd != CLOSED && !wanted.contains_key(fd))
                .map(|(_, at)| at)
                .collect()
        };
        others.into_iter().try_for_each(|index| self.set.delete(order, index))
    }

    /// Makes and changes notes so that each number that is open has the one that is wanted. Numbers that are not open are
    /// not in the result.
    fn places(
        &self,
        order: &Order<'_>,
        files: &impl Files<P>,
        wanted: &HashMap<i32, Conditions>,
    ) -> Result<HashMap<i32, Found<P>>> {
        let mut places = HashMap::with_capacity(wanted.len());
        let mut made = Vec::new();
        for (&fd, &wanted) in wanted {
            let file = match self.target(files, fd)? {
                None => continue,
                Some(Target::Set(inner)) => {
                    self.watch_set(order, fd, wanted, &inner)?;
                    places.insert(fd, Found::Set(inner));
                    continue;
                }
                Some(Target::File(file)) => file,
            };
            let source = match file.known_pollable() {
                Ok(Some(source)) => source,
                Ok(None) => {
                    places.insert(fd, Found::Always);
                    continue;
                }
                Err(error) if is_gone(error) => {
                    places.insert(fd, Found::Gone);
                    continue;
                }
                Err(error) => return Err(error),
            };
            let interest = self.interest(wanted, &source);
            let found = self.set.core()?.find(fd);
            match found {
                Some(index) => self.change(order, index, interest)?,
                None => {
                    let note = PollNote::Descriptor { fd, home: source.id.shard(), interest };
                    made.push(self.set.prepare(order, note, &source)?);
                }
            }
            places.insert(fd, Found::Watched(source));
        }
        for result in self.set.register(order, &made, u32::MAX) {
            match result {
                // Its cell says so too, for ever.
                Err(error) if is_gone(error) => {}
                result => result?,
            }
        }
        Ok(places)
    }

    fn watch_set(
        &self,
        order: &Order<'_>,
        fd: i32,
        wanted: Conditions,
        inner: &Arc<dyn Inner>,
    ) -> Result<()> {
        self.set.purge(order, fd);
        self.set.make_room(order)?;
        let readable = wanted.intersects(Conditions::READABLE);
        let mut core = self.set.core()?;
        let index = core.insert_own(PollNote::Set { fd, inner: inner.clone(), readable })?;
        core.queue.look(index);
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

    fn change(&self, order: &Order<'_>, index: u32, new: Interest) -> Result<()> {
        let mut core = self.set.core()?;
        let Some(note) = core.queue.note_mut(index) else { return Err(Error::new(EBADF)) };
        let PollNote::Descriptor { interest, .. } = &mut note.view else { return Err(Error::new(EBADF)) };
        if *interest == new {
            return Ok(());
        }
        *interest = new;
        let terms = crate::set::Member::terms(&note.view);
        note.slot().set_terms(terms);
        core.queue.look(index);
        drop(core);
        self.set.refilter(order, index)
    }

    fn set_closed(&self, closed: bool) -> Result<()> {
        let mut core = self.set.core()?;
        let Some(index) = core.find(CLOSED) else { return Ok(()) };
        if let Some(note) = core.queue.note_mut(index) {
            note.view = PollNote::Closed(closed);
        }
        self.set.look(core, index, closed);
        Ok(())
    }
}

impl<P: Platform> Ending for Kept<P> {
    /// Nobody else has the set.
    fn thread_ended(&self, thread: u64) {
        self.set.thread_ended(thread, |_| {});
        self.set.close();
    }
}

impl<P: Platform> Watcher for Kept<P> {
    /// The note goes, and a thread that waits looks at the number again (R45).
    fn closed(&self, _description: u64, fd: i32, _last: bool) {
        let order = self.set.order();
        self.set.purge(&order, fd);
        self.stale.store(true, Ordering::Release);
        // A set that is closed wakes nobody.
        let _ = self.set_closed(true);
    }
}

/// R57: the source, or who served it, is no more.
pub(crate) fn is_gone(error: Error) -> bool {
    [ENODEV, ENOENT].contains(&error.errno)
}

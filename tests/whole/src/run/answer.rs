//! What calls answer, and whether that is right.

use std::time::Duration;

use abi::error::{EBADF, Error};
use libkq::process::Process;
use libkq::{Conditions, EpollEvent, EventFlags, FdSet, KEvent, PollFd};

use super::parked::Resolved;
use crate::rules::kqueue::{Watched, key};
use crate::rules::process::{Process as Known, What};
use crate::rules::{Files, Refusal, Rules};
use crate::world::Client;

/// The three sets of select.
const KINDS: [Conditions; 3] = [Conditions::IN, Conditions::OUT, Conditions::PRI];

/// An answer.
#[derive(Clone, Debug)]
pub enum Answer {
    /// Of kevent.
    Kevent(Result<Vec<KEvent>, Error>),
    /// Of epoll_wait.
    Epoll(Result<Vec<EpollEvent>, Error>),
    /// Of DP_POLL.
    DevPoll(Result<Vec<PollFd>, Error>),
    /// Of poll: the count, and the whole list.
    Poll(Result<usize, Error>, Vec<PollFd>),
    /// Of select: the count, and the sets afterwards.
    Select(Result<usize, Error>, [FdSet; 3]),
}

fn sets_of(questions: &[(i32, Conditions)]) -> [FdSet; 3] {
    let of = |kind| questions.iter().filter(|(_, wanted)| wanted.contains(kind)).map(|&(fd, _)| fd).collect();
    KINDS.map(of)
}

impl Answer {
    /// Makes a call.
    pub fn of(process: &Process<Client>, call: &Resolved, timeout: Option<Duration>) -> Answer {
        match call {
            Resolved::Kevent(fd, _, room) => {
                let mut events = vec![KEvent::default(); *room];
                let count = process.kevent(*fd, &[], &mut events, timeout);
                Answer::Kevent(count.map(|count| events[..count].to_vec()))
            }
            Resolved::Epoll(fd, _, room) => {
                let mut events = vec![EpollEvent::default(); *room];
                let count = process.epoll_wait(*fd, &mut events, timeout);
                Answer::Epoll(count.map(|count| events[..count].to_vec()))
            }
            Resolved::DevPoll(fd, _, room) => {
                let mut list = vec![PollFd::default(); *room];
                let count = process.devpoll_poll(*fd, &mut list, timeout, None);
                Answer::DevPoll(count.map(|count| list[..count].to_vec()))
            }
            Resolved::Poll(questions) => {
                let entry = |&(fd, wanted)| PollFd { revents: Conditions::all(), ..PollFd::new(fd, wanted) };
                let mut list: Vec<PollFd> = questions.iter().map(entry).collect();
                let count = process.poll(&mut list, timeout, None);
                Answer::Poll(count, list)
            }
            Resolved::Select(questions) => {
                let mut sets = sets_of(questions);
                let [read, write, except] = &mut sets;
                let count = process.select(64, [Some(read), Some(write), Some(except)], timeout, None);
                Answer::Select(count, sets)
            }
        }
    }
}

/// A call that gives nothing but perhaps an error.
pub fn same(done: Result<(), Error>, expected: Result<(), Refusal>, what: &str) {
    match (done, expected) {
        (Ok(()), Ok(())) => {}
        (Err(error), Err(errors)) if errors.contains(&error.errno) => {}
        (done, expected) => panic!("{what}: {done:?}, and not {expected:?}"),
    }
}

/// Compares what a set told with all that it has to tell: as many as fit (R12, R14), each once (R60).
fn compare<T: std::fmt::Debug, K: std::fmt::Debug>(
    told: &[T],
    mut due: Vec<K>,
    room: usize,
    is: impl Fn(&T, &K) -> bool,
) -> Vec<K> {
    assert_eq!(told.len(), due.len().min(room), "{told:?}, and not {due:?}");
    let mut delivered = Vec::new();
    for event in told {
        let found = due.iter().position(|due| is(event, due));
        let found = found.unwrap_or_else(|| panic!("{event:?} is none of {due:?}"));
        delivered.push(due.swap_remove(found));
    }
    delivered
}

fn kevents_due(known: &Known, own: u64, files: &Files) -> Vec<KEvent> {
    let What::Kqueue(queue) = known.what(own) else { return Vec::new() };
    queue.notes.iter().filter_map(|(&key, note)| note.event(key, known, files)).collect()
}

fn harvest(known: &mut Known, own: u64, files: &Files, told: &[KEvent], room: usize) {
    for event in compare(told, kevents_due(known, own, files), room, PartialEq::eq) {
        known.kqueue(own).delivered(key(&event), files);
    }
}

/// R1 to R4: a call with changes.
pub fn kevent(
    rules: &mut Rules,
    process: usize,
    fd: i32,
    changes: &[KEvent],
    room: usize,
    real: Result<&[KEvent], Error>,
) {
    let Rules { processes, files, now } = rules;
    let known = processes[process].as_mut().expect("alive");
    let own = known.table[&fd];
    let mut answers: Vec<(KEvent, Refusal)> = Vec::new();
    for change in changes {
        let done = known.change(own, change, files, *now);
        match done {
            Ok(()) if change.flags.contains(EventFlags::RECEIPT) => {
                if answers.len() < room {
                    answers.push((*change, vec![0]));
                }
            }
            Ok(()) => {}
            Err(errors) if answers.len() < room => answers.push((*change, errors)),
            Err(errors) => {
                let failed = real.expect_err("a change fails, and there is no room to say so");
                assert!(errors.contains(&failed.errno), "{change:?}: {failed:?}, and not {errors:?}");
                return;
            }
        }
    }
    let real = real.unwrap_or_else(|error| panic!("{changes:?}: {error:?}"));
    if answers.is_empty() && room > 0 {
        return harvest(known, own, files, real, room);
    }
    assert_eq!(real.len(), answers.len(), "{changes:?}: {real:?}, and not {answers:?}");
    for (told, (change, errors)) in real.iter().zip(answers) {
        assert!(errors.contains(&(told.data as i32)), "{change:?}: {told:?}, and not {errors:?}");
        assert_eq!(*told, KEvent { flags: EventFlags::ERROR, data: told.data, ..change });
    }
}

/// What poll would tell: each answer allowed, and the count right.
fn polled(known: &Known, questions: &[(i32, Conditions)], files: &Files) -> usize {
    let told = |&&(fd, wanted): &&(i32, Conditions)| !known.polled(fd, wanted, files).is_nothing();
    questions.iter().filter(told).count()
}

/// What select would leave, and how many that are; `None`: a number is not open.
fn selected(known: &Known, questions: &[(i32, Conditions)], files: &Files) -> Option<[FdSet; 3]> {
    let mut left = [FdSet::new(), FdSet::new(), FdSet::new()];
    for (at, (asked, kind)) in sets_of(questions).iter().zip(KINDS).enumerate() {
        for fd in asked.iter() {
            if known.selected(fd, kind, files)?.contains(kind) {
                left[at].insert(fd);
            }
        }
    }
    Some(left)
}

/// Whether a call has something to tell, or to complain of, so that nobody may sleep in it.
pub fn is_due(rules: &Rules, process: usize, call: &Resolved) -> bool {
    let Some(known) = &rules.processes[process] else { return true };
    match call {
        Resolved::Kevent(_, own, _) | Resolved::Epoll(_, own, _) | Resolved::DevPoll(_, own, _) => {
            !known.is_open(*own) || known.pending(*own, &rules.files) > 0
        }
        Resolved::Poll(questions) => polled(known, questions, &rules.files) > 0,
        Resolved::Select(questions) => {
            selected(known, questions, &rules.files).is_none_or(|left| left.iter().any(|set| !set.is_empty()))
        }
    }
}

/// What a call has to tell that need not wake everybody who sleeps for it (R43): files and directions.
#[derive(Default)]
pub struct Exclusive {
    /// Those.
    pub sides: Vec<(usize, usize)>,
    /// There is something besides that wakes everybody.
    pub besides: bool,
}

/// Which of what a call has to tell is exclusive.
pub fn exclusive(rules: &Rules, process: usize, call: &Resolved) -> Exclusive {
    let mut found = Exclusive::default();
    let Some(known) = &rules.processes[process] else { return found };
    match call {
        Resolved::Kevent(_, own, _) | Resolved::Epoll(_, own, _) | Resolved::DevPoll(_, own, _) => {
            found.of_set(known, *own, &rules.files);
        }
        Resolved::Poll(questions) => {
            for &(fd, wanted) in questions {
                if !known.polled(fd, wanted, &rules.files).is_nothing() {
                    found.of_number(known, fd, &rules.files);
                }
            }
        }
        Resolved::Select(questions) => {
            for (asked, kind) in sets_of(questions).iter().zip(KINDS) {
                for fd in asked.iter() {
                    match known.selected(fd, kind, &rules.files) {
                        Some(told) if !told.contains(kind) => {}
                        _ => found.of_number(known, fd, &rules.files),
                    }
                }
            }
        }
    }
    found
}

impl Exclusive {
    /// What is due of a descriptor.
    fn of_number(&mut self, known: &Known, fd: i32, files: &Files) {
        match known.table.get(&fd) {
            Some(&own) if !matches!(known.what(own), What::File(_)) => self.of_set(known, own, files),
            _ => self.besides = true,
        }
    }

    fn of_set(&mut self, known: &Known, own: u64, files: &Files) {
        if !known.is_open(own) {
            self.besides = true;
            return;
        }
        match known.what(own) {
            What::Kqueue(queue) => {
                for (&key, note) in &queue.notes {
                    if note.event(key, known, files).is_none() {
                        continue;
                    }
                    match (&note.watched, note.exclusive()) {
                        (Watched::Set(inner), _) => self.of_set(known, *inner, files),
                        (_, Some(side)) => self.sides.push(side),
                        _ => self.besides = true,
                    }
                }
            }
            What::Epoll(set) => {
                for (&key, item) in &set.items {
                    let told = item.told(key, known, files);
                    if told.is_nothing() {
                        continue;
                    }
                    match known.what(key.0) {
                        What::File(file) if item.is_exclusive() => {
                            let writing = told.may.intersects(Conditions::OUT);
                            let reading = told.may.intersects(Conditions::IN | Conditions::PRI);
                            let of = |is: bool, at: usize| is.then_some((*file, at));
                            self.sides.extend(of(reading, 0).into_iter().chain(of(writing, 1)));
                            // An end is for everybody.
                            self.besides |= !reading && !writing;
                        }
                        What::File(_) => self.besides = true,
                        _ => self.of_set(known, key.0, files),
                    }
                }
            }
            What::DevPoll(set) => {
                for &fd in set.entries.keys() {
                    if !set.told(fd, known, files).is_nothing() {
                        self.of_number(known, fd, files);
                    }
                }
            }
            What::File(_) => self.besides = true,
        }
    }
}

/// Compares an answer with what the rules say now, and has them know what was told.
pub fn check(rules: &mut Rules, process: usize, call: &Resolved, answer: Answer) {
    let Rules { processes, files, .. } = rules;
    let Some(known) = &mut processes[process] else { return };
    match (call, answer) {
        (Resolved::Kevent(_, own, room), Answer::Kevent(told)) => {
            if let Some(told) = of_open(known, *own, told) {
                harvest(known, *own, files, &told, *room);
            }
        }
        (Resolved::Epoll(_, own, room), Answer::Epoll(told)) => {
            let Some(events) = of_open(known, *own, told) else { return };
            let What::Epoll(set) = known.what(*own) else { return };
            let due = set.items.iter().map(|(&key, item)| (key, item.data, item.told(key, known, files)));
            let due = due.filter(|(_, _, told)| !told.is_nothing()).collect();
            let is = |event: &EpollEvent, due: &(_, u64, crate::rules::level::Told)| {
                event.data() == due.1
                    && due.2.allows(event.events().conditions())
                    && event.events().bits() <= u32::from(u16::MAX)
            };
            for (key, ..) in compare(&events, due, *room, is) {
                known.epoll(*own).delivered(key);
            }
        }
        (Resolved::DevPoll(_, own, room), Answer::DevPoll(told)) => {
            let Some(list) = of_open(known, *own, told) else { return };
            let What::DevPoll(set) = known.what(*own) else { return };
            let due = set.entries.iter().map(|(&fd, &wanted)| (fd, wanted, set.told(fd, known, files)));
            let due = due.filter(|(_, _, told)| !told.is_nothing()).collect();
            let is = |entry: &PollFd, due: &(i32, Conditions, crate::rules::level::Told)| {
                (entry.fd, entry.events) == (due.0, due.1) && due.2.allows(entry.revents)
            };
            compare(&list, due, *room, is);
            if list.len() < *room {
                let open: Vec<i32> = known.table.keys().copied().collect();
                known.devpoll(*own).stale.retain(|fd| !open.contains(fd));
            }
        }
        (Resolved::Poll(questions), Answer::Poll(count, list)) => {
            assert_eq!(count, Ok(polled(known, questions, files)), "{list:?}");
            for (entry, &(fd, wanted)) in list.iter().zip(questions) {
                let told = known.polled(fd, wanted, files);
                // R46.
                assert_eq!((entry.fd, entry.events), (fd, wanted));
                assert!(told.allows(entry.revents), "{entry:?}, and not {told:?}");
            }
        }
        (Resolved::Select(questions), Answer::Select(count, sets)) => {
            let left = selected(known, questions, files);
            match left {
                None => {
                    assert_eq!(count, Err(Error::new(EBADF)));
                    assert_eq!(sets, sets_of(questions), "R47: the sets are as they were");
                }
                Some(left) => {
                    let total: usize = left.iter().map(FdSet::len).sum();
                    assert_eq!(count, Ok(total));
                    for (set, left) in sets.iter().zip(&left) {
                        assert!(set.iter().eq(left.iter()), "{set:?}, and not {left:?}");
                    }
                }
            }
        }
        (call, answer) => panic!("{answer:?} of {call:?}"),
    }
}

/// What was told of a set that is open still; R34: of a closed one, an error.
fn of_open<T: std::fmt::Debug>(known: &Known, own: u64, told: Result<T, Error>) -> Option<T> {
    if known.is_open(own) {
        return Some(told.expect("the set is open"));
    }
    assert_eq!(told.expect_err("the set is closed").errno, EBADF);
    None
}

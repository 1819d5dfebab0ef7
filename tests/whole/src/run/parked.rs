//! Threads that wait in a call.

use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use libkq::Conditions;

use super::Run;
use super::answer::{self, Answer};
use crate::rules::Rules;
use crate::rules::process::What;
use crate::script::Call;

/// A call, with the set that it is about: its number and open description.
#[derive(Clone, Debug)]
pub enum Resolved {
    /// kevent, with so much room.
    Kevent(i32, u64, usize),
    /// epoll_wait.
    Epoll(i32, u64, usize),
    /// DP_POLL.
    DevPoll(i32, u64, usize),
    /// poll.
    Poll(Vec<(i32, Conditions)>),
    /// select.
    Select(Vec<(i32, Conditions)>),
}

impl Resolved {
    /// Whether it is about a set.
    pub fn is_of_set(&self) -> bool {
        !matches!(self, Resolved::Poll(_) | Resolved::Select(_))
    }
}

/// Finds the set of a call, if there is one.
pub fn resolve(run: &Run, process: usize, call: Call) -> Option<Resolved> {
    Some(match call {
        Call::Set(nth, room) => {
            let fd = run.nth_set(process, None, nth)?;
            let known = run.rules.processes[process].as_ref()?;
            let own = known.table[&fd];
            match known.what(own) {
                What::Kqueue(_) => Resolved::Kevent(fd, own, room),
                What::Epoll(_) => Resolved::Epoll(fd, own, room),
                _ => Resolved::DevPoll(fd, own, room),
            }
        }
        Call::Poll(questions) => Resolved::Poll(questions),
        // select has no negative numbers, and a number is in it once.
        Call::Select(mut questions) => {
            questions.retain(|&(fd, _)| fd >= 0);
            Resolved::Select(questions)
        }
    })
}

/// A thread in a call.
#[derive(Debug)]
pub struct Parked {
    task: usize,
    process: usize,
    call: Resolved,
    until: Option<u64>,
    answer: Arc<Mutex<Option<Answer>>>,
    thread: JoinHandle<()>,
}

impl Parked {
    /// A thread begins a call.
    pub fn begin(run: &Run, process: usize, call: Resolved, timeout: Option<u64>) -> Parked {
        let answer = Arc::new(Mutex::new(None));
        let (own, place, asked) = (run.members[process].process.clone(), answer.clone(), call.clone());
        let (task, thread) = run.world.spawn(move || {
            let told = Answer::of(&own, &asked, timeout.map(Duration::from_nanos));
            *place.lock().unwrap() = Some(told);
        });
        let until = timeout.map(|timeout| run.rules.now + timeout);
        Parked { task, process, call, until, answer, thread }
    }

    /// Whether it is this thread.
    pub fn is(&self, task: usize) -> bool {
        self.task == task
    }

    /// Whether it waits in a call about a set.
    pub fn is_of_set(&self) -> bool {
        self.call.is_of_set()
    }

    /// The thread has returned from its call, just now.
    pub fn ended(self, rules: &mut Rules) {
        self.thread.join().expect("a thread of a client panicked");
        let told = self.answer.lock().unwrap().take().expect("it ended");
        if rules.processes[self.process].is_none() {
            return;
        }
        if !answer::is_due(rules, self.process, &self.call) {
            let late = self.until.is_some_and(|until| until <= rules.now);
            assert!(late, "{:?} woke for nothing: {told:?}", self.call);
        }
        for (file, side) in answer::exclusive(rules, self.process, &self.call).sides {
            let file = &mut rules.files[file];
            file.served[side] = file.reasons[side];
        }
        answer::check(rules, self.process, &self.call, told);
    }

    /// It sleeps: so there is nothing to tell it (R12, R13, R34, R44, R45, R50), and its time is not over (R48).
    pub fn must_sleep(&self, rules: &Rules) {
        if answer::is_due(rules, self.process, &self.call) {
            // R43: of those who sleep for exclusive notes, one at least came since there was reason to.
            let exclusive = answer::exclusive(rules, self.process, &self.call);
            let served = |&(file, side): &(usize, usize)| {
                rules.files[file].served[side] == rules.files[file].reasons[side]
            };
            assert!(
                !exclusive.besides && exclusive.sides.iter().all(served),
                "slept through what {:?} has to tell",
                self.call
            );
        }
        assert!(self.until.is_none_or(|until| until > rules.now), "{:?} oversleeps", self.call);
    }
}

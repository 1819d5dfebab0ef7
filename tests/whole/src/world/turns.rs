//! Whose turn it is. Threads of the world run one at a time and change over only where they sleep, so that a run is the
//! same each time and a failing one can be made smaller.

use std::cell::Cell;
use std::collections::VecDeque;

thread_local!(static TASK: Cell<Option<usize>> = const { Cell::new(None) });

/// A thread of a client.
#[derive(Debug, Default)]
pub struct Task {
    /// The client and the waiter record that it sleeps in, and until when.
    asleep: Option<(usize, u32, u64)>,
    done: bool,
}

/// All threads but the test's own, which goes on when no other can.
#[derive(Debug, Default)]
pub struct Turns {
    tasks: Vec<Task>,
    /// Those that can go on, in the order in which they were woken.
    runnable: VecDeque<usize>,
    /// Those that have ended and were not heard of yet, in order.
    ended: Vec<usize>,
    turn: Option<usize>,
    /// The test is over: nobody waits for a turn any more.
    over: bool,
}

impl Turns {
    /// A further thread, which can go on.
    pub fn begin(&mut self) -> usize {
        let task = self.tasks.len();
        self.tasks.push(Task::default());
        self.runnable.push_back(task);
        task
    }

    /// The thread whose code runs here; `None`: the test's own.
    pub fn current() -> Option<usize> {
        TASK.get()
    }

    /// The calling thread is this one.
    pub fn is(task: usize) {
        TASK.set(Some(task));
    }

    /// Whether a thread may run now.
    pub fn may_run(&self, task: usize) -> bool {
        self.over || self.turn == Some(task)
    }

    /// Gives the turn to the next that can go on.
    pub fn next(&mut self) -> bool {
        self.turn = self.runnable.pop_front();
        if let Some(task) = self.turn {
            self.tasks[task].asleep = None;
        }
        self.turn.is_some()
    }

    /// Whether it is the test's own turn.
    pub fn is_own(&self) -> bool {
        self.turn.is_none()
    }

    /// The running thread sleeps.
    pub fn sleep(&mut self, task: usize, client: usize, waiter: u32, until: u64) {
        self.tasks[task].asleep = Some((client, waiter, until));
        self.turn = None;
    }

    /// The running thread is at its end.
    pub fn end(&mut self, task: usize) {
        self.tasks[task].done = true;
        self.ended.push(task);
        self.turn = None;
    }

    /// Those that have ended since this was asked last.
    pub fn take_ended(&mut self) -> Vec<usize> {
        std::mem::take(&mut self.ended)
    }

    /// Those that sleep so can go on.
    pub fn wake(&mut self, such: impl Fn(usize, u32, u64) -> bool) {
        for (number, task) in self.tasks.iter().enumerate() {
            let woken = task.asleep.is_some_and(|(client, waiter, until)| such(client, waiter, until));
            if woken && !task.done && !self.runnable.contains(&number) {
                self.runnable.push_back(number);
            }
        }
    }

    /// The test is over.
    pub fn give_up(&mut self) {
        self.over = true;
    }

    /// Whether it is.
    pub fn are_over(&self) -> bool {
        self.over
    }
}

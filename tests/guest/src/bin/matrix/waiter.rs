//! The thread that waits while another acts. There is one for all cells: a thread is much to make for one wait.

use alloc::sync::Arc;
use alloc::vec::Vec;

use guest_tests::{Failure, Outcome, soon};
use rt::clock;
use rt::sync::{Condvar, Mutex};
use rt::thread::Builder;

use crate::PATIENTLY;
use crate::interface::Interface;
use crate::told::Told;

/// What the thread has to do, or has done.
enum Task {
    /// There is no thread.
    Absent,
    /// Nothing.
    Rest,
    /// Wait in a set.
    Wait(Arc<dyn Interface>),
    /// It does.
    Waiting,
    /// It did.
    Done(Outcome<Vec<Told>>),
}

static TASK: Mutex<Task> = Mutex::new(Task::Absent);
static CHANGED: Condvar = Condvar::new();

/// A wait that was begun, and is [over](Wait::end) before the next.
#[must_use]
pub struct Wait(());

/// Has the thread wait in a set.
pub fn begin(set: Arc<dyn Interface>) -> Outcome<Wait> {
    let mut task = TASK.lock();
    if let Task::Absent = *task {
        // As far from this thread as can be.
        let last = 1 << (clock::cpu_count() - 1);
        Builder::new().name("waiter").cpus(last).spawn(work)?;
    }
    // An earlier one is perhaps not over, when its test failed.
    while matches!(*task, Task::Wait(_) | Task::Waiting) {
        if !CHANGED.wait_until(&mut task, soon()) {
            return Err(Failure::new("the thread still waits for what an earlier test asked"));
        }
    }
    *task = Task::Wait(set);
    CHANGED.notify_all();
    Ok(Wait(()))
}

impl Wait {
    /// Whether it is over.
    pub fn is_over(&self) -> bool {
        matches!(*TASK.lock(), Task::Done(_))
    }

    /// What was told in the end.
    pub fn end(self) -> Outcome<Vec<Told>> {
        let mut task = TASK.lock();
        CHANGED.wait_while(&mut task, |task| matches!(task, Task::Wait(_) | Task::Waiting));
        match core::mem::replace(&mut *task, Task::Rest) {
            Task::Done(told) => told,
            _ => Err(Failure::new("nobody has waited")),
        }
    }
}

fn work() {
    loop {
        let mut task = TASK.lock();
        CHANGED.wait_while(&mut task, |task| !matches!(task, Task::Wait(_)));
        if let Task::Wait(set) = core::mem::replace(&mut *task, Task::Waiting) {
            drop(task);
            let told = set.look(PATIENTLY);
            // The set is closed by who asked.
            drop(set);
            *TASK.lock() = Task::Done(told);
            CHANGED.notify_all();
        }
    }
}

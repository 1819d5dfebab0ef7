//! Ends of threads, processes and memory, and who is told of them.

use super::Objects;
use crate::{
    arena::Id,
    handle_table::HandleTable,
    object::{Garbage, Memory},
    process::{Life, Process},
    quota::Account,
    thread::{Outcome, Thread, Wait},
    watch::NO_WATCH,
};
use abi::{error::EPIPE, status::State};

impl Objects {
    /// Drops one reference to a memory object; the last one makes it garbage.
    pub fn release_memory(&mut self, id: Id<Memory>) {
        let last = self.memories.get_mut(id).is_some_and(|memory| {
            memory.references -= 1;
            memory.references == 0
        });
        if last && let Some(memory) = self.memories.remove(id) {
            self.discard(Garbage::Memory(memory));
        }
    }

    /// Removes a thread that is on no CPU and in no run queue. Returns whether it was the last of its process.
    pub fn end_thread(&mut self, index: u32) -> bool {
        let Some(id) = self.threads.id_at(index) else { return false };
        self.cancel_wait(index);
        let Some(thread) = self.threads.at_mut(index) else { return false };
        thread.dead = true;
        thread.ended = true;
        let (process, block, sibling, bound) =
            (thread.process, thread.block, thread.sibling, thread.bound.take());
        let watches = core::mem::replace(&mut thread.first_watch, NO_WATCH);
        if let Some(notification) = bound.and_then(|bound| self.notifications.get_mut(bound)) {
            notification.bound = None;
        }
        self.fire_watches(watches);
        self.discard(Garbage::ThreadBlock { block, index });
        self.unlink_sibling(process, index, sibling);
        let last = match self.processes.get_mut(process) {
            Some(process) => {
                process.threads -= 1;
                process.threads == 0
            }
            None => false,
        };
        if last {
            self.begin_closing(process);
        }
        self.forget_thread(id);
        last
    }

    fn unlink_sibling(&mut self, process: Id<Process>, index: u32, sibling: u32) {
        let Some(process) = self.processes.get_mut(process) else { return };
        if process.first_thread == index {
            process.first_thread = sibling;
            return;
        }
        let mut at = process.first_thread;
        while let Some(thread) = self.threads.at_mut(at) {
            if thread.sibling == index {
                thread.sibling = sibling;
                return;
            }
            at = thread.sibling;
        }
    }

    /// The process has no thread left: callers that wait for its replies get `EPIPE`, its handles are to be closed.
    pub fn begin_closing(&mut self, id: Id<Process>) {
        if let Some(process) = self.processes.get_mut(id) {
            process.life = Life::Closing(0);
            if process.status.state == State::Alive as u32 {
                // Its last thread ended by itself.
                process.status.state = State::Exited as u32;
            }
        }
        for index in 0..self.threads.capacity() {
            if self.threads.at(index).is_some_and(|t| t.wait == (Wait::Reply { server: id })) {
                self.end_wait(index);
                self.wake_later(index, Outcome::Error(EPIPE));
            }
        }
    }

    /// Closes up to `budget` handles of a process without threads. Returns whether none is left.
    pub fn close_some(&mut self, id: Id<Process>, budget: usize) -> bool {
        for _ in 0..budget {
            let Some(process) = self.processes.get_mut(id) else { return true };
            let Life::Closing(from) = process.life else { return true };
            match process.handles.take_any(from) {
                Some((entry, next)) => {
                    process.life = Life::Closing(next);
                    self.closed(entry);
                }
                None => return true,
            }
        }
        false
    }

    /// The process is gone but for its status: watches fire, its quota goes back when the last charge does.
    pub fn finish_process(&mut self, id: Id<Process>) {
        let Some(process) = self.processes.get_mut(id) else { return };
        process.life = Life::Dead;
        let watches = core::mem::replace(&mut process.first_watch, NO_WATCH);
        // A table without chunks on an account of nothing: the process's own account is let go now.
        let empty = Account::root(0);
        if let Ok(charge) = empty.charge(0) {
            process.handles = HandleTable::new(charge);
        }
        process.account = empty;
        self.fire_watches(watches);
        self.end_orphans(id);
        self.forget_process(id);
    }

    /// What a process has made and nobody has started ends with it, whoever has handles to it: processes could hold each other
    /// and nobody else them, at the cost of the creator's account for ever.
    fn end_orphans(&mut self, creator: Id<Process>) {
        for index in 0..self.processes.capacity() {
            let Some(id) = self.processes.id_at(index) else { continue };
            let orphan = self.processes.get(id).is_some_and(|process| {
                let made = process.creator.as_ref().is_some_and(|(by, _)| *by == creator);
                process.life == Life::Alive && !process.started && made
            });
            if orphan {
                self.discard(Garbage::Abandoned(id));
            }
        }
    }

    pub(super) fn forget_process(&mut self, id: Id<Process>) {
        let gone = self
            .processes
            .get(id)
            .is_some_and(|process| process.references == 0 && process.life == Life::Dead);
        if gone {
            self.processes.remove(id);
        }
    }

    /// A process without handles to it that has no thread, or only parked ones without handles, can never run again.
    pub(super) fn abandon_process(&mut self, id: Id<Process>) {
        let Some(process) = self.processes.get(id) else { return };
        if process.references > 0 || process.life != Life::Alive {
            return;
        }
        let mut index = process.first_thread;
        while let Some(thread) = self.threads.at(index) {
            if !thread.parked || thread.handles > 0 {
                return;
            }
            index = thread.sibling;
        }
        self.discard(Garbage::Abandoned(id));
    }

    pub(super) fn forget_thread(&mut self, id: Id<Thread>) {
        if self.threads.get(id).is_some_and(|thread| thread.handles == 0 && thread.ended) {
            self.threads.remove(id);
        }
    }
}

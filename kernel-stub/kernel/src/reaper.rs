//! What is left of a process is taken apart in small steps by a pseudo-thread, at the priority of the process's last
//! thread: a process with many handles pays for its own funeral and holds nobody up.

use crate::{
    arch::cpu::PerCpu,
    objects::{self, ObjectsGuard},
    sched,
    space::ProcessBlock,
};
use alloc::{collections::VecDeque, sync::Arc};
use core::cell::RefCell;
use kernel_core::{arena::Id, process::Process};

/// Handles closed, or mappings dropped, in one step.
const STEP: usize = 32;

/// Processes that one CPU has to take apart. Only that CPU touches it, under the objects lock.
pub struct Reaper {
    queue: RefCell<VecDeque<Id<Process>>>,
}

impl Reaper {
    /// No work.
    pub const fn new() -> Reaper {
        Reaper { queue: RefCell::new(VecDeque::new()) }
    }
}

/// The last thread of a process has ended on (or was ended by) this CPU.
pub fn bury(objects: &mut ObjectsGuard<'_>, process: Id<Process>, priority: u8) {
    let this = crate::arch::cpu::this_cpu();
    this.local.reaper.queue.borrow_mut().push_back(process);
    sched::ready_reaper(priority, objects.token());
}

/// One step of work; called by the scheduler in place of a thread.
pub fn run(this: &PerCpu) {
    let Some(id) = this.local.reaper.queue.borrow().front().copied() else { return };
    let done = step(id);
    if done {
        this.local.reaper.queue.borrow_mut().pop_front();
    }
    let more = !this.local.reaper.queue.borrow().is_empty();
    if more {
        let mut objects = objects::lock();
        let priority = sched::reaper_priority();
        sched::ready_reaper(priority, objects.token());
    }
    sched::interrupt_window();
}

fn step(id: Id<Process>) -> bool {
    let owner = {
        let mut objects = objects::lock();
        if !objects.close_some(id, STEP) {
            return false;
        }
        match objects.process(id) {
            // SAFETY: the pointer came from `Arc::into_raw` and the process's own reference is still counted.
            Ok(process) => unsafe { ProcessBlock::from_word(process.block) },
            Err(_) => return true,
        }
    };
    if sched::cpus_with(owner.root()) != 0 {
        // A CPU is on its way from one thread to the next with these page tables still loaded.
        return false;
    }
    if !owner.unmap_some(STEP) {
        return false;
    }
    let mut objects = objects::lock();
    if let Ok(process) = objects.process_mut(id) {
        let word = core::mem::take(&mut process.block);
        objects.finish_process(id);
        drop(objects);
        // SAFETY: the word was the process's own counted reference, given up here.
        drop(unsafe { Arc::from_raw(word as *const ProcessBlock) });
    }
    true
}

//! What is left of a process is taken apart in small steps by a pseudo-thread, at the priority of the process's last
//! thread: a process with many handles pays for its own funeral and holds nobody up, a better funeral neither.

use crate::{
    arch::cpu::PerCpu,
    objects::{self, ObjectsGuard},
    sched, shootdown,
    space::ProcessBlock,
};
use alloc::{collections::VecDeque, sync::Arc};
use core::cell::RefCell;
use kernel_core::{arena::Id, process::Process};

/// Handles closed, or mappings dropped, in one step.
const STEP: usize = 32;

/// A process that has no thread any more.
struct Funeral {
    process: Id<Process>,
    /// That of its last thread.
    priority: u8,
    /// [`objects::taken`] when it began: what the process's threads left is among that.
    taken: u64,
}

/// Processes that one CPU has to take apart, the best first. Only that CPU touches it.
pub struct Reaper {
    queue: RefCell<VecDeque<Funeral>>,
}

impl Reaper {
    /// No work.
    pub const fn new() -> Reaper {
        Reaper { queue: RefCell::new(VecDeque::new()) }
    }
}

/// The last thread of a process has ended on (or was ended by) this CPU.
pub fn bury(objects: &mut ObjectsGuard<'_>, process: Id<Process>, priority: u8) {
    let mut queue = crate::arch::cpu::this_cpu().local.reaper.queue.borrow_mut();
    let behind = queue.partition_point(|other| other.priority >= priority);
    queue.insert(behind, Funeral { process, priority, taken: objects::taken() });
    sched::ready_reaper(priority, objects.token());
}

/// One step of work; called by the scheduler in place of a thread.
pub fn run(this: &PerCpu) {
    let Some(funeral) = this.local.reaper.queue.borrow_mut().pop_front() else { return };
    let done = step(&funeral);
    let mut objects = objects::lock();
    let mut queue = this.local.reaper.queue.borrow_mut();
    if !done {
        // It keeps its turn, unless the step has brought a better one.
        let before = queue.partition_point(|other| other.priority > funeral.priority);
        queue.insert(before, funeral);
    }
    if let Some(next) = queue.front() {
        sched::ready_reaper(next.priority, objects.token());
    }
    drop(queue);
    drop(objects);
    sched::interrupt_window();
}

fn step(funeral: &Funeral) -> bool {
    let id = funeral.process;
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
    let account = objects.process(id).map(|process| process.account.clone());
    let is_owed = account.is_ok_and(|account| shootdown::is_owed(&mut objects, &account, 0));
    if is_owed || !objects::is_swept(funeral.taken) {
        // Another CPU has not yet forgotten or freed what it had; its parent is to find the quota free.
        drop(objects);
        core::hint::spin_loop();
        return false;
    }
    let Ok(process) = objects.process_mut(id) else { return true };
    let word = core::mem::take(&mut process.block);
    drop(objects);
    drop(owner);
    // Before anybody hears of the end: the page tables are part of what is to be free then.
    // SAFETY: the word was the process's own counted reference, given up here.
    drop(unsafe { Arc::from_raw(word as *const ProcessBlock) });
    objects::lock().finish_process(id);
    true
}

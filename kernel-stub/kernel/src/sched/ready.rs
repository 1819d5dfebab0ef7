//! Ready threads: on which CPU's queue they wait, how they get there and who takes them away.

use super::{Next, TABLE, keep_slice, keep_slice_asleep, save_current, schedulable};
use crate::{
    arch::{self, cpu::PerCpu},
    block::{self, ThreadBlock},
    lock::{Ipc, LockToken},
    objects::ObjectsGuard,
};
use core::sync::atomic::{Ordering, fence};
use kernel_core::{
    objects::MAX_THREADS,
    run_queue::{RunQueue, Schedulable},
    thread::Outcome,
};

/// The CPU on which a woken thread should run.
fn place(thread: &Schedulable) -> u8 {
    let last = thread.cpu();
    let this = arch::cpu::this_cpu();
    let hints = arch::cpu::hints();
    let usable = |cpu: u8| u32::from(cpu) < arch::cpu::count() && thread.may_run_on(cpu);
    let free = |cpu: u8| {
        let hint = &hints.cpus[cpu as usize];
        hint.idle.load(Ordering::Relaxed) == 1
            || hint.priority.load(Ordering::Relaxed) < u32::from(thread.priority())
    };
    if usable(last) && free(last) {
        return last;
    }
    let cpus = 0..arch::cpu::count() as u8;
    let idle = |&cpu: &u8| usable(cpu) && hints.cpus[cpu as usize].idle.load(Ordering::Relaxed) == 1;
    if let Some(cpu) = cpus.clone().find(idle) {
        return cpu;
    }
    if usable(last) {
        return last;
    }
    let here = this.number as u8;
    if usable(here) { here } else { cpus.clone().find(|&cpu| usable(cpu)).unwrap_or(0) }
}

/// Puts a thread that is in no queue and not running on a run queue. The objects lock is held.
pub fn make_ready(index: u32, token: LockToken<'_, Ipc>) {
    let thread = schedulable(index);
    let cpu = if thread.affinity().is_power_of_two() {
        thread.affinity().trailing_zeros() as u8
    } else {
        place(thread)
    };
    enqueue(index, cpu, token);
}

fn enqueue(index: u32, number: u8, mut token: LockToken<'_, Ipc>) {
    let thread = schedulable(index);
    let cpu = arch::cpu::cpu(u32::from(number));
    let hint = cpu.hint();
    let outranked = {
        let mut queue = cpu.local.run_queue.lock(&mut token);
        thread.set_cpu(number);
        if has_begun_slice(index) {
            queue.push_resuming(&TABLE.0, index);
        } else {
            queue.push(&TABLE.0, index);
        }
        hint.queue_length.store(queue.len(), Ordering::Relaxed);
        hint.priority.load(Ordering::Relaxed) <= u32::from(thread.priority())
    };
    if number as u32 == arch::cpu::this_cpu().number {
        // The end of this kernel entry looks at the queue.
        return;
    }
    fence(Ordering::SeqCst);
    let idle = hint.idle.load(Ordering::Relaxed) == 1;
    if idle {
        if hint.idle.swap(0, Ordering::SeqCst) == 1 {
            arch::apic::send_ipi(u32::from(number), arch::vector::RESCHEDULE);
        }
    } else if outranked {
        arch::apic::send_ipi(u32::from(number), arch::vector::RESCHEDULE);
    }
}

/// A thread that slept in the middle of its slice goes on with it: behind the others, each sleep would cost it a round.
fn has_begun_slice(index: u32) -> bool {
    // SAFETY: the objects lock is held and the thread has not ended.
    index < MAX_THREADS && unsafe { block::block(index) }.slice_left.load(Ordering::Relaxed) != 0
}

/// Tells how many threads wait in a queue: idle CPUs look there for work.
#[inline(always)]
pub(super) fn note_length(cpu: &PerCpu, queue: &RunQueue) {
    cpu.hint().queue_length.store(queue.len(), Ordering::Relaxed);
}

/// Makes a woken thread ready, or says that it should run now in place of the caller, who stays ready.
#[inline(always)]
pub fn wake(caller: &ThreadBlock, woken: u32, mut token: LockToken<'_, Ipc>) -> Next {
    let this = arch::cpu::this_cpu();
    let thread = schedulable(woken);
    let number = this.number as u8;
    let here = thread.cpu() == number && thread.may_run_on(number);
    if !here || thread.priority() <= schedulable(caller.index).priority() {
        make_ready(woken, token);
        return Next::Same;
    }
    save_current(caller);
    keep_slice(this, caller);
    let mut queue = this.local.run_queue.lock(&mut token);
    queue.push_front(&TABLE.0, caller.index);
    note_length(this, &queue);
    drop(queue);
    Next::Switch(woken)
}

/// The caller has begun to wait, and nobody is there to run in its place.
#[inline(always)]
pub fn sleep(caller: &ThreadBlock) -> Next {
    keep_slice_asleep(arch::cpu::this_cpu(), caller);
    Next::Schedule
}

/// Whether a thread that was just woken may run on this CPU in place of the caller, which blocks; claims it for this CPU
/// if so.
#[inline(always)]
pub fn claim(caller: &ThreadBlock, woken: u32, token: LockToken<'_, Ipc>) -> Next {
    let number = arch::cpu::this_cpu().number as u8;
    let thread = schedulable(woken);
    if thread.may_run_on(number) {
        thread.set_cpu(number);
        return Next::Switch(woken);
    }
    make_ready(woken, token);
    sleep(caller)
}

/// Makes all threads ready whose waits ended on the side.
pub fn make_woken_ready(objects: &mut ObjectsGuard<'_>) {
    while let Some((index, outcome)) = objects.next_woken() {
        // SAFETY: the objects lock is held and the thread is in no queue.
        unsafe { block::block(index).set_outcome(outcome) };
        make_ready(index, objects.token());
    }
}

/// Wakes one thread with an outcome, from an interrupt.
pub fn wake_from_interrupt(objects: &mut ObjectsGuard<'_>, index: u32, outcome: Outcome) {
    // SAFETY: the objects lock is held and the thread is in no queue.
    unsafe { block::block(index).set_outcome(outcome) };
    make_ready(index, objects.token());
}

/// Where a thread that waits nowhere is.
pub enum Whereabouts {
    /// It was in a run queue and is not any more.
    Dequeued,
    /// It runs on this CPU now, or is about to.
    Running(u32),
}

/// Takes a ready thread out of its run queue, or says where it runs. In that case `running` is applied before anybody can
/// queue the thread again. The objects lock is held.
pub fn dequeue(
    index: u32,
    token: &mut LockToken<'_, Ipc>,
    running: impl FnOnce(&Schedulable),
) -> Whereabouts {
    let thread = schedulable(index);
    loop {
        let number = thread.cpu();
        let cpu = arch::cpu::cpu(u32::from(number));
        let mut queue = cpu.local.run_queue.lock(token);
        if thread.cpu() != number {
            continue;
        }
        if thread.is_queued() {
            queue.remove(&TABLE.0, index);
            note_length(cpu, &queue);
            return Whereabouts::Dequeued;
        }
        running(thread);
        return Whereabouts::Running(u32::from(number));
    }
}

/// Whether a thread that waits nowhere is kept from running by better ones: a hint, which may be old by now. The thread that asks
/// is none of them, or whoever looks would always find it kept by the look.
pub fn is_outranked(index: u32, mut token: LockToken<'_, Ipc>) -> bool {
    let thread = schedulable(index);
    let cpu = arch::cpu::cpu(u32::from(thread.cpu()));
    let priority = thread.priority();
    let queue = cpu.local.run_queue.lock(&mut token);
    if !thread.is_queued() {
        return false;
    }
    let here = cpu.number == arch::cpu::this_cpu().number;
    let hint = cpu.hint();
    let outranks = hint.running.load(Ordering::Relaxed) != 0
        && hint.priority.load(Ordering::Relaxed) > u32::from(priority);
    queue.has_above(priority) || !here && outranks
}

/// Changes priority or affinity of a thread and lets it move where it belongs now. The objects lock is held.
pub fn reschedule(index: u32, mut token: LockToken<'_, Ipc>, change: impl Fn(&Schedulable)) {
    let thread = schedulable(index);
    match dequeue(index, &mut token, &change) {
        Whereabouts::Dequeued => {
            change(thread);
            make_ready(index, token);
        }
        Whereabouts::Running(cpu) => {
            // SAFETY: the objects lock is held and the thread has not ended.
            let block = unsafe { block::block(index) };
            if !thread.may_run_on(cpu as u8) {
                call_attention(block, cpu);
            }
            let running = &arch::cpu::cpu(cpu).hint().running;
            if running.load(Ordering::Relaxed) == index + 1 {
                arch::cpu::cpu(cpu).hint().priority.store(u32::from(thread.priority()), Ordering::Relaxed);
            }
            if cpu != arch::cpu::this_cpu().number {
                arch::apic::send_ipi(cpu, arch::vector::RESCHEDULE);
            }
        }
    }
}

/// Makes the CPU on which a thread runs look at the thread's state before it goes on. The objects lock is held.
pub fn call_attention(thread: &ThreadBlock, cpu: u32) {
    thread.attention.store(true, Ordering::SeqCst);
    if cpu != arch::cpu::this_cpu().number {
        arch::apic::send_ipi(cpu, arch::vector::RESCHEDULE);
    }
}

/// Takes a ready thread from another CPU into this CPU's queue.
pub(super) fn steal(this: &PerCpu) -> bool {
    for number in 0..arch::cpu::count() {
        let other = arch::cpu::cpu(number);
        if number == this.number || other.hint().queue_length.load(Ordering::Relaxed) == 0 {
            continue;
        }
        let mut token = LockToken::at_kernel_entry();
        let stolen = {
            let mut queue = other.local.run_queue.lock(&mut token);
            let stolen = queue.steal(&TABLE.0, this.number as u8);
            other.hint().queue_length.store(queue.len(), Ordering::Relaxed);
            if let Some(index) = stolen {
                // Under the lock of the queue that it leaves: whoever looks for the thread there finds the new CPU.
                schedulable(index).set_cpu(this.number as u8);
            }
            stolen
        };
        if let Some(index) = stolen {
            let mut queue = this.local.run_queue.lock(&mut token);
            queue.push(&TABLE.0, index);
            note_length(this, &queue);
            return true;
        }
    }
    false
}

/// Whether a reaper is wanted on this CPU: makes it ready at this priority.
pub fn ready_reaper(priority: u8, mut token: LockToken<'_, Ipc>) {
    let this = arch::cpu::this_cpu();
    let index = MAX_THREADS + this.number;
    let mut queue = this.local.run_queue.lock(&mut token);
    let thread = schedulable(index);
    if thread.is_queued() && priority > thread.priority() {
        queue.remove(&TABLE.0, index);
    }
    if !thread.is_queued() {
        thread.set_priority(priority);
        thread.set_affinity(1 << this.number);
        thread.set_cpu(this.number as u8);
        queue.push(&TABLE.0, index);
    }
}

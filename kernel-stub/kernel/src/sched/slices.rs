//! When a running thread gives way: time slices, the timer, and what a kernel entry has made ready.

use super::{
    TABLE, current, leave_current, note_length, save_current, schedulable, schedule, wake_from_interrupt,
};
use crate::{
    arch::{self, cpu::PerCpu},
    block::ThreadBlock,
    lock::LockToken,
    objects,
};
use abi::limits::SLICE_NS;
use core::sync::atomic::Ordering;
use kernel_core::thread::Outcome;

/// A slice has to be started as soon as the clock is read.
pub(super) const SLICE_DUE: u64 = 1;

#[cold]
#[inline(never)]
pub(super) fn start_slice(this: &PerCpu, thread: &ThreadBlock) {
    let left = thread.slice_left.swap(0, Ordering::Relaxed);
    let end = match (this.local.turn_end.get(), left) {
        (0, 0) => arch::clock::now_ns() + SLICE_NS,
        (0, left) => arch::clock::now_ns() + left,
        (end, _) => end,
    };
    this.local.turn_end.set(end);
    this.local.slice_end.set(end);
    arm(end);
}

/// The running thread is preempted: it goes on with the rest of its slice, or somebody who wakes up often would keep the
/// others of its priority from ever having a turn.
#[inline(always)]
pub(super) fn keep_slice(this: &PerCpu, thread: &ThreadBlock) {
    let end = this.local.slice_end.get();
    if end > SLICE_DUE {
        note_slice(thread, end, 1);
    }
}

/// The running thread begins to wait: it too goes on with the rest, or each sleep would cost it a round of the others. A
/// slice that is used up leaves nothing, also when the thread sleeps before the timer says so.
#[inline(always)]
pub(super) fn keep_slice_asleep(this: &PerCpu, thread: &ThreadBlock) {
    let end = this.local.slice_end.get();
    if end > SLICE_DUE {
        note_slice(thread, end, 0);
    }
}

#[cold]
#[inline(never)]
fn note_slice(thread: &ThreadBlock, end: u64, least: u64) {
    thread.slice_left.store(end.saturating_sub(arch::clock::now_ns()).max(least), Ordering::Relaxed);
}

/// Makes sure that this CPU's timer fires at `at` or earlier.
pub fn arm(at: u64) {
    let local = &arch::cpu::this_cpu().local;
    if at < local.armed.get() {
        local.armed.set(at);
        arch::apic::timer_arm(at);
    }
}

/// The timer fired: ends waits whose deadline has come and starts it again for the next one.
pub fn timer_interrupt() {
    let this = arch::cpu::this_cpu();
    this.local.armed.set(u64::MAX);
    let now = arch::clock::now_ns();
    let cpu = this.number as usize;
    let mut objects = objects::lock();
    while let Some(index) = objects.deadlines[cpu].due(now) {
        objects.cancel_wait(index);
        wake_from_interrupt(&mut objects, index, Outcome::Error(abi::error::ETIMEDOUT));
    }
    if let Some(next) = objects.deadlines[cpu].earliest() {
        arm(next);
    }
    drop(objects);
    let end = this.local.slice_end.get();
    if end > SLICE_DUE && end > now {
        arm(end);
    }
}

/// Before an interrupt returns to the thread that it interrupted: does that thread still deserve the CPU?
pub fn after_interrupt() {
    let this = arch::cpu::this_cpu();
    let Some(thread) = current() else { return };
    if thread.attention.load(Ordering::Relaxed) {
        save_current(thread);
        leave_current();
        objects::attend(thread);
        schedule();
        return;
    }
    let priority = schedulable(thread.index).priority();
    let end = this.local.slice_end.get();
    let mut token = LockToken::at_kernel_entry();
    let mut queue = this.local.run_queue.lock(&mut token);
    let equal = queue.has_equal(priority);
    let over = equal && end > SLICE_DUE && arch::clock::now_ns() >= end;
    let resuming = queue.has_resuming(priority);
    if queue.has_above(priority) || over || resuming {
        save_current(thread);
        if !over {
            keep_slice(this, thread);
        }
        if over || resuming {
            queue.push(&TABLE.0, thread.index);
        } else {
            queue.push_front(&TABLE.0, thread.index);
        }
        note_length(this, &queue);
        drop(queue);
        schedule();
    } else if equal && end == 0 {
        drop(queue);
        this.local.turn_end.set(0);
        start_slice(this, thread);
    }
}

/// After a call that readied others: the caller gives way to a better one, or shares the CPU with an equal one.
#[inline]
pub fn after_wakes() {
    after_interrupt();
}

/// The running thread goes behind the others of its priority.
pub fn yield_now(thread: &ThreadBlock) {
    let this = arch::cpu::this_cpu();
    let mut token = LockToken::at_kernel_entry();
    let mut queue = this.local.run_queue.lock(&mut token);
    let priority = schedulable(thread.index).priority();
    if queue.has_equal(priority) || queue.has_above(priority) {
        save_current(thread);
        queue.push(&TABLE.0, thread.index);
        note_length(this, &queue);
        drop(queue);
        schedule();
    }
}

//! From one thread to the next, or to none.
//!
//! The idle CPU and its wakers (litmus):
//! ```text
//!   idle CPU                          waker
//!   hint.idle = 1                     push on its run queue (lock)
//!   fence(SeqCst)                     fence(SeqCst)
//!   look at its run queue (lock)      if hint.idle.swap(0) == 1: IPI
//!   sti; hlt
//! ```
//! One of the two sees the other's write; an IPI that arrives before the `hlt` stays pending until the `sti` has taken
//! effect, which is after the `hlt` has begun.

use super::{SLICE_DUE, TABLE, note_length, schedulable, start_slice, steal};
use crate::{
    arch::{self, cpu::PerCpu},
    block::{self, FRAME_END, ThreadBlock},
    lock::{self, LockToken, MutexGuard},
    objects, reaper,
};
use abi::limits::MAX_CPUS;
use core::sync::atomic::{AtomicU64, Ordering, fence};
use kernel_core::{objects::MAX_THREADS, run_queue::RunQueue};

/// The page-table root that each CPU has loaded, 0 for the kernel's own.
///
/// Litmus with unmapping: the unmapper clears the entry, fence, reads this; a CPU writes this (swap), then CR3. Either
/// the unmapper sees the root and sends an IPI, or the CPU's later page walks see the cleared entry.
static LOADED: [AtomicU64; MAX_CPUS] = [const { AtomicU64::new(0) }; MAX_CPUS];

/// CPUs that have this root loaded, as a mask.
pub fn cpus_with(root: u64) -> u32 {
    fence(Ordering::SeqCst);
    (0..arch::cpu::count())
        .filter(|&cpu| LOADED[cpu as usize].load(Ordering::SeqCst) == root)
        .fold(0, |m, cpu| m | 1 << cpu)
}

/// Saves the FP state of the running thread, which is about to become visible as blocked or ready.
#[inline(always)]
pub fn save_current(thread: &ThreadBlock) {
    // SAFETY: the block belongs to the thread that runs on this CPU.
    unsafe { arch::fpu::save(thread.fx()) };
}

/// Ends a kernel entry: makes a thread current that was just woken and is in no queue, or a better one, and goes to user
/// mode. The paths that have to wait are apart, so that this one keeps no registers across a call.
#[inline(never)]
pub fn switch_or_better(woken: u32) -> ! {
    let this = arch::cpu::this_cpu();
    match this.local.run_queue.try_lock() {
        Some(queue) => switch_with(this, woken, queue),
        None => switch_after_wait(this, woken),
    }
}

#[cold]
#[inline(never)]
fn switch_after_wait(this: &PerCpu, woken: u32) -> ! {
    let mut token = LockToken::at_kernel_entry();
    switch_with(this, woken, this.local.run_queue.lock(&mut token))
}

#[inline(always)]
fn switch_with(this: &PerCpu, woken: u32, queue: MutexGuard<'_, lock::RunQueue, RunQueue>) -> ! {
    let priority = schedulable(woken).priority();
    if queue.has_above(priority) {
        switch_to_better(woken, queue);
    }
    announce(this, woken, priority, &queue);
    drop(queue);
    // SAFETY: the thread was just woken for this CPU: it can only end here.
    let thread = unsafe { block::block(woken) };
    if thread.attention.load(Ordering::Relaxed) {
        attend_and_schedule(thread);
    }
    load(this, thread);
    arch::return_to_user()
}

#[cold]
#[inline(never)]
fn switch_to_better(woken: u32, mut queue: MutexGuard<'_, lock::RunQueue, RunQueue>) -> ! {
    queue.push_front(&TABLE.0, woken);
    note_length(arch::cpu::this_cpu(), &queue);
    drop(queue);
    schedule_and_return()
}

#[cold]
#[inline(never)]
fn attend_and_schedule(thread: &ThreadBlock) -> ! {
    leave_current();
    objects::attend(thread);
    schedule_and_return()
}

/// Ends a kernel entry whose thread has left the CPU.
#[inline(never)]
pub fn schedule_and_return() -> ! {
    schedule();
    arch::return_to_user()
}

#[inline(always)]
fn announce(this: &PerCpu, index: u32, priority: u8, queue: &RunQueue) {
    let hint = this.hint();
    hint.priority.store(u32::from(priority), Ordering::Relaxed);
    hint.running.store(index + 1, Ordering::Relaxed);
    this.local.slice_end.set(if queue.has_equal(priority) { SLICE_DUE } else { 0 });
}

/// Picks the best ready thread and makes it current; idles until there is one.
#[inline(never)]
pub fn schedule() {
    let this = arch::cpu::this_cpu();
    this.local.current.set(core::ptr::null());
    loop {
        let mut token = LockToken::at_kernel_entry();
        let next = {
            let mut queue = this.local.run_queue.lock(&mut token);
            let next = queue.pop(&TABLE.0);
            if let Some(index) = next {
                this.hint().queue_length.store(queue.len(), Ordering::Relaxed);
                this.local.turn_end.set(0);
                announce(this, index, schedulable(index).priority(), &queue);
            }
            next
        };
        match next {
            Some(index) if index >= MAX_THREADS => reaper::run(this),
            Some(index) => {
                if switch_to(this, index) {
                    return;
                }
            }
            None => {
                if !steal(this) {
                    idle(this);
                }
            }
        }
    }
}

fn idle(this: &PerCpu) {
    if this.local.root.get() != 0 {
        this.local.root.set(0);
        LOADED[this.number as usize % MAX_CPUS].swap(0, Ordering::SeqCst);
        arch::load_kernel_root();
    }
    let hint = this.hint();
    hint.priority.store(0, Ordering::Relaxed);
    hint.running.store(0, Ordering::Relaxed);
    hint.idle.store(1, Ordering::SeqCst);
    fence(Ordering::SeqCst);
    let mut token = LockToken::at_kernel_entry();
    if this.local.run_queue.lock(&mut token).is_empty() {
        arch::idle_once();
    }
    hint.idle.store(0, Ordering::SeqCst);
}

/// Makes a thread that was taken from this CPU's queue current. `false` when it must not run: it has been dealt with.
fn switch_to(this: &PerCpu, index: u32) -> bool {
    // SAFETY: the thread was taken from this CPU's run queue: it can only end here.
    let thread = unsafe { block::block(index) };
    if thread.attention.load(Ordering::Relaxed) {
        leave_current();
        objects::attend(thread);
        return false;
    }
    load(this, thread);
    true
}

/// Loads everything of a thread but the registers, which the way out of the kernel does.
#[inline(always)]
fn load(this: &PerCpu, thread: &'static ThreadBlock) {
    this.local.current.set(thread);
    this.set_frame_end(thread.frame() as u64 + FRAME_END);
    if thread.root != this.local.root.get() {
        this.local.root.set(thread.root);
        LOADED[this.number as usize % MAX_CPUS].swap(thread.root, Ordering::SeqCst);
        arch::write_cr3(thread.root);
        let switches = &this.hint().switches;
        switches.store(switches.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
        if thread.has_ports() || this.local.has_ports.get() {
            switch_ports(this, thread);
        }
    }
    let fs_base = thread.fs_base();
    if fs_base != this.local.fs_base.get() {
        this.local.fs_base.set(fs_base);
        arch::set_fs_base(fs_base);
    }
    // SAFETY: the block belongs to the thread that runs on this CPU now.
    unsafe { arch::fpu::restore(thread.fx()) };
    if this.local.slice_end.get() == SLICE_DUE {
        start_slice(this, thread);
    }
}

#[cold]
#[inline(never)]
fn switch_ports(this: &PerCpu, thread: &ThreadBlock) {
    // SAFETY: the process lives as long as its thread.
    arch::gdt::io_allow(unsafe { thread.owner.as_ref() }.ports());
    this.local.has_ports.set(thread.has_ports());
}

/// The running thread, the only one of its process, has been given ports.
pub fn note_ports(thread: &ThreadBlock) {
    thread.set_has_ports();
    switch_ports(arch::cpu::this_cpu(), thread);
}

/// The new FS base of the running thread is in its register already.
pub fn note_fs_base(address: u64) {
    arch::cpu::this_cpu().local.fs_base.set(address);
}

/// Loads the kernel's own page tables, so that those of a process that may end now are in nobody's CR3 here.
fn leave_root(this: &PerCpu) {
    this.local.root.set(0);
    LOADED[this.number as usize % MAX_CPUS].swap(0, Ordering::SeqCst);
    arch::load_kernel_root();
}

/// No thread runs here any more, and its page tables are not loaded.
pub fn leave_current() {
    let this = arch::cpu::this_cpu();
    this.local.current.set(core::ptr::null());
    leave_root(this);
}

/// Lets interrupts in between two steps of kernel work that no thread waits for.
pub fn interrupt_window() {
    arch::interrupt_window();
}

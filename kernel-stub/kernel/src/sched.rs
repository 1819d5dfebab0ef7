//! Who runs: run queues, switches, wake-ups, preemption.
//!
//! Every CPU has one kernel stack and runs at most one system call or interrupt at a time, interrupts off. A call that
//! blocks saves nothing but FP state (the registers are in the thread's block since the entry), picks another thread and
//! returns to user mode in its place.

mod ready;
mod slices;
mod switch;

pub use ready::{
    Whereabouts, call_attention, claim, dequeue, is_outranked, make_ready, make_woken_ready, ready_reaper,
    reschedule, sleep, wake, wake_from_interrupt,
};
pub use slices::{after_interrupt, after_wakes, arm, timer_interrupt, yield_now};
pub use switch::{
    cpus_with, interrupt_window, leave_current, note_fs_base, note_ports, save_current, schedule,
    schedule_and_return, switch_or_better,
};

use crate::{
    arch,
    block::ThreadBlock,
    lock::{self, Mutex},
    reaper,
};
use abi::limits::MAX_CPUS;
use core::cell::Cell;
use kernel_core::{
    objects::MAX_THREADS,
    run_queue::{RunQueue, Schedulable},
};
use ready::{note_length, steal};
use slices::{SLICE_DUE, keep_slice, keep_slice_asleep, start_slice};

/// Scheduler state of one CPU.
pub struct CpuLocal {
    run_queue: Mutex<lock::RunQueue, RunQueue>,
    /// The block of the running thread; null while the CPU runs none.
    current: Cell<*const ThreadBlock>,
    /// What `LOADED` says, without the shared line.
    root: Cell<u64>,
    fs_base: Cell<u64>,
    /// The running thread may use I/O ports.
    has_ports: Cell<bool>,
    /// When the LAPIC timer will fire; `u64::MAX` when it is off.
    armed: Cell<u64>,
    /// The running thread's slice ends then, if others of its priority are ready; 0 for not set.
    slice_end: Cell<u64>,
    /// The end of the last slice since a thread was picked from the queue: direct switches go on with it, or two threads
    /// that call each other would keep the others of their priority from ever having a turn.
    turn_end: Cell<u64>,
    /// The reaper has work.
    pub reaper: reaper::Reaper,
}

// SAFETY: the cells are only touched by the CPU that the structure belongs to; the rest is locked or atomic.
unsafe impl Sync for CpuLocal {}

impl CpuLocal {
    /// State of a CPU that runs nothing.
    pub const fn new(_cpu: u32) -> CpuLocal {
        CpuLocal {
            run_queue: Mutex::new(RunQueue::new()),
            current: Cell::new(core::ptr::null()),
            root: Cell::new(0),
            fs_base: Cell::new(0),
            has_ports: Cell::new(false),
            armed: Cell::new(u64::MAX),
            slice_end: Cell::new(0),
            turn_end: Cell::new(0),
            reaper: reaper::Reaper::new(),
        }
    }
}

/// Behind the real threads there are pseudo-threads, one reaper per CPU. A power of two, so that an index is masked
/// instead of checked.
const TABLE_LENGTH: usize = (MAX_THREADS as usize + MAX_CPUS).next_power_of_two();

static TABLE: Table = Table([const { Schedulable::new() }; TABLE_LENGTH]);

struct Table([Schedulable; TABLE_LENGTH]);

/// What the scheduler knows of a thread.
#[inline]
pub fn schedulable(index: u32) -> &'static Schedulable {
    &TABLE.0[index as usize % TABLE_LENGTH]
}

/// The thread that runs on this CPU.
#[inline]
pub fn current() -> Option<&'static ThreadBlock> {
    let pointer = arch::cpu::this_cpu().local.current.get();
    // SAFETY: the running thread's block stays until the thread ends, and it ends on this CPU or after leaving it.
    unsafe { pointer.as_ref() }
}

/// How a kernel entry goes on with the thread that made it.
#[must_use]
pub enum Next {
    /// It runs on.
    Same,
    /// It has left the CPU; this one, just woken and in no queue, should run if nobody better is ready.
    Switch(u32),
    /// It has left the CPU.
    Schedule,
}

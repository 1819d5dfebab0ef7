//! Who runs: run queues, switches, wake-ups, preemption.
//!
//! Every CPU has one kernel stack and runs at most one system call or interrupt at a time, interrupts off. A call that
//! blocks saves nothing but FP state (the registers are in the thread's block since the entry), picks another thread and
//! returns to user mode in its place.
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

use crate::{
    arch::{self, cpu::PerCpu},
    block::{self, FRAME_END, ThreadBlock},
    lock::{self, Ipc, LockToken, Mutex, MutexGuard},
    objects::{self, ObjectsGuard},
    reaper,
};
use abi::limits::{MAX_CPUS, SLICE_NS};
use core::{
    cell::Cell,
    sync::atomic::{AtomicU64, Ordering, fence},
};
use kernel_core::{
    objects::MAX_THREADS,
    run_queue::{RunQueue, Schedulable},
    thread::Outcome,
};

/// Scheduler state of one CPU.
pub struct CpuLocal {
    run_queue: Mutex<lock::RunQueue, RunQueue>,
    /// The block of the running thread; null while the CPU runs none.
    current: Cell<*const ThreadBlock>,
    /// What [`LOADED`] says, without the shared line.
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

/// Saves the FP state of the running thread, which is about to become visible as blocked or ready.
#[inline(always)]
pub fn save_current(thread: &ThreadBlock) {
    // SAFETY: the block belongs to the thread that runs on this CPU.
    unsafe { arch::fpu::save(thread.fx()) };
}

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
        queue.push(&TABLE.0, index);
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

/// Whether a thread that was just woken may run on this CPU in place of one that blocks; claims it for this CPU if so.
#[inline(always)]
pub fn claim(woken: u32, token: LockToken<'_, Ipc>) -> Next {
    let number = arch::cpu::this_cpu().number as u8;
    let thread = schedulable(woken);
    if thread.may_run_on(number) {
        thread.set_cpu(number);
        return Next::Switch(woken);
    }
    make_ready(woken, token);
    Next::Schedule
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

/// A slice has to be started as soon as the clock is read.
const SLICE_DUE: u64 = 1;

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

/// Tells how many threads wait in a queue: idle CPUs look there for work.
#[inline(always)]
fn note_length(cpu: &PerCpu, queue: &RunQueue) {
    cpu.hint().queue_length.store(queue.len(), Ordering::Relaxed);
}

/// Takes a ready thread from another CPU into this CPU's queue.
fn steal(this: &PerCpu) -> bool {
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

#[cold]
#[inline(never)]
fn start_slice(this: &PerCpu, thread: &ThreadBlock) {
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
fn keep_slice(this: &PerCpu, thread: &ThreadBlock) {
    let end = this.local.slice_end.get();
    if end > SLICE_DUE {
        note_slice(thread, end);
    }
}

#[cold]
#[inline(never)]
fn note_slice(thread: &ThreadBlock, end: u64) {
    thread.slice_left.store(end.saturating_sub(arch::clock::now_ns()).max(1), Ordering::Relaxed);
}

/// Makes sure that this CPU's timer fires at `at` or earlier.
pub fn arm(at: u64) {
    let local = &arch::cpu::this_cpu().local;
    if at < local.armed.get() {
        local.armed.set(at);
        arch::apic::timer_arm(at);
    }
}

/// The new FS base of the running thread is in its register already.
pub fn note_fs_base(address: u64) {
    arch::cpu::this_cpu().local.fs_base.set(address);
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
        this.local.current.set(core::ptr::null());
        leave_root(this);
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
    if queue.has_above(priority) || over {
        save_current(thread);
        if over {
            queue.push(&TABLE.0, thread.index);
        } else {
            keep_slice(this, thread);
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

/// The running thread, the only one of its process, has been given ports.
pub fn note_ports(thread: &ThreadBlock) {
    thread.set_has_ports();
    switch_ports(arch::cpu::this_cpu(), thread);
}

/// Makes the CPU on which a thread runs look at the thread's state before it goes on. The objects lock is held.
pub fn call_attention(thread: &ThreadBlock, cpu: u32) {
    thread.attention.store(true, Ordering::SeqCst);
    if cpu != arch::cpu::this_cpu().number {
        arch::apic::send_ipi(cpu, arch::vector::RESCHEDULE);
    }
}

/// Lets interrupts in between two steps of kernel work that no thread waits for.
pub fn interrupt_window() {
    arch::interrupt_window();
}

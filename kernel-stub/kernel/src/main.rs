//! The kernel: address spaces, threads, handles, endpoints, notifications, memory objects, interrupts, ports. No names,
//! no notes, no files.
//!
//! 1. It never preempts itself: interrupts are off while it runs, except where a CPU has nothing to run.
//! 2. Every CPU has one kernel stack; a thread that waits is a register frame in a page ([`block`]) and a link in a
//!    queue.
//! 3. All objects are behind one lock ([`objects`]), held for a bounded number of steps; run queues have one per CPU,
//!    address spaces one each. The order of locks is in their types ([`lock`]).
//! 4. What happens is decided by `kernel-core`, which is pure; this crate moves registers, pages and CPUs accordingly.
//! 5. A process can hurt only itself: what it makes is charged to it, what it names is looked up, what it points to is
//!    translated in one place ([`user`]).
#![no_std]
#![no_main]

extern crate alloc;

mod arch;
mod block;
mod calls;
mod entry;
mod irq;
mod lock;
mod log;
mod mem;
mod objects;
mod pages;
mod program;
mod reaper;
mod sched;
mod shootdown;
mod space;
mod user;

use arch::BootInfo;

/// The first CPU, with memory, interrupts and the other CPUs' table known.
#[unsafe(no_mangle)]
pub fn kernel_main(boot: BootInfo) -> ! {
    let cpus = arch::cpu::count();
    let s = if cpus == 1 { "" } else { "s" };
    log!("{cpus} CPU{s}, {} MiB free", mem::frames::free_count() / 256);
    if let Err(error) = program::start_init(&boot) {
        panic!("init cannot be started: {error}");
    }
    entry::run()
}

/// Every other CPU.
#[unsafe(no_mangle)]
pub fn kernel_ap_main(_cpu: u32) -> ! {
    entry::run()
}

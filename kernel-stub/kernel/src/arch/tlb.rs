//! Making CPUs forget translations.
//!
//! The kernel runs with interrupts off, so a CPU that waits for an answer may be waited for itself, by a CPU that waits
//! for its lock. Therefore every wait in the kernel calls [`serve`], and no two waits can block each other.

use core::sync::atomic::{AtomicU64, Ordering};

use abi::limits::MAX_CPUS;

use crate::arch::{apic, cpu, vector};

/// Requests to a CPU, and how many of them it has served. The asker changes page tables, takes a number, waits until it
/// is served; the asked reads the last number, flushes, and only then says so: all numbers up to it are covered.
struct Desk {
    asked: AtomicU64,
    served: AtomicU64,
}

static DESKS: [Desk; MAX_CPUS] =
    [const { Desk { asked: AtomicU64::new(0), served: AtomicU64::new(0) } }; MAX_CPUS];

/// Makes the CPUs in the mask, except this one, forget all translations of user addresses; returns when they have.
/// Locks may be held.
pub fn flush_others(cpus: u32) {
    let others = cpus & !(1 << cpu::this_cpu().number);
    let mut tickets = [0; MAX_CPUS];
    for number in selected(others) {
        tickets[number] = DESKS[number].asked.fetch_add(1, Ordering::SeqCst) + 1;
        apic::send_ipi(number as u32, vector::TLB);
    }
    let mut turns = 0_u32;
    for number in selected(others) {
        while DESKS[number].served.load(Ordering::Acquire) < tickets[number] {
            serve();
            turns = turns.wrapping_add(1);
            // As in `lock`: lets the other CPU run where all share one host thread.
            if turns.is_multiple_of(256) {
                core::hint::spin_loop();
            }
        }
    }
}

fn selected(mask: u32) -> impl Iterator<Item = usize> {
    (0..cpu::count() as usize).filter(move |number| mask >> number & 1 != 0)
}

/// Does what other CPUs ask of this one.
#[inline]
pub fn serve() {
    let desk = &DESKS[cpu::this_cpu().number as usize];
    let asked = desk.asked.load(Ordering::Acquire);
    if asked != desk.served.load(Ordering::Relaxed) {
        flush();
        desk.served.store(asked, Ordering::Release);
    }
}

/// Forgets this CPU's translations of user addresses.
pub fn flush() {
    // SAFETY: reloads the register with its own value; the kernel's translations are global and stay.
    unsafe {
        core::arch::asm!("mov {scratch}, cr3", "mov cr3, {scratch}", scratch = out(reg) _,
            options(nostack, preserves_flags));
    }
}

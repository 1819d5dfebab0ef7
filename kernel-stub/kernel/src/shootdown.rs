//! Unmapping on several CPUs without waiting for any of them.
//!
//! Pages that were unmapped may still be in another CPU's TLB. They are put aside until every CPU that had the address
//! space loaded has flushed, which an IPI makes it do; nobody spins for that with interrupts off, so two CPUs that unmap
//! at once cannot wait for each other.

use crate::{
    arch,
    lock::{LockToken, Memory as MemoryLevel, Mutex},
    sched,
    space::Released,
};
use abi::{limits::MAX_CPUS, memory::PAGE};
use alloc::vec::Vec;
use core::sync::atomic::{AtomicU64, Ordering};

struct Aside {
    generation: u64,
    cpus: u32,
    released: Released,
}

static ASIDE: Mutex<MemoryLevel, Vec<Aside>> = Mutex::new(Vec::new());
static WANTED: AtomicU64 = AtomicU64::new(0);
static DONE: [AtomicU64; MAX_CPUS] = [const { AtomicU64::new(0) }; MAX_CPUS];

/// More pages than this are flushed by reloading everything.
const SINGLY: u64 = 32;

/// Flushes an unmapped range and frees what the mapping held when no CPU can reach it any more.
pub fn release_after_flush(root: u64, address: u64, length: u64, released: Released) {
    let this = arch::cpu::this_cpu().number;
    let cpus = sched::cpus_with(root);
    if cpus >> this & 1 != 0 {
        if length / PAGE > SINGLY {
            arch::tlb::flush();
        } else {
            (0..length / PAGE).for_each(|page| arch::invlpg(address + page * PAGE));
        }
    }
    let others = cpus & !(1 << this);
    if others == 0 {
        released.free();
        return;
    }
    let mut token = LockToken::at_kernel_entry();
    {
        let mut aside = ASIDE.lock(&mut token);
        let generation = WANTED.fetch_add(1, Ordering::SeqCst) + 1;
        aside.push(Aside { generation, cpus: others, released });
    }
    (0..MAX_CPUS as u32)
        .filter(|cpu| others >> cpu & 1 != 0)
        .for_each(|cpu| arch::apic::send_ipi(cpu, arch::vector::TLB));
}

/// The IPI: this CPU forgets all user translations.
pub fn interrupt() {
    // What is wanted is read before the flush: a later wish comes with an IPI of its own.
    let wanted = WANTED.load(Ordering::SeqCst);
    arch::tlb::flush();
    DONE[arch::cpu::this_cpu().number as usize].store(wanted, Ordering::SeqCst);
    collect();
}

fn collect() {
    loop {
        let mut token = LockToken::at_kernel_entry();
        let released = {
            let mut aside = ASIDE.lock(&mut token);
            let flushed = |entry: &Aside| {
                (0..MAX_CPUS).all(|cpu| {
                    entry.cpus >> cpu & 1 == 0 || DONE[cpu].load(Ordering::SeqCst) >= entry.generation
                })
            };
            let position = aside.iter().position(flushed);
            position.map(|position| aside.swap_remove(position).released)
        };
        match released {
            Some(released) => released.free(),
            None => return,
        }
    }
}

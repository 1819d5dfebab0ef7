//! Unmapping on several CPUs without waiting for any of them.
//!
//! Pages that were unmapped may still be in another CPU's TLB. They are put aside until every CPU that had the address
//! space loaded has flushed, which an IPI makes it do; nobody spins for that with interrupts off, so two CPUs that unmap
//! at once cannot wait for each other.
//!
//! Until then they count against the quota that pays for them, or a process could have more pages on their way back than
//! it may have at all. What fails for want of such a quota asks [`is_owed`] and tries again.

use crate::{
    arch,
    lock::{LockToken, Memory as MemoryLevel, Mutex},
    objects::{self, ObjectsGuard},
    sched,
    space::Released,
};
use abi::{limits::MAX_CPUS, memory::PAGE};
use alloc::{sync::Arc, vec::Vec};
use core::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use kernel_core::{arena::Id, object::Memory, quota::Account};

struct Aside {
    generation: u64,
    cpus: u32,
    memory: Id<Memory>,
    /// Who pays for the memory object, and how much.
    payer: Option<(Arc<Account>, u64)>,
    /// `None`: it is being freed now.
    released: Option<Released>,
}

static ASIDE: Mutex<MemoryLevel, Vec<Aside>> = Mutex::new(Vec::new());
/// How many there are.
static COUNT: AtomicUsize = AtomicUsize::new(0);
static WANTED: AtomicU64 = AtomicU64::new(0);
static DONE: [AtomicU64; MAX_CPUS] = [const { AtomicU64::new(0) }; MAX_CPUS];

/// More pages than this are flushed by reloading everything.
const SINGLY: u64 = 32;

/// More mappings than this are not put aside: a CPU that is slow to flush must not make everybody's list long.
const CROWD: usize = 128;

/// Whether so much is set aside that nothing more should be unmapped before other CPUs have flushed.
pub fn is_crowded() -> bool {
    COUNT.load(Ordering::Relaxed) > CROWD
}

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
    put_aside(others, released);
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

fn put_aside(cpus: u32, released: Released) {
    let memory = released.memory();
    let mut objects = objects::lock();
    let (objects, mut token) = objects.split();
    let charge = objects.memories.get(memory).and_then(|object| object.charge.as_ref());
    let payer = charge.map(|charge| (charge.account().clone(), charge.amount()));
    let mut aside = ASIDE.lock(&mut token);
    let generation = WANTED.fetch_add(1, Ordering::SeqCst) + 1;
    aside.push(Aside { generation, cpus, memory, payer, released: Some(released) });
    COUNT.store(aside.len(), Ordering::Relaxed);
}

fn collect() {
    loop {
        let mut token = LockToken::at_kernel_entry();
        let flushed = {
            let mut aside = ASIDE.lock(&mut token);
            let flushed = |entry: &&mut Aside| {
                entry.released.is_some()
                    && (0..MAX_CPUS).all(|cpu| {
                        entry.cpus >> cpu & 1 == 0 || DONE[cpu].load(Ordering::SeqCst) >= entry.generation
                    })
            };
            let entry = aside.iter_mut().find(flushed);
            entry.and_then(|entry| entry.released.take().map(|released| (entry.generation, released)))
        };
        let Some((generation, released)) = flushed else { return };
        released.free();
        // Only now: who is owed it must find either the entry or the quota.
        let mut aside = ASIDE.lock(&mut token);
        if let Some(position) = aside.iter().position(|entry| entry.generation == generation) {
            aside.swap_remove(position);
            COUNT.store(aside.len(), Ordering::Relaxed);
        }
    }
}

/// Whether an account, out of which `amount` bytes could not be paid, could pay them once the other CPUs have flushed. What
/// somebody still uses does not count: it does not come back by itself.
pub fn is_owed(objects: &mut ObjectsGuard<'_>, account: &Arc<Account>, amount: u64) -> bool {
    let (objects, mut token) = objects.split();
    let aside = ASIDE.lock(&mut token);
    let references = |id| objects.memories.get(id).map_or(0, |memory| memory.references as usize);
    let mut used = account.used();
    for (position, entry) in aside.iter().enumerate() {
        let Some((_, cost)) = entry.payer.as_ref().filter(|(payer, _)| Arc::ptr_eq(payer, account)) else {
            continue;
        };
        let mappings = aside.iter().filter(|other| other.memory == entry.memory).count();
        let counted = aside[..position].iter().any(|other| other.memory == entry.memory);
        if counted || references(entry.memory) > mappings {
            continue;
        }
        used = used.saturating_sub(*cost);
        if used.saturating_add(amount) <= account.limit() {
            return true;
        }
    }
    false
}

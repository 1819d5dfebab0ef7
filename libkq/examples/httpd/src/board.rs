//! What all workers count, in memory that they and the parent share: it stays when a worker dies, and a page of any worker shows
//! all.

use core::sync::atomic::AtomicU64;
use core::sync::atomic::Ordering::Relaxed;

use libkq::Result;
use rt::abi::flag::MapFlags;
use rt::abi::limits::MAX_CPUS;
use rt::sys::{Mapping, Memory};

/// Threads that can count, of all workers together.
pub const PLACES: usize = 64;
/// What a worker finds the memory under.
pub const HANDLE: &str = "board";

/// What one thread counts. It alone writes, everybody reads.
#[derive(Debug, Default)]
#[repr(C, align(64))]
pub struct Place {
    /// The process that works here; 0: nobody.
    pub pid: AtomicU64,
    /// How often one began here.
    pub started: AtomicU64,
    /// Connections accepted.
    pub accepted: AtomicU64,
    /// Requests answered, those with an error among them.
    pub requests: AtomicU64,
    /// Those with an error.
    pub errors: AtomicU64,
    /// Bytes sent.
    pub bytes: AtomicU64,
    /// Waits that slept and came back with something.
    pub wakes: AtomicU64,
    /// Those that came back with a listener.
    pub calls: AtomicU64,
    /// Those of them after which there was nothing to accept: somebody else had it.
    pub empty: AtomicU64,
    /// A look without sleep saw a listener, and somebody else had it.
    pub lost: AtomicU64,
    /// An accept failed in another way.
    pub failed: AtomicU64,
    /// Requests by the CPU that they were answered on.
    pub by_cpu: [AtomicU64; MAX_CPUS],
}

impl Place {
    /// Counts a request on this CPU.
    pub fn answered(&self, is_error: bool) {
        add(&self.requests, 1);
        add(&self.errors, u64::from(is_error));
        add(&self.by_cpu[rt::clock::cpu() % MAX_CPUS], 1);
    }
}

/// Adds to what only the caller writes.
pub fn add(counter: &AtomicU64, more: u64) {
    counter.store(counter.load(Relaxed).wrapping_add(more), Relaxed);
}

/// All places.
#[derive(Debug)]
pub struct Board {
    mapping: Mapping,
}

impl Board {
    /// A new one, and the memory to give to workers.
    pub fn new() -> Result<(Board, Memory)> {
        let memory = Memory::create(size_of::<[Place; PLACES]>())?;
        Ok((Board::of(&memory)?, memory))
    }

    /// That of the parent.
    pub fn of(memory: &Memory) -> Result<Board> {
        let size = size_of::<[Place; PLACES]>();
        let mapping = memory.map(0, size, MapFlags::PROT_READ | MapFlags::PROT_WRITE)?;
        Ok(Board { mapping })
    }

    /// The places.
    #[allow(unsafe_code)]
    pub fn places(&self) -> &[Place; PLACES] {
        // SAFETY: the mapping is that large, aligned to a page, zeroed when it was made, and lives as long as `self`; a
        // place is atomics only, for which every bit pattern is a value and which others may change.
        unsafe { self.mapping.start().cast::<[Place; PLACES]>().as_ref() }
    }
}

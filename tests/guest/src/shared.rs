//! A page of words that two processes share.

use abi::error::Result;
use abi::flag::MapFlags;
use core::sync::atomic::{AtomicU64, Ordering};
use rt::sys::{Mapping, Memory};

/// Words in it.
pub const WORDS: usize = 512;

/// A page of words.
#[derive(Debug)]
pub struct Shared {
    memory: Memory,
    mapping: Mapping,
}

impl Shared {
    /// A page of zeros.
    pub fn create() -> Result<Shared> {
        Shared::open(Memory::create(WORDS * 8)?)
    }

    /// The page of somebody else.
    pub fn open(memory: Memory) -> Result<Shared> {
        let mapping = memory.map(0, WORDS * 8, MapFlags::PROT_READ | MapFlags::PROT_WRITE)?;
        Ok(Shared { memory, mapping })
    }

    /// Its memory, to be given to another process.
    pub fn memory(&self) -> &Memory {
        &self.memory
    }

    fn word(&self, index: usize) -> &AtomicU64 {
        assert!(index < WORDS);
        let word = self.mapping.start().as_ptr().cast::<AtomicU64>().wrapping_add(index);
        // SAFETY: in range, mapped writable while `self` lives, aligned, and everybody uses atomics.
        unsafe { &*word }
    }

    /// A word.
    #[inline]
    pub fn get(&self, index: usize) -> u64 {
        self.word(index).load(Ordering::Acquire)
    }

    /// Takes a word and leaves 0.
    #[inline]
    pub fn take(&self, index: usize) -> u64 {
        self.word(index).swap(0, Ordering::AcqRel)
    }

    /// Adds to a word.
    #[inline]
    pub fn add(&self, index: usize, more: u64) {
        self.word(index).fetch_add(more, Ordering::AcqRel);
    }

    /// Sets a word.
    #[inline]
    pub fn set(&self, index: usize, value: u64) {
        self.word(index).store(value, Ordering::Release);
    }
}

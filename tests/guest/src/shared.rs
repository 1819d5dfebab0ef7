//! Words that processes share.

use abi::error::Result;
use abi::flag::MapFlags;
use core::sync::atomic::{AtomicU64, Ordering};
use rt::sys::{Mapping, Memory};

/// Words of a page.
pub const WORDS: usize = 512;

/// A page of words, or more of them.
#[derive(Debug)]
pub struct Shared {
    memory: Memory,
    mapping: Mapping,
    words: usize,
}

impl Shared {
    /// A page of zeros.
    pub fn create() -> Result<Shared> {
        Shared::of(WORDS)
    }

    /// So many zeros.
    pub fn of(words: usize) -> Result<Shared> {
        Shared::open(Memory::create(words * 8)?)
    }

    /// Those of somebody else.
    pub fn open(memory: Memory) -> Result<Shared> {
        let size = memory.size()?;
        let mapping = memory.map(0, size, MapFlags::PROT_READ | MapFlags::PROT_WRITE)?;
        Ok(Shared { memory, mapping, words: size / 8 })
    }

    /// Its memory, to be given to another process.
    pub fn memory(&self) -> &Memory {
        &self.memory
    }

    fn word(&self, index: usize) -> &AtomicU64 {
        assert!(index < self.words);
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

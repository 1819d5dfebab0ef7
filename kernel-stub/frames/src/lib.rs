//! Which page frames are free: a bitmap with summaries, so that finding one is a few words' work whatever the size of
//! the machine.
//!
//! Pure logic over storage that the caller gives; frames are numbers. Level 0 has a bit per frame (1 is free); each
//! level above has a bit per word below (1 is "not zero").
#![no_std]
#![forbid(unsafe_code)]

/// Why a frame cannot be given back.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Error {
    /// Not a frame of this allocator.
    OutOfRange,
    /// It is free already.
    AlreadyFree,
}

/// Levels: 64^4 frames of 4 KiB are 64 GiB.
const LEVELS: usize = 4;

/// The free frames `0..frames`.
#[derive(Debug)]
pub struct Frames<'a> {
    words: &'a mut [u64],
    /// Where each level begins in `words`.
    start: [usize; LEVELS],
    frames: usize,
    free: usize,
    total: usize,
}

/// Words of storage for that many frames.
pub const fn words_for(frames: usize) -> usize {
    let mut bits = frames;
    let mut words = 0;
    let mut level = 0;
    while level < LEVELS {
        bits = bits.div_ceil(64);
        words += bits;
        level += 1;
    }
    words
}

impl<'a> Frames<'a> {
    /// An allocator whose frames are all taken, in `storage` of at least [`words_for`]`(frames)` words (else `None`).
    /// [`Frames::add`] makes frames free.
    pub fn new(storage: &'a mut [u64], frames: usize) -> Option<Frames<'a>> {
        let words = storage.get_mut(..words_for(frames))?;
        words.fill(0);
        let mut start = [0; LEVELS];
        let mut bits = frames;
        for level in 1..LEVELS {
            bits = bits.div_ceil(64);
            start[level] = start[level - 1] + bits;
        }
        Some(Frames { words, start, frames, free: 0, total: 0 })
    }

    /// Frames that are free.
    pub fn free_count(&self) -> usize {
        self.free
    }

    /// Frames that were ever added.
    pub fn total(&self) -> usize {
        self.total
    }

    /// Adds a frame to those that are managed, as free.
    pub fn add(&mut self, frame: usize) -> Result<(), Error> {
        self.free(frame)?;
        self.total += 1;
        Ok(())
    }

    /// Takes the lowest free frame.
    pub fn alloc(&mut self) -> Option<usize> {
        let top = self.start[LEVELS - 1];
        let mut index = self.words[top..].iter().position(|&word| word != 0)?;
        for level in (0..LEVELS).rev() {
            let word = self.words[self.start[level] + index];
            index = index * 64 + word.trailing_zeros() as usize;
        }
        self.take(index);
        Some(index)
    }

    /// Takes `count` frames in a row, the first a multiple of `align` (a power of two), the lowest such.
    pub fn alloc_run(&mut self, count: usize, align: usize) -> Option<usize> {
        if count == 0 || !align.is_power_of_two() {
            return None;
        }
        if count == 1 && align == 1 {
            return self.alloc();
        }
        let mut first = 0_usize;
        loop {
            first = self.next_free(first)?.checked_next_multiple_of(align)?;
            if count > self.frames.checked_sub(first)? {
                return None;
            }
            match (first..first + count).find(|&frame| !self.is_free(frame)) {
                None => break,
                Some(taken) => first = taken + 1,
            }
        }
        for frame in first..first + count {
            self.take(frame);
        }
        Some(first)
    }

    /// Gives a frame back.
    pub fn free(&mut self, frame: usize) -> Result<(), Error> {
        if frame >= self.frames {
            return Err(Error::OutOfRange);
        }
        if self.is_free(frame) {
            return Err(Error::AlreadyFree);
        }
        let mut index = frame;
        for level in 0..LEVELS {
            let word = &mut self.words[self.start[level] + index / 64];
            let was = *word;
            *word |= 1 << (index % 64);
            if was != 0 {
                break;
            }
            index /= 64;
        }
        self.free += 1;
        Ok(())
    }

    /// Whether a frame is free; one out of range is not.
    pub fn is_free(&self, frame: usize) -> bool {
        frame < self.frames && self.words[frame / 64] >> (frame % 64) & 1 != 0
    }

    /// The lowest free frame from `from` up, found by words.
    fn next_free(&self, from: usize) -> Option<usize> {
        let level0 = &self.words[..self.frames.div_ceil(64)];
        let first = from / 64;
        let masked = level0.get(first)? & (u64::MAX << (from % 64));
        if masked != 0 {
            return Some(first * 64 + masked.trailing_zeros() as usize);
        }
        let at = first + 1 + level0[first + 1..].iter().position(|&word| word != 0)?;
        Some(at * 64 + level0[at].trailing_zeros() as usize)
    }

    fn take(&mut self, frame: usize) {
        let mut index = frame;
        for level in 0..LEVELS {
            let word = &mut self.words[self.start[level] + index / 64];
            *word &= !(1 << (index % 64));
            if *word != 0 {
                break;
            }
            index /= 64;
        }
        self.free -= 1;
    }
}

//! What sender and workers share: pages of words.

use core::hint::black_box;
use core::sync::atomic::Ordering::Relaxed;

use guest_tests::shared::Shared;
use rt::clock;

use super::workload::{MOST_ITEMS, WIDEST_WINDOW};
use crate::wakeup::WIDEST;

/// Words.
mod word {
    use super::*;

    /// Index of the workload.
    pub const WORKLOAD: usize = 0;
    /// The policy's number; 0: there is nothing more to do.
    pub const POLICY: usize = 1;
    /// Looks that found that another was faster.
    pub const LATE: usize = 2;
    /// Chunks of work, each divided by the CPUs that were busy then, in [`SHARES`].
    pub const SPAN: usize = 3;
    /// When an item was sent, by its place in the window.
    pub const SENT_AT: usize = 64;
    /// 1 and who did it, by the item's place in the window.
    pub const DONE: usize = SENT_AT + WIDEST_WINDOW;
    /// How many each worker did.
    pub const TOOK: usize = DONE + WIDEST_WINDOW;
    /// From an item's sending until its handling began.
    pub const LATENCY: usize = TOOK + WIDEST;
    pub const END: usize = LATENCY + MOST_ITEMS;
}

/// Instructions, about, after which who works gives other CPUs their turn: under emulation they do not run beside it.
const CHUNK: u64 = 500;
/// Parts of a chunk, for any number of CPUs up to 8.
pub const SHARES: u64 = 840;
/// Turns of a loop that are a chunk.
const TURNS: u64 = CHUNK / 4;

/// An item, as it is in a pipe.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Item {
    /// Which of the row.
    pub number: usize,
    /// Its place in the window.
    pub place: usize,
}

impl Item {
    /// What tells a worker that a row is over.
    pub const STOP: [u8; 8] = [0xff; 8];

    pub fn to_bytes(self) -> [u8; 8] {
        (self.number as u64 | (self.place as u64) << 32).to_le_bytes()
    }

    pub fn from_bytes(bytes: [u8; 8]) -> Item {
        let record = u64::from_le_bytes(bytes);
        Item { number: record as u32 as usize, place: (record >> 32) as usize }
    }
}

/// The board.
pub struct Board(pub Shared);

impl Board {
    pub fn create() -> abi::error::Result<Board> {
        Ok(Board(Shared::of(word::END)?))
    }

    /// Which workload and policy are next: the policy's number from 1 on.
    pub fn set_row(&self, workload: usize, policy: u64) {
        self.0.set(word::WORKLOAD, workload as u64);
        self.0.set(word::POLICY, policy);
    }

    pub fn row(&self) -> (usize, u64) {
        (self.0.get(word::WORKLOAD) as usize, self.0.get(word::POLICY))
    }

    /// Nothing has been counted.
    pub fn clear(&self) {
        (0..WIDEST).for_each(|me| self.0.set(word::TOOK + me, 0));
        self.0.set(word::LATE, 0);
        self.0.set(word::SPAN, 0);
    }

    pub fn sent(&self, item: Item) {
        self.0.set(word::SENT_AT + item.place, clock::now_ns());
    }

    /// A worker has it, and handles it.
    pub fn handle(&self, item: Item, me: usize, work: u64) {
        let waited = clock::now_ns().wrapping_sub(self.0.get(word::SENT_AT + item.place));
        self.0.set(word::LATENCY + item.number, waited);
        self.0.add(word::TOOK + me, 1);
        self.work(work);
        self.0.set(word::DONE + item.place, 1 + me as u64);
    }

    /// Works for so many instructions.
    pub fn work(&self, instructions: u64) {
        self.0.add(word::SPAN, spend(instructions));
    }

    /// Who has done the item of a place, if that is news.
    pub fn done(&self, place: usize) -> Option<usize> {
        self.0.take(word::DONE + place).checked_sub(1).map(|me| me as usize)
    }

    pub fn late(&self) {
        self.0.add(word::LATE, 1);
    }

    pub fn lates(&self) -> u64 {
        self.0.get(word::LATE)
    }

    pub fn span(&self) -> u64 {
        self.0.get(word::SPAN)
    }

    pub fn took(&self) -> impl Iterator<Item = u64> {
        (0..WIDEST).map(|me| self.0.get(word::TOOK + me))
    }

    /// The latencies of so many items.
    pub fn latencies(&self, items: usize) -> impl Iterator<Item = u64> {
        (0..items).map(|number| self.0.get(word::LATENCY + number))
    }
}

/// Chunks of so many instructions of work.
pub const fn chunks(instructions: u64) -> u64 {
    instructions / CHUNK
}

/// Spends about so many instructions; how many [`SHARES`] of chunks that would have been the time of, had the CPUs that are busy
/// meanwhile not had to take turns.
pub fn spend(instructions: u64) -> u64 {
    let cpus = &clock::hints().cpus[..clock::cpu_count()];
    let mut span = 0;
    for _ in 0..chunks(instructions) {
        (0..TURNS).for_each(|turn| _ = black_box(turn));
        core::hint::spin_loop();
        let busy = cpus.iter().filter(|cpu| cpu.idle.load(Relaxed) == 0).count().max(1);
        span += SHARES / busy as u64;
    }
    span
}

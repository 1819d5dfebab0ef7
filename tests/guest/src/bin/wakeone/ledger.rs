//! What was taken, in memory that all processes share, so that it is known of the dead, too.

use abi::error::Result;
use guest_tests::shared::Shared;
use rt::sys::Memory;

/// Most threads of all processes.
pub const SLOTS: usize = 64;

/// Words: how many records were taken, and threads killed; one for each thread; one for each record.
const TAKEN: usize = 0;
const KILLED: usize = 1;
const DOING: usize = 8;
const RECORDS: usize = DOING + SLOTS;

/// A thread has asked for a record, and not written down yet what it got.
const READING: u64 = 1;

pub struct Ledger(Shared);

impl Ledger {
    /// For so many records.
    pub fn new(records: u64) -> Result<Ledger> {
        Ok(Ledger(Shared::of(RECORDS + records as usize)?))
    }

    pub fn open(memory: Memory) -> Result<Ledger> {
        Ok(Ledger(Shared::open(memory)?))
    }

    pub fn memory(&self) -> &Memory {
        self.0.memory()
    }

    /// A thread asks for a record.
    pub fn asks(&self, slot: usize) {
        self.0.set(DOING + slot, READING);
    }

    /// It has got one, or none.
    pub fn got(&self, slot: usize, record: Option<u64>) {
        if let Some(record) = record {
            self.0.add(RECORDS + record as usize, 1);
            self.0.add(TAKEN, 1);
        }
        self.0.set(DOING + slot, 0);
    }

    /// Records that were taken.
    pub fn taken(&self) -> u64 {
        self.0.get(TAKEN)
    }

    /// How often a record was.
    pub fn times(&self, record: u64) -> u64 {
        self.0.get(RECORDS + record as usize)
    }

    /// Whether a dead thread may have taken a record of which nobody knows; its slot is another's next.
    pub fn bury(&self, slot: usize) -> bool {
        self.0.take(DOING + slot) == READING
    }

    /// A process has done what it was told about threads of its own: so many were killed.
    pub fn has_killed(&self, threads: u64) {
        self.0.add(KILLED, threads);
    }

    /// How many threads were.
    pub fn killed(&self) -> u64 {
        self.0.get(KILLED)
    }
}

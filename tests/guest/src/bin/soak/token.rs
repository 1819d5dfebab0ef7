//! What an event carries (`udata`, `data`), and what was promised of it.
//!
//! A token is a slot and its generation. Whoever makes a note issues a token for it and retires it when the call returned
//! that took the note away; whoever is handed an event says so here, with the time at which its call began.

use alloc::format;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicU64, Ordering};

use guest_tests::{Failure, Outcome};

/// Slots.
pub const SLOTS: usize = 8192;

/// What is promised of a token's events.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Promise {
    /// Any number.
    Many,
    /// At most one.
    Once,
    /// None: it never becomes true.
    None,
}

const ONCE: u64 = 1;
const NEVER: u64 = 2;
const TOLD: u64 = 4;
/// Of the generation before, nothing may be told any more, not even to a call that began before it was retired.
const SPENT: u64 = 8;
const GENERATION: u32 = 8;
const SLOT_BITS: u32 = 16;

/// All tokens.
pub struct Tokens {
    slots: Vec<Slot>,
    clock: AtomicU64,
}

struct Slot {
    /// Generation, and what is promised and known of it.
    word: AtomicU64,
    /// When the last generation was retired.
    retired: AtomicU64,
    /// The owner's own.
    meaning: AtomicU64,
}

/// A token of which once was promised was told.
fn is_spent(word: u64) -> bool {
    word & (ONCE | TOLD) == ONCE | TOLD
}

impl Tokens {
    pub fn new() -> Tokens {
        let slot =
            || Slot { word: AtomicU64::new(0), retired: AtomicU64::new(0), meaning: AtomicU64::new(0) };
        Tokens { slots: (0..SLOTS).map(|_| slot()).collect(), clock: AtomicU64::new(1) }
    }

    /// The time, for calls that begin now.
    pub fn now(&self) -> u64 {
        self.clock.load(Ordering::SeqCst)
    }

    /// A new token of a slot whose last one was retired.
    pub fn issue(&self, slot: usize, promise: Promise, meaning: u64) -> u64 {
        let Slot { word, meaning: place, .. } = &self.slots[slot];
        place.store(meaning, Ordering::SeqCst);
        let promised = match promise {
            Promise::Many => 0,
            Promise::Once => ONCE,
            Promise::None => NEVER,
        };
        // The generation is new, and nobody knows it yet; of the one before, somebody may just be told.
        let before = word.fetch_or(promised, Ordering::SeqCst);
        before >> GENERATION << SLOT_BITS | slot as u64
    }

    /// The token's note is gone, and the call that took it away has returned. `spent`: it was told already, or was taken
    /// away for certain before it was. What is known better here counts: what is told once and was told is spent.
    pub fn retire(&self, token: u64, spent: bool) {
        let slot = self.slot(token);
        slot.retired.store(self.clock.fetch_add(1, Ordering::SeqCst), Ordering::SeqCst);
        let next = (token >> SLOT_BITS) + 1;
        let retired = |word: u64| next << GENERATION | if spent || is_spent(word) { SPENT } else { 0 };
        let mut word = slot.word.load(Ordering::SeqCst);
        while let Err(other) =
            slot.word.compare_exchange(word, retired(word), Ordering::SeqCst, Ordering::SeqCst)
        {
            word = other;
        }
    }

    fn slot(&self, token: u64) -> &Slot {
        &self.slots[(token & ((1 << SLOT_BITS) - 1)) as usize % SLOTS]
    }

    /// What the owner of the token has put there.
    pub fn meaning(&self, token: u64) -> u64 {
        self.slot(token).meaning.load(Ordering::SeqCst)
    }

    /// Whether it was told.
    pub fn was_told(&self, token: u64) -> bool {
        self.slot(token).word.load(Ordering::SeqCst) & TOLD != 0
    }

    /// A call that began at `began` was handed an event with this token. False: the note is gone, and the event was on its
    /// way before.
    pub fn told(&self, token: u64, began: u64) -> Outcome<bool> {
        let (slot, generation) = (self.slot(token), token >> SLOT_BITS);
        let mut word = slot.word.load(Ordering::SeqCst);
        loop {
            let now = word >> GENERATION;
            if now != generation {
                let retired = slot.retired.load(Ordering::SeqCst);
                if generation > now || retired < began {
                    return Err(self.wrong("stale: told after its note was gone", token, began));
                }
                if generation + 1 == now && word & SPENT != 0 {
                    return Err(self.wrong("told though it was spent", token, began));
                }
                // Nobody knew whether it was told. Of what is retired so, once was promised: now it is spent.
                if generation + 1 == now {
                    match slot.word.compare_exchange(word, word | SPENT, Ordering::SeqCst, Ordering::SeqCst) {
                        Ok(_) => return Ok(false),
                        Err(other) => word = other,
                    }
                    continue;
                }
                return Ok(false);
            }
            if word & NEVER != 0 {
                return Err(self.wrong("told though it is not true", token, began));
            }
            if word & ONCE != 0 && word & TOLD != 0 {
                return Err(self.wrong("duplicated: told twice", token, began));
            }
            match slot.word.compare_exchange(word, word | TOLD, Ordering::SeqCst, Ordering::SeqCst) {
                Ok(_) => return Ok(true),
                Err(other) => word = other,
            }
        }
    }

    fn wrong(&self, what: &str, token: u64, began: u64) -> Failure {
        let Slot { word, retired, meaning, .. } = self.slot(token);
        let (slot, generation) = (token & ((1 << SLOT_BITS) - 1), token >> SLOT_BITS);
        let (word, retired) = (word.load(Ordering::SeqCst), retired.load(Ordering::SeqCst));
        let now = word >> GENERATION;
        let meaning = meaning.load(Ordering::SeqCst);
        Failure::new(format!(
            "{what}: slot {slot} generation {generation} (now {now}, {:#x}), meaning {meaning:#x}, retired at {retired}, \
             the call began at {began}",
            word & 0xff
        ))
    }
}

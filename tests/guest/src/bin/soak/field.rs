//! What all threads of the soak share.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use core::time::Duration;

use guest_tests::random::Random;
use guest_tests::{Failure, Outcome};
use rt::clock;
use rt::sync::Mutex;

use crate::record::Channel;
use crate::shared::SharedSet;
use crate::token::Tokens;

/// Nanoseconds without any progress after which something was lost. Guest time: a host that stands still does not move it
/// much, and [`Field::watch`](crate::arena) asks for turns besides.
pub const PATIENCE: u64 = 40_000_000_000;

/// The token of the note that says that all is over.
pub const STOP: u64 = 1 << 60;

/// Tokens of one worker.
pub const SLOTS_OF_WORKER: usize = 64;

/// What all threads share.
pub struct Field {
    pub channels: Vec<Channel>,
    /// The first so many are everybody's to watch; then two for each shared set; then one for each consumer.
    pub common: usize,
    pub sets: Vec<SharedSet>,
    pub tokens: Tokens,
    /// Producers write nothing more.
    pub enough: AtomicBool,
    /// Readable when all is over, and never read.
    pub stop: (i32, i32),
    /// A pipe that always has something to read.
    pub full: (i32, i32),
    /// Something went wrong: the first that did is told.
    pub failed: AtomicBool,
    pub workers: Vec<Doing>,
    /// Events, and how many of each kind of act there were.
    pub events: AtomicU64,
    pub acts: AtomicU64,
    failures: Mutex<Vec<String>>,
}

/// What a worker does at the moment.
pub struct Doing {
    role: Mutex<&'static str>,
    what: Mutex<(&'static str, u64)>,
    since: AtomicU64,
    ended: AtomicBool,
    turns: AtomicUsize,
}

impl Doing {
    pub fn new() -> Doing {
        Doing {
            role: Mutex::new(""),
            what: Mutex::new(("", 0)),
            since: AtomicU64::new(0),
            ended: AtomicBool::new(false),
            turns: AtomicUsize::new(0),
        }
    }

    pub fn has_ended(&self) -> bool {
        self.ended.load(Ordering::SeqCst)
    }

    /// Whether it ends by itself when it is enough.
    pub fn writes(&self) -> bool {
        matches!(*self.role.lock(), "producer" | "churner")
    }

    pub fn describe(&self) -> String {
        let (what, number) = *self.what.lock();
        let since = clock::now_ns().saturating_sub(self.since.load(Ordering::Relaxed)) / 1_000_000;
        let turns = self.turns.load(Ordering::Relaxed);
        format!("{}: {what} {number} for {since} ms, turn {turns}", *self.role.lock())
    }
}

impl Field {
    /// Something is wrong. The first few are told at once.
    pub fn fail(&self, who: &str, failure: &Failure) {
        let mut failures = self.failures.lock();
        if failures.len() < 8 {
            rt::log!("soak: {who}: {failure}");
        }
        failures.push(format!("{who}: {failure}"));
        self.failed.store(true, Ordering::SeqCst);
    }

    pub fn new(
        channels: Vec<Channel>,
        common: usize,
        sets: Vec<SharedSet>,
        workers: usize,
        stop: (i32, i32),
        full: (i32, i32),
    ) -> Field {
        Field {
            channels,
            common,
            sets,
            tokens: Tokens::new(),
            enough: AtomicBool::new(false),
            stop,
            full,
            failed: AtomicBool::new(false),
            workers: (0..workers).map(|_| Doing::new()).collect(),
            events: AtomicU64::new(0),
            acts: AtomicU64::new(0),
            failures: Mutex::new(Vec::new()),
        }
    }

    /// The first that went wrong.
    pub fn verdict(&self) -> Outcome {
        match &*self.failures.lock() {
            failures if failures.is_empty() => Ok(()),
            failures => Err(Failure::new(format!("{} faults, the first: {}", failures.len(), failures[0]))),
        }
    }

    /// Something is wrong already: what comes after it says nothing.
    pub fn has_failed(&self) -> bool {
        self.failed.load(Ordering::SeqCst)
    }

    /// Producers and churners shall end.
    pub fn is_enough(&self) -> bool {
        self.enough.load(Ordering::SeqCst)
    }
}

/// One thread of the soak.
pub struct Worker {
    pub field: &'static Field,
    pub number: usize,
    pub random: Random,
    role: &'static str,
    /// Notes of its own that carry tokens.
    free: Vec<usize>,
}

impl Worker {
    pub fn new(field: &'static Field, number: usize, role: &'static str, seed: u64) -> Worker {
        *field.workers[number].role.lock() = role;
        let first = number * SLOTS_OF_WORKER;
        let random = Random::new(seed.wrapping_add((number as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15)));
        Worker { field, number, random, role, free: (first..first + SLOTS_OF_WORKER).rev().collect() }
    }

    /// Runs it to its end; whatever goes wrong is told.
    pub fn run(mut self, body: impl FnOnce(&mut Worker) -> Outcome) {
        if let Err(failure) = body(&mut self) {
            let who = format!("{} {}", self.role, self.number);
            self.field.fail(&who, &failure);
        }
        self.doing("ended", 0);
        self.field.workers[self.number].ended.store(true, Ordering::SeqCst);
    }

    /// Says what it does, for a dump. The time, for tokens.
    pub fn doing(&self, what: &'static str, number: u64) -> u64 {
        let doing = &self.field.workers[self.number];
        *doing.what.lock() = (what, number);
        doing.since.store(clock::now_ns(), Ordering::Relaxed);
        doing.turns.fetch_add(1, Ordering::Relaxed);
        self.field.acts.fetch_add(1, Ordering::Relaxed);
        self.field.tokens.now()
    }

    pub fn slot(&mut self) -> Outcome<usize> {
        self.free.pop().ok_or_else(|| Failure::new("a worker has no token left"))
    }

    pub fn give_back(&mut self, slot: usize) {
        self.free.push(slot);
    }

    /// True one time in so many.
    pub fn one_in(&mut self, times: u64) -> bool {
        self.random.below(times) == 0
    }

    /// For ever, or a short time.
    pub fn timeout(&mut self) -> Option<Duration> {
        match self.random.below(10) {
            0 => Some(Duration::ZERO),
            1 | 2 => Some(Duration::from_micros(self.random.below(3000))),
            _ => None,
        }
    }

    /// Lets others go on.
    pub fn pause(&mut self) {
        match self.random.below(4) {
            0 => {}
            1 => rt::thread::yield_now(),
            _ => rt::thread::sleep(self.random.below(400_000)),
        }
    }

    /// Waits, looking again and again, until it is so. False when that takes too long.
    pub fn until(&self, mut so: impl FnMut() -> bool) -> bool {
        let (end, mut turns) = (clock::after(PATIENCE), 0);
        while !so() {
            if clock::now_ns() > end && turns > 1000 || self.field.has_failed() {
                return so();
            }
            turns += 1;
            rt::thread::sleep(100_000);
        }
        true
    }
}

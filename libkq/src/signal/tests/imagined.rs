//! A process whose service is a mailbox, and whose threads are numbers.

use core::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::cell::Cell;
use std::sync::Arc;
use std::vec::Vec;

use abi::error::{ENODEV, ETIMEDOUT, Error, Result};
use abi::limits::FOREVER;
use process::mailbox::{Mailbox, Outcome};
use process_protocol::SignalSet;

use crate::signal::state::{Outside, Signals};
use crate::signal::*;
use crate::sync::Mutex;

std::thread_local! {
    /// The thread that a test is at the moment.
    pub static THREAD: Cell<u64> = const { Cell::new(1) };
    /// Signals that handlers ran for.
    pub static RAN: std::cell::RefCell<Vec<i32>> = const { std::cell::RefCell::new(Vec::new()) };
}

/// The service.
#[derive(Default)]
pub struct World {
    pub mailbox: Mutex<Mailbox>,
    /// Signals whose default action has ended the process.
    pub ended: Mutex<Vec<u8>>,
    pub interrupted: Mutex<Vec<u64>>,
    pub absent: AtomicU32,
    pub now: AtomicU64,
}

impl Outside for Arc<World> {
    fn thread(&self) -> u64 {
        THREAD.get()
    }

    fn interrupt(&self, thread: u64) {
        self.interrupted.lock().push(thread);
    }

    fn dispose(&self, ignored: SignalSet, told: SignalSet) -> Result<()> {
        if self.absent.load(Ordering::Relaxed) != 0 {
            return Err(Error::new(ENODEV));
        }
        self.mailbox.lock().dispose(ignored, told);
        Ok(())
    }

    fn take(&self) -> SignalSet {
        self.mailbox.lock().take()
    }

    fn by_default(&self, signal: u8) {
        if process::mailbox::by_default(signal) == Outcome::End {
            self.ended.lock().push(signal);
        }
    }

    /// Nobody comes: time passes.
    fn sleep(&self, word: &AtomicU32, seen: u32, deadline: u64) -> Result<()> {
        if word.load(Ordering::Acquire) != seen {
            return Ok(());
        }
        assert_ne!(deadline, FOREVER, "slept for ever");
        self.now.store(deadline, Ordering::Relaxed);
        Err(Error::new(ETIMEDOUT))
    }

    fn wake(&self, _: &AtomicU32) {}
}

pub type Process = Signals<Arc<World>>;

pub fn process() -> (Process, Arc<World>) {
    THREAD.set(1);
    RAN.take();
    let world = Arc::new(World::default());
    (Signals::new(world.clone()), world)
}

/// Somebody sends a signal, and the thread that waits for them hears of it.
pub fn send(process: &Process, world: &World, signal: u8) {
    match world.mailbox.lock().send(signal) {
        Outcome::End => world.ended.lock().push(signal),
        Outcome::Nothing | Outcome::Pending => {}
    }
    process.arrived();
}

pub fn note(signal: i32) {
    RAN.with_borrow_mut(|ran| ran.push(signal));
}

pub fn ran() -> Vec<i32> {
    RAN.take()
}

pub const USR1: i32 = SIGUSR1 as i32;

pub const USR2: i32 = SIGUSR2 as i32;

pub fn mask(signals: &[u8]) -> SignalMask {
    signals.iter().fold(SignalMask::empty(), |mask, &signal| mask.with(u32::from(signal)))
}

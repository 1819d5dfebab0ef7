//! Threads that check all the time that the system goes on, whatever somebody else does to it.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicBool, Ordering};

use abi::error::{ETIMEDOUT, Error};
use rt::clock;
use rt::sys::{Memory, Notification};
use rt::thread::{Builder, JoinHandle};

use crate::failure::{ensure, equal};
use crate::{Outcome, echo};

/// Nanoseconds between two rounds of checks.
const PAUSE: u64 = 4_000_000;

/// Witnesses on every CPU.
#[derive(Debug)]
pub struct Witnesses {
    stop: Arc<AtomicBool>,
    threads: Vec<JoinHandle<Outcome<u64>>>,
}

impl Witnesses {
    /// Starts one on every CPU, with an echo server on the next CPU.
    pub fn start() -> Outcome<Witnesses> {
        let stop = Arc::new(AtomicBool::new(false));
        let mut threads = Vec::new();
        let cpus = clock::cpu_count();
        for cpu in 0..cpus {
            let stop = stop.clone();
            let witness = move || watch(&stop, cpu as u64 + 1, 1 << ((cpu + 1) % cpus));
            threads.push(Builder::new().name("witness").cpus(1 << cpu).spawn(witness)?);
        }
        Ok(Witnesses { stop, threads })
    }

    /// Ends them; fails when one of them has seen something wrong. Returns how many rounds of checks there were.
    pub fn finish(self) -> Outcome<u64> {
        self.stop.store(true, Ordering::Relaxed);
        let mut rounds = 0;
        for thread in self.threads {
            rounds += thread.join()??;
        }
        Ok(rounds)
    }
}

fn watch(stop: &AtomicBool, badge: u64, server_cpu: u64) -> Outcome<u64> {
    let (server, client) = echo::start(badge, server_cpu)?;
    let word = Notification::create()?;
    let mut rounds = 0;
    let result = loop {
        if stop.load(Ordering::Relaxed) {
            break Ok(());
        }
        rounds += 1;
        if let Err(failure) = check(&client, badge, &word, rounds) {
            break Err(failure);
        }
        // Who is watched needs the CPU too.
        rt::thread::sleep(PAUSE);
    };
    drop(client);
    server.join()??;
    result.map(|()| rounds)
}

fn check(client: &rt::sys::Endpoint, badge: u64, word: &Notification, round: u64) -> Outcome {
    for value in 0..10 {
        echo::words(client, badge, round * 10 + value)?;
    }
    echo::bytes(client, badge, round, 100)?;
    echo::handle(client, badge, round)?;
    word.signal(round | 1)?;
    equal(word.poll()?, round | 1)?;
    let deadline = clock::after(300_000);
    equal(word.wait(deadline), Err(Error::new(ETIMEDOUT)))?;
    ensure(clock::now_ns() >= deadline, "a deadline is never early")?;
    drop(Memory::create(8192)?);
    Ok(())
}

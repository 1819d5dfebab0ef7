//! Threads on all CPUs.

use alloc::vec::Vec;

use crate::failure::ensure;
use crate::{Outcome, soon};
use abi::error::Result;
use rt::clock;
use rt::thread::{Builder, JoinHandle};

/// Threads that are at work.
pub struct Crew(Vec<JoinHandle<Outcome>>);

impl Crew {
    /// Starts so many threads, on one CPU after the other. Each is told its number.
    pub fn start<F>(count: u64, mut body: impl FnMut(u64) -> F) -> Outcome<Crew>
    where
        F: FnOnce() -> Outcome + Send + 'static,
    {
        let cpus = clock::cpu_count() as u64;
        let threads = (0..count).map(|me| Builder::new().cpus(1 << (me % cpus)).spawn(body(me)));
        Ok(Crew(threads.collect::<Result<_>>()?))
    }

    /// Starts so many threads on each CPU.
    pub fn on_each_cpu<F>(each: u64, body: impl FnMut(u64) -> F) -> Outcome<Crew>
    where
        F: FnOnce() -> Outcome + Send + 'static,
    {
        Crew::start(each * clock::cpu_count() as u64, body)
    }

    /// Waits for their ends; fails as the first of them that failed.
    pub fn join(self) -> Outcome {
        self.0.into_iter().try_for_each(|thread| thread.join()?)
    }
}

/// Waits until something is so.
#[track_caller]
pub fn until(mut so: impl FnMut() -> bool) -> Outcome {
    let deadline = soon();
    while !so() {
        ensure(clock::now_ns() < deadline, "it comes about")?;
        rt::thread::sleep(20_000);
    }
    Ok(())
}

//! A program's tests.

use rt::{Start, clock};

use crate::{Outcome, measure};

/// A row of a table of tests: its name and what it does.
pub type Test = (&'static str, fn() -> Outcome);

/// Runs tests and tells what came out.
#[derive(Debug)]
pub struct Suite<'a> {
    filter: &'a str,
    run: u32,
    failed: u32,
}

impl<'a> Suite<'a> {
    /// A suite that runs the tests whose name contains the program's first argument.
    pub fn new(start: &'a Start) -> Suite<'a> {
        Suite { filter: start.arg(1), run: 0, failed: 0 }
    }

    /// A suite whose threads look all the time, as those do that are told of a level and leave it. With counted instructions
    /// QEMU runs one CPU after the other, each until a timer is due: a CPU that looks all the time and has no timer of its
    /// own makes the others wait for as long as it likes. So each has one.
    pub fn of_lookers(start: &'a Start) -> Suite<'a> {
        const TURN: u64 = 200_000;
        let counted = clock::cpu_count() > 1 && measure::instructions_are_counted();
        for cpu in (0..clock::cpu_count()).filter(|_| counted) {
            let ticks = || loop {
                rt::thread::sleep(TURN);
            };
            if let Err(error) = rt::thread::Builder::new().cpus(1 << cpu).spawn(ticks) {
                rt::log!("CPU {cpu} may starve the others: {error:?}");
            }
        }
        Suite::new(start)
    }

    /// Runs one test.
    pub fn test(&mut self, name: &str, body: impl FnOnce() -> Outcome) {
        if !name.contains(self.filter) {
            return;
        }
        self.run += 1;
        match body() {
            Ok(()) => rt::log!("test {name} ok"),
            Err(failure) => {
                self.failed += 1;
                rt::log!("test {name} FAILED {failure}");
            }
        }
    }

    /// Runs a table of tests.
    pub fn table(&mut self, tests: &[Test]) {
        for (name, body) in tests {
            self.test(name, body);
        }
    }

    /// Says that all is done; returns the exit status.
    pub fn finish(self) -> i32 {
        rt::log!("tests done {}", self.run);
        i32::from(self.failed > 0)
    }
}

//! A program's tests.

use rt::Start;

use crate::Outcome;

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

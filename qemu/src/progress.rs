//! What the tool is busy with, on stderr, so that stdout stays the guest's or the test report.

use std::time::{Duration, Instant};

/// A long step: announced when it begins, and again with its time when it ends.
#[derive(Debug)]
pub struct Step {
    what: String,
    begin: Instant,
}

impl Step {
    /// Announces a step.
    pub fn begin(what: impl Into<String>) -> Step {
        let what = what.into();
        eprintln!("xtask: {what} ...");
        Step { what, begin: Instant::now() }
    }

    /// Tells that the step is done.
    pub fn done(self) {
        eprintln!("xtask: {}: done ({})", self.what, seconds(self.begin.elapsed()));
    }
}

/// A duration as the reports have it: `1.2s`.
pub fn seconds(time: Duration) -> String {
    format!("{:.1}s", time.as_secs_f64())
}

//! What a load came to.

use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt::Write;

use libkq::Error;
use rt::clock;

use super::Reply;

/// Counts of a load.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Tally {
    /// Requests that were answered with status 200 and what the first was answered.
    pub answered: u64,
    /// Those that were not.
    pub failures: u64,
    /// Of the failures, those that were answered: with another status, or another body than the first.
    pub different: u64,
    /// Of the others, how many failed with which error.
    pub errors: BTreeMap<i32, u64>,
    /// Bytes of bodies.
    pub bytes: u64,
    /// The first answer.
    pub first: Option<Reply>,
    /// Nanoseconds in all.
    pub time: u64,
    /// Nanoseconds of each answer, in order when it is over.
    latencies: Vec<u64>,
}

impl Tally {
    /// Of so many requests, which begin now.
    pub(super) fn new(requests: u64) -> Tally {
        let latencies = Vec::with_capacity(requests as usize);
        let time = clock::now_ns();
        let errors = BTreeMap::new();
        Tally { answered: 0, failures: 0, different: 0, errors, bytes: 0, first: None, time, latencies }
    }

    pub(super) fn answered(&mut self, reply: &Reply, latency: u64) {
        let is_right = reply.status == 200 && *self.first.get_or_insert(*reply) == *reply;
        self.latencies.push(latency);
        self.bytes += reply.length;
        if is_right {
            self.answered += 1;
        } else {
            self.different += 1;
            self.failures += 1;
        }
    }

    pub(super) fn failed(&mut self, error: Error) {
        self.failures += 1;
        *self.errors.entry(error.errno).or_default() += 1;
    }

    /// Why requests failed, a reason a line: `3 requests failed: Connection refused`.
    pub fn reasons(&self) -> String {
        let mut text = String::new();
        for (&errno, count) in &self.errors {
            // A string takes whatever is written to it.
            let _ = writeln!(text, "{count} requests failed: {}", Error::new(errno));
        }
        if self.different > 0 {
            let _ = writeln!(text, "{} requests were not answered as the first, with 200", self.different);
        }
        text
    }

    pub(super) fn finish(&mut self) {
        self.time = clock::now_ns() - self.time;
        self.latencies.sort_unstable();
    }

    /// The nanoseconds within which so many per mille of the answers came.
    pub fn latency(&self, per_mille: usize) -> u64 {
        let last = self.latencies.len().saturating_sub(1);
        self.latencies.get(last * per_mille / 1000).copied().unwrap_or(0)
    }

    /// Answers in a second.
    pub fn rate(&self) -> u64 {
        (u128::from(self.answered) * 1_000_000_000 / u128::from(self.time.max(1))) as u64
    }

    /// A figure a line, `name value unit`.
    pub fn text(&self) -> String {
        let mut text = String::new();
        for (name, value, unit) in [
            ("answered", self.answered, "requests"),
            ("failures", self.failures, "requests"),
            ("bytes", self.bytes, "bytes"),
            ("time", self.time / 1000, "us"),
            ("rate", self.rate(), "requests/s"),
            ("latency_500", self.latency(500) / 1000, "us"),
            ("latency_900", self.latency(900) / 1000, "us"),
            ("latency_990", self.latency(990) / 1000, "us"),
            ("latency_1000", self.latency(1000) / 1000, "us"),
        ] {
            // A string takes whatever is written to it.
            let _ = writeln!(text, "load.{name} {value} {unit}");
        }
        text
    }
}

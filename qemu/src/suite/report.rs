//! What the tests said: one line each on stdout, the reasons of failures in log files, at last the count.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard},
    time::Duration,
};

use super::{
    pulse::{Pulse, Running},
    tails,
};
use crate::{failure::Failure, progress::seconds};

/// How one test ended.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Told {
    /// Its name.
    pub name: String,
    /// Why it failed, if it did.
    pub failed: Option<Failed>,
}

/// A failure.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Failed {
    /// In one line.
    pub why: String,
    /// What says more.
    pub log: PathBuf,
}

impl Told {
    fn line(&self) -> Option<String> {
        let Failed { why, log } = self.failed.as_ref()?;
        Some(format!("FAILED {}: {why} (log: {})", self.name, log.display()))
    }
}

/// Collects and prints results; shared by all that run tests at the same time.
#[derive(Debug)]
pub struct Report {
    logs: PathBuf,
    /// In the order in which they ended. Who holds it prints: one line at a time.
    results: Mutex<Vec<Told>>,
    pulse: Pulse,
}

impl Report {
    /// A report that puts logs into this folder.
    pub fn new(logs: PathBuf) -> Report {
        Report { logs, results: Mutex::default(), pulse: Pulse::default() }
    }

    /// Where logs are.
    pub fn folder(&self) -> &Path {
        &self.logs
    }

    /// Where the log of this test is.
    pub fn log(&self, name: &str) -> PathBuf {
        let file: String = name
            .chars()
            .map(|c| if c.is_ascii_alphanumeric() || "-_.".contains(c) { c } else { '-' })
            .collect();
        self.logs.join(format!("{file}.log"))
    }

    /// An empty log for this test.
    pub fn begin_log(&self, name: &str) -> PathBuf {
        let path = self.log(name);
        // Whoever writes to it tells the error.
        let _ = fs::write(&path, "");
        path
    }

    /// Something begins that may take long; it is over when what this returns is dropped.
    pub fn running(&self, what: &str) -> Running<'_> {
        self.pulse.running(what)
    }

    /// What tells of a long silence.
    pub fn pulse(&self) -> &Pulse {
        &self.pulse
    }

    /// A test passed. Its log goes.
    pub fn passed(&self, name: &str, time: Duration) {
        let _ = fs::remove_file(self.log(name));
        self.passed_so(name, &seconds(time));
    }

    /// A test passed; in brackets, how.
    pub fn passed_so(&self, name: &str, how: &str) {
        self.tell(Told { name: name.to_owned(), failed: None }, &format!("ok {name} ({how})"));
    }

    /// A test failed, and its log says more.
    pub fn failed(&self, name: &str, why: &str) {
        self.failed_see(name, why, &self.log(name));
    }

    /// A test failed, and another test's log says more.
    pub fn failed_see(&self, name: &str, why: &str, log: &Path) {
        let why = why.lines().next().unwrap_or_default().to_owned();
        let told = Told { name: name.to_owned(), failed: Some(Failed { why, log: log.to_owned() }) };
        let line = told.line().unwrap_or_default();
        self.tell(told, &line);
    }

    /// A test failed; this is its log.
    pub fn failed_with(&self, name: &str, why: &str, log: &[u8]) {
        match fs::write(self.log(name), log) {
            Ok(()) => self.failed(name, why),
            Err(error) => self.failed(name, &format!("{why}; its log cannot be written: {error}")),
        }
    }

    /// Something could not be run at all.
    pub fn broken(&self, name: &str, failure: &Failure) {
        self.failed_with(name, failure.found(), format!("{failure}\n").as_bytes());
        eprintln!("xtask: {failure}");
    }

    /// Something else than a result, on stdout.
    pub fn say(&self, text: &str) {
        let _one = self.results();
        println!("{text}");
    }

    /// What was told so far.
    pub fn told(&self) -> Vec<Told> {
        self.results().clone()
    }

    /// Prints the ends of the failures' logs, which may be lost with the machine, once more the failures, and the count.
    /// Gives the exit status.
    pub fn finish(&self) -> u8 {
        let results = self.results();
        let failures: Vec<&Told> = results.iter().filter(|told| told.failed.is_some()).collect();
        let mut logs = Vec::new();
        for log in failures.iter().filter_map(|told| Some(&told.failed.as_ref()?.log)) {
            if !logs.contains(log) {
                logs.push(log.clone());
            }
        }
        tails::of(&logs).iter().for_each(|line| println!("{line}"));
        failures.iter().filter_map(|told| told.line()).for_each(|line| println!("{line}"));
        println!("{} passed, {} failed", results.len() - failures.len(), failures.len());
        u8::from(!failures.is_empty())
    }

    fn tell(&self, told: Told, line: &str) {
        let mut results = self.results();
        println!("{line}");
        results.push(told);
        self.pulse.heard();
    }

    fn results(&self) -> MutexGuard<'_, Vec<Told>> {
        // A thread that panicked while printing printed nothing half.
        self.results.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_failure_makes_the_status() {
        let folder = std::env::temp_dir().join(format!("xtask-report-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let report = Report::new(folder.clone());
        report.passed("kind/a", Duration::ZERO);
        assert_eq!(report.finish(), 0);
        report.failed_with("kind/b::c", "lost", b"all of it\n");
        assert_eq!(report.finish(), 1);
        let log = folder.join("kind-b--c.log");
        assert_eq!(fs::read(&log).unwrap(), b"all of it\n");
        let failed = Some(Failed { why: "lost".to_owned(), log });
        assert_eq!(
            report.told(),
            [Told { name: "kind/a".to_owned(), failed: None }, Told { name: "kind/b::c".to_owned(), failed }]
        );
        fs::remove_dir_all(folder).unwrap();
    }
}

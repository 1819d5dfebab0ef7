//! What the tests said: one line each on stdout, the reasons of failures in log files, at last the count.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::{
        Mutex,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use crate::{failure::Failure, progress::seconds};

/// Collects and prints results; shared by all that run tests at the same time.
#[derive(Debug)]
pub struct Report {
    logs: PathBuf,
    passed: AtomicU32,
    failed: AtomicU32,
    /// One line at a time.
    printer: Mutex<()>,
}

impl Report {
    /// A report that puts logs into this folder.
    pub fn new(logs: PathBuf) -> Report {
        Report { logs, passed: AtomicU32::new(0), failed: AtomicU32::new(0), printer: Mutex::new(()) }
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

    /// A test passed. Its log goes.
    pub fn passed(&self, name: &str, time: Duration) {
        let _ = fs::remove_file(self.log(name));
        self.passed.fetch_add(1, Ordering::Relaxed);
        self.line(&format!("ok {name} ({})", seconds(time)));
    }

    /// A test failed, and its log says more.
    pub fn failed(&self, name: &str, why: &str) {
        self.failed_see(name, why, &self.log(name));
    }

    /// A test failed, and another test's log says more.
    pub fn failed_see(&self, name: &str, why: &str, log: &Path) {
        self.failed.fetch_add(1, Ordering::Relaxed);
        let why = why.lines().next().unwrap_or_default();
        self.line(&format!("FAILED {name}: {why} (log: {})", log.display()));
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

    /// Prints the count and gives the exit status.
    pub fn finish(&self) -> u8 {
        let (passed, failed) = (self.passed.load(Ordering::Relaxed), self.failed.load(Ordering::Relaxed));
        self.line(&format!("{passed} passed, {failed} failed"));
        u8::from(failed > 0)
    }

    fn line(&self, line: &str) {
        // A thread that panicked while printing printed nothing half.
        let _one = self.printer.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        println!("{line}");
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
        assert_eq!(fs::read(folder.join("kind-b--c.log")).unwrap(), b"all of it\n");
        fs::remove_dir_all(folder).unwrap();
    }
}

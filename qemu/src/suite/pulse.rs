//! A sign of life when no test has ended for a while: what runs, and for how long.

use std::{
    collections::BTreeMap,
    sync::{
        Mutex,
        mpsc::{Receiver, RecvTimeoutError},
    },
    time::{Duration, Instant},
};

/// A silence that is told of.
const SILENCE: Duration = Duration::from_secs(30);
/// Names in one line.
const NAMES: usize = 4;

/// What runs, and when something was heard of last.
#[derive(Debug)]
pub struct Pulse {
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    running: BTreeMap<u64, (String, Instant)>,
    begun: u64,
    heard: Instant,
}

impl Default for Pulse {
    fn default() -> Pulse {
        let state = State { running: BTreeMap::new(), begun: 0, heard: Instant::now() };
        Pulse { state: Mutex::new(state) }
    }
}

impl Pulse {
    /// Something begins; it ends when what this returns is dropped.
    pub fn running(&self, what: &str) -> Running<'_> {
        self.with(|state| {
            state.begun += 1;
            state.running.insert(state.begun, (what.to_owned(), Instant::now()));
            Running { pulse: self, number: state.begun }
        })
    }

    /// Something was told.
    pub fn heard(&self) {
        self.with(|state| state.heard = Instant::now());
    }

    /// Tells, on stderr, of each silence until the other end of `stop` is dropped.
    pub fn beat(&self, stop: &Receiver<()>) {
        while let Err(RecvTimeoutError::Timeout) = stop.recv_timeout(Duration::from_secs(1)) {
            if let Some(line) = self.line(Instant::now()) {
                eprintln!("xtask: {line}");
            }
        }
    }

    /// What there is to say at this time.
    fn line(&self, now: Instant) -> Option<String> {
        self.with(|state| {
            if now.saturating_duration_since(state.heard) < SILENCE || state.running.is_empty() {
                return None;
            }
            state.heard = now;
            let seconds = |begin| now.saturating_duration_since(begin).as_secs();
            let first = state.running.values().take(NAMES);
            let mut names: Vec<_> =
                first.map(|(what, begin)| format!("{what} ({} s)", seconds(*begin))).collect();
            match state.running.len().saturating_sub(NAMES) {
                0 => {}
                more => names.push(format!("{more} more")),
            }
            Some(format!("still at {}", names.join(", ")))
        })
    }

    fn with<T>(&self, act: impl FnOnce(&mut State) -> T) -> T {
        act(&mut self.state.lock().unwrap_or_else(|poisoned| poisoned.into_inner()))
    }
}

/// Something that runs.
#[derive(Debug)]
pub struct Running<'a> {
    pulse: &'a Pulse,
    number: u64,
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.pulse.with(|state| state.running.remove(&self.number));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_silence_is_told_once_and_names_what_runs() {
        let pulse = Pulse::default();
        let now = Instant::now();
        assert_eq!(pulse.line(now + 2 * SILENCE), None, "nothing runs");
        let first = pulse.running("guest/a");
        let _second = pulse.running("guest/b");
        assert_eq!(pulse.line(now), None);
        let line = pulse.line(now + SILENCE + Duration::from_secs(1)).unwrap();
        assert!(line.starts_with("still at guest/a (3") && line.contains(", guest/b (3"), "{line}");
        assert_eq!(pulse.line(now + SILENCE + Duration::from_secs(2)), None, "told already");
        drop(first);
        let line = pulse.line(now + 3 * SILENCE).unwrap();
        assert!(line.starts_with("still at guest/b"), "{line}");
    }

    #[test]
    fn more_than_a_line_holds_are_counted() {
        let pulse = Pulse::default();
        let _running: Vec<_> = (0..6).map(|number| pulse.running(&number.to_string())).collect();
        let line = pulse.line(Instant::now() + SILENCE).unwrap();
        assert!(line.ends_with(", 2 more"), "{line}");
    }
}

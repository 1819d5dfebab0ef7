//! The stream against a log of all that happened.

use crate::family::{ME, STREAM, born, ended, read, record, service, watch};
use init_protocol::request::Event;
use process_protocol::{Record, Request, note};
use proptest::prelude::*;
use std::collections::BTreeMap;

#[derive(Clone, Debug)]
enum Step {
    Born(prop::sample::Index),
    Ended(prop::sample::Index, u8),
    Forget(prop::sample::Index),
    Watch(prop::sample::Index, u8),
    Unwatch(prop::sample::Index),
    Read(usize),
}

fn step() -> impl Strategy<Value = Step> {
    let which = any::<prop::sample::Index>;
    prop_oneof![
        4 => which().prop_map(Step::Born),
        3 => (which(), any::<u8>()).prop_map(|(which, code)| Step::Ended(which, code)),
        1 => which().prop_map(Step::Forget),
        2 => (which(), 0u8..16).prop_map(|(which, what)| Step::Watch(which, what)),
        1 => which().prop_map(Step::Unwatch),
        2 => (1usize..8).prop_map(Step::Read),
    ]
}

/// One thing that happened to a watched process, written down when it did.
#[derive(Clone, Copy, PartialEq, Debug)]
enum Fact {
    Child(u32),
    Bits(u32),
    Exit(i64),
}

/// A stream that keeps every fact by itself and folds them when they are read.
#[derive(Default)]
struct Log {
    watched: BTreeMap<u32, u32>,
    over: Vec<u32>,
    facts: Vec<(u32, Fact)>,
}

impl Log {
    fn tell(&mut self, pid: u32, bits: u32) {
        if bits != 0 {
            self.facts.push((pid, Fact::Bits(bits)));
        }
    }

    fn born(&mut self, parent: u32, child: u32) {
        let Some(&what) = self.watched.get(&parent) else { return };
        self.tell(parent, what & note::FORK);
        if what & note::TRACK != 0 {
            self.watched.insert(child, what);
            self.facts.push((child, Fact::Child(parent)));
            self.tell(child, what & note::EXEC);
        }
    }

    fn ended(&mut self, pid: u32, status: i64) {
        let Some(&what) = self.watched.get(&pid) else { return };
        if what & note::EXIT != 0 {
            self.facts.push((pid, Fact::Exit(status)));
        }
        self.over.push(pid);
        self.sweep();
    }

    /// A process that has ended is watched as long as something of it is unread.
    fn sweep(&mut self) {
        let Log { watched, over, facts } = self;
        over.retain(|pid| {
            let unread = facts.iter().any(|(of, _)| of == pid);
            if !unread {
                watched.remove(pid);
            }
            unread
        });
    }

    fn unwatch(&mut self, pid: u32) -> bool {
        self.facts.retain(|&(of, _)| of != pid);
        self.over.retain(|&of| of != pid);
        self.watched.remove(&pid).is_some()
    }

    fn read(&mut self) -> Option<Record> {
        let &(pid, first) = self.facts.first()?;
        let record = if let Fact::Child(parent) = first {
            self.facts.remove(0);
            record(pid, note::CHILD, parent.into())
        } else {
            let mut folded = record(pid, 0, 0);
            self.facts.retain(|&(of, fact)| {
                match fact {
                    _ if of != pid => return true,
                    Fact::Child(_) => panic!("a birth after other news"),
                    Fact::Bits(bits) => folded.what |= bits,
                    Fact::Exit(status) => (folded.what, folded.data) = (folded.what | note::EXIT, status),
                }
                false
            });
            folded
        };
        // The rest of it comes next: it keeps its place.
        let (own, others): (Vec<_>, Vec<_>) = self.facts.drain(..).partition(|&(of, _)| of == pid);
        self.facts = own.into_iter().chain(others).collect();
        self.sweep();
        Some(record)
    }
}

proptest! {
    #[test]
    fn r30_r59_a_stream_is_the_log_folded(steps in prop::collection::vec(step(), 0..200)) {
        let mut service = service();
        let mut log = Log::default();
        // Pid: whether it lives.
        let mut processes = BTreeMap::from([(10, true), (11, true), (12, true)]);
        let mut statuses = BTreeMap::new();
        let mut next = 50;
        for step in steps {
            let nth = |which: &prop::sample::Index, lives: Option<bool>| {
                let those: Vec<u32> = processes.iter()
                    .filter(|&(&pid, &alive)| pid != ME && lives.is_none_or(|lives| lives == alive))
                    .map(|(&pid, _)| pid).collect();
                (!those.is_empty()).then(|| those[which.index(those.len())])
            };
            match step {
                Step::Born(which) => {
                    let Some(parent) = nth(&which, Some(true)) else { continue };
                    next += 1;
                    service.happened(&born(next, parent, 1));
                    log.born(parent, next);
                    processes.insert(next, true);
                }
                Step::Ended(which, code) => {
                    let Some(pid) = nth(&which, Some(true)) else { continue };
                    service.happened(&ended(pid, code.into()));
                    log.ended(pid, i64::from(code) << 8);
                    processes.insert(pid, false);
                    statuses.insert(pid, i64::from(code) << 8);
                }
                Step::Forget(which) => {
                    let Some(pid) = nth(&which, Some(false)) else { continue };
                    service.happened(&Event::Forgotten { pid });
                    processes.remove(&pid);
                }
                Step::Watch(which, bits) => {
                    let Some(pid) = nth(&which, None) else { continue };
                    let chosen = [note::EXIT, note::FORK, note::EXEC, note::TRACK];
                    let what = (0..4).filter(|bit| bits >> bit & 1 != 0).map(|bit| chosen[bit]).sum();
                    // Of a process that is watched already, nothing that was told is taken back.
                    if log.over.contains(&pid) { continue; }
                    watch(&mut service, pid, what).unwrap();
                    log.watched.insert(pid, what);
                    if let Some(&status) = statuses.get(&pid) {
                        log.ended(pid, status);
                    }
                }
                Step::Unwatch(which) => {
                    let Some(pid) = nth(&which, None) else { continue };
                    let known = service.ask(STREAM, &Request::Unwatch { pid }).is_ok();
                    prop_assert_eq!(known, log.unwatch(pid));
                }
                Step::Read(most) => {
                    let expected: Vec<Record> = (0..most).map_while(|_| log.read()).collect();
                    prop_assert_eq!(service.take(STREAM, most).unwrap(), expected);
                }
            }
            prop_assert_eq!(service.load().2, log.watched.len());
        }
        let expected: Vec<Record> = std::iter::from_fn(|| log.read()).collect();
        prop_assert_eq!(service.level(STREAM), expected.len());
        prop_assert_eq!(read(&mut service), expected);
    }
}

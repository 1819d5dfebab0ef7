//! Who is told what of processes and signals.

use abi::error::{EINVAL, ENOENT, ENOMEM, ENOSYS, EPERM, ESRCH, Error};
use init_protocol::request::Event;
use init_protocol::status::{ExitStatus, SIGNALED};
use process::service::{Effect, Opened, Service};
use process_protocol::signal::{SIGCHLD, SIGKILL, SIGSTOP, SIGTERM, SIGUSR1, SIGUSR2};
use process_protocol::{MAX_WATCHED, MAX_WATCHED_BY_ALL, Record, Request, SignalSet, note};
use proptest::prelude::*;
use std::collections::BTreeMap;

const ALL: u32 = note::EXIT | note::FORK | note::EXEC | note::TRACK;
/// The file that the tests' program watches with.
const STREAM: u32 = 100;
/// Its own signals.
const OWN: u32 = 200;
const ME: u32 = 10;

fn born(pid: u32, parent: u32, family: u32) -> Event {
    Event::Born { pid, parent, family, operator: false }
}

fn ended(pid: u32, code: i64) -> Event {
    Event::Ended { pid, status: ExitStatus::Exited(code) }
}

fn record(pid: u32, what: u32, data: i64) -> Record {
    Record { pid, what, data }
}

/// Family 1: 10, its children 11 and 12. Family 2: 20. An operator: 30.
fn service() -> Service<u32> {
    let mut service = Service::new();
    for event in [born(10, 1, 1), born(11, 10, 1), born(12, 10, 1), born(20, 1, 2)] {
        service.happened(&event);
    }
    service.happened(&Event::Born { pid: 30, parent: 1, family: 3, operator: true });
    service.open(STREAM, ME, Opened::Stream).unwrap();
    service.open(OWN, ME, Opened::Own).unwrap();
    service.effects();
    service
}

fn watch(service: &mut Service<u32>, pid: u32, what: u32) -> Result<(), i32> {
    service.ask(STREAM, &Request::Watch { pid, what }).map(drop).map_err(|error| error.errno)
}

fn read(service: &mut Service<u32>) -> Vec<Record> {
    service.take(STREAM, usize::MAX).unwrap()
}

fn kill(service: &mut Service<u32>, pid: u32, signal: u8) -> Result<(), i32> {
    service.ask(OWN, &Request::Kill { pid, signal }).map(drop).map_err(|error| error.errno)
}

#[test]
fn r29_an_end_is_told_with_its_wait_status() {
    let mut service = service();
    watch(&mut service, 11, note::EXIT).unwrap();
    watch(&mut service, 12, note::EXIT).unwrap();
    service.happened(&ended(12, 3));
    service.happened(&ended(11, SIGNALED + 9));
    assert_eq!(read(&mut service), [record(12, note::EXIT, 0x300), record(11, note::EXIT, 9)]);
    assert_eq!(read(&mut service), []);
}

#[test]
fn r29_one_that_has_ended_and_was_not_waited_for_still_fires() {
    let mut service = service();
    service.happened(&ended(11, 7));
    watch(&mut service, 11, note::EXIT).unwrap();
    assert_eq!(read(&mut service), [record(11, note::EXIT, 0x700)]);
}

#[test]
fn r29_no_such_process_is_esrch() {
    let mut service = service();
    assert_eq!(watch(&mut service, 99, note::EXIT), Err(ESRCH));
    service.happened(&ended(11, 7));
    service.happened(&Event::Forgotten { pid: 11 });
    assert_eq!(watch(&mut service, 11, note::EXIT), Err(ESRCH));
}

#[test]
fn r29_an_end_that_was_not_asked_for_is_silent_and_frees_the_watch() {
    let mut service = service();
    watch(&mut service, 11, note::FORK).unwrap();
    service.effects();
    service.happened(&ended(11, 7));
    assert_eq!(service.effects(), [], "SIGCHLD is for nobody who counts it");
    assert_eq!((read(&mut service), service.load().2), (vec![], 0));
}

#[test]
fn r30_a_child_is_watched_from_its_birth_though_nobody_has_looked() {
    let mut service = service();
    watch(&mut service, 11, ALL).unwrap();
    // Born, started a child of its own, both dead, all forgotten before the first look.
    for event in [born(50, 11, 1), born(51, 50, 1), ended(51, 1), ended(50, 2)] {
        service.happened(&event);
    }
    for pid in [51, 50] {
        service.happened(&Event::Forgotten { pid });
    }
    assert_eq!(
        read(&mut service),
        [
            record(11, note::FORK, 0),
            record(50, note::CHILD, 11),
            record(50, note::EXEC | note::FORK | note::EXIT, 0x200),
            record(51, note::CHILD, 50),
            record(51, note::EXEC | note::EXIT, 0x100),
        ]
    );
    assert_eq!(service.load().2, 1, "only the one that lives is still watched");
}

#[test]
fn r30_children_of_one_that_is_not_tracked_are_nobodys() {
    let mut service = service();
    watch(&mut service, 11, note::FORK | note::EXIT).unwrap();
    service.happened(&born(50, 11, 1));
    service.happened(&ended(50, 0));
    assert_eq!(read(&mut service), [record(11, note::FORK, 0)]);
}

#[test]
fn r30_a_child_that_cannot_be_watched_is_a_trackerr_of_its_parent() {
    let mut service = service();
    watch(&mut service, 11, note::TRACK | note::EXIT).unwrap();
    for pid in 1000..1000 + MAX_WATCHED as u32 - 1 {
        service.happened(&born(pid, 10, 1));
        watch(&mut service, pid, note::EXIT).unwrap();
    }
    assert_eq!(watch(&mut service, 12, note::EXIT), Err(ENOMEM), "R55");
    service.happened(&born(50, 11, 1));
    service.happened(&ended(50, 0));
    assert_eq!(read(&mut service), [record(11, note::TRACKERR, 0)]);
    // There is room again: the next one is followed.
    service.ask(STREAM, &Request::Unwatch { pid: 1000 }).unwrap();
    service.happened(&born(51, 11, 1));
    assert_eq!(read(&mut service), [record(51, note::CHILD, 11)]);
}

#[test]
fn r55_one_process_cannot_take_all_the_room() {
    let mut service = service();
    let watch_many = |service: &mut Service<u32>, streams: std::ops::Range<u32>, pid: u32| -> usize {
        let mut watched = 0;
        for stream in streams {
            service.open(1_000_000 + pid * 1000 + stream, pid, Opened::Stream).unwrap();
            for target in 1000..1000 + MAX_WATCHED as u32 / 2 {
                let request = Request::Watch { pid: target, what: note::EXIT };
                match service.ask(1_000_000 + pid * 1000 + stream, &request) {
                    Ok(_) => watched += 1,
                    Err(error) => assert_eq!(error.errno, ENOMEM),
                }
            }
        }
        watched
    };
    for target in 1000..1000 + MAX_WATCHED as u32 / 2 {
        service.happened(&born(target, 10, 1));
    }
    assert_eq!(watch_many(&mut service, 0..4, 11), MAX_WATCHED, "its own limit");
    assert_eq!(watch_many(&mut service, 0..1, 12), MAX_WATCHED / 2, "others have theirs");
    let all: usize = (1000..1020).map(|pid| watch_many(&mut service, 0..2, pid)).sum();
    assert_eq!(all + MAX_WATCHED * 3 / 2, MAX_WATCHED_BY_ALL, "together they have one too");
}

#[test]
fn r35_what_is_watched_no_longer_is_silent_at_once() {
    let mut service = service();
    watch(&mut service, 11, ALL).unwrap();
    service.happened(&born(50, 11, 1));
    for pid in [11, 50] {
        service.ask(STREAM, &Request::Unwatch { pid }).unwrap();
    }
    service.happened(&ended(50, 0));
    service.happened(&ended(11, 0));
    assert_eq!((read(&mut service), service.level(STREAM)), (vec![], 0));
    let again = service.ask(STREAM, &Request::Unwatch { pid: 50 });
    assert_eq!(again, Err(Error::new(ENOENT)));
}

#[test]
fn r59_a_million_births_are_one_record() {
    let mut service = service();
    watch(&mut service, 11, note::FORK).unwrap();
    for round in 0..10_000 {
        service.happened(&born(50 + round, 11, 1));
        service.happened(&ended(50 + round, 0));
        service.happened(&Event::Forgotten { pid: 50 + round });
    }
    assert_eq!((service.level(STREAM), read(&mut service)), (1, vec![record(11, note::FORK, 0)]));
}

#[test]
fn what_its_reader_did_not_get_is_read_by_the_next() {
    let mut service = service();
    watch(&mut service, 11, ALL).unwrap();
    service.happened(&born(50, 11, 1));
    service.happened(&ended(50, 2));
    for most in 0..5 {
        let taken = service.take(STREAM, most).unwrap();
        assert_eq!(taken.len(), most.min(3));
        service.put_back(STREAM);
        assert_eq!(service.level(STREAM), 3);
    }
    let one_by_one: Vec<Record> = (0..3).flat_map(|_| service.take(STREAM, 1).unwrap()).collect();
    assert_eq!(
        one_by_one,
        [record(11, note::FORK, 0), record(50, note::CHILD, 11), record(50, note::EXEC | note::EXIT, 0x200)]
    );
}

#[test]
fn watching_and_signalling_are_for_the_family_and_for_operators() {
    let mut service = service();
    for (pid, verdict) in [(10, Ok(())), (12, Ok(())), (20, Err(EPERM)), (1, Err(EPERM)), (0, Err(ESRCH))] {
        assert_eq!(watch(&mut service, pid, note::EXIT), verdict, "{pid}");
        assert_eq!(kill(&mut service, pid, 0), verdict, "{pid}");
    }
    service.open(OWN + 1, 30, Opened::Own).unwrap();
    service.ask(OWN + 1, &Request::Kill { pid: 20, signal: 0 }).unwrap();
    // A process may signal itself, and its elders.
    service.open(OWN + 2, 12, Opened::Own).unwrap();
    service.ask(OWN + 2, &Request::Kill { pid: 10, signal: 0 }).unwrap();
}

#[test]
fn requests_are_for_their_files() {
    let mut service = service();
    let on =
        |service: &mut Service<u32>, file, request| service.ask(file, &request).map_err(|error| error.errno);
    assert_eq!(on(&mut service, STREAM, Request::Take), Err(EINVAL));
    assert_eq!(on(&mut service, OWN, Request::Unwatch { pid: 11 }), Err(EINVAL));
    assert_eq!(watch(&mut service, 11, note::CHILD), Err(EINVAL));
    assert_eq!((kill(&mut service, 11, 65), kill(&mut service, 11, SIGSTOP)), (Err(EINVAL), Err(ENOSYS)));
    assert_eq!(service.open(7, 99, Opened::Own), Err(Error::new(ESRCH)));
    for signal in [0, 65, 255] {
        assert_eq!(service.open(7, ME, Opened::Attempts(signal)), Err(Error::new(EINVAL)));
    }
    assert_eq!(service.effects(), []);
}

#[test]
fn default_actions_end_the_process_or_come_to_nothing() {
    let mut service = service();
    kill(&mut service, 11, SIGTERM).unwrap();
    kill(&mut service, 11, SIGCHLD).unwrap();
    assert_eq!(service.effects(), [Effect::End { pid: 11, signal: SIGTERM }]);
    service.happened(&ended(11, SIGNALED + 15));
    service.effects();
    kill(&mut service, 11, SIGKILL).unwrap();
    assert_eq!(service.effects(), [], "it has ended: there is nobody to end");
}

#[test]
fn told_signals_wait_until_they_are_taken() {
    let mut service = service();
    let told = SignalSet::of(SIGUSR1).union(SignalSet::of(SIGUSR2));
    service.ask(OWN, &Request::Dispose { ignored: SignalSet::EMPTY, told }).unwrap();
    service.effects();
    kill(&mut service, ME, SIGUSR2).unwrap();
    assert_eq!(service.effects(), [Effect::Level { file: OWN, more: true }]);
    kill(&mut service, ME, SIGUSR1).unwrap();
    assert_eq!(service.level(OWN), 2);
    assert_eq!(service.ask(OWN, &Request::Take), Ok(told));
    assert_eq!((service.level(OWN), service.ask(OWN, &Request::Take)), (0, Ok(SignalSet::EMPTY)));
    service.ask(OWN, &Request::Default { signal: SIGUSR1 }).unwrap();
    assert!(service.effects().contains(&Effect::End { pid: ME, signal: SIGUSR1 }));
}

#[test]
fn a_child_that_ends_sends_sigchld() {
    let mut service = service();
    service.open(300, ME, Opened::Attempts(SIGCHLD)).unwrap();
    service.happened(&ended(11, 0));
    service.happened(&ended(20, 0));
    assert_eq!(service.effects(), [Effect::Attempt(300)]);
}

#[test]
fn r28_attempts_count_whatever_becomes_of_the_signal() {
    let mut service = service();
    service.open(300, 11, Opened::Attempts(SIGUSR1)).unwrap();
    service.open(301, 11, Opened::Attempts(SIGUSR2)).unwrap();
    service.open(302, 12, Opened::Attempts(SIGUSR1)).unwrap();
    service.open(303, 11, Opened::Own).unwrap();
    let usr1 = SignalSet::of(SIGUSR1);
    for (ignored, told) in
        [(usr1, SignalSet::EMPTY), (SignalSet::EMPTY, usr1), (SignalSet::EMPTY, SignalSet::EMPTY)]
    {
        service.ask(303, &Request::Dispose { ignored, told }).unwrap();
        service.effects();
        kill(&mut service, 11, SIGUSR1).unwrap();
        let attempts: Vec<_> =
            service.effects().into_iter().filter(|effect| matches!(effect, Effect::Attempt(_))).collect();
        assert_eq!(attempts, [Effect::Attempt(300)], "ignored {ignored:?}, told {told:?}");
    }
    kill(&mut service, 11, 0).unwrap();
    assert_eq!(service.effects(), [], "number 0 is no attempt");
}

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

//! Manifests of friends and of others.

mod world;

use init::{
    check::{self, ENTRIES, Why},
    read,
};
use init_protocol::{
    VERSION,
    manifest::{Backoff, Device, Entry, Irq, Kind, Manifest, Ports, Registers, Restart},
};
use proptest::prelude::*;
use world::{entry, server};

fn com1() -> Device {
    Device {
        name: "com1".into(),
        ports: vec![Ports { first: 0x3f8, count: 8 }],
        irq: Some(Irq { line: 4, level: false, active_low: false }),
        memory: None,
        hardware: false,
    }
}

fn driver(name: &str) -> Entry {
    Entry { devices: vec!["com1".into()], ..entry(name, Kind::Driver) }
}

fn manifest(entries: Vec<Entry>) -> Manifest {
    Manifest { version: VERSION, devices: vec![com1()], entries }
}

/// Names of what is started, and why the rest is not.
fn checked(manifest: Manifest) -> (Vec<String>, Vec<(usize, Why)>) {
    let (programs, skipped) = check::manifest(manifest, |file| file.starts_with("bin/"));
    let names = programs.into_iter().map(|program| program.entry.name).collect();
    (names, skipped.into_iter().map(|skipped| (skipped.index, skipped.why)).collect())
}

/// Why the second of three entries is skipped; the others are not.
fn why(change: impl FnOnce(&mut Entry)) -> Why {
    let mut second = entry("second", Kind::Driver);
    change(&mut second);
    let mut first = driver("first");
    first.provides = vec!["log".into()];
    let (names, mut skipped) = checked(manifest(vec![first, second, entry("third", Kind::Application)]));
    assert_eq!(names, ["first", "third"]);
    assert_eq!(skipped.len(), 1);
    assert_eq!(skipped[0].0, 1);
    skipped.remove(0).1
}

#[test]
fn a_wrong_entry_is_skipped_alone_and_told_why() {
    assert_eq!(why(|e| e.name = String::new()), Why::Name);
    assert_eq!(why(|e| e.name = "two words".into()), Why::Name);
    assert_eq!(why(|e| e.name = "x".repeat(65)), Why::Name);
    assert_eq!(why(|e| e.name = "first".into()), Why::SameName);
    assert_eq!(why(|e| e.file = "no\nfile".into()), Why::NoFile("no\\nfile".into()));
    assert_eq!(why(|e| e.args = vec![String::new(); 65]), Why::Strings);
    assert_eq!(why(|e| e.env = vec![("a".into(), "b".repeat(9000))]), Why::Strings);
    assert_eq!(why(|e| e.priority = 64), Why::Priority(64));
    assert_eq!(why(|e| e.quota = 4096), Why::Quota(4096));
    assert_eq!(why(|e| e.provides = vec!["a b".into()]), Why::Service("a b".into()));
    assert_eq!(why(|e| e.after = vec![String::new()]), Why::Service(String::new()));
    assert_eq!(why(|e| e.devices = vec!["com2".into()]), Why::NoDevice("com2".into()));
    assert_eq!(
        why(|e| e.devices = vec!["com1".into()]),
        Why::SameDevice { device: "com1".into(), other: "first".into() }
    );
    assert_eq!(
        why(|e| e.provides = vec!["log".into()]),
        Why::SameService { service: "log".into(), other: "first".into() }
    );
    assert_eq!(why(|e| e.after = vec!["nothing".into()]), Why::WaitsInVain("nothing".into()));
    let backoff = Backoff { first_ms: 20, longest_ms: 10, ..Backoff::default() };
    assert_eq!(why(|e| e.restart = Restart::OnFailure(backoff)), Why::Backoff { first: 20, longest: 10 });
    assert_eq!(
        why(|e| {
            e.kind = Kind::Server;
            e.devices = vec!["com1".into()];
        }),
        Why::NoDriver
    );
    assert_eq!(
        why(|e| {
            e.kind = Kind::Application;
            e.provides = vec!["x".into()];
        }),
        Why::NoServer
    );
}

#[test]
fn every_reason_is_one_printable_line() {
    let text = why(|e| e.file = "bad\u{1b}[2J".into()).to_string();
    assert!(!text.chars().any(char::is_control), "{text}");
    let mut second = entry("two\nlines", Kind::Driver);
    second.args = vec!["x".repeat(100_000)];
    let (_, skipped) = check::manifest(manifest(vec![second]), |_| true);
    assert_eq!(skipped[0].name, "two\\nlines");
}

#[test]
fn devices_that_cannot_be() {
    let with = |change: &dyn Fn(&mut Device)| {
        let mut manifest = manifest(vec![driver("tty")]);
        change(&mut manifest.devices[0]);
        checked(manifest).1
    };
    let wrong = vec![(0, Why::Device("com1".into()))];
    assert_eq!(with(&|_| {}), []);
    assert_eq!(with(&|d| d.ports[0].count = 0), wrong);
    assert_eq!(with(&|d| d.ports[0] = Ports { first: 0xffff, count: 1 }), []);
    assert_eq!(with(&|d| d.ports[0] = Ports { first: 0xffff, count: 2 }), wrong);
    let memory = |address, length| move |d: &mut Device| d.memory = Some(Registers { address, length });
    assert_eq!(with(&memory(0xfed0_0000, 4096)), []);
    assert_eq!(with(&memory(0xfed0_0010, 4096)), wrong);
    assert_eq!(with(&memory(0xfed0_0000, 0)), wrong);
    assert_eq!(with(&memory(u64::MAX - 4095, 8192)), wrong);
}

#[test]
fn a_circle_of_waiting_is_skipped_whole_and_nothing_else() {
    let after = |name: &str, service: &str| Entry { after: vec![service.into()], ..server(name) };
    let (names, skipped) = checked(manifest(vec![
        after("a", "b"),
        server("free"),
        after("b", "a"),
        after("self", "self"),
        after("fine", "free"),
        after("behind", "a"),
    ]));
    assert_eq!(names, ["free", "fine"]);
    let mut indices: Vec<usize> = skipped.iter().map(|(index, _)| *index).collect();
    indices.sort_unstable();
    assert_eq!(indices, [0, 2, 3, 5]);
}

#[test]
fn a_service_of_a_skipped_entry_is_free() {
    let bad = Entry { file: "nowhere".into(), name: "bad".into(), ..server("log") };
    let (names, _) = checked(manifest(vec![bad, server("log")]));
    assert_eq!(names, ["log"]);
}

#[test]
fn too_many_entries() {
    let entries = (0..ENTRIES + 2).map(|n| entry(&format!("e{n}"), Kind::Application)).collect();
    let (names, skipped) = checked(manifest(entries));
    assert_eq!(names.len(), ENTRIES);
    assert_eq!(skipped, [(ENTRIES, Why::TooMany), (ENTRIES + 1, Why::TooMany)]);
}

fn encoded() -> (Manifest, Vec<u8>) {
    let manifest = manifest(vec![driver("tty"), server("log"), entry("app", Kind::Application)]);
    let bytes = postcard::to_allocvec(&manifest).unwrap();
    (manifest, bytes)
}

#[test]
fn what_is_written_is_read() {
    let (manifest, bytes) = encoded();
    assert_eq!(read::manifest(&bytes), (manifest, None));
}

#[test]
fn a_damaged_entry_leaves_those_before_it() {
    let (whole, bytes) = encoded();
    for length in 0..bytes.len() {
        let (part, error) = read::manifest(&bytes[..length]);
        let error = error.expect("a cut was not noticed");
        assert_eq!(part.entries, whole.entries[..part.entries.len()]);
        if let read::Error::Entry { index, count, .. } = error {
            assert_eq!((index as usize, count), (part.entries.len(), 3));
        }
    }
    let mut longer = bytes.clone();
    longer.extend_from_slice(&[0; 3]);
    assert_eq!(read::manifest(&longer), (whole, Some(read::Error::Rest(3))));
    let mut other = bytes;
    other[0] = 99;
    assert_eq!(read::manifest(&other).1, Some(read::Error::Version(99)));
}

proptest! {
    #[test]
    fn arbitrary_manifests(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let (manifest, _) = read::manifest(&bytes);
        let _ = checked(manifest);
    }

    #[test]
    fn mutated_manifests_are_read_or_refused_in_one_line(
        changes in proptest::collection::vec((any::<proptest::sample::Index>(), any::<u8>()), 1..6)
    ) {
        let (_, mut bytes) = encoded();
        for (at, value) in changes {
            let at = at.index(bytes.len());
            bytes[at] = value;
        }
        let (manifest, error) = read::manifest(&bytes);
        if let Some(error) = error {
            prop_assert!(!error.to_string().contains('\n'));
        }
        let count = manifest.entries.len();
        let (names, skipped) = checked(manifest);
        prop_assert_eq!(names.len() + skipped.len(), count);
        for (_, why) in skipped {
            prop_assert!(!why.to_string().chars().any(char::is_control));
        }
    }
}

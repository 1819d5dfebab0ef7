//! Handles on their way, and files that only they keep.

use crate::fake::{Bench, Got, Thing};
use crate::office::{NONE, NOW, Office, ROOM, bench, message, to};
use abi::error::{EBADF, ETOOMANYREFS};
use abi::flag::O_RDWR;
use driver_sdk::limits::{PARCELS_PER_CLIENT, PENDING_PER_FILE};
use driver_sdk::{Driver, FileId, MessageFlags};
use proptest::prelude::*;
use std::collections::BTreeSet;

#[test]
fn a_file_on_its_way_is_open_and_handles_that_nobody_receives_are_closed() {
    let (mut bench, one, other) = bench();
    let sent = bench.open("/box", O_RDWR, 1).unwrap();
    bench.send_message(one, &to(other), b"take", NOW, &[Thing::Descriptor(sent), Thing::Object(3)]);
    bench.let_go(sent);
    assert!(bench.engine.driver().closed.is_empty());
    let token = bench.receive(other, 100, NOW);
    assert_eq!(message(bench.got(token)).things, [Thing::Descriptor(sent), Thing::Object(3)]);
    assert!(bench.engine.driver().closed.is_empty(), "it is the receiver's now");
    bench.let_go(sent);
    assert_eq!(bench.engine.driver().closed, [sent]);
    // And once more, without a receiver.
    let lost = bench.open("/box", O_RDWR, 1).unwrap();
    bench.send_message(one, &to(other), b"lost", NOW, &[Thing::Descriptor(lost), Thing::Object(4)]);
    bench.let_go(lost);
    bench.close(other);
    assert_eq!(bench.engine.driver().closed, [sent, other, lost]);
    assert_eq!(bench.engine.shared().1, 0);
}

#[test]
fn files_that_only_hold_each_other_are_nobodys() {
    let (mut bench, one, other) = bench();
    let keeper = bench.open("/box", O_RDWR, 3).unwrap();
    // One is in the other's box, the other in one's, and one in the keeper's.
    bench.send_message(one, &to(other), b"a", NOW, &[Thing::Descriptor(one)]);
    bench.send_message(other, &to(one), b"b", NOW, &[Thing::Descriptor(other)]);
    bench.send_message(one, &to(keeper), b"c", NOW, &[Thing::Descriptor(one)]);
    bench.let_go(one);
    bench.let_go(other);
    assert!(bench.engine.driver().closed.is_empty(), "the keeper can get at both");
    bench.close(keeper);
    let closed: BTreeSet<FileId> = bench.engine.driver().closed.iter().copied().collect();
    assert_eq!(closed, BTreeSet::from([one, other, keeper]));
    assert_eq!((bench.engine.load(), bench.engine.shared()), ((0, 0), (0, 0)));
}

#[test]
fn a_dead_senders_handles_are_closed_with_its_wait() {
    let (mut bench, one, other) = bench();
    bench.send_message(one, &to(other), b"01234567", NOW, &[]);
    let waits = bench.send_message(one, &to(other), b"more", NONE, &[Thing::Object(1)]);
    bench.close(one);
    assert_eq!(bench.got(waits), Some(Got::Errno(EBADF)));
    assert_eq!(bench.engine.shared().1, 0);
}

#[test]
fn r55_handles_on_their_way_count() {
    let (mut bench, one, other) = bench();
    let mut sent = 0;
    // Letters without bytes take no room.
    let errno = loop {
        let token = bench.send_message(one, &to(other), b"", NOW, &[Thing::Object(1); 2]);
        match bench.got(token) {
            Some(Got::Count(0)) => sent += 2,
            Some(Got::Errno(errno)) => break errno,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!((errno, sent), (ETOOMANYREFS, PARCELS_PER_CLIENT));
    let token = bench.send_message(other, &to(other), b"", NOW, &[Thing::Object(1)]);
    assert_eq!(bench.got(token), Some(Got::Count(0)), "another client has its own");
    bench.receive(other, 1, NOW);
    let token = bench.send_message(one, &to(other), b"", NOW, &[Thing::Object(1)]);
    assert_eq!(bench.got(token), Some(Got::Count(0)));
}

#[test]
fn waiting_messages_give_way_with_their_handles() {
    let (mut bench, one, other) = bench();
    bench.send_message(one, &to(other), &[1; ROOM], NOW, &[]);
    for _ in 0..2 * PENDING_PER_FILE {
        bench.send_message(one, &to(other), b"x", NONE, &[Thing::Object(1)]);
    }
    assert_eq!((bench.engine.load().1, bench.engine.shared().1), (PENDING_PER_FILE, PENDING_PER_FILE));
}

#[derive(Clone, Debug)]
enum Step {
    Open(u64),
    Close(usize),
    Send { from: usize, to: usize, carried: Vec<usize>, wait: bool },
    Receive { at: usize, peek: bool, dies: bool },
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        2 => (1u64..4).prop_map(Step::Open),
        2 => (0usize..8).prop_map(Step::Close),
        5 => (0usize..8, 0usize..8, prop::collection::vec(0usize..8, 0..3), any::<bool>())
            .prop_map(|(from, to, carried, wait)| Step::Send { from, to, carried, wait }),
        3 => (0usize..8, any::<bool>(), any::<bool>()).prop_map(|(at, peek, dies)| Step::Receive { at, peek, dies }),
    ]
}

proptest! {
    /// A file is open exactly as long as somebody can get at it: with a handle, or by receiving.
    #[test]
    fn files_live_as_long_as_somebody_can_reach_them(steps in prop::collection::vec(step(), 0..60)) {
        let mut bench = Bench::new(Office::default());
        let mut held: BTreeSet<FileId> = BTreeSet::new();
        for step in steps {
            let all: Vec<FileId> = held.iter().copied().collect();
            let pick = |at: usize| all[at % all.len()];
            match step {
                Step::Open(client) => _ = held.insert(bench.open("/box", O_RDWR, client).unwrap()),
                _ if all.is_empty() => {}
                Step::Close(at) => {
                    held.remove(&pick(at));
                    bench.let_go(pick(at));
                }
                Step::Send { from, to: at, carried, wait } => {
                    let things: Vec<Thing> = carried.iter().map(|&at| Thing::Descriptor(pick(at))).collect();
                    let flags = if wait { NONE } else { NOW };
                    bench.send_message(pick(from), &to(pick(at)), b"x", flags, &things);
                }
                Step::Receive { at, peek, dies } => {
                    let flags = if peek { NOW | MessageFlags::PEEK } else { NOW };
                    if dies {
                        // The token of the request that comes.
                        let next = bench.next_token();
                        bench.link().dead.insert(next);
                    }
                    let token = bench.receive(pick(at), 100, flags);
                    if let Some(Got::Message(message)) = bench.got(token) {
                        held.extend(message.things.iter().filter_map(|thing| match thing {
                            Thing::Descriptor(file) => Some(*file),
                            _ => None,
                        }));
                    }
                }
            }
            // What a holder of these can get at, box by box. Letters that wait to be sent belong to their senders.
            let office = bench.engine.driver();
            let mut reached = held.clone();
            let mut todo: Vec<FileId> = held.iter().copied().collect();
            while let Some(file) = todo.pop() {
                office.visit_parcels(file, &mut |parcel| {
                    let inside = parcel.file().expect("only descriptors were sent");
                    if reached.insert(inside) {
                        todo.push(inside);
                    }
                });
            }
            for file in &reached {
                prop_assert!(office.boxes.contains_key(file), "{:?} is closed", file);
            }
            if bench.engine.load().1 == 0 {
                let office = bench.engine.driver();
                let open: BTreeSet<FileId> = office.boxes.keys().copied().collect();
                prop_assert_eq!(open, reached);
            }
        }
        for file in held {
            bench.let_go(file);
        }
        prop_assert_eq!((bench.engine.load(), bench.engine.shared()), ((0, 0), (0, 0)));
    }
}

//! Messages with handles, and requests of all kinds that wait.

mod fake;

use abi::error::{EAGAIN, EBADF, EINVAL, EMSGSIZE, ENOENT, ENOMEM, ETOOMANYREFS, Error, Result};
use abi::flag::O_RDWR;
use driver_sdk::limits::{PARCELS_PER_CLIENT, PENDING_PER_CLIENT, PENDING_PER_FILE};
use driver_sdk::{
    Asked, Context, Control, ControlReply, Direction, Driver, FileId, Filters, Incoming, Kind, MessageFlags,
    Opening, Outgoing, Parcel, Receiving,
};
use event_protocol::descriptor::label;
use event_protocol::descriptor::message::{MAX_ADDRESS, MAX_PAYLOAD};
use fake::{Bench, Got, Message, Thing};
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// Bytes of all letters that wait.
const ROOM: usize = 8;

/// A post office: every file has a box, an address is the number of a box. Beside a box, "next" is what was announced there
/// by a control; an announcement of "wait" waits for another one.
#[derive(Default)]
struct Office {
    boxes: BTreeMap<FileId, VecDeque<Letter>>,
    announced: usize,
    opened: Vec<FileId>,
    closed: Vec<FileId>,
}

/// A letter with its bytes.
struct Letter {
    bytes: Vec<u8>,
    message: Incoming,
}

impl Office {
    fn load(&self) -> usize {
        self.boxes.values().flatten().map(|letter| letter.bytes.len()).sum()
    }
}

impl Driver for Office {
    fn open(&mut self, _: &mut Context<'_>, file: FileId, _: &str, _: u64) -> Result<Opening> {
        self.boxes.insert(file, VecDeque::new());
        Ok(Opening::new(Kind::Socket, Filters::READ))
    }

    fn open_at(
        &mut self,
        context: &mut Context<'_>,
        _: FileId,
        file: FileId,
        path: &str,
        flags: u64,
    ) -> Result<Opening> {
        if path != "next" {
            return Err(Error::new(ENOENT));
        }
        if self.announced == 0 {
            return Err(Error::new(EAGAIN));
        }
        self.announced -= 1;
        self.open(context, file, path, flags)
    }

    fn opened(&mut self, _: &mut Context<'_>, file: FileId) {
        self.opened.push(file);
    }

    fn close(&mut self, _: &mut Context<'_>, file: FileId) {
        if self.boxes.remove(&file).is_some() {
            self.announced += 1;
        }
        self.closed.push(file);
    }

    fn send(&mut self, context: &mut Context<'_>, _: FileId, message: &mut Outgoing<'_>) -> Result<usize> {
        let index = message.address.parse().map_err(|_| Error::new(ENOENT))?;
        let count = message.bytes.len().min(ROOM - self.load());
        if count == 0 && !message.bytes.is_empty() {
            return Err(Error::new(EAGAIN));
        }
        let (file, letters) =
            self.boxes.iter_mut().find(|(file, _)| file.index() == index).ok_or(Error::new(ENOENT))?;
        let parcels = core::mem::take(&mut message.parcels);
        let (whole, flags) = (message.bytes.len(), MessageFlags::empty());
        letters.push_back(Letter {
            bytes: message.bytes[..count].into(),
            message: Incoming { count, whole, flags, address: "sender".into(), parcels },
        });
        context.wake(Direction::Read, file.badge());
        Ok(count)
    }

    fn receive(
        &mut self,
        context: &mut Context<'_>,
        file: FileId,
        buffer: &mut [u8],
        receiving: Receiving,
    ) -> Result<Incoming> {
        let letters = self.boxes.get_mut(&file).ok_or(Error::new(EBADF))?;
        let letter = letters.pop_front().ok_or(Error::new(EAGAIN))?;
        buffer[..letter.bytes.len()].copy_from_slice(&letter.bytes);
        let message = letter.message.clone();
        if receiving.flags.contains(MessageFlags::PEEK) {
            letters.push_front(letter);
        }
        context.wake(Direction::Write, 0);
        Ok(message)
    }

    fn unreceive(&mut self, _: &mut Context<'_>, file: FileId, bytes: &[u8], message: Incoming) {
        let letter = Letter { bytes: bytes.into(), message };
        self.boxes.get_mut(&file).expect("an open file").push_front(letter);
    }

    fn visit_parcels(&self, file: FileId, visit: &mut dyn FnMut(&Parcel)) {
        self.boxes
            .get(&file)
            .into_iter()
            .flatten()
            .flat_map(|letter| &letter.message.parcels)
            .for_each(visit);
    }

    fn control(&mut self, context: &mut Context<'_>, _: FileId, control: &Control) -> Result<ControlReply> {
        match control {
            Control::Sync if self.announced == 0 => Err(Error::new(EAGAIN)),
            Control::Sync => Ok(ControlReply::Number(self.announced as i64)),
            Control::Listen(count) => {
                self.announced += *count as usize;
                context.wake(Direction::Read, 1);
                context.wake(Direction::Read, 2);
                Ok(ControlReply::Done)
            }
            _ => Err(Error::new(EINVAL)),
        }
    }

    fn queue_of(&self, file: FileId, asked: Asked<'_>) -> (Direction, u64) {
        match asked {
            Asked::Open { .. } => (Direction::Read, 1),
            Asked::Control(_) => (Direction::Read, 2),
            Asked::Send(_) | Asked::Write => (Direction::Write, 0),
            Asked::Receive(_) | Asked::Read => (Direction::Read, file.badge()),
        }
    }
}

fn bench() -> (Bench<Office>, FileId, FileId) {
    let mut bench = Bench::new(Office::default());
    let one = bench.open("/box", O_RDWR, 1).unwrap();
    let other = bench.open("/box", O_RDWR, 2).unwrap();
    (bench, one, other)
}

fn to(file: FileId) -> String {
    file.index().to_string()
}

fn message(got: Option<Got>) -> Message {
    match got {
        Some(Got::Message(message)) => message,
        other => panic!("no message: {other:?}"),
    }
}

const NOW: MessageFlags = MessageFlags::NONBLOCK;
const NONE: MessageFlags = MessageFlags::empty();

#[test]
fn a_message_has_bytes_an_address_and_handles() {
    let (mut bench, one, other) = bench();
    let things = [Thing::Object(5), Thing::Descriptor(one)];
    let sent = bench.send_message(one, &to(other), b"hello", NOW, &things);
    assert_eq!(bench.got(sent), Some(Got::Count(5)));
    assert_eq!(bench.engine.shared().1, 2);
    let peeked = bench.receive(other, 100, NOW | MessageFlags::PEEK);
    assert_eq!(bench.engine.shared().1, 2, "what was looked at is there still");
    let taken = bench.receive(other, 100, NOW);
    for token in [peeked, taken] {
        let Message { bytes, address, whole, things: got, .. } = message(bench.got(token));
        assert_eq!((bytes.as_slice(), address.as_str(), whole), (b"hello".as_slice(), "sender", 5));
        assert_eq!(got, things);
    }
    assert_eq!(bench.engine.shared().1, 0);
    // Two handles of each were received; the sender's own of its box besides.
    bench.let_go(one);
    assert_eq!(bench.engine.load().0, 1);
}

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
fn r60_what_a_dead_receiver_did_not_get_is_there_for_the_next() {
    let (mut bench, one, other) = bench();
    let dead = bench.receive(other, 100, NONE);
    bench.link().dead.insert(dead);
    bench.send_message(one, &to(other), b"kept", NOW, &[Thing::Descriptor(one)]);
    assert_eq!(bench.engine.counters().undelivered, 1);
    let token = bench.receive(other, 100, NOW);
    assert_eq!(message(bench.got(token)).things, [Thing::Descriptor(one)]);
    bench.let_go(one);
    assert_eq!(bench.engine.driver().closed, [one], "the dead one's handle counts no more");
}

#[test]
fn a_receiver_without_room_for_handles_is_told() {
    let (mut bench, one, other) = bench();
    bench.send_message(one, &to(other), b"x", NOW, &[Thing::Object(1), Thing::Object(2)]);
    let token = bench.send(other.badge(), label::RECEIVE, [100, 1, 1, 0], &[], None);
    let got = message(bench.got(token));
    assert_eq!(got.things, [Thing::Object(1)]);
    assert!(got.flags.contains(MessageFlags::HANDLES_TRUNCATED));
    assert_eq!(bench.engine.shared().1, 0);
}

#[test]
fn sending_waits_and_its_handles_go_once() {
    let (mut bench, one, other) = bench();
    let long = bench.send_message(one, &to(other), b"0123456789ab", NONE, &[Thing::Object(1)]);
    let later = bench.send_message(one, &to(other), b"z", NOW, &[Thing::Object(2)]);
    assert_eq!((bench.got(long), bench.got(later)), (None, Some(Got::Errno(EAGAIN))));
    assert_eq!(bench.engine.shared().1, 1, "what was refused is closed");
    let parts: Vec<Message> = (0..2)
        .map(|_| {
            let token = bench.receive(other, 100, NOW);
            message(bench.got(token))
        })
        .collect();
    assert_eq!(bench.got(long), Some(Got::Count(12)));
    assert_eq!((parts[0].bytes.as_slice(), parts[1].bytes.as_slice()), (&b"01234567"[..], &b"89ab"[..]));
    assert_eq!((parts[0].things.as_slice(), parts[1].things.len()), (&[Thing::Object(1)][..], 0));
}

#[test]
fn what_was_taken_of_a_message_that_may_not_wait_counts() {
    let (mut bench, one, other) = bench();
    for _ in 0..PENDING_PER_CLIENT / PENDING_PER_FILE {
        let file = bench.open("/box", O_RDWR, 1).unwrap();
        for _ in 0..PENDING_PER_FILE {
            bench.receive(file, 1, NONE);
        }
    }
    let send = |bench: &mut Bench<Office>| {
        let token = bench.send_message(one, &to(other), b"0123456789ab", NONE, &[Thing::Object(1)]);
        bench.got(token)
    };
    assert_eq!(send(&mut bench), Some(Got::Count(ROOM as u64)));
    assert_eq!(send(&mut bench), Some(Got::Errno(ENOMEM)));
    let token = bench.receive(other, 100, NOW);
    let first = message(bench.got(token));
    assert_eq!(
        (first.bytes.as_slice(), first.things.as_slice()),
        (&b"01234567"[..], &[Thing::Object(1)][..])
    );
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
fn bad_messages_are_refused() {
    let (mut bench, one, other) = bench();
    let address = to(other);
    let refused = |bench: &mut Bench<Office>, address: &str, bytes: &[u8], flags, things: &[Thing]| {
        let token = bench.send_message(one, address, bytes, MessageFlags::from_bits_retain(flags), things);
        match bench.got(token) {
            Some(Got::Errno(errno)) => errno,
            other => panic!("{other:?}"),
        }
    };
    let big = vec![0; MAX_PAYLOAD + 1];
    assert_eq!(refused(&mut bench, &address, &big, 1, &[]), EMSGSIZE);
    assert_eq!(refused(&mut bench, &"x".repeat(MAX_ADDRESS + 1), b"", 1, &[]), EINVAL);
    assert_eq!(refused(&mut bench, &address, b"", 1 << 40, &[]), EINVAL);
    assert_eq!(refused(&mut bench, &address, b"x", 1, &[Thing::Object(1); 4]), EINVAL);
    assert_eq!(refused(&mut bench, &address, b"x", 1, &[Thing::Object(0)]), EBADF);
    let closed = bench.open("/office", O_RDWR, 1).unwrap();
    bench.close(closed);
    let nobodys = Thing::Descriptor(closed);
    assert_eq!(refused(&mut bench, &address, b"x", 1, &[Thing::Object(2), nobodys]), EBADF);
    let longer_than_all = [9, 1, 0, 0];
    let token = bench.send(one.badge(), label::SEND, longer_than_all, b"short", None);
    assert_eq!(bench.got(token), Some(Got::Errno(EINVAL)));
    let token = bench.send(one.badge(), label::SEND, [2, 1, 0, 0], b"\xff\xfe", None);
    assert_eq!(bench.got(token), Some(Got::Errno(EINVAL)));
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

#[test]
fn opening_beside_a_file_waits_until_there_is_something() {
    let (mut bench, one, _) = bench();
    assert_eq!(bench.open_at(one, "next", O_RDWR, 1), Err(Error::new(EAGAIN)));
    assert_eq!(bench.engine.load(), (2, 0));
    let waits: Vec<u64> = (0..3).map(|_| bench.begin_open(Some(one), "next", O_RDWR, 1, 0)).collect();
    assert_eq!(bench.engine.load(), (5, 3));
    bench.control(one, Control::Listen(2)).unwrap();
    assert!(bench.opened(waits[0]).is_ok() && bench.opened(waits[1]).is_ok());
    assert_eq!(bench.got(waits[2]), None);
    // R51: who waits beside a file that is closed is told.
    bench.close(one);
    assert_eq!(bench.got(waits[2]), Some(Got::Errno(EBADF)));
    assert_eq!(bench.engine.load(), (3, 0));
}

#[test]
fn what_was_opened_for_the_dead_goes_back() {
    let (mut bench, one, _) = bench();
    let dead = bench.begin_open(Some(one), "next", O_RDWR, 1, 0);
    let alive = bench.begin_open(Some(one), "next", O_RDWR, 1, 0);
    // Its caller gave up; the client lives.
    bench.link().dead.insert(dead);
    bench.control(one, Control::Listen(1)).unwrap();
    assert!(bench.opened(alive).is_ok(), "its closing gave it back");
    assert_eq!(bench.engine.driver().opened.len(), 4);
    assert_eq!(bench.engine.driver().announced, 0);
}

#[test]
fn those_who_died_waiting_are_found() {
    let (mut bench, one, _) = bench();
    for client in 10..40 {
        bench.begin_open(Some(one), "next", O_RDWR, client, 0);
        bench.link().dead_clients.insert(client);
    }
    assert!(bench.engine.load().1 <= 8, "{:?}", bench.engine.load());
    bench.control(one, Control::Listen(9)).unwrap();
    assert_eq!(bench.engine.load(), (2, 0), "nothing was opened for them");
    assert_eq!(bench.engine.driver().announced, 9);
}

#[test]
fn controls_wait_too() {
    let (mut bench, one, _) = bench();
    let now = bench.begin_control(one, Control::Sync, 1);
    assert_eq!(bench.got(now), Some(Got::Errno(EAGAIN)));
    let waits = bench.begin_control(one, Control::Sync, 0);
    assert_eq!(bench.got(waits), None);
    bench.control(one, Control::Listen(3)).unwrap();
    assert_eq!(bench.got(waits), Some(Got::Control(ControlReply::Number(3))));
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

//! Messages sent and received.

use crate::fake::{Bench, Got, Message, Thing};
use crate::office::{NONE, NOW, Office, ROOM, bench, message, to};
use abi::error::{EAGAIN, EBADF, EINVAL, EMSGSIZE, ENOMEM};
use abi::flag::O_RDWR;
use driver_sdk::MessageFlags;
use driver_sdk::limits::{PENDING_PER_CLIENT, PENDING_PER_FILE};
use event_protocol::descriptor::label;
use event_protocol::descriptor::message::{MAX_ADDRESS, MAX_PAYLOAD};

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

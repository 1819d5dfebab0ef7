//! Others on the wire: those that do not answer, that lie, and that are not to be reached.

use crate::desk::{SECOND, bytes};
use crate::fake::Got;
use crate::wire::{self, Desk};
use abi::error::{EINPROGRESS, ENETUNREACH, ETIMEDOUT, Error};
use driver_sdk::{Control, ControlReply, Level, MessageFlags};
use proptest::prelude::*;

#[test]
fn a_host_that_does_not_answer_is_given_up() {
    let mut desk = Desk::new();
    desk.lease();
    let client = desk.stream(2);
    let begun = desk.bench.control(client, Control::Connect("10.0.2.77:80".into()));
    assert_eq!(begun, Err(Error::new(EINPROGRESS)));
    desk.pass(60 * SECOND);
    assert_eq!(desk.write_level(client), Level::new(0), "not yet");
    desk.pass(120 * SECOND);
    assert_eq!(desk.take_error(client), i64::from(ETIMEDOUT));
}

#[test]
fn who_says_from_outside_that_he_is_inside_is_not_heard() {
    let mut desk = Desk::new();
    let socket = desk.datagram(1);
    desk.bind(socket, "0.0.0.0:53").unwrap();
    desk.lease();
    desk.hear(wire::datagram([10, 0, 2, 2], [10, 0, 2, 15], 53, b"hello"));
    assert_eq!(desk.read_level(socket), Level::new(5));
    desk.hear(wire::datagram([127, 0, 0, 1], [10, 0, 2, 15], 53, b"hello"));
    desk.hear(wire::datagram([10, 0, 2, 2], [127, 0, 0, 1], 53, b"hello"));
    assert_eq!(desk.read_level(socket), Level::new(5));
}

proptest! {
    /// Any bytes from outside leave the sockets as they are.
    #[test]
    fn nonsense_from_outside_is_borne(frames in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..200), 1..30)) {
        let mut desk = Desk::new();
        desk.lease();
        let (client, server) = desk.pair();
        for mut frame in frames {
            if frame.len() > 14 {
                frame[..6].copy_from_slice(&wire::MAC);
                frame[12] = 8;
                frame[13] %= 8;
            }
            desk.hear(frame);
        }
        prop_assert_eq!(desk.bench.try_write(client, b"hello"), Got::Count(5));
        desk.settle();
        prop_assert_eq!(bytes(desk.bench.try_read(server, 10)), b"hello");
    }
}

#[test]
fn a_neighbour_that_is_not_there_holds_up_nobody() {
    let mut desk = Desk::new();
    desk.lease();
    let sender = desk.datagram(1);
    desk.bind(sender, "0.0.0.0:5000").unwrap();
    let receiver = desk.datagram(1);
    desk.bind(receiver, "127.0.0.1:6000").unwrap();
    desk.wire.borrow_mut().from_card.clear();
    for to in ["10.0.2.77:9", "127.0.0.1:6000", "10.0.2.3:9"] {
        let token = desk.bench.send_message(sender, to, b"x", MessageFlags::empty(), &[]);
        assert_eq!(desk.bench.got(token), Some(Got::Count(1)));
    }
    desk.settle();
    assert_eq!(desk.read_level(receiver), Level::new(1), "the same socket goes on");
    // Both are asked for at once; one answers.
    let asked = |desk: &mut Desk| desk.wire.borrow_mut().from_card.drain(..).map(|frame| frame[41]).collect();
    let (both, none): (Vec<u8>, Vec<u8>) = (asked(&mut desk), asked(&mut desk));
    assert_eq!((both, none), (vec![77, 3], vec![]));
    desk.hear(wire::neighbor([10, 0, 2, 3]));
    let sent = desk.wire.borrow_mut().from_card.pop_front().expect("what waited");
    assert_eq!((&sent[..6], &sent[30..34]), (&wire::ROUTER[..], &[10, 0, 2, 3][..]));
    // Others are not kept from this machine itself either.
    let listener = desk.listener(2, "127.0.0.1:80", 5);
    let client = desk.stream(3);
    assert_eq!(desk.connect(client, "127.0.0.1:80"), Ok(ControlReply::Done));
    assert_eq!(desk.read_level(listener), Level::new(1));
    desk.pass(10 * SECOND);
    let asked: Vec<u8> = asked(&mut desk);
    assert_eq!(asked, [77, 77], "three times, and no more");
}

#[test]
fn what_is_inside_stays_inside_and_what_is_of_many_is_not_reached() {
    let mut desk = Desk::new();
    desk.lease();
    desk.wire.borrow_mut().from_card.clear();
    let (inside, any) = (desk.datagram(1), desk.datagram(1));
    desk.bind(inside, "127.0.0.1:5000").unwrap();
    for (socket, to) in [
        (inside, "10.0.2.2:53"),
        (inside, "8.8.8.8:53"),
        (any, "127.255.255.255:53"),
        (any, "127.0.0.2:53"),
        (any, "10.0.2.255:53"),
    ] {
        let token = desk.bench.send_message(socket, to, b"x", MessageFlags::empty(), &[]);
        assert_eq!(desk.bench.got(token), Some(Got::Errno(ENETUNREACH)), "{to}");
        let connected = desk.bench.control(socket, Control::Connect(to.into()));
        assert_eq!(connected, Err(Error::new(ENETUNREACH)), "{to}");
    }
    let stream = desk.stream(1);
    desk.bind(stream, "127.0.0.1:5000").unwrap();
    let connected = desk.bench.control(stream, Control::Connect("10.0.2.2:80".into()));
    assert_eq!(connected, Err(Error::new(ENETUNREACH)));
    // Both are this machine.
    let own = desk.stream(1);
    desk.bind(own, "127.0.0.1:5001").unwrap();
    let _listener = desk.listener(1, "10.0.2.15:80", 1);
    assert_eq!(desk.connect(own, "10.0.2.15:80"), Ok(ControlReply::Done));
    assert!(desk.wire.borrow().from_card.is_empty());
}

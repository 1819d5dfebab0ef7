//! Connections of this machine with itself: levels, ends, errors.

use crate::desk::{SECOND, bytes};
use crate::fake::Got;
use crate::wire::Desk;
use abi::error::{EAGAIN, ECONNREFUSED, ECONNRESET, EINPROGRESS, EISCONN, EPIPE, Error};
use abi::flag::O_RDWR;
use driver_sdk::{Control, ControlReply, Level, LevelFlags, MessageFlags};
use event_protocol::descriptor::names::ACCEPT;
use net::sockets::BUFFER;

#[test]
fn who_waits_to_accept_or_connect_is_let_in() {
    let mut desk = Desk::new();
    let listener = desk.listener(1, "127.0.0.1:80", 5);
    let accepting = desk.bench.begin_open(Some(listener), ACCEPT, O_RDWR, 1, 0);
    let client = desk.stream(2);
    let begun = desk.bench.control(client, Control::Connect("127.0.0.1:80".into()));
    assert_eq!(begun, Err(Error::new(EINPROGRESS)));
    let connecting = desk.bench.begin_control(client, Control::Connected, 0);
    desk.settle();
    assert!(matches!(desk.bench.got(accepting), Some(Got::Opened(_))));
    assert_eq!(desk.bench.got(connecting), Some(Got::Control(ControlReply::Done)));
    let again = desk.bench.control(client, Control::Connect("127.0.0.1:80".into()));
    assert_eq!(again, Err(Error::new(EISCONN)));
}

#[test]
fn levels_are_bytes_and_room() {
    let mut desk = Desk::new();
    let (client, server) = desk.pair();
    assert_eq!(desk.bench.try_write(client, b"hello"), Got::Count(5));
    desk.settle();
    assert_eq!(desk.read_level(server), Level::new(5));
    assert_eq!(desk.bench.control(server, Control::Available), Ok(ControlReply::Available(5)));
    assert_eq!(bytes(desk.bench.try_read(server, 3)), b"hel");
    assert_eq!(desk.read_level(server), Level::new(2));
    // As much as both sides hold, and no more until somebody reads.
    let mut sent = 0;
    while let Got::Count(count) = desk.bench.try_write(client, &[7; 8192]) {
        sent += count as usize;
        desk.settle();
    }
    assert_eq!(sent, 2 * BUFFER - 2);
    assert_eq!(
        (desk.write_level(client), desk.read_level(server)),
        (Level::new(0), Level::new(BUFFER as i64))
    );
    let before = desk.bench.source(client).arrivals;
    let mut got = bytes(desk.bench.try_read(server, 8192)).len();
    desk.settle();
    assert!(desk.write_level(client).amount > 0 && desk.bench.source(client).arrivals > before, "an edge");
    while let Got::Data(bytes, _) = desk.bench.try_read(server, 8192) {
        got += bytes.len();
        desk.settle();
    }
    assert_eq!(got, sent + 2);
    assert_eq!(desk.bench.try_read(server, 1), Got::Errno(EAGAIN));
}

#[test]
fn what_a_reader_did_not_get_is_the_next_ones() {
    let mut desk = Desk::new();
    let (client, server) = desk.pair();
    desk.bench.try_write(client, b"abcdef");
    desk.settle();
    let token = desk.bench.next_token();
    desk.bench.link().dead.insert(token);
    desk.bench.read(server, 4);
    assert_eq!(desk.read_level(server), Level::new(6));
    assert_eq!(bytes(desk.bench.try_read(server, 5)), b"abcde");
    let token = desk.bench.next_token();
    desk.bench.link().dead.insert(token);
    desk.bench.receive(server, 4, MessageFlags::PEEK);
    assert_eq!(bytes(desk.bench.try_read(server, 5)), b"f");
}

#[test]
fn r20_half_a_connection_ends() {
    let mut desk = Desk::new();
    let (client, server) = desk.pair();
    desk.bench.try_write(client, b"question");
    desk.bench.control(client, Control::Shutdown { read: false, write: true }).unwrap();
    desk.settle();
    assert_eq!(desk.read_level(server), Level::new(8).with(LevelFlags::EOF));
    assert!(!desk.write_level(server).flags.contains(LevelFlags::EOF), "the other half is open");
    assert_eq!(desk.bench.try_write(client, b"more"), Got::Errno(EPIPE));
    assert!(desk.write_level(client).flags.contains(LevelFlags::EOF));
    assert_eq!(bytes(desk.bench.try_read(server, 100)), b"question");
    assert_eq!(bytes(desk.bench.try_read(server, 100)), b"", "the end");
    desk.bench.try_write(server, b"answer");
    desk.settle();
    assert_eq!(bytes(desk.bench.try_read(client, 100)), b"answer");
    desk.bench.close(server);
    desk.settle();
    assert_eq!(bytes(desk.bench.try_read(client, 100)), b"");
    let ended = LevelFlags::EOF | LevelFlags::HANGUP;
    assert_eq!(desk.read_level(client), Level::new(0).with(ended));
    assert_eq!(desk.bench.source(client).error, 0);
}

#[test]
fn r18_closed_with_bytes_unread_is_a_reset() {
    let mut desk = Desk::new();
    let (client, server) = desk.pair();
    desk.bench.try_write(client, b"never read");
    desk.bench.try_write(server, b"read before the error");
    desk.settle();
    desk.bench.close(server);
    desk.settle();
    let ended = LevelFlags::EOF | LevelFlags::ERROR;
    assert_eq!(desk.read_level(client), Level::new(21).with(ended));
    assert_eq!(desk.bench.source(client).error, ECONNRESET as u32);
    assert_eq!(bytes(desk.bench.try_read(client, 100)), b"read before the error");
    assert_eq!(desk.bench.try_read(client, 100), Got::Errno(ECONNRESET));
    assert_eq!(bytes(desk.bench.try_read(client, 100)), b"", "once");
    assert_eq!(desk.bench.try_write(client, b"x"), Got::Errno(EPIPE));
    assert_eq!(desk.take_error(client), 0);
}

#[test]
fn a_refusal_is_an_error_once() {
    let mut desk = Desk::new();
    let client = desk.stream(2);
    let begun = desk.bench.control(client, Control::Connect("127.0.0.1:9".into()));
    assert_eq!(begun, Err(Error::new(EINPROGRESS)));
    desk.settle();
    let ended = LevelFlags::EOF | LevelFlags::ERROR;
    assert_eq!(desk.write_level(client), Level::new(0).with(ended));
    assert_eq!(desk.bench.source(client).error, ECONNREFUSED as u32);
    assert_eq!(desk.take_error(client), i64::from(ECONNREFUSED));
    assert_eq!(desk.take_error(client), 0);
    assert_eq!(desk.bench.try_write(client, b"x"), Got::Errno(EPIPE));
}

#[test]
fn what_is_closed_leaves_nothing() {
    let mut desk = Desk::new();
    for _ in 0..300 {
        let (client, server) = desk.pair();
        desk.bench.try_write(server, b"bye");
        desk.bench.close(server);
        desk.settle();
        assert_eq!(bytes(desk.bench.try_read(client, 10)), b"bye");
        desk.bench.close(client);
        desk.settle();
    }
    desk.pass(300 * SECOND);
    assert_eq!(desk.load(), (0, 0, 0));
}

#[test]
fn an_idle_connection_is_nobodys_to_end() {
    for (asks, answers) in [(false, false), (true, false), (false, true)] {
        let mut desk = Desk::new();
        let (client, server) = desk.pair();
        for (one, other, sends) in [(client, server, asks), (server, client, answers)] {
            if sends {
                desk.bench.try_write(one, b"before");
                desk.settle();
                assert_eq!(bytes(desk.bench.try_read(other, 100)), b"before");
            }
        }
        desk.pass(3600 * SECOND);
        // What others do has the stack look at all.
        let other = desk.stream(2);
        assert_eq!(desk.connect(other, "127.0.0.1:81"), Err(Error::new(ECONNREFUSED)));
        assert_eq!(desk.bench.try_write(client, b"after"), Got::Count(5));
        desk.settle();
        assert_eq!(bytes(desk.bench.try_read(server, 100)), b"after");
        desk.pass(3600 * SECOND);
        let shut = Control::Shutdown { read: false, write: true };
        assert_eq!(desk.bench.control(server, shut), Ok(ControlReply::Done));
        desk.settle();
        assert_eq!(desk.read_level(client), Level::new(0).with(LevelFlags::EOF));
        assert_eq!(desk.bench.source(client).error, 0);
        desk.pass(3600 * SECOND);
        desk.bench.close(client);
        desk.settle();
        assert_eq!(desk.bench.source(server).error, 0, "an end, and no reset");
    }
}

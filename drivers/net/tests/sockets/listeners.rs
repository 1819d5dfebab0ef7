//! Who listens: backlogs, and what one may take of what all have.

use crate::desk::SECOND;
use crate::fake::Got;
use crate::wire::{self, Desk};
use abi::error::{EAGAIN, ECONNREFUSED, ECONNRESET, Error};
use driver_sdk::{Control, ControlReply, FileId, Level, Setting};
use net::sockets::{BUFFER, MAX_BACKLOG, MOST, MOST_OF_CLIENT};

#[test]
fn r22_a_listener_is_as_readable_as_its_backlog_is_long() {
    let mut desk = Desk::new();
    let listener = desk.listener(1, "0.0.0.0:80", 5);
    assert_eq!((desk.read_level(listener), desk.write_level(listener)), (Level::new(0), Level::new(0)));
    assert_eq!(desk.accept(listener), Err(Error::new(EAGAIN)));
    let clients = [desk.stream(2), desk.stream(3)];
    for (at, &client) in clients.iter().enumerate() {
        assert_eq!(desk.write_level(client), Level::new(0), "not before there is a connection");
        assert_eq!(desk.connect(client, "127.0.0.1:80"), Ok(ControlReply::Done));
        assert_eq!(desk.read_level(listener), Level::new(at as i64 + 1));
        assert_eq!(desk.write_level(client), Level::new(BUFFER as i64));
    }
    let server = desk.accept(listener).unwrap();
    assert_eq!(desk.read_level(listener), Level::new(1));
    assert_eq!(desk.name(server, Control::Name), "127.0.0.1:80");
    let client = desk.name(clients[0], Control::Name);
    assert_eq!(desk.name(server, Control::Peer), client, "the first is accepted first");
    assert_eq!(desk.name(clients[0], Control::Peer), "127.0.0.1:80");
    assert_eq!(
        (desk.read_level(server), desk.write_level(server)),
        (Level::new(0), Level::new(BUFFER as i64))
    );
    assert_eq!(desk.bench.control(listener, Control::Get(Setting::Listening)), Ok(ControlReply::Number(1)));
}

#[test]
fn a_connection_that_nobody_accepts_is_reset_with_its_listener() {
    let mut desk = Desk::new();
    let listener = desk.listener(1, "127.0.0.1:80", 5);
    let client = desk.stream(2);
    desk.connect(client, "127.0.0.1:80").unwrap();
    desk.bench.close(listener);
    desk.settle();
    assert_eq!(desk.take_error(client), i64::from(ECONNRESET));
    let late = desk.stream(2);
    assert_eq!(desk.connect(late, "127.0.0.1:80"), Err(Error::new(ECONNREFUSED)));
}

#[test]
fn a_full_backlog_leaves_the_others_outside_until_there_is_room() {
    let mut desk = Desk::new();
    let listener = desk.listener(1, "127.0.0.1:80", 2);
    let clients: Vec<FileId> = (0..4).map(|_| desk.stream(2)).collect();
    let made = clients.iter().filter(|&&client| desk.connect(client, "127.0.0.1:80").is_ok()).count();
    assert_eq!((made, desk.read_level(listener)), (2, Level::new(2)));
    for _ in 0..2 {
        desk.accept(listener).unwrap();
    }
    // They try again by themselves.
    desk.pass(10 * SECOND);
    assert_eq!(desk.read_level(listener), Level::new(2));
    assert_eq!(desk.write_level(clients[3]), Level::new(BUFFER as i64));
}

#[test]
fn r55_one_client_leaves_connections_to_others() {
    let mut desk = Desk::new();
    let listeners: Vec<FileId> =
        (0..4).map(|at| desk.listener(1, &format!("127.0.0.1:{}", 80 + at), MAX_BACKLOG as i32)).collect();
    let mut made = 0;
    for at in 0..2 * MOST_OF_CLIENT {
        // Each of another client: what waits to be accepted is its listener's.
        let client = desk.stream(100 + at as u64);
        let address = format!("127.0.0.1:{}", 80 + at % 4);
        made += usize::from(desk.connect(client, &address).is_ok());
    }
    assert!((MOST_OF_CLIENT - 4..=MOST_OF_CLIENT).contains(&made), "{made}");
    let own = desk.listener(9, "127.0.0.1:90", 1);
    let client = desk.stream(10);
    assert_eq!(desk.connect(client, "127.0.0.1:90"), Ok(ControlReply::Done));
    assert_eq!(desk.read_level(own), Level::new(1));
    // Everything of a client that is gone goes.
    for listener in listeners {
        desk.bench.close(listener);
    }
    desk.pass(SECOND);
    let again = desk.listener(1, "127.0.0.1:80", 1);
    let late = desk.stream(11);
    assert_eq!(desk.connect(late, "127.0.0.1:80"), Ok(ControlReply::Done));
    assert_eq!(desk.read_level(again), Level::new(1));
}

#[test]
fn a_listener_without_room_leaves_its_port_to_those_of_other_addresses() {
    let mut desk = Desk::new();
    desk.lease();
    let listener = desk.listener(1, "10.0.2.15:80", 5);
    let full = desk.listener(2, "127.0.0.1:80", 1);
    let first = desk.stream(2);
    desk.connect(first, "127.0.0.1:80").unwrap();
    let outside = desk.stream(2);
    assert_eq!(desk.connect(outside, "127.0.0.1:80"), Err(Error::new(EAGAIN)));
    let other = desk.stream(3);
    assert_eq!(desk.connect(other, "10.0.2.15:80"), Ok(ControlReply::Done));
    assert_eq!((desk.read_level(listener), desk.read_level(full)), (Level::new(1), Level::new(1)));
}

#[test]
fn who_begins_connections_and_does_not_go_on_keeps_nobody_out() {
    let mut desk = Desk::new();
    desk.lease();
    let listener = desk.listener(1, "0.0.0.0:80", 2);
    for number in 0..100 {
        desk.hear(wire::first_segment([10, 0, 2, 100 + number], [10, 0, 2, 15], 80));
    }
    assert_eq!(desk.read_level(listener), Level::new(0));
    desk.pass(6 * SECOND);
    let (_, connections, _) = desk.load();
    assert_eq!(connections, 1, "the one that waits for the next");
    for _ in 0..2 {
        let client = desk.stream(2);
        assert_eq!(desk.connect(client, "127.0.0.1:80"), Ok(ControlReply::Done));
    }
    assert_eq!(desk.read_level(listener), Level::new(2));
    // Full is full.
    desk.hear(wire::first_segment([10, 0, 2, 99], [10, 0, 2, 15], 80));
    let client = desk.stream(2);
    assert_eq!(desk.connect(client, "127.0.0.1:80"), Err(Error::new(EAGAIN)));
    desk.bench.close(client);
    // Who is made waits as long as it likes.
    desk.pass(600 * SECOND);
    assert_eq!(desk.read_level(listener), Level::new(2));
    let server = desk.accept(listener).unwrap();
    desk.pass(600 * SECOND);
    assert_eq!(desk.bench.try_write(server, b"x"), Got::Count(1));
}

#[test]
fn r55_what_one_gives_up_goes_to_who_may_have_it() {
    let mut desk = Desk::new();
    let fill = |desk: &mut Desk, client: u64, count: usize| -> Vec<FileId> {
        let at = |number| format!("127.0.0.1:{}", client * 1000 + number as u64);
        (0..count).map(|number| desk.listener(client, &at(number), 1)).collect()
    };
    // The first has its part, and a listener more that will never have a socket before others of its own go.
    fill(&mut desk, 1, MOST_OF_CLIENT + 1);
    let others: Vec<FileId> = (3..6).flat_map(|client| fill(&mut desk, client, MOST_OF_CLIENT)).collect();
    fill(&mut desk, 2, 1);
    desk.settle();
    assert_eq!(desk.load().1, MOST);
    desk.bench.close(others[0]);
    desk.settle();
    assert_eq!(desk.load().1, MOST, "the listener of 2 has it");
    // Who has its part has nothing of what others have ended.
    desk.bench.close(others[1]);
    desk.settle();
    assert_eq!(desk.load().1, MOST - 1);
}

//! Datagrams and records.

use crate::world::{World, end, errno, ready};
use abi::error::{EAGAIN, ECONNREFUSED, EMSGSIZE, ENOENT, ENOTCONN, EOPNOTSUPP, EPERM, EPIPE};
use socket::inbox::OVERHEAD;
use socket::socket::Kind;
use socket::sockets::{BUFFER, Change, Take};

#[test]
fn datagrams_keep_their_boundaries_and_addresses() {
    let mut world = World::default();
    let (one, other) = (world.socket(Kind::Datagram), world.socket(Kind::Datagram));
    world.0.bind(one, "/one").unwrap();
    world.0.bind(other, "/other").unwrap();
    assert_eq!((world.send(one, b"x"), world.receive(one, 1)), (errno(ENOTCONN), errno(EAGAIN)));
    for bytes in [&b"first"[..], b"", b"second one"] {
        assert_eq!(world.send_to(one, "/other", bytes), Ok(bytes.len()));
    }
    assert_eq!(world.readable(other), ready(16), "an empty one can be received too");
    assert_eq!(world.0.available(other), Ok(5));
    let (bytes, received) = world.take(other, 99, Take::default()).unwrap();
    assert_eq!((bytes, received.from.as_deref()), (b"first".to_vec(), Some("/one")));
    assert_eq!(world.readable(other), ready(11));
    assert_eq!(world.receive(other, 99), Ok(vec![]));
    let (bytes, received) = world.take(other, 6, Take::default()).unwrap();
    assert_eq!((bytes, received.whole), (b"second".to_vec(), 10), "what has no room is lost, and said");
    assert_eq!((world.readable(other), world.receive(other, 9)), (ready(0), errno(EAGAIN)));
    assert_eq!(world.send_to(one, "/none", b"x"), errno(ENOENT));
    assert_eq!(world.send_to(one, "/other", &[0; BUFFER]), errno(EMSGSIZE));
    assert_eq!(world.send_urgent(one, b"x"), errno(EOPNOTSUPP));
}

#[test]
fn datagrams_that_find_no_room_wait_for_it() {
    let mut world = World::default();
    let (one, other) = (world.socket(Kind::Datagram), world.socket(Kind::Datagram));
    world.0.bind(other, "/other").unwrap();
    let sent = (0..).take_while(|_| world.send_to(one, "/other", &[7; 1000]).is_ok()).count();
    assert_eq!(sent, BUFFER / (1000 + OVERHEAD));
    assert_eq!(world.send_to(one, "/other", &[7; 1000]), errno(EAGAIN));
    assert_eq!(world.0.writable(one), ready(0), "it waits, whatever room others have");
    world.changes();
    world.receive(other, 9).unwrap();
    assert!(world.changes().contains(&Change::Write { socket: one, news: true }));
    assert_eq!(world.send_to(one, "/other", &[7; 1000]), Ok(1000));
    let small = (0..).take_while(|_| world.send_to(one, "/other", b"").is_ok()).count();
    assert!(small <= 1 + 1000 / OVERHEAD, "empty ones have an end too");
}

#[test]
fn datagrams_of_a_connection_come_from_there_only() {
    let mut world = World::default();
    let (one, other) = (world.socket(Kind::Datagram), world.socket(Kind::Datagram));
    world.0.bind(one, "/one").unwrap();
    world.0.bind(other, "/other").unwrap();
    world.0.connect(one, "/other").unwrap();
    assert_eq!(world.send(one, b"to the other"), Ok(12));
    world.0.connect(other, "/one").unwrap();
    let third = world.socket(Kind::Datagram);
    assert_eq!(world.send_to(third, "/one", b"x"), errno(EPERM));
    assert_eq!(world.0.connect(third, "/one"), errno(EPERM));
    world.0.connect(one, "").unwrap();
    assert_eq!(world.send(one, b"x"), errno(ENOTCONN));
    assert_eq!(world.send_to(third, "/one", b"x"), Ok(1));
    world.0.close(one);
    assert_eq!(world.send(other, b"x"), errno(ECONNREFUSED));
    assert!(world.0.writable(other).amount > 0, "it is told so at once");
}

#[test]
fn records_are_whole_and_end_with_their_connection() {
    let mut world = World::default();
    let (one, other) = world.pair(Kind::Record);
    world.send(one, b"record").unwrap();
    world.send(one, b"another").unwrap();
    world.0.close(one);
    assert_eq!(world.readable(other), end(13));
    assert_eq!(world.receive(other, 3), Ok(b"rec".to_vec()));
    assert_eq!(world.receive(other, 99), Ok(b"another".to_vec()));
    assert_eq!(world.receive(other, 99), Ok(vec![]));
    assert_eq!(world.send(other, b"x"), errno(EPIPE));
}

//! Half a connection ends, or all of it.

use crate::world::{World, end, errno, ready};
use abi::error::{ECONNRESET, EISCONN, EPIPE};
use driver_sdk::sockets::Ready;
use socket::socket::Kind;
use socket::sockets::BUFFER;

#[test]
fn r20_half_a_connection_ends_and_the_other_half_lives() {
    let mut world = World::default();
    let (one, other) = world.pair(Kind::Stream);
    world.send(one, b"last").unwrap();
    world.0.shutdown(one, false, true).unwrap();
    assert_eq!(world.send(one, b"more"), errno(EPIPE));
    assert_eq!((world.readable(other), world.0.writable(other)), (end(4), ready(BUFFER)));
    assert_eq!((world.readable(one), world.0.writable(one)), (ready(0), end(0)));
    assert_eq!(world.receive(other, 9), Ok(b"last".to_vec()));
    assert_eq!(world.receive(other, 9), Ok(vec![]), "the end, every time");
    assert_eq!(world.receive(other, 9), Ok(vec![]));
    assert_eq!(world.send(other, b"back"), Ok(4));
    assert_eq!(world.receive(one, 9), Ok(b"back".to_vec()));
    world.0.shutdown(one, true, false).unwrap();
    assert_eq!(world.send(other, b"x"), errno(EPIPE), "nobody will read it");
    assert_eq!(world.0.writable(other), end(0));
}

#[test]
fn r18_end_of_file_with_bytes_unread_and_hangup_only_when_they_are_read() {
    let mut world = World::default();
    let (one, other) = world.pair(Kind::Stream);
    world.send(one, b"bytes").unwrap();
    world.0.close(one);
    assert_eq!(world.readable(other), end(5));
    world.receive(other, 4).unwrap();
    assert_eq!(world.readable(other), end(1));
    world.receive(other, 4).unwrap();
    assert_eq!(world.readable(other), Ready { hangup: true, ..end(0) });
    assert_eq!(world.0.writable(other), end(0));
    assert_eq!((world.receive(other, 4), world.send(other, b"x")), (Ok(vec![]), errno(EPIPE)));
    assert_eq!(world.0.connect(other, "/x"), errno(EISCONN));
}

#[test]
fn r18_closing_with_bytes_unread_is_the_peers_error_once() {
    let mut world = World::default();
    for asked in [true, false] {
        let (one, other) = world.pair(Kind::Stream);
        world.send(other, b"never read").unwrap();
        world.send(one, b"ok").unwrap();
        world.0.close(one);
        assert_eq!(world.readable(other), Ready { error: ECONNRESET, ..end(2) });
        assert_eq!(world.0.writable(other).error, ECONNRESET);
        assert_eq!(world.receive(other, 9), Ok(b"ok".to_vec()), "what was sent before is not lost");
        if asked {
            assert_eq!(world.0.take_error(other), Ok(ECONNRESET));
        } else {
            assert_eq!(world.receive(other, 9), errno(ECONNRESET));
        }
        assert_eq!(world.0.take_error(other), Ok(0));
        assert_eq!(world.receive(other, 9), Ok(vec![]));
        assert_eq!(world.readable(other), Ready { hangup: true, ..end(0) });
    }
}

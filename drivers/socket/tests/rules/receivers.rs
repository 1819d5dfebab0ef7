//! What a receiver only looked at, or did not get.

use crate::world::{URGENT, World};
use socket::socket::Kind;
use socket::sockets::Take;

#[test]
fn what_is_peeked_at_stays() {
    let mut world = World::default();
    let (one, other) = world.pair(Kind::Stream);
    world.send(one, b"ab").unwrap();
    world.send_urgent(one, b"!").unwrap();
    world.send_with(one, b"cd", &[5]).unwrap();
    for _ in 0..2 {
        let mut buffer = [0; 9];
        let peeked = world.0.peek(other, &mut buffer, Take::default()).unwrap();
        assert_eq!((peeked.count, peeked.handles), (2, &[][..]));
        assert_eq!(&buffer[..2], b"ab");
        assert_eq!(world.0.peek(other, &mut buffer, URGENT).map(|peeked| peeked.count), Ok(1));
        assert_eq!(buffer[0], b'!');
    }
    world.receive(other, 9).unwrap();
    let mut buffer = [0; 9];
    let peeked = world.0.peek(other, &mut buffer, Take::default()).unwrap();
    assert_eq!((peeked.count, peeked.handles), (2, &[5][..]));
    let (_, received) = world.take(other, 9, Take::default()).unwrap();
    assert_eq!(received.handles, vec![5]);
    let (one, other) = world.pair(Kind::Datagram);
    world.send_with(one, b"abc", &[6]).unwrap();
    let peeked = world.0.peek(other, &mut buffer[..2], Take::default()).unwrap();
    assert_eq!((peeked.count, peeked.whole, peeked.handles), (2, 3, &[6][..]));
    assert_eq!(world.receive(other, 9), Ok(b"abc".to_vec()));
}

#[test]
fn what_a_dead_receiver_did_not_get_is_the_next_ones() {
    let mut world = World::default();
    let (one, other) = world.pair(Kind::Stream);
    world.send_urgent(one, b"!").unwrap();
    world.send_with(one, b"abcd", &[5]).unwrap();
    let before = (world.readable(other), world.0.writable(one));
    let mut buffer = [0; 3];
    let (received, undo) = world.0.receive(other, &mut buffer, Take::default()).unwrap();
    world.0.put_back(other, undo, &buffer[..received.count], received.handles);
    assert_eq!(
        (world.readable(other), world.0.writable(one), world.0.handles().count()),
        (before.0, before.1, 1)
    );
    let (received, undo) = world.0.receive(other, &mut buffer, URGENT).unwrap();
    world.0.put_back(other, undo, &buffer[..1], received.handles);
    assert_eq!(world.readable(other), before.0);
    let (bytes, received) = world.take(other, 9, Take::default()).unwrap();
    assert_eq!((bytes, received.handles), (b"abcd".to_vec(), vec![5]));
    let (one, other) = world.pair(Kind::Record);
    world.send_with(one, b"abcd", &[6]).unwrap();
    let (received, undo) = world.0.receive(other, &mut buffer, Take::default()).unwrap();
    world.0.put_back(other, undo, &buffer, received.handles);
    let (bytes, received) = world.take(other, 9, Take::default()).unwrap();
    assert_eq!((bytes, received.handles), (b"abcd".to_vec(), vec![6]));
}

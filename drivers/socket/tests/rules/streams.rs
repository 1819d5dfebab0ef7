//! Streams.

use crate::world::{URGENT, World, errno, ready};
use abi::error::{EAGAIN, EINVAL};
use driver_sdk::sockets::Ready;
use socket::socket::Kind;
use socket::sockets::{BUFFER, Change, Take};

const ALL: Take = Take { urgent: false, all: true };

#[test]
fn a_stream_takes_what_there_is_room_for_and_tells_of_more() {
    let mut world = World::default();
    let (one, other) = world.pair(Kind::Stream);
    assert_eq!(world.send(one, &vec![7; BUFFER + 10]), Ok(BUFFER));
    assert_eq!((world.0.writable(one), world.send(one, b"x")), (ready(0), errno(EAGAIN)));
    world.changes();
    assert_eq!(world.receive(other, 100).map(|bytes| bytes.len()), Ok(100));
    assert!(world.changes().contains(&Change::Write { socket: one, news: true }));
    assert_eq!((world.0.writable(one), world.readable(other)), (ready(100), ready(BUFFER - 100)));
    world.0.set_send_buffer(one, 1).unwrap();
    assert_eq!(world.0.writable(one), ready(0), "less than what is on its way");
    world.0.set_receive_buffer(other, 1 << 40).unwrap();
    world.0.set_send_buffer(one, 1 << 40).unwrap();
    assert_eq!(world.0.writable(one), ready(32 * 1024 - (BUFFER - 100)));
    assert_eq!(world.0.set_send_buffer(one, -1), errno(EINVAL));
}

#[test]
fn waiting_for_all_ends_when_no_more_can_come() {
    let mut world = World::default();
    let (one, other) = world.pair(Kind::Stream);
    world.send(one, b"abc").unwrap();
    assert_eq!(world.take(other, 4, ALL).map(|_| ()), errno(EAGAIN));
    world.send(one, b"d").unwrap();
    assert_eq!(world.take(other, 4, ALL).map(|(bytes, _)| bytes), Ok(b"abcd".to_vec()));
    world.send(one, &[1; BUFFER]).unwrap();
    assert_eq!(world.take(other, BUFFER * 2, ALL).map(|(bytes, _)| bytes.len()), Ok(BUFFER), "it is full");
    world.send(one, b"ef").unwrap();
    world.0.shutdown(one, false, true).unwrap();
    assert_eq!(world.take(other, 4, ALL).map(|(bytes, _)| bytes), Ok(b"ef".to_vec()));
}

#[test]
fn urgent_data_is_beside_the_stream_and_reads_stop_once_at_its_mark() {
    let mut world = World::default();
    let (one, other) = world.pair(Kind::Stream);
    assert_eq!(world.take(other, 1, URGENT).map(|_| ()), errno(EINVAL));
    assert_eq!(world.send_urgent(one, b"ab!"), Ok(3));
    world.send(one, b"cd").unwrap();
    assert_eq!(world.readable(other), Ready { urgent: true, ..ready(4) });
    assert_eq!(world.receive(other, 9), Ok(b"ab".to_vec()), "up to the mark");
    assert!(world.0.get(other).unwrap().inbox.is_at_mark());
    assert_eq!(world.take(other, 9, URGENT).map(|(bytes, _)| bytes), Ok(b"!".to_vec()));
    assert_eq!(world.readable(other), ready(2));
    assert!(world.0.get(other).unwrap().inbox.is_at_mark(), "the mark stays");
    assert_eq!(world.receive(other, 9), Ok(b"cd".to_vec()));
    world.send_urgent(one, b"!").unwrap();
    assert_eq!((world.readable(other).amount, world.receive(other, 9)), (0, errno(EAGAIN)));
    world.send_urgent(one, b"?").unwrap();
    assert_eq!(world.receive(other, 9), Ok(b"!".to_vec()), "one urgent byte at a time");
    assert_eq!(world.take(other, 9, URGENT).map(|(bytes, _)| bytes), Ok(b"?".to_vec()));
    world.send_urgent(one, b"xy").unwrap();
    world.0.set_inline(other, true).unwrap();
    assert_eq!(world.readable(other), Ready { urgent: true, ..ready(2) });
    assert_eq!(world.take(other, 9, URGENT).map(|_| ()), errno(EINVAL));
    assert_eq!(world.receive(other, 9), Ok(b"x".to_vec()));
    assert_eq!(world.receive(other, 9), Ok(b"y".to_vec()));
    assert_eq!(world.readable(other), ready(0));
}

#[test]
fn handles_come_with_the_byte_that_they_were_sent_with() {
    let mut world = World::default();
    let (one, other) = world.pair(Kind::Stream);
    world.send(one, b"before").unwrap();
    assert_eq!(world.send_with(one, b"with", &[7, 8]), Ok(4));
    world.send(one, b"after").unwrap();
    assert_eq!((world.readable(other), world.0.handles().count()), (ready(15), 2));
    let received = |world: &mut World, wanted| {
        let (bytes, received) = world.take(other, wanted, Take::default()).unwrap();
        (bytes, received.handles)
    };
    assert_eq!(received(&mut world, 99), (b"before".to_vec(), vec![]));
    assert_eq!(received(&mut world, 1), (b"w".to_vec(), vec![7, 8]));
    assert_eq!(received(&mut world, 99), (b"ithafter".to_vec(), vec![]), "no handles, nothing to stop at");
    assert_eq!(world.0.handles().count(), 0);
    assert_eq!(world.send_with(one, b"", &[7]), errno(EINVAL));
    world.send_with(one, b"closed", &[9]).unwrap();
    assert_eq!(world.0.handles().collect::<Vec<_>>(), vec![(other, &9)]);
    world.0.close(other);
    assert_eq!(world.0.handles().count(), 0);
}

#[test]
fn low_water_marks_are_at_least_one() {
    let mut world = World::default();
    let one = world.socket(Kind::Stream);
    world.0.set_low_water(one, Some(9), None).unwrap();
    assert_eq!(world.0.set_low_water(one, Some(3), Some(0)), errno(EINVAL));
    let options = world.0.get(one).unwrap().options;
    assert_eq!((options.low_water.receive, options.low_water.send), (9, 2048));
}

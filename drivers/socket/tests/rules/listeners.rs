//! Listeners and connections.

use crate::world::{World, end, errno, ready};
use abi::error::{
    EADDRINUSE, EAGAIN, ECONNREFUSED, ECONNRESET, EINVAL, EISCONN, ENOBUFS, ENOENT, ENOTCONN, EOPNOTSUPP,
    EPROTOTYPE,
};
use driver_sdk::sockets::Ready;
use socket::socket::Kind;
use socket::sockets::{Change, Id};

#[test]
fn r22_a_listener_reads_its_backlog_and_is_never_writable() {
    let mut world = World::default();
    let listener = world.listener("/l", 2);
    assert_eq!((world.readable(listener), world.0.writable(listener)), (ready(0), ready(0)));
    assert_eq!(world.0.accept(listener), errno(EAGAIN));
    let clients = [world.socket(Kind::Stream), world.socket(Kind::Stream), world.socket(Kind::Stream)];
    world.0.connect(clients[0], "/l").unwrap();
    world.0.connect(clients[1], "/l").unwrap();
    assert_eq!((world.readable(listener), world.0.writable(listener)), (ready(2), ready(0)));
    assert_eq!(world.0.connect(clients[2], "/l"), errno(EAGAIN), "the backlog is full");
    assert_eq!(world.receive(listener, 1), errno(EINVAL));
    assert_eq!(world.send(listener, b"x"), errno(ENOTCONN));
    assert_eq!(world.send(clients[0], b"before it is accepted"), Ok(21));
    world.changes();
    let accepted = world.0.accept(listener).unwrap();
    assert!(
        world.changes().contains(&Change::Write { socket: clients[2], news: true }),
        "there is room for who waits"
    );
    assert_eq!(world.0.connect(clients[2], "/l"), Ok(()));
    assert_eq!(world.receive(accepted, 6), Ok(b"before".to_vec()));
    assert_eq!(world.0.peer_name(clients[0]), Ok("/l"));
    assert_eq!((world.0.peer_process(accepted), world.0.peer_process(listener)), (Ok(100), errno(ENOTCONN)));
}

#[test]
fn r51_a_listener_that_is_closed_wakes_all_who_wait_for_it() {
    let mut world = World::default();
    let listener = world.listener("/l", 1);
    let (pending, waiting) = (world.socket(Kind::Stream), world.socket(Kind::Stream));
    world.0.connect(pending, "/l").unwrap();
    assert_eq!(world.0.connect(waiting, "/l"), errno(EAGAIN));
    world.changes();
    world.0.close(listener);
    let changes = world.changes();
    assert!(changes.contains(&Change::Write { socket: waiting, news: true }));
    assert!(changes.contains(&Change::Read { socket: pending, news: true }));
    assert_eq!(world.0.connect(waiting, "/l"), errno(ECONNREFUSED));
    assert_eq!(world.readable(pending), Ready { error: ECONNRESET, hangup: true, ..end(0) });
    assert_eq!(world.receive(pending, 1), errno(ECONNRESET));
    assert_eq!(world.0.load(), (1, 2), "nothing of it is left but the name");
}

#[test]
fn r51_a_listener_that_is_shut_down_wakes_all_who_wait_for_it() {
    let mut world = World::default();
    let listener = world.listener("/l", 1);
    let (pending, waiting) = (world.socket(Kind::Stream), world.socket(Kind::Stream));
    world.0.connect(pending, "/l").unwrap();
    assert_eq!(world.0.connect(waiting, "/l"), errno(EAGAIN));
    world.changes();
    world.0.shutdown(listener, true, false).unwrap();
    let changes = world.changes();
    assert!(changes.contains(&Change::Write { socket: waiting, news: true }));
    assert!(changes.contains(&Change::Read { socket: listener, news: true }));
    assert_eq!(world.0.connect(waiting, "/l"), errno(ECONNREFUSED));
    assert_eq!((world.readable(listener), world.0.writable(listener)), (end(1), ready(0)));
    assert!(world.0.accept(listener).is_ok(), "it was connected before");
    assert_eq!(world.0.accept(listener), errno(EINVAL));
}

#[test]
fn names_and_connections_say_what_they_cannot_do() {
    let mut world = World::default();
    let listener = world.listener("/l", 1);
    let (stream, record) = (world.socket(Kind::Stream), world.socket(Kind::Record));
    let datagram = world.socket(Kind::Datagram);
    assert_eq!(world.0.bind(stream, "/l"), errno(EADDRINUSE));
    assert_eq!(world.0.bind(stream, ""), errno(ENOENT));
    assert_eq!(world.0.bind(listener, "/m"), errno(EINVAL));
    assert!(world.0.bind(stream, &"n".repeat(108)).is_err());
    assert_eq!(world.0.listen(stream, 1), errno(EINVAL), "it has no address");
    assert_eq!(world.0.listen(datagram, 1), errno(EOPNOTSUPP));
    assert_eq!(world.0.connect(stream, "/none"), errno(ENOENT));
    assert_eq!(world.0.connect(record, "/l"), errno(EPROTOTYPE));
    assert_eq!(world.0.connect(listener, "/l"), errno(EINVAL));
    assert_eq!(world.0.accept(stream), errno(EINVAL));
    assert_eq!(world.0.shutdown(stream, true, true), errno(ENOTCONN));
    assert_eq!((world.send(stream, b"x"), world.receive(stream, 1)), (errno(ENOTCONN), errno(ENOTCONN)));
    assert_eq!(world.0.peer_name(stream), errno(ENOTCONN));
    assert_eq!(world.0.pair(listener, 1, 1), errno(EINVAL));
    world.0.bind(stream, "/s").unwrap();
    assert_eq!(world.0.connect(record, "/s"), errno(EPROTOTYPE));
    let other = world.socket(Kind::Stream);
    assert_eq!(world.0.connect(other, "/s"), errno(ECONNREFUSED), "nobody listens");
    world.0.close(stream);
    assert_eq!(world.0.connect(other, "/s"), errno(ECONNREFUSED), "the name is there still");
    assert_eq!(world.0.bind(other, "/s"), errno(EADDRINUSE));
    world.0.unlink("/s").unwrap();
    assert_eq!(world.0.unlink("/s"), errno(ENOENT));
    world.0.connect(other, "/l").unwrap();
    assert_eq!(world.0.connect(other, "/l"), errno(EISCONN));
    assert_eq!(world.send_to(other, "/l", b"x"), errno(EISCONN));
    assert_eq!(world.0.pair(other, 1, 1), errno(EISCONN));
}

#[test]
fn r55_connections_that_nobody_accepts_are_counted_against_who_made_them() {
    let mut world = World::default();
    let listeners: Vec<Id> = (0..3)
        .map(|number| {
            let listener = world.0.create(Kind::Stream, 9, 9);
            world.0.bind(listener, &format!("/{number}")).unwrap();
            world.0.listen(listener, -1).unwrap();
            listener
        })
        .collect();
    let connect = |world: &mut World, client: u64, to: usize| {
        let socket = world.0.create(Kind::Stream, client, 1);
        let result = world.0.connect(socket, &format!("/{to}"));
        world.0.close(socket);
        result
    };
    let made = (0..).take_while(|_| connect(&mut world, 1, 0).is_ok()).count();
    assert_eq!((made, connect(&mut world, 1, 1)), (128, errno(ENOBUFS)));
    assert_eq!(connect(&mut world, 2, 1), Ok(()), "others have theirs");
    world.0.accept(listeners[0]).unwrap();
    assert_eq!(connect(&mut world, 1, 1), Ok(()));
    assert_eq!(connect(&mut world, 1, 1), errno(ENOBUFS));
    world.0.close(listeners[0]);
    assert_eq!(connect(&mut world, 1, 1), Ok(()));
}

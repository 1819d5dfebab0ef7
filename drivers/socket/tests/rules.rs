//! Sockets as their owners see them.

use abi::error::{
    EADDRINUSE, EAGAIN, ECONNREFUSED, ECONNRESET, EINVAL, EISCONN, EMSGSIZE, ENOBUFS, ENOENT, ENOTCONN,
    EOPNOTSUPP, EPERM, EPIPE, EPROTOTYPE, Error,
};
use driver_sdk::sockets::Ready;
use socket::inbox::{OVERHEAD, Received};
use socket::socket::Kind;
use socket::sockets::{BUFFER, Change, Id, Sent, Sockets, Take};

fn errno<T>(errno: i32) -> Result<T, Error> {
    Err(Error::new(errno))
}

const URGENT: Take = Take { urgent: true, all: false };
const ALL: Take = Take { urgent: false, all: true };

#[derive(Default)]
struct World(Sockets<u32>);

impl World {
    fn socket(&mut self, kind: Kind) -> Id {
        self.0.create(kind, 1, 100)
    }

    fn pair(&mut self, kind: Kind) -> (Id, Id) {
        let one = self.socket(kind);
        (one, self.0.pair(one, 2, 200).expect("a pair"))
    }

    fn listener(&mut self, name: &str, backlog: i32) -> Id {
        let listener = self.socket(Kind::Stream);
        self.0.bind(listener, name).unwrap();
        self.0.listen(listener, backlog).unwrap();
        listener
    }

    fn send(&mut self, id: Id, bytes: &[u8]) -> Result<usize, Error> {
        self.0.send(id, Sent { bytes, to: None, handles: &mut vec![], urgent: false })
    }

    fn send_to(&mut self, id: Id, to: &str, bytes: &[u8]) -> Result<usize, Error> {
        self.0.send(id, Sent { bytes, to: Some(to), handles: &mut vec![], urgent: false })
    }

    fn send_urgent(&mut self, id: Id, bytes: &[u8]) -> Result<usize, Error> {
        self.0.send(id, Sent { bytes, to: None, handles: &mut vec![], urgent: true })
    }

    fn send_with(&mut self, id: Id, bytes: &[u8], handles: &[u32]) -> Result<usize, Error> {
        self.0.send(id, Sent { bytes, to: None, handles: &mut handles.to_vec(), urgent: false })
    }

    fn take(&mut self, id: Id, wanted: usize, take: Take) -> Result<(Vec<u8>, Received<u32>), Error> {
        let mut buffer = vec![0; wanted];
        let (received, _) = self.0.receive(id, &mut buffer, take)?;
        buffer.truncate(received.count);
        Ok((buffer, received))
    }

    fn receive(&mut self, id: Id, wanted: usize) -> Result<Vec<u8>, Error> {
        self.take(id, wanted, Take::default()).map(|(bytes, _)| bytes)
    }

    fn readable(&self, id: Id) -> Ready {
        self.0.get(id).unwrap().readable()
    }

    fn changes(&mut self) -> Vec<Change> {
        self.0.take_changes()
    }
}

fn ready(amount: usize) -> Ready {
    Ready { amount, ..Ready::default() }
}

fn end(amount: usize) -> Ready {
    Ready { amount, end: true, ..Ready::default() }
}

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

#[test]
fn low_water_marks_are_at_least_one() {
    let mut world = World::default();
    let one = world.socket(Kind::Stream);
    world.0.set_low_water(one, Some(9), None).unwrap();
    assert_eq!(world.0.set_low_water(one, Some(3), Some(0)), errno(EINVAL));
    let options = world.0.get(one).unwrap().options;
    assert_eq!((options.low_water.receive, options.low_water.send), (9, 2048));
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

//! Sockets behind the real engine, over a card that goes nowhere: this machine speaks with itself.

#[path = "../../sdk/tests/fake/mod.rs"]
mod fake;
mod wire;

use abi::error::{
    EADDRINUSE, EADDRNOTAVAIL, EAGAIN, ECONNREFUSED, ECONNRESET, EDESTADDRREQ, EINPROGRESS, EINVAL, EISCONN,
    EMSGSIZE, ENETUNREACH, ENOTCONN, EOPNOTSUPP, EPIPE, ETIMEDOUT, Error,
};
use abi::flag::O_RDWR;
use driver_sdk::{Control, ControlReply, FileId, Level, LevelFlags, MessageFlags, Setting};
use event_protocol::descriptor::NONBLOCK;
use event_protocol::descriptor::names::{ACCEPT, INET_DATAGRAM_SOCKET, INET_STREAM_SOCKET};
use fake::Got;
use net::sockets::{BUFFER, MAX_BACKLOG, MOST_OF_CLIENT};
use proptest::prelude::*;
use wire::Desk;

const SECOND: u64 = 1_000_000_000;

fn bytes(got: Got) -> Vec<u8> {
    match got {
        Got::Data(bytes, _) => bytes,
        Got::Count(0) => vec![],
        other => panic!("{other:?}"),
    }
}

impl Desk {
    fn stream(&mut self, client: u64) -> FileId {
        self.bench.open(INET_STREAM_SOCKET, O_RDWR, client).expect("a stream")
    }

    fn datagram(&mut self, client: u64) -> FileId {
        self.bench.open(INET_DATAGRAM_SOCKET, O_RDWR, client).expect("a datagram socket")
    }

    fn bind(&mut self, file: FileId, address: &str) -> abi::error::Result<ControlReply> {
        self.bench.control(file, Control::Bind(address.into()))
    }

    fn listener(&mut self, client: u64, address: &str, backlog: i32) -> FileId {
        let file = self.stream(client);
        self.bind(file, address).expect("an address");
        self.bench.control(file, Control::Listen(backlog)).expect("a listener");
        file
    }

    fn connect(&mut self, file: FileId, address: &str) -> abi::error::Result<ControlReply> {
        let begun = self.bench.control(file, Control::Connect(address.into()));
        assert_eq!(begun, Err(Error::new(EINPROGRESS)));
        self.settle();
        let token = self.bench.begin_control(file, Control::Connected, NONBLOCK);
        match self.bench.got(token).expect("an answer") {
            Got::Control(reply) => Ok(reply),
            Got::Errno(errno) => Err(Error::new(errno)),
            other => panic!("{other:?}"),
        }
    }

    fn accept(&mut self, listener: FileId) -> abi::error::Result<FileId> {
        self.bench.open_at(listener, ACCEPT, O_RDWR, 1)
    }

    /// The two ends of a connection: who connected, and who accepted.
    fn pair(&mut self) -> (FileId, FileId) {
        let listener = self.listener(1, "127.0.0.1:80", 5);
        let client = self.stream(2);
        self.connect(client, "127.0.0.1:80").expect("a connection");
        let server = self.accept(listener).expect("the connection");
        self.bench.close(listener);
        self.settle();
        (client, server)
    }

    fn read_level(&mut self, file: FileId) -> Level {
        self.bench.source(file).read
    }

    fn write_level(&mut self, file: FileId) -> Level {
        self.bench.source(file).write
    }

    fn name(&mut self, file: FileId, control: Control) -> String {
        match self.bench.control(file, control) {
            Ok(ControlReply::Address(address)) => address,
            other => panic!("{other:?}"),
        }
    }

    fn take_error(&mut self, file: FileId) -> i64 {
        match self.bench.control(file, Control::TakeError) {
            Ok(ControlReply::Number(errno)) => errno,
            other => panic!("{other:?}"),
        }
    }
}

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
fn addresses_are_this_machines_and_ports_are_had_once() {
    let mut desk = Desk::new();
    let first = desk.stream(1);
    assert_eq!(desk.bind(first, "10.0.2.15:80"), Err(Error::new(EADDRNOTAVAIL)), "not yet");
    assert_eq!(desk.bind(first, "/run/socket/a"), Err(Error::new(abi::error::EAFNOSUPPORT)));
    let waiting = desk.stream(1);
    let begun = desk.bench.control(waiting, Control::Connect("10.0.2.2:80".into()));
    assert_eq!(begun, Err(Error::new(ENETUNREACH)));
    desk.lease();
    for many in ["255.255.255.255:80", "224.0.0.1:80"] {
        let begun = desk.bench.control(waiting, Control::Connect(many.into()));
        assert_eq!(begun, Err(Error::new(ENETUNREACH)));
    }
    assert_eq!(desk.bind(first, "10.0.2.15:80"), Ok(ControlReply::Done));
    assert_eq!(desk.bind(first, "10.0.2.15:81"), Err(Error::new(EINVAL)));
    let second = desk.stream(1);
    assert_eq!(desk.bind(second, "0.0.0.0:80"), Err(Error::new(EADDRINUSE)));
    assert_eq!(desk.bind(second, "127.0.0.1:80"), Ok(ControlReply::Done));
    let datagram = desk.datagram(1);
    assert_eq!(desk.bind(datagram, "0.0.0.0:80"), Ok(ControlReply::Done), "other ports");
    desk.bench.close(first);
    desk.bench.close(second);
    let third = desk.stream(1);
    assert_eq!(desk.bind(third, "0.0.0.0:80"), Ok(ControlReply::Done));
    let any = desk.stream(1);
    assert_eq!(desk.bind(any, "0.0.0.0:0"), Ok(ControlReply::Done));
    assert!(desk.name(any, Control::Name).starts_with("0.0.0.0:49"));
    assert_eq!(desk.bench.control(any, Control::Peer), Err(Error::new(ENOTCONN)));
    let unbound = desk.stream(1);
    assert_eq!(desk.bench.control(unbound, Control::Listen(1)), Err(Error::new(EDESTADDRREQ)));
    assert_eq!(desk.bench.control(datagram, Control::Listen(1)), Err(Error::new(EOPNOTSUPP)));
    assert_eq!(desk.bench.try_read(unbound, 1), Got::Errno(ENOTCONN));
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
fn the_same_two_addresses_are_connected_again_whoever_closed_first() {
    for client_first in [false, true] {
        let mut desk = Desk::new();
        let listener = desk.listener(1, "127.0.0.1:80", 5);
        for _ in 0..8 {
            let client = desk.stream(2);
            assert_eq!(desk.name(client, Control::Name), "0.0.0.0:0");
            desk.bind(client, "127.0.0.1:4000").expect("an address");
            desk.connect(client, "127.0.0.1:80").expect("a connection");
            let server = desk.accept(listener).expect("the connection");
            for end in if client_first { [client, server] } else { [server, client] } {
                desk.bench.close(end);
                desk.settle();
            }
            assert_eq!(desk.load().2, 1, "one end remembers the last connection alone");
        }
    }
}

#[test]
fn a_connection_that_is_still_ending_keeps_its_two_addresses() {
    let mut desk = Desk::new();
    let listener = desk.listener(1, "127.0.0.1:80", 5);
    let client = desk.stream(2);
    desk.bind(client, "127.0.0.1:4000").expect("an address");
    desk.connect(client, "127.0.0.1:80").expect("a connection");
    let server = desk.accept(listener).expect("the connection");
    desk.bench.close(client);
    desk.settle();
    let next = desk.stream(2);
    desk.bind(next, "127.0.0.1:4000").expect("an address");
    let again = desk.bench.control(next, Control::Connect("127.0.0.1:80".into()));
    assert_eq!(again, Err(Error::new(EADDRINUSE)));
    desk.bench.close(server);
    desk.settle();
    desk.connect(next, "127.0.0.1:80").expect("a connection");
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
fn datagrams_are_whole_and_say_from_where() {
    let mut desk = Desk::new();
    let (one, other) = (desk.datagram(1), desk.datagram(2));
    desk.bind(one, "127.0.0.1:53").unwrap();
    let nobody = desk.bench.send_message(other, "", b"x", MessageFlags::empty(), &[]);
    assert_eq!(desk.bench.got(nobody), Some(Got::Errno(EDESTADDRREQ)));
    for text in [&b"first"[..], b"", b"third"] {
        let sent = desk.bench.send_message(other, "127.0.0.1:53", text, MessageFlags::empty(), &[]);
        assert_eq!(desk.bench.got(sent), Some(Got::Count(text.len() as u64)));
    }
    let long = desk.bench.send_message(other, "127.0.0.1:53", &[0; 1473], MessageFlags::empty(), &[]);
    assert_eq!(desk.bench.got(long), Some(Got::Errno(EMSGSIZE)));
    desk.settle();
    assert_eq!(desk.read_level(one), Level::new(11), "an empty one counts as a byte");
    let from = desk.name(other, Control::Name).replace("0.0.0.0", "127.0.0.1");
    for (length, text, flags) in [
        (3, &b"fir"[..], MessageFlags::TRUNCATED),
        (10, b"", MessageFlags::empty()),
        (10, b"third", MessageFlags::empty()),
    ] {
        let token = desk.bench.receive(one, length, MessageFlags::NONBLOCK);
        let Some(Got::Message(message)) = desk.bench.got(token) else { panic!("no message") };
        assert_eq!((&message.bytes[..], message.flags, &message.address), (text, flags, &from));
    }
    assert_eq!(desk.read_level(one), Level::new(0));
    // Connected, it hears one alone.
    desk.bench.control(one, Control::Connect(from.clone())).unwrap();
    let stranger = desk.datagram(3);
    for sender in [stranger, other] {
        desk.bench.send_message(sender, "127.0.0.1:53", b"hi", MessageFlags::empty(), &[]);
    }
    desk.settle();
    assert_eq!(desk.read_level(one), Level::new(2));
    assert_eq!(desk.bench.try_write(one, b"hi yourself"), Got::Count(11));
    desk.settle();
    assert_eq!(bytes(desk.bench.try_read(other, 100)), b"hi yourself");
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

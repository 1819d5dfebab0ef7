//! The socket service as its clients see it, through the real engine.

#[path = "../../sdk/tests/fake/mod.rs"]
mod fake;

use abi::error::{EBADF, ECONNREFUSED, ECONNRESET, EINVAL, ENOENT, ENOTCONN, Error};
use abi::flag::O_RDWR;
use driver_sdk::{Control, ControlReply, FileId, Level, LevelFlags, MessageFlags, PathRequest, Setting};
use event_protocol::descriptor::names::{ACCEPT, DATAGRAM_SOCKET, PEER, STREAM_SOCKET};
use fake::{Bench, Got, Message, Thing};
use socket::driver::Service;
use socket::sockets::BUFFER;

struct Clients(Bench<Service>);

fn data(bytes: &[u8]) -> Option<Got> {
    Some(Got::Data(bytes.to_vec(), 0))
}

impl Clients {
    fn new() -> Clients {
        Clients(Bench::new(Service::default()))
    }

    fn open(&mut self, path: &str) -> FileId {
        self.0.open(path, O_RDWR, 1).expect("a socket")
    }

    fn pair(&mut self) -> (FileId, FileId) {
        let one = self.open(STREAM_SOCKET);
        (one, self.0.open_at(one, PEER, O_RDWR, 1).expect("its peer"))
    }

    fn listener(&mut self, name: &str, backlog: i32) -> FileId {
        let listener = self.open(STREAM_SOCKET);
        self.0.control(listener, Control::Bind(name.into())).expect("a name");
        self.0.control(listener, Control::Listen(backlog)).expect("it listens");
        listener
    }

    fn message(&mut self, token: u64) -> Message {
        match self.0.got(token) {
            Some(Got::Message(message)) => message,
            other => panic!("no message but {other:?}"),
        }
    }

    fn levels(&mut self, file: FileId) -> (Level, Level) {
        let source = self.0.source(file);
        (source.read, source.write)
    }
}

#[test]
fn reads_and_writes_wait_for_the_other_side() {
    let mut clients = Clients::new();
    let (one, other) = clients.pair();
    assert_eq!(clients.levels(one), (Level::new(0), Level::new(BUFFER as i64)));
    let reader = clients.0.read(other, 9);
    assert_eq!(clients.0.got(reader), None);
    assert_eq!(clients.0.try_write(one, b"hello"), Got::Count(5));
    assert_eq!(clients.0.got(reader), data(b"hello"));
    for _ in 0..BUFFER / 1024 {
        clients.0.try_write(one, &[7; 1024]);
    }
    let writer = clients.0.write(one, &[8; 2000]);
    assert_eq!((clients.0.got(writer), clients.levels(one).1), (None, Level::new(0)));
    clients.0.try_read(other, 1500);
    assert_eq!(clients.0.got(writer), None, "it wants to write all");
    clients.0.try_read(other, 1500);
    assert_eq!(clients.0.got(writer), Some(Got::Count(2000)));
}

#[test]
fn r22_accepts_wait_for_connections_and_connections_for_accepts() {
    let mut clients = Clients::new();
    let listener = clients.listener("/run/socket/l", 1);
    let accept = clients.0.begin_open(Some(listener), ACCEPT, O_RDWR, 1, 0);
    let client = clients.open(STREAM_SOCKET);
    let connect = clients.0.begin_control(client, Control::Connect("/run/socket/l".into()), 0);
    assert_eq!(clients.0.got(connect), Some(Got::Control(ControlReply::Done)));
    let server = clients.0.opened(accept).expect("accepted");
    assert_eq!(clients.levels(listener), (Level::new(0), Level::new(0)));
    assert_eq!(clients.levels(server).1, Level::new(BUFFER as i64));
    let more: Vec<(FileId, u64)> = (0..2)
        .map(|_| {
            let client = clients.open(STREAM_SOCKET);
            (client, clients.0.begin_control(client, Control::Connect("/run/socket/l".into()), 0))
        })
        .collect();
    assert_eq!(clients.levels(listener), (Level::new(1), Level::new(0)));
    assert_eq!((clients.0.got(more[0].1).is_some(), clients.0.got(more[1].1)), (true, None));
    clients.0.open_at(listener, ACCEPT, O_RDWR, 1).expect("the first");
    assert_eq!(clients.0.got(more[1].1), Some(Got::Control(ControlReply::Done)));
    let name = clients.0.control(more[1].0, Control::Peer);
    assert_eq!(name, Ok(ControlReply::Address("/run/socket/l".into())));
}

#[test]
fn r51_closing_or_shutting_down_a_listener_wakes_its_sleepers() {
    for close in [true, false] {
        let mut clients = Clients::new();
        let listener = clients.listener("/l", 1);
        let accept = clients.0.begin_open(Some(listener), ACCEPT, O_RDWR, 1, 0);
        assert_eq!(clients.0.got(accept), None);
        if close {
            clients.0.close(listener);
            assert_eq!(clients.0.opened(accept), Err(Error::new(EBADF)));
        } else {
            clients.0.control(listener, Control::Shutdown { read: true, write: true }).expect("shut down");
            assert_eq!(clients.0.opened(accept), Err(Error::new(EINVAL)));
            assert_eq!(clients.levels(listener), (Level::new(0).with(LevelFlags::EOF), Level::new(0)));
        }
        let client = clients.open(STREAM_SOCKET);
        let refused = clients.0.control(client, Control::Connect("/l".into()));
        assert_eq!(refused, Err(Error::new(ECONNREFUSED)));
    }
    let mut clients = Clients::new();
    let listener = clients.listener("/l", 1);
    let waiting: Vec<u64> = (0..2)
        .map(|_| {
            let client = clients.open(STREAM_SOCKET);
            clients.0.begin_control(client, Control::Connect("/l".into()), 0)
        })
        .collect();
    clients.0.close(listener);
    assert_eq!(clients.0.got(waiting[1]), Some(Got::Errno(ECONNREFUSED)));
}

#[test]
fn r18_a_reset_is_published_with_its_errno_and_told_once() {
    let mut clients = Clients::new();
    let (one, other) = clients.pair();
    clients.0.try_write(other, b"never read");
    clients.0.try_write(one, b"ok");
    let before = clients.0.source(other).changes;
    clients.0.close(one);
    let source = clients.0.source(other);
    assert_eq!(source.changes, before + 1, "both directions end as one");
    assert_eq!(source.read, Level::new(2).with(LevelFlags::EOF | LevelFlags::ERROR));
    assert_eq!(source.error, ECONNRESET as u32);
    assert_eq!(clients.0.control(other, Control::TakeError), Ok(ControlReply::Number(ECONNRESET.into())));
    let source = clients.0.source(other);
    assert_eq!((source.read, source.error), (Level::new(2).with(LevelFlags::EOF), 0));
    assert_eq!(clients.0.try_read(other, 9), Got::Data(b"ok".to_vec(), 0));
    assert_eq!(clients.levels(other).0, Level::new(0).with(LevelFlags::EOF | LevelFlags::HANGUP));
}

#[test]
fn what_a_dead_reader_did_not_get_the_next_one_gets() {
    let mut clients = Clients::new();
    let (one, other) = clients.pair();
    let dead = clients.0.read(other, 9);
    clients.0.link().dead.insert(dead);
    let handle = Thing::Object(5);
    clients.0.send_message(one, "", b"for somebody", MessageFlags::empty(), &[handle]);
    assert_eq!(clients.levels(other).0, Level::new(12));
    let first = clients.0.receive(other, 3, MessageFlags::empty());
    let first = clients.message(first);
    assert_eq!((first.bytes, first.things), (b"for".to_vec(), vec![]), "a read has lost the handles");
    clients.0.send_message(one, "", b"!", MessageFlags::empty(), &[handle]);
    let dead = clients.0.receive(one, 9, MessageFlags::empty());
    clients.0.link().dead.insert(dead);
    clients.0.send_message(other, "", b"x", MessageFlags::empty(), &[handle]);
    let alive = clients.0.receive(one, 9, MessageFlags::empty());
    let alive = clients.message(alive);
    assert_eq!((alive.bytes, alive.things), (b"x".to_vec(), vec![handle]));
}

#[test]
fn a_look_whose_caller_is_dead_gives_nobody_anothers_message_and_keeps_the_error() {
    let mut clients = Clients::new();
    let (one, other) = clients.pair();
    let looks = clients.0.receive(one, 9, MessageFlags::PEEK);
    assert_eq!(clients.0.got(looks), None);
    clients.0.link().dead.insert(looks);
    // Somebody else receives a whole message meanwhile.
    let to = clients.open(DATAGRAM_SOCKET);
    clients.0.control(to, Control::Bind("/run/socket/to".into())).expect("a name");
    let from = clients.open(DATAGRAM_SOCKET);
    clients.0.send_message(from, "/run/socket/to", b"secret", MessageFlags::empty(), &[]);
    let received = clients.0.receive(to, 9, MessageFlags::empty());
    assert_eq!(clients.message(received).bytes, b"secret");
    // The look ends with an error, which its caller does not hear.
    clients.0.try_write(one, b"never read");
    clients.0.close(other);
    assert_eq!(clients.0.try_read(one, 9), Got::Errno(ECONNRESET));
    assert_eq!(clients.0.try_read(one, 9), Got::Count(0));
}

#[test]
fn a_look_that_tells_the_error_takes_it_out_of_the_level() {
    let mut clients = Clients::new();
    let (one, other) = clients.pair();
    clients.0.try_write(one, b"never read");
    clients.0.close(other);
    assert!(clients.levels(one).0.flags.contains(LevelFlags::ERROR));
    let looks = clients.0.receive(one, 9, MessageFlags::PEEK);
    assert_eq!(clients.0.got(looks), Some(Got::Errno(ECONNRESET)));
    assert!(!clients.levels(one).0.flags.contains(LevelFlags::ERROR));
    assert_eq!(clients.0.source(one).error, 0);
}

#[test]
fn messages_carry_addresses_handles_and_say_what_was_cut_off() {
    let mut clients = Clients::new();
    let (one, other) = (clients.open(DATAGRAM_SOCKET), clients.open(DATAGRAM_SOCKET));
    clients.0.control(one, Control::Bind("/one".into())).expect("a name");
    clients.0.control(other, Control::Bind("/other".into())).expect("a name");
    let waits = clients.0.receive(other, 4, MessageFlags::empty());
    let handles = [Thing::Object(1), Thing::Object(2)];
    let sent = clients.0.send_message(one, "/other", b"letter", MessageFlags::empty(), &handles);
    assert_eq!(clients.0.got(sent), Some(Got::Count(6)));
    let message = clients.message(waits);
    assert_eq!(message.bytes, b"lett");
    assert_eq!((message.address.as_str(), message.whole), ("/one", 6));
    assert_eq!((message.flags, message.things.as_slice()), (MessageFlags::TRUNCATED, &handles[..]));
    clients.0.send_message(one, "/other", b"peeked", MessageFlags::empty(), &handles);
    for flags in [MessageFlags::PEEK, MessageFlags::PEEK, MessageFlags::empty()] {
        let token = clients.0.receive(other, 9, flags);
        let message = clients.message(token);
        assert_eq!((message.bytes, message.things), (b"peeked".to_vec(), handles.to_vec()));
    }
    assert_eq!(clients.0.engine.shared().1, 0, "no parcel is left");
    let token = clients.0.send_message(one, "/none", b"x", MessageFlags::empty(), &[]);
    assert_eq!(clients.0.got(token), Some(Got::Errno(ENOENT)));
}

#[test]
fn urgent_data_is_an_exceptional_condition() {
    let mut clients = Clients::new();
    let (one, other) = clients.pair();
    clients.0.send_message(one, "", b"a!", MessageFlags::OOB, &[]);
    assert_eq!(clients.levels(other).0, Level::new(1).with(LevelFlags::EXCEPT));
    let token = clients.0.receive(other, 9, MessageFlags::OOB);
    let message = clients.message(token);
    assert_eq!((message.bytes, message.flags), (b"!".to_vec(), MessageFlags::OOB));
    assert_eq!(clients.levels(other).0, Level::new(1));
    assert_eq!(clients.0.control(other, Control::AtMark), Ok(ControlReply::Number(0)));
    clients.0.try_read(other, 9);
    assert_eq!(clients.0.control(other, Control::AtMark), Ok(ControlReply::Number(1)));
}

#[test]
fn sockets_that_lie_in_each_other_only_are_closed() {
    let mut clients = Clients::new();
    let (one, other) = clients.pair();
    let (three, four) = clients.pair();
    clients.0.send_message(one, "", b"x", MessageFlags::empty(), &[Thing::Descriptor(other)]);
    clients.0.send_message(three, "", b"x", MessageFlags::empty(), &[Thing::Descriptor(four)]);
    for file in [one, other, three, four] {
        clients.0.let_go(file);
    }
    assert_eq!((clients.0.engine.load().0, clients.0.engine.shared().1), (0, 0));
    assert_eq!(clients.0.engine.driver().sockets().load(), (0, 0));
}

#[test]
fn a_socket_that_waits_in_a_connection_nobody_has_accepted_lives() {
    let mut clients = Clients::new();
    let listener = clients.listener("/l", 1);
    let client = clients.open(STREAM_SOCKET);
    clients.0.control(client, Control::Connect("/l".into())).expect("connected");
    let (one, other) = clients.pair();
    clients.0.send_message(client, "", b"x", MessageFlags::empty(), &[Thing::Descriptor(other)]);
    clients.0.let_go(other);
    assert_eq!(clients.0.try_write(one, b"to whoever gets it"), Got::Count(18));
    let server = clients.0.open_at(listener, ACCEPT, O_RDWR, 1).expect("accepted");
    let token = clients.0.receive(server, 9, MessageFlags::empty());
    assert_eq!(clients.message(token).things, vec![Thing::Descriptor(other)]);
    assert_eq!(clients.0.try_read(other, 2), Got::Data(b"to".to_vec(), 0));
}

#[test]
fn options_and_paths() {
    let mut clients = Clients::new();
    let listener = clients.listener("/l", 1);
    let number = |clients: &mut Clients, file, setting| clients.0.control(file, Control::Get(setting));
    assert_eq!(number(&mut clients, listener, Setting::Listening), Ok(ControlReply::Number(1)));
    assert_eq!(number(&mut clients, listener, Setting::SocketType), Ok(ControlReply::Number(1)));
    let (one, other) = clients.pair();
    clients.0.control(other, Control::Set(Setting::ReceiveBuffer, 8192)).expect("set");
    assert_eq!(number(&mut clients, other, Setting::ReceiveBuffer), Ok(ControlReply::Number(8192)));
    assert_eq!(clients.levels(one).1, Level::new(8192));
    let invalid = clients.0.control(one, Control::Set(Setting::SocketType, 2));
    assert_eq!(invalid, Err(Error::new(EINVAL)));
    assert_eq!(clients.0.open("/dev/socket", O_RDWR, 1), Err(Error::new(ENOENT)));
    assert_eq!(clients.0.open_at(one, "writer", O_RDWR, 1), Err(Error::new(ENOENT)));
    clients.0.path(PathRequest::Unlink { path: "/l".into() }).expect("unlinked");
    assert_eq!(clients.0.path(PathRequest::Stat { path: "/l".into() }), Err(Error::new(ENOENT)));
    let idle = clients.open(STREAM_SOCKET);
    assert_eq!(clients.0.control(idle, Control::Peer), Err(Error::new(ENOTCONN)));
}

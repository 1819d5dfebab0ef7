//! Several listeners at one address (`SO_REUSEPORT`).

#[path = "../../sdk/tests/fake/mod.rs"]
mod fake;
mod wire;

use abi::error::{EADDRINUSE, EAGAIN, ECONNREFUSED, EINPROGRESS, EINVAL, Error, Result};
use abi::flag::O_RDWR;
use driver_sdk::{Control, ControlReply, FileId, Setting};
use event_protocol::descriptor::NONBLOCK;
use event_protocol::descriptor::names::{ACCEPT, INET_DATAGRAM_SOCKET, INET_STREAM_SOCKET};
use fake::Got;
use wire::Desk;

const ADDRESS: &str = "127.0.0.1:80";

impl Desk {
    fn sharing(&mut self, client: u64) -> FileId {
        let file = self.bench.open(INET_STREAM_SOCKET, O_RDWR, client).expect("a stream");
        assert_eq!(self.set(file, 1), Ok(ControlReply::Done));
        file
    }

    fn set(&mut self, file: FileId, value: i64) -> Result<ControlReply> {
        self.bench.control(file, Control::Set(Setting::ReusePort, value))
    }

    fn bind(&mut self, file: FileId, address: &str) -> Result<ControlReply> {
        self.bench.control(file, Control::Bind(address.into()))
    }

    fn listener(&mut self, client: u64, address: &str, backlog: i32) -> FileId {
        let file = self.sharing(client);
        self.bind(file, address).expect("an address that is shared");
        self.bench.control(file, Control::Listen(backlog)).expect("a listener");
        file
    }

    /// Begins a connection; what has become of it.
    fn connect(&mut self, client: u64) -> (FileId, Result<ControlReply>) {
        let file = self.bench.open(INET_STREAM_SOCKET, O_RDWR, client).expect("a stream");
        let begun = self.bench.control(file, Control::Connect(ADDRESS.into()));
        assert_eq!(begun, Err(Error::new(EINPROGRESS)));
        self.settle();
        let token = self.bench.begin_control(file, Control::Connected, NONBLOCK);
        let end = match self.bench.got(token).expect("an answer") {
            Got::Control(reply) => Ok(reply),
            Got::Errno(errno) => Err(Error::new(errno)),
            other => panic!("{other:?}"),
        };
        (file, end)
    }

    /// Accepts all that wait: how many there were.
    fn accept_all(&mut self, listener: FileId, client: u64) -> usize {
        (0..).take_while(|_| self.bench.open_at(listener, ACCEPT, O_RDWR, client).is_ok()).count()
    }
}

#[test]
fn who_shares_an_address_gets_every_other_connection() {
    let mut desk = Desk::new();
    let listeners: Vec<FileId> = (1..=3).map(|client| desk.listener(client, ADDRESS, 64)).collect();
    let mut had = [0; 3];
    // Accepted at once and ended, so that the stack's sockets are used again in any order.
    for _ in 0..150 {
        let (file, end) = desk.connect(9);
        assert_eq!(end, Ok(ControlReply::Done));
        for (at, client) in (1..=3).enumerate() {
            while let Ok(accepted) = desk.bench.open_at(listeners[at], ACCEPT, O_RDWR, client) {
                had[at] += 1;
                desk.bench.close(accepted);
            }
        }
        desk.bench.close(file);
    }
    assert_eq!(had, [50, 50, 50]);
}

#[test]
fn who_has_no_room_is_passed_over_until_it_has() {
    let mut desk = Desk::new();
    let (small, large) = (desk.listener(1, ADDRESS, 1), desk.listener(2, ADDRESS, 64));
    for _ in 0..10 {
        assert_eq!(desk.connect(9).1, Ok(ControlReply::Done));
    }
    let few = desk.accept_all(small, 1);
    assert!((1..=2).contains(&few), "{few}");
    assert_eq!(desk.accept_all(large, 2), 10 - few);
    for _ in 0..2 {
        assert_eq!(desk.connect(9).1, Ok(ControlReply::Done));
    }
    assert_eq!((desk.accept_all(small, 1), desk.accept_all(large, 2)), (1, 1), "it has its turn again");
    // One goes, and what comes is the other's; the last goes, and nobody listens.
    desk.bench.close(small);
    assert_eq!(desk.connect(9).1, Ok(ControlReply::Done));
    assert_eq!(desk.accept_all(large, 2), 1);
    desk.bench.close(large);
    assert_eq!(desk.connect(9).1, Err(Error::new(ECONNREFUSED)));
}

#[test]
fn when_none_has_room_first_segments_are_dropped() {
    let mut desk = Desk::new();
    let listeners = [desk.listener(1, ADDRESS, 1), desk.listener(2, ADDRESS, 1)];
    let ends: Vec<_> = (0..8).map(|_| desk.connect(9).1).collect();
    let made = ends.iter().filter(|end| end.is_ok()).count();
    assert!((2..8).contains(&made), "{made}");
    assert!(
        ends.iter().all(|end| end.is_ok() || *end == Err(Error::new(EAGAIN))),
        "none is refused: {ends:?}"
    );
    // Their senders try again, and there is room by then.
    let mut had = 0;
    for _ in 0..40 {
        had += listeners.iter().zip(1..).map(|(&it, client)| desk.accept_all(it, client)).sum::<usize>();
        desk.pass(1_000_000_000);
    }
    assert_eq!(had, 8);
}

#[test]
fn all_have_to_ask_for_it_and_before_they_have_the_address() {
    let mut desk = Desk::new();
    let first = desk.listener(1, ADDRESS, 4);
    assert_eq!(desk.bench.control(first, Control::Get(Setting::ReusePort)), Ok(ControlReply::Number(1)));
    assert_eq!(desk.set(first, 0), Err(Error::new(EINVAL)), "it has the address");
    let alone = desk.bench.open(INET_STREAM_SOCKET, O_RDWR, 1).unwrap();
    assert_eq!(desk.bind(alone, ADDRESS), Err(Error::new(EADDRINUSE)));
    assert_eq!(desk.set(alone, 1), Ok(ControlReply::Done));
    assert_eq!(desk.bind(alone, ADDRESS), Ok(ControlReply::Done));
    let datagrams = desk.bench.open(INET_DATAGRAM_SOCKET, O_RDWR, 1).unwrap();
    assert_eq!(desk.set(datagrams, 1), Err(Error::new(EINVAL)));
    // Who has an address alone has it alone.
    let other = desk.bench.open(INET_STREAM_SOCKET, O_RDWR, 1).unwrap();
    assert_eq!(desk.bind(other, "127.0.0.1:81"), Ok(ControlReply::Done));
    let third = desk.sharing(1);
    assert_eq!(desk.bind(third, "127.0.0.1:81"), Err(Error::new(EADDRINUSE)));
}

//! What is done for one socket costs the same however many others there are, and what is to happen by itself happens to sockets
//! that nobody touches.

use abi::error::{EADDRINUSE, EAGAIN, EINPROGRESS, Error};
use net::port::Card;
use net::socket::Kind;
use net::sockets::{Id, MOST_OF_CLIENT, Sockets};
use net::stack::Stack;
use std::net::{Ipv4Addr, SocketAddrV4};
use virtio::Fault;

const SECOND: u64 = 1_000_000_000;

/// A card that goes nowhere.
struct Nowhere;

impl Card for Nowhere {
    fn mac(&self) -> [u8; 6] {
        [2, 0, 0, 0, 0, 1]
    }
    fn start(&mut self) {}
    fn interrupted(&mut self) {}
    fn receive(&mut self) -> Option<Vec<u8>> {
        None
    }
    fn has_room(&self) -> bool {
        true
    }
    fn send(&mut self, _: &[u8]) {}
    fn flush(&mut self) {}
    fn fault(&self) -> Option<Fault> {
        None
    }
}

struct Desk {
    sockets: Sockets<Nowhere>,
    now: u64,
}

fn at(port: u16) -> SocketAddrV4 {
    SocketAddrV4::new(Ipv4Addr::LOCALHOST, port)
}

impl Desk {
    fn new() -> Desk {
        Desk { sockets: Sockets::new(Stack::new(Nowhere, 1, 0)), now: 0 }
    }

    /// Does something, and lets the stack go on with it.
    fn act<R>(&mut self, act: impl FnOnce(&mut Sockets<Nowhere>) -> R) -> R {
        self.sockets.stack_mut().set_time(self.now);
        let result = act(&mut self.sockets);
        self.sockets.notice();
        self.sockets.run();
        self.sockets.take_changes();
        result
    }

    /// So many ns pass.
    fn pass(&mut self, ns: u64) {
        let end = self.now + ns;
        while self.sockets.deadline() <= end {
            self.now = self.now.max(self.sockets.deadline());
            self.act(|_| ());
        }
        self.now = end;
    }

    fn listener(&mut self, client: u64, port: u16) -> Id {
        let listener = self.sockets.create(Kind::Stream, client);
        self.act(|sockets| sockets.bind(listener, at(port))).expect("an address");
        self.act(|sockets| sockets.listen(listener, 64)).expect("a listener");
        listener
    }

    /// A connection to a listener of a port: both ends.
    fn pair(&mut self, client: u64, listener: Id, port: u16) -> (Id, Id) {
        let asker = self.sockets.create(Kind::Stream, client);
        (asker, self.join(asker, listener, port))
    }

    fn join(&mut self, asker: Id, listener: Id, port: u16) -> Id {
        let begun = self.act(|sockets| sockets.connect(asker, Some(at(port))));
        assert_eq!(begun, Err(Error::new(EINPROGRESS)));
        let server = self.act(|sockets| sockets.accept(listener)).expect("a connection");
        assert_eq!(self.act(|sockets| sockets.connected(asker)), Ok(()));
        server
    }

    fn pass_on(&mut self, from: Id, to: Id, bytes: &[u8]) {
        assert_eq!(self.act(|sockets| sockets.send(from, bytes, None)), Ok(bytes.len()));
        let mut buffer = vec![0; bytes.len() + 1];
        let (received, _) =
            self.act(|sockets| sockets.receive(to, &mut buffer, false, false)).expect("what was sent");
        assert_eq!(&buffer[..received.count], bytes);
    }

    fn close(&mut self, id: Id) {
        self.act(|sockets| sockets.close(id));
    }

    /// A request as a web server has it, and how often sockets were looked at for it.
    fn request(&mut self, listener: Id, port: u16) -> [u64; 2] {
        let before = self.sockets.looks();
        let (asker, server) = self.pair(9, listener, port);
        self.pass_on(asker, server, b"question");
        self.pass_on(server, asker, b"answer");
        self.close(server);
        self.close(asker);
        let after = self.sockets.looks();
        [after[0] - before[0], after[1] - before[1]]
    }

    fn turned(&self) -> u64 {
        self.sockets.stack().port().counters().turned
    }
}

#[test]
fn a_request_costs_the_same_however_many_sockets_there_are() {
    let mut alone = Desk::new();
    let listener = alone.listener(1, 80);
    let cost = alone.request(listener, 80);
    assert_eq!(alone.request(listener, 80), cost, "the second costs what the first did");
    let mut desk = Desk::new();
    let listener = desk.listener(1, 80);
    let mut idle = vec![];
    for client in 0..3 {
        let others = desk.listener(100 + client, 1000 + client as u16);
        for _ in 0..50 {
            idle.push(desk.pair(200 + client, others, 1000 + client as u16));
        }
    }
    for _ in 0..60 {
        desk.request(listener, 80);
    }
    let (_, connections, lingering) = desk.sockets.load();
    assert!(connections >= 300 && lingering >= 30, "{connections} {lingering}");
    let mut least = desk.request(listener, 80);
    // The oldest ended connection may be let go of meanwhile.
    least = least.min(desk.request(listener, 80));
    assert_eq!(least, cost);
    assert!(cost.iter().sum::<u64>() < 150, "{cost:?}");
    // All of them are still there.
    for (asker, server) in idle {
        desk.pass_on(asker, server, b"still here");
        desk.pass_on(server, asker, b"so am I");
    }
}

#[test]
fn what_nobody_touches_comes_to_its_end_by_itself() {
    let mut desk = Desk::new();
    let listener = desk.listener(1, 80);
    let (asker, server) = desk.pair(2, listener, 80);
    // What was read is acknowledged though nothing is answered.
    desk.pass(SECOND);
    let before = desk.turned();
    desk.pass_on(asker, server, b"question");
    assert_eq!(desk.turned(), before + 1);
    desk.pass(SECOND);
    assert_eq!(desk.turned(), before + 2);
    // Who wants to know whether the other side is there asks each minute.
    desk.act(|sockets| sockets.set_behaviour(asker, None, Some(true))).expect("an option");
    desk.pass(SECOND);
    let before = desk.turned();
    desk.pass(150 * SECOND);
    assert_eq!(desk.turned(), before + 4, "two questions, two answers");
    // Who closed first remembers the connection for a while, and no longer.
    desk.close(server);
    desk.close(asker);
    assert_eq!(desk.sockets.load(), (1, 2, 1));
    desk.pass(9 * SECOND);
    assert_eq!(desk.sockets.load(), (1, 2, 1));
    desk.pass(2 * SECOND);
    assert_eq!(desk.sockets.load(), (1, 1, 0));
}

/// An ended connection whose owner has not closed it keeps what it has received, and not its addresses.
#[test]
fn an_ended_connection_that_somebody_has_gives_its_addresses_up() {
    let mut desk = Desk::new();
    let listener = desk.listener(1, 80);
    let asker = desk.sockets.create(Kind::Stream, 2);
    desk.act(|sockets| sockets.bind(asker, at(4000))).expect("an address");
    let server = desk.join(asker, listener, 80);
    desk.act(|sockets| sockets.send(asker, b"unread", None)).expect("room");
    let next = desk.sockets.create(Kind::Stream, 3);
    desk.act(|sockets| sockets.shutdown(server, false, true)).expect("an end");
    desk.close(asker);
    desk.act(|sockets| sockets.bind(next, at(4000))).expect("an address");
    let other = desk.join(next, listener, 80);
    desk.pass_on(next, other, b"question");
    let mut buffer = [0; 16];
    let (received, _) =
        desk.act(|sockets| sockets.receive(server, &mut buffer, false, false)).expect("bytes");
    assert_eq!(&buffer[..received.count], b"unread");
    desk.pass_on(other, next, b"answer");
    // What is open keeps them.
    let third = desk.sockets.create(Kind::Stream, 4);
    assert_eq!(desk.act(|sockets| sockets.bind(third, at(4000))), Err(Error::new(EADDRINUSE)));
}

#[test]
fn a_listener_whose_client_has_too_much_takes_connections_when_that_ends() {
    let mut desk = Desk::new();
    let listener = desk.listener(1, 80);
    let mut pairs = vec![];
    for at in 0..MOST_OF_CLIENT as u64 {
        pairs.push(desk.pair(100 + at, listener, 80));
    }
    let starved = desk.listener(1, 81);
    let asker = desk.sockets.create(Kind::Stream, 2);
    let begun = desk.act(|sockets| sockets.connect(asker, Some(at(81))));
    assert_eq!(begun, Err(Error::new(EINPROGRESS)));
    desk.pass(10 * SECOND);
    assert_eq!(desk.act(|sockets| sockets.connected(asker)), Err(Error::new(EAGAIN)));
    // One makes room for the next of the first listener, and one for the other.
    for (asker, server) in pairs.drain(..2) {
        desk.close(asker);
        desk.close(server);
    }
    desk.pass(20 * SECOND);
    assert_eq!(desk.act(|sockets| sockets.connected(asker)), Ok(()));
    desk.act(|sockets| sockets.accept(starved)).expect("a connection");
}

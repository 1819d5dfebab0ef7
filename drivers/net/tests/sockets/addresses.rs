//! Which addresses and ports there are, and whose they are.

use crate::fake::Got;
use crate::wire::Desk;
use abi::error::{EADDRINUSE, EADDRNOTAVAIL, EDESTADDRREQ, EINVAL, ENETUNREACH, ENOTCONN, EOPNOTSUPP, Error};
use driver_sdk::{Control, ControlReply};

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

//! Datagrams.

use crate::desk::bytes;
use crate::fake::Got;
use crate::wire::Desk;
use abi::error::{EDESTADDRREQ, EMSGSIZE};
use driver_sdk::{Control, Level, MessageFlags};

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

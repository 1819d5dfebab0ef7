//! What keeps its boundaries, and what is looked at before it is taken.

use alloc::vec;

use abi::error::{EAGAIN, EMSGSIZE, ENOENT};
use guest_tests::failure::{ensure, equal, refused};
use guest_tests::looks::{next, polled, ready};
use guest_tests::suite::Test;
use guest_tests::{Outcome, a_moment};
use libkq::control::message::MessageFlags;
use libkq::process::SocketType;
use libkq::{Conditions, Descriptor, KEvent, Queue, process};
use rt::thread::Builder;

use crate::connections::{NAME, PLAIN, pair};

pub const TESTS: &[Test] = &[
    ("datagrams_keep_their_boundaries", datagrams),
    ("a_full_receiver_makes_its_sender_wait", a_full_receiver),
    ("records_are_whole", records),
    ("what_is_peeked_at_stays", peeking),
];

fn datagrams() -> Outcome {
    let (one, other) = (Descriptor::socket(SocketType::Datagram)?, Descriptor::socket(SocketType::Datagram)?);
    process().bind(one.number(), "/run/socket/one")?;
    process().bind(other.number(), NAME)?;
    let queue = Queue::new()?;
    queue.apply(&[KEvent::read(other.number()).add()])?;
    for bytes in [&b"first"[..], b"", b"second one"] {
        equal(process().send(one.number(), bytes, NAME, &[], PLAIN)?, bytes.len())?;
    }
    ensure(next(&queue)?.data > 0, "readable")?;
    let mut buffer = [0; 6];
    let message = process().receive(other.number(), &mut buffer, 0, PLAIN)?;
    equal((message.count, message.address.as_str()), (5, "/run/socket/one"))?;
    let message = process().receive(other.number(), &mut buffer, 0, PLAIN)?;
    equal((message.count, message.whole), (0, 0))?;
    let message = process().receive(other.number(), &mut buffer, 0, PLAIN)?;
    equal((message.count, message.whole, message.flags), (6, 10, MessageFlags::TRUNCATED))?;
    equal(ready(&queue)?, vec![])?;
    refused(process().receive(other.number(), &mut buffer, 0, MessageFlags::NONBLOCK), EAGAIN)?;
    refused(process().send(one.number(), b"x", "/run/socket/none", &[], PLAIN), ENOENT)?;
    refused(process().send(one.number(), &[0; 5000], NAME, &[], PLAIN), EMSGSIZE)?;
    process().unlink(NAME)?;
    Ok(process().unlink("/run/socket/one")?)
}

fn a_full_receiver() -> Outcome {
    let (one, other) = Descriptor::socket_pair(SocketType::Datagram)?;
    process().set_nonblocking(one.number(), true)?;
    let block = [7; 1000];
    let sent = (0..1000).take_while(|_| libkq::write(one.number(), &block).is_ok()).count();
    ensure(sent > 4 && sent < 100, "there is an end")?;
    equal(polled(&one, Conditions::OUT)?, Conditions::empty())?;
    process().set_nonblocking(one.number(), false)?;
    let number = one.number();
    let writes = Builder::new().spawn(move || libkq::write(number, &[8; 1000]))?;
    a_moment();
    let mut buffer = [0; 2000];
    for _ in 0..=sent {
        equal(other.read(&mut buffer)?, 1000)?;
    }
    ensure(writes.join() == Ok(Ok(1000)), "it was sent when there was room")?;
    equal(buffer[0], 8)
}

fn records() -> Outcome {
    let (one, other) = Descriptor::socket_pair(SocketType::SeqPacket)?;
    one.write_all(b"record")?;
    one.write_all(b"another")?;
    drop(one);
    let mut buffer = [0; 16];
    let message = process().receive(other.number(), &mut buffer[..3], 0, PLAIN)?;
    equal((message.count, message.whole), (3, 6))?;
    equal(other.read(&mut buffer)?, 7)?;
    equal(other.read(&mut buffer)?, 0)
}

fn peeking() -> Outcome {
    let (one, other) = pair()?;
    one.write_all(b"stays")?;
    let mut buffer = [0; 9];
    for flags in [MessageFlags::PEEK, PLAIN] {
        equal(process().receive(other.number(), &mut buffer, 0, flags)?.count, 5)?;
    }
    refused(process().receive(other.number(), &mut buffer, 0, MessageFlags::NONBLOCK), EAGAIN)
}

//! TCP and UDP on the machine: connections of the machine with itself, and with a server beside it; readiness in kevent and poll,
//! ends and errors, deaths. Runs with the manifest `net` and a network on which 10.0.2.100:7 echoes.
#![no_std]
#![no_main]
#![forbid(unsafe_code)]

extern crate alloc;

use alloc::format;
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;
use core::time::Duration;

use abi::error::{EADDRINUSE, EAGAIN, ECONNREFUSED, ECONNRESET, EINPROGRESS, ENETUNREACH, ENOTCONN, EPIPE};
use event_protocol::descriptor::label::INSPECT;
use guest_tests::bereavement::is_told;
use guest_tests::failure::{ensure, equal, refused};
use guest_tests::{Outcome, PATIENCE, Suite, a_moment, soon};
use libkq::control::message::MessageFlags;
use libkq::flag::O_NONBLOCK;
use libkq::process::SocketType;
use libkq::{Conditions, Descriptor, EventFlags, Filter, KEvent, PollFd, Queue, process};
use rt::init;
use rt::ipc;
use rt::thread::Builder;

const PATIENTLY: Option<Duration> = Some(Duration::from_nanos(PATIENCE));
const ADDRESS: &str = "127.0.0.1:4000";

rt::entry!(main);

fn main(start: &rt::Start) -> i32 {
    let mut suite = Suite::new(start);
    suite.table(&[
        ("bytes_come_back_as_they_were", bytes_come_back),
        ("r22_a_backlog_is_counted", a_backlog_is_counted),
        ("a_connection_is_made_while_others_are_waited_for", a_connection_is_made),
        ("a_refusal_is_told_once", a_refusal_is_told),
        ("r20_half_a_connection_ends", half_a_connection_ends),
        ("r18_a_reset_is_an_error_in_fflags", a_reset_is_told),
        ("datagrams_are_whole", datagrams_are_whole),
        ("ports_are_had_once", ports_are_had_once),
        ("the_card_gets_an_address_and_reaches_others", the_card_reaches_others),
        ("what_is_closed_leaves_nothing", nothing_is_left),
        ("r57_who_waits_is_told_of_the_death", who_waits_is_told),
    ]);
    suite.finish()
}

fn stream() -> Outcome<Descriptor> {
    Ok(Descriptor::inet_socket(SocketType::Stream)?)
}

fn listener(address: &str, backlog: i32) -> Outcome<Descriptor> {
    let listener = stream()?;
    process().bind(listener.number(), address)?;
    process().listen(listener.number(), backlog)?;
    Ok(listener)
}

/// The two ends of a connection: who connected, and who accepted.
fn pair() -> Outcome<(Descriptor, Descriptor)> {
    let listener = listener(ADDRESS, 1)?;
    let client = stream()?;
    process().connect(client.number(), ADDRESS)?;
    let server = listener.accept()?;
    Ok((client, server))
}

fn wait(queue: &Queue) -> Outcome<KEvent> {
    let mut events = [KEvent::default(); 1];
    let told = queue.wait(&mut events, PATIENTLY)?;
    equal(told.len(), 1)?;
    Ok(told[0])
}

fn bytes_come_back() -> Outcome {
    let listener = listener(ADDRESS, 1)?;
    let server = Builder::new().spawn(move || -> Outcome {
        let socket = listener.accept()?;
        let mut buffer = vec![0; 5000];
        loop {
            match socket.read(&mut buffer)? {
                0 => return Ok(()),
                count => socket.write_all(&buffer[..count])?,
            }
        }
    })?;
    let socket = stream()?;
    process().connect(socket.number(), ADDRESS)?;
    let number = socket.number();
    let sent: Vec<u8> = (0..200_000u32).map(|at| (at / 251) as u8).collect();
    let copy = sent.clone();
    let writer = Builder::new().spawn(move || -> Outcome {
        let mut rest = &copy[..];
        while !rest.is_empty() {
            rest = &rest[process().write(number, rest)?..];
        }
        Ok(process().shutdown(number, false, true)?)
    })?;
    let (mut got, mut buffer) = (Vec::<u8>::new(), vec![0; 3000]);
    loop {
        match socket.read(&mut buffer)? {
            0 => break,
            count => got.extend(&buffer[..count]),
        }
    }
    writer.join()??;
    server.join()??;
    ensure(got == sent, "what came back is what was sent")
}

fn a_backlog_is_counted() -> Outcome {
    let listener = listener(ADDRESS, 5)?;
    let queue = Queue::new()?;
    queue.apply(&[KEvent::read(listener.number()).add(), KEvent::write(listener.number()).add()])?;
    let clients = [stream()?, stream()?, stream()?];
    for client in &clients {
        process().connect(client.number(), ADDRESS)?;
    }
    // Who connected may know it before the last step of the handshake has come.
    let deadline = soon();
    loop {
        let event = wait(&queue)?;
        equal(event.filter, Filter::READ)?;
        if event.data == 3 {
            break;
        }
        ensure(rt::clock::now_ns() < deadline, "three connections")?;
    }
    let accepted = listener.accept()?;
    equal(process().peer_name(accepted.number())?, process().socket_name(clients[0].number())?)?;
    equal(process().socket_name(accepted.number())?, String::from(ADDRESS))?;
    equal(wait(&queue)?.data, 2)
}

fn a_connection_is_made() -> Outcome {
    let listener = listener(ADDRESS, 1)?;
    let client = stream()?;
    process().set_nonblocking(client.number(), true)?;
    refused(process().read(client.number(), &mut [0; 1]).map(drop), ENOTCONN)?;
    refused(process().connect(client.number(), ADDRESS), EINPROGRESS)?;
    let queue = Queue::new()?;
    queue.apply(&[KEvent::write(client.number()).add()])?;
    let event = wait(&queue)?;
    ensure(!event.is_eof() && event.data >= 2048, "room to send")?;
    equal(process().take_error(client.number())?, 0)?;
    let mut list = [PollFd::new(client.number(), Conditions::IN | Conditions::OUT)];
    equal(libkq::poll(&mut list, PATIENTLY, None)?, 1)?;
    equal(list[0].revents, Conditions::OUT)?;
    listener.accept().map(drop)?;
    Ok(())
}

fn a_refusal_is_told() -> Outcome {
    let client = stream()?;
    refused(process().connect(client.number(), "127.0.0.1:4001"), ECONNREFUSED)?;
    let client = stream()?;
    process().set_nonblocking(client.number(), true)?;
    let queue = Queue::new()?;
    queue.apply(&[KEvent::write(client.number()).add()])?;
    refused(process().connect(client.number(), "127.0.0.1:4001"), EINPROGRESS)?;
    let event = wait(&queue)?;
    ensure(event.is_eof(), "the end")?;
    equal(event.fflags, ECONNREFUSED as u32)?;
    equal(process().take_error(client.number())?, ECONNREFUSED)?;
    equal(process().take_error(client.number())?, 0)
}

fn half_a_connection_ends() -> Outcome {
    let (client, server) = pair()?;
    let queue = Queue::new()?;
    queue.apply(&[KEvent::read(server.number()).add().clear()])?;
    client.write_all(b"question")?;
    process().shutdown(client.number(), false, true)?;
    let deadline = soon();
    loop {
        let event = wait(&queue)?;
        equal(event.data, 8)?;
        if event.is_eof() {
            equal(event.fflags, 0)?;
            break;
        }
        ensure(rt::clock::now_ns() < deadline, "the end comes too")?;
    }
    let mut buffer = [0; 20];
    equal(server.read(&mut buffer)?, 8)?;
    equal(server.read(&mut buffer)?, 0)?;
    server.write_all(b"answer")?;
    equal(client.read(&mut buffer)?, 6)?;
    equal(&buffer[..6], b"answer")?;
    refused(process().write(client.number(), b"more"), EPIPE)?;
    drop(server);
    equal(client.read(&mut buffer)?, 0)
}

fn a_reset_is_told() -> Outcome {
    let (client, server) = pair()?;
    let queue = Queue::new()?;
    client.write_all(b"never read")?;
    queue.apply(&[KEvent::read(server.number()).add()])?;
    equal(wait(&queue)?.data, 10)?;
    queue.apply(&[KEvent::read(server.number()).delete(), KEvent::read(client.number()).add()])?;
    drop(server);
    let event = wait(&queue)?;
    ensure(event.flags.contains(EventFlags::EOF), "the end")?;
    equal(event.fflags, ECONNRESET as u32)?;
    refused(client.read(&mut [0; 10]), ECONNRESET)?;
    equal(client.read(&mut [0; 10])?, 0)?;
    refused(process().write(client.number(), b"x"), EPIPE)
}

fn datagrams_are_whole() -> Outcome {
    let (one, other) =
        (Descriptor::inet_socket(SocketType::Datagram)?, Descriptor::inet_socket(SocketType::Datagram)?);
    process().bind(one.number(), ADDRESS)?;
    let queue = Queue::new()?;
    queue.apply(&[KEvent::read(one.number()).add()])?;
    let none = MessageFlags::empty();
    for bytes in [&b"first"[..], b"the second"] {
        equal(process().send(other.number(), bytes, ADDRESS, &[], none)?, bytes.len())?;
    }
    wait(&queue)?;
    let mut buffer = [0; 20];
    let message = process().receive(one.number(), &mut buffer, 0, none)?;
    equal(&buffer[..message.count], b"first")?;
    process().send(one.number(), b"back", &message.address, &[], none)?;
    equal(process().receive(one.number(), &mut buffer[..3], 0, none)?.whole, 10)?;
    process().set_nonblocking(one.number(), true)?;
    refused(one.read(&mut buffer), EAGAIN)?;
    let message = process().receive(other.number(), &mut buffer, 0, none)?;
    equal((&buffer[..message.count], &message.address[..]), (b"back", ADDRESS))
}

fn ports_are_had_once() -> Outcome {
    let first = listener(ADDRESS, 1)?;
    refused(process().bind(stream()?.number(), ADDRESS), EADDRINUSE)?;
    let client = stream()?;
    process().connect(client.number(), ADDRESS)?;
    let accepted = first.accept()?;
    // A server that is started again gets its port, whatever its connections do.
    drop(first);
    drop(accepted);
    listener(ADDRESS, 1).map(drop)
}

fn the_card_reaches_others() -> Outcome {
    let deadline = soon();
    loop {
        let socket = stream()?;
        match process().connect(socket.number(), "10.0.2.100:7") {
            // It has no address yet.
            Err(error) if error.errno == ENETUNREACH => a_moment(),
            connected => {
                connected?;
                socket.write_all(b"is anybody there?")?;
                let mut buffer = [0; 100];
                let mut count = 0;
                while count < 17 {
                    count += socket.read(&mut buffer[count..])?;
                }
                equal(&buffer[..count], b"is anybody there?")?;
                let name = process().socket_name(socket.number())?;
                return ensure(name.starts_with("10.0.2.15:"), &format!("{name} is the card's address"));
            }
        }
        ensure(rt::clock::now_ns() < deadline, "the card has an address")?;
    }
}

/// A counter of the driver's.
fn counter(name: &str) -> Outcome<u64> {
    let service = init::connect("net")?;
    let (reply, _) = ipc::call(&service, INSPECT, [0; 4], 0, Vec::new(), soon())?;
    let mut bytes = vec![0; reply.tag.bytes()];
    ipc::read_bytes(reply.tag.bytes(), &mut bytes);
    let text = String::from_utf8_lossy(&bytes).into_owned();
    let value = text.lines().find_map(|line| line.strip_prefix(name)?.trim().parse().ok());
    value.ok_or_else(|| guest_tests::Failure::new(format!("no {name} in {text}")))
}

fn nothing_is_left() -> Outcome {
    for _ in 0..20 {
        let (client, server) = pair()?;
        server.write_all(b"bye")?;
        drop(server);
        equal(client.read(&mut [0; 10])?, 3)?;
    }
    let deadline = soon();
    // Their closing is heard of.
    while counter("sockets ")? != 0 {
        ensure(rt::clock::now_ns() < deadline, "no socket is left")?;
        a_moment();
    }
    // Those that are remembered are few, and go.
    ensure(counter("connections ")? <= 64, "few connections are left")
}

fn who_waits_is_told() -> Outcome {
    let (_client, server) = pair()?;
    is_told(server, "/dev/net/datagram", "net")?;
    // What comes afterwards works.
    let socket = stream()?;
    process().set_nonblocking(socket.number(), true)?;
    equal(process().flags(socket.number())? & O_NONBLOCK as u64, O_NONBLOCK as u64)?;
    drop(pair()?);
    Ok(())
}

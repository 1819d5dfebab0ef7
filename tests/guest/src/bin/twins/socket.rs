//! The twin of `socket.c`.

use core::time::Duration;

use libkq::control::Setting;
use libkq::control::message::MessageFlags;
use libkq::process::SocketType;
use libkq::signal::{self, Action, SIGPIPE};
use libkq::{Conditions, PollFd, Result, process};
use rt::abi::error::{EAFNOSUPPORT, EAGAIN, EFAULT, EPIPE, Error};

use crate::refused;

const ADDRESS: &str = "/run/socket/c";

pub fn run() -> Result<()> {
    stream()?;
    connection()?;
    descriptors()
}

fn stream() -> Result<()> {
    let process = process();
    let none = MessageFlags::empty();
    let mut bytes = [0; 16];
    let (one, other) = process.socketpair(SocketType::Stream, 0)?;
    rt::log!("pair 0");
    rt::log!("sent {}", process.send(one, b"hello", "", &[], none)?);
    rt::log!("peeked {}", process.receive(other, &mut bytes[..2], 0, MessageFlags::PEEK)?.count);
    rt::log!("received {}", process.receive(other, &mut bytes, 0, none)?.count);
    refused("nothing", process.receive(other, &mut bytes, 0, MessageFlags::NONBLOCK), EAGAIN);
    process.shutdown(one, false, true)?;
    rt::log!("shut 0");
    rt::log!("the end {}", process.receive(other, &mut bytes, 0, none)?.count);
    libkq::close(other)?;
    signal::sigaction(SIGPIPE.into(), Some(Action::ignore()))?;
    refused("broken", process.send(one, b"x", "", &[], none), EPIPE);
    libkq::close(one)
}

fn connection() -> Result<()> {
    let process = process();
    let listener = process.socket(SocketType::Stream, 0)?;
    let client = process.socket(SocketType::Stream, 0)?;
    let early = process.connect(client, ADDRESS).err();
    rt::log!("nobody listens -1 {}", early.map_or(0, |error| error.errno));
    process.bind(listener, ADDRESS)?;
    rt::log!("bind 0");
    process.listen(listener, 5)?;
    rt::log!("listen 0");
    process.connect(client, ADDRESS)?;
    rt::log!("connect 0");
    let mut list = [PollFd::new(listener, Conditions::IN)];
    rt::log!("poll {}", libkq::poll(&mut list, None::<Duration>, None)?);
    let server = process.accept(listener, 0)?;
    rt::log!("accept 1");
    rt::log!("type 0 {}", process.option(server, Setting::SocketType)?);
    rt::log!("peer 0 {} 1", process.peer_name(client)?);
    // What the types of Rust leave no room for.
    refused("no domain", Err::<(), _>(Error::new(EAFNOSUPPORT)), EAFNOSUPPORT);
    refused("no address", Err::<(), _>(Error::new(EFAULT)), EFAULT);
    [server, client, listener].into_iter().try_for_each(libkq::close)
}

fn descriptors() -> Result<()> {
    let process = process();
    let mut bytes = [0; 4];
    let (one, other) = process.socketpair(SocketType::Datagram, 0)?;
    let (reader, writer) = libkq::pipe(0)?;
    rt::log!("pipe 0");
    rt::log!("sent {}", process.send(one, b"x", "", &[writer], MessageFlags::empty())?);
    libkq::close(writer)?;
    let message = process.receive(other, &mut bytes[..1], 3, MessageFlags::empty())?;
    let byte = char::from(bytes[0]);
    rt::log!("received {} {byte}, descriptors {}", message.count, message.descriptors.len());
    for sent in message.descriptors {
        rt::log!("wrote {}", libkq::write(sent, b"abc")?);
        libkq::close(sent)?;
    }
    let count = libkq::read(reader, &mut bytes)?;
    rt::log!("read {count} {}", core::str::from_utf8(&bytes[..3]).unwrap_or_default());
    rt::log!("the end {}", libkq::read(reader, &mut bytes)?);
    Ok(())
}

//! Sockets as the tests have them: pairs, and a listener with its name.

use guest_tests::Outcome;
use libkq::control::message::MessageFlags;
use libkq::process::SocketType;
use libkq::{Conditions, Descriptor, process};

pub const NAME: &str = "/run/socket/test";
/// No flags of a message.
pub const PLAIN: MessageFlags = MessageFlags::empty();

pub fn pair() -> Outcome<(Descriptor, Descriptor)> {
    Ok(Descriptor::socket_pair(SocketType::Stream)?)
}

pub fn socket() -> Outcome<Descriptor> {
    Ok(Descriptor::socket(SocketType::Stream)?)
}

/// A listener at [`NAME`], whose name goes first.
pub struct Listener(pub Descriptor);

impl Listener {
    pub fn new(backlog: i32) -> Outcome<Listener> {
        let listener = Listener(socket()?);
        process().bind(listener.0.number(), NAME)?;
        process().listen(listener.0.number(), backlog)?;
        Ok(listener)
    }

    pub fn connect(&self) -> Outcome<Descriptor> {
        let client = socket()?;
        process().connect(client.number(), NAME)?;
        Ok(client)
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        // A test that unlinked it has done the same.
        let _ = process().unlink(NAME);
    }
}

pub const BOTH: Conditions = Conditions::IN.union(Conditions::OUT);

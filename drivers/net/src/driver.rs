//! TCP and UDP as an address family of the sdk.

use crate::address;
use crate::port::Card;
use crate::socket::{Kind, Role};
use crate::sockets::{Id, SEND_LOW, Sockets, Undo};
use abi::error::{EINVAL, ENOENT, EOPNOTSUPP, Error, Result};
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use core::net::SocketAddrV4;
use driver_sdk::sockets::{Change, Family, Ready};
use driver_sdk::{Incoming, MessageFlags, Outgoing, Parcel, Receiving, Setting};
use event_protocol::descriptor::names::{INET_DATAGRAM_SOCKET, INET_STREAM_SOCKET};

/// All sockets, and the open files that they are to clients.
pub type Service<C> = driver_sdk::sockets::Service<Sockets<C>>;

impl<C: Card> Family for Sockets<C> {
    type Undo = Undo;

    const SEND_LOW: u32 = SEND_LOW;

    fn set_time(&mut self, now: u64) {
        self.stack_mut().set_time(now);
    }

    fn create(&mut self, path: &str, client: u64, _: u32) -> Result<Id> {
        let kind = match path {
            INET_STREAM_SOCKET => Kind::Stream,
            INET_DATAGRAM_SOCKET => Kind::Datagram,
            _ => return Err(Error::new(ENOENT)),
        };
        Ok(Sockets::create(self, kind, client))
    }

    fn accept(&mut self, listener: Id) -> Result<Id> {
        Sockets::accept(self, listener)
    }

    fn close(&mut self, socket: Id) {
        Sockets::close(self, socket);
    }

    fn ready(&self, socket: Id) -> Result<[Ready; 2]> {
        Sockets::ready(self, socket)
    }

    /// Lets the stack go on with what was done.
    fn changes(&mut self) -> Vec<Change> {
        // What is gone is told before what comes instead: what comes is news then.
        self.notice();
        self.run();
        self.take_changes()
    }

    fn send(&mut self, socket: Id, message: &mut Outgoing<'_>) -> Result<usize> {
        // Neither handles nor urgent bytes go over a network.
        if message.flags.contains(MessageFlags::OOB) || !message.parcels.is_empty() {
            return Err(Error::new(EOPNOTSUPP));
        }
        Sockets::send(self, socket, message.bytes, optional(message.address)?)
    }

    fn receive(&mut self, socket: Id, buffer: &mut [u8], receiving: Receiving) -> Result<(Incoming, Undo)> {
        let has = |flag| receiving.flags.contains(flag);
        if has(MessageFlags::OOB) {
            return Err(Error::new(EINVAL));
        }
        let (all, peek) = (has(MessageFlags::WAIT_ALL), has(MessageFlags::PEEK));
        let (received, undo) = Sockets::receive(self, socket, buffer, all, peek)?;
        let mut flags = MessageFlags::empty();
        flags.set(MessageFlags::TRUNCATED, received.whole > received.count);
        let message = Incoming {
            count: received.count,
            whole: received.whole,
            flags,
            address: address::text(received.from),
            ..Incoming::default()
        };
        Ok((message, undo))
    }

    fn put_back(&mut self, socket: Id, undo: Undo, bytes: &[u8], _: Vec<Parcel>) {
        Sockets::put_back(self, socket, undo, bytes);
    }

    fn put_back_error(&mut self, socket: Id, errno: i32) {
        Sockets::put_back_error(self, socket, errno);
    }

    fn bind(&mut self, socket: Id, address: &str) -> Result<()> {
        Sockets::bind(self, socket, address::parse(address)?)
    }

    fn listen(&mut self, socket: Id, backlog: i32) -> Result<()> {
        Sockets::listen(self, socket, backlog)
    }

    fn connect(&mut self, socket: Id, address: &str) -> Result<()> {
        Sockets::connect(self, socket, optional(address)?)
    }

    fn connected(&mut self, socket: Id) -> Result<()> {
        Sockets::connected(self, socket)
    }

    fn shutdown(&mut self, socket: Id, read: bool, write: bool) -> Result<()> {
        Sockets::shutdown(self, socket, read, write)
    }

    fn name(&self, socket: Id) -> Result<String> {
        Sockets::name(self, socket).map(|address| address::text(Some(address)))
    }

    fn peer(&self, socket: Id) -> Result<String> {
        Sockets::peer(self, socket).map(Some).map(address::text)
    }

    fn option(&self, socket: Id, setting: Setting) -> Result<i64> {
        let socket = self.get(socket)?;
        let options = &socket.options;
        Ok(match setting {
            Setting::SendBuffer => options.send_buffer as i64,
            Setting::ReceiveBuffer => options.receive_buffer as i64,
            Setting::ReceiveLowWater => options.low_water.receive.into(),
            Setting::SendLowWater => options.low_water.send.into(),
            Setting::SocketType => match socket.kind {
                Kind::Stream => 1,
                Kind::Datagram => 2,
            },
            Setting::Listening => matches!(socket.role, Role::Listening { .. }).into(),
            Setting::KeepAlive => options.keep_alive.into(),
            Setting::NoDelay => options.no_delay.into(),
            // Connections that have ended never keep an address.
            Setting::ReuseAddress => 1,
            Setting::ReusePort => options.reuse_port.into(),
            Setting::UrgentInline => 0,
        })
    }

    fn set_option(&mut self, socket: Id, setting: Setting, value: i64) -> Result<()> {
        match setting {
            Setting::SendBuffer => self.set_send_buffer(socket, value),
            Setting::ReceiveBuffer => self.set_receive_buffer(socket, value),
            Setting::ReceiveLowWater => self.set_low_water(socket, Some(value), None),
            Setting::SendLowWater => self.set_low_water(socket, None, Some(value)),
            Setting::KeepAlive => self.set_behaviour(socket, None, Some(value != 0)),
            Setting::NoDelay => self.set_behaviour(socket, Some(value != 0), None),
            Setting::ReuseAddress => Ok(()),
            Setting::ReusePort => self.set_reuse_port(socket, value != 0),
            Setting::UrgentInline => Err(Error::new(EOPNOTSUPP)),
            Setting::SocketType | Setting::Listening => Err(Error::new(EINVAL)),
        }
    }

    fn error(&self, socket: Id) -> Result<i32> {
        Ok(self.get(socket)?.error)
    }

    fn take_error(&mut self, socket: Id) -> Result<i32> {
        Sockets::take_error(self, socket)
    }

    fn available(&self, socket: Id) -> Result<usize> {
        Sockets::available(self, socket)
    }

    fn start(&mut self) {
        self.stack_mut().port_mut().card.start();
    }

    fn interrupt(&mut self) {
        self.interrupts += 1;
        self.stack_mut().port_mut().card.interrupted();
    }

    fn has_more(&self) -> bool {
        Sockets::has_more(self)
    }

    fn deadline(&self) -> u64 {
        Sockets::deadline(self)
    }

    fn lost(&self) -> Option<Error> {
        self.stack().port().card.fault().map(Error::from)
    }

    fn report(&self, out: &mut dyn fmt::Write) -> fmt::Result {
        let (sockets, connections, lingering) = self.load();
        let port = self.stack().port();
        let counters = port.counters();
        let [noticed, polled] = self.looks();
        for (name, value) in [
            ("interrupts", self.interrupts),
            ("received", counters.received),
            ("sent", counters.sent),
            ("turned", counters.turned),
            ("dropped", counters.dropped),
            ("noticed", noticed),
            ("polled", polled),
            ("sockets", sockets as u64),
            ("connections", connections as u64),
            ("lingering", lingering as u64),
        ] {
            writeln!(out, "{name} {value}")?;
        }
        if let Some(address) = self.stack().address() {
            writeln!(out, "address {address}")?;
        }
        match port.card.fault() {
            Some(fault) => writeln!(out, "fault {fault}"),
            None => Ok(()),
        }
    }
}

fn optional(text: &str) -> Result<Option<SocketAddrV4>> {
    if text.is_empty() { Ok(None) } else { address::parse(text).map(Some) }
}

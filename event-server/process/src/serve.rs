//! The loop of a shard.
//!
//! ```text
//! driver: signal doorbell ─► recv: bits ─► core: drain, look, activate, choose ─► signal waiter and recv, one entry
//! ```
//! Nothing on that way allocates, logs or decodes.

use abi::error::{ETIMEDOUT, Error, Result};
use abi::message::{LABEL_CLOSED, LABEL_NOTIFICATION, Message};
use abi::{Handle, Tag};
use alloc::sync::Arc;
use event_core::shard::Shard;
use event_protocol::badge::Badge;
use event_protocol::control::label;
use event_protocol::trace::Event;
use rt::ipc::set_accept;
use rt::sys::{Endpoint, Notification, Object, Received, raw, signal};

use crate::memory::Pages;
use crate::setup::Setup;
use crate::trace::Ring;
use crate::world::{CHOSEN, World};

/// A shard and its thread's ends of things.
#[derive(Debug)]
pub struct ShardThread {
    /// Its number.
    pub number: u32,
    /// What it knows.
    pub shard: Shard<Pages>,
    /// What it does.
    pub world: World,
    /// What it shares.
    pub setup: Arc<Setup>,
    endpoint: Endpoint,
    doorbell: Notification,
    /// Drivers that had more to tell than is taken at once.
    unfinished: u64,
}

/// How the next receive begins.
#[derive(Clone, Copy, Debug)]
enum Next {
    Receive,
    Wake(Handle),
    Answer(u64, Message),
}

impl ShardThread {
    /// A shard that is not running yet.
    pub fn new(
        number: u32,
        endpoint: Endpoint,
        doorbell: Notification,
        setup: Arc<Setup>,
        trace: Ring,
    ) -> ShardThread {
        let (shard, world) = (Shard::new(number), World::new(trace));
        ShardThread { number, shard, world, setup, endpoint, doorbell, unfinished: 0 }
    }

    /// Serves until that is impossible.
    pub fn run(mut self) -> Error {
        if let Err(error) = self.doorbell.bind(None) {
            return error;
        }
        // No request brings more; set once, since a shard calls nobody.
        set_accept(2);
        let error = self.serve();
        self.world.trace.print();
        error
    }

    fn serve(&mut self) -> Error {
        let mut next = Next::Receive;
        loop {
            let bits = match self.receive(next) {
                Ok(received) if received.tag.label() == LABEL_NOTIFICATION => received.words[0],
                Ok(received) => {
                    next = self.hear(&received);
                    continue;
                }
                // There is unfinished work, and nobody else to hear first; or a waiter did not come back in time.
                Err(error) if error.errno == ETIMEDOUT => {
                    self.shard.expired(&mut self.world);
                    0
                }
                Err(error) => match self.recover(next, error) {
                    Ok(()) => {
                        next = Next::Receive;
                        continue;
                    }
                    Err(error) => return error,
                },
            };
            next = match self.ring(bits) {
                Some(waiter) => Next::Wake(waiter),
                None => Next::Receive,
            };
        }
    }

    #[inline]
    fn receive(&mut self, next: Next) -> Result<Received> {
        let deadline = if self.unfinished == 0 { self.shard.deadline() } else { 0 };
        match next {
            Next::Receive => self.endpoint.recv(deadline),
            Next::Wake(waiter) => raw::signal_and_wait(waiter, CHOSEN, self.endpoint.handle(), deadline),
            Next::Answer(token, message) => self.endpoint.reply_recv(token, message, deadline),
        }
    }

    /// The event path; whom to wake with the next receive. Apart from the loop, which needs registers of its own.
    #[inline(never)]
    fn ring(&mut self, bits: u64) -> Option<Handle> {
        self.world.trace.doorbell(bits);
        self.unfinished = self.shard.doorbell(bits | self.unfinished, &mut self.world);
        self.world.take_wake()
    }

    /// A receive that began with something else failed with it: the waiter is gone, or the answer does not fit the
    /// caller, who is told why. A plain receive has no such excuse.
    #[cold]
    fn recover(&mut self, next: Next, error: Error) -> Result<()> {
        match next {
            Next::Receive => Err(error),
            Next::Wake(_) => Ok(()),
            Next::Answer(token, _) => {
                let _ = Endpoint::reply(token, refusal(error));
                Ok(())
            }
        }
    }

    #[inline(never)]
    fn hear(&mut self, received: &Received) -> Next {
        if received.tag.label() == LABEL_CLOSED {
            self.world.trace.add(Event::Closed, 0, received.badge);
            self.closed(received.badge);
        } else {
            self.world.trace.add(Event::Request, received.tag.label(), received.badge);
            self.shard.count_request();
            let answer = self.request(received);
            if let Some(message) = answer {
                if let Some(waiter) = self.world.take_wake() {
                    let _ = signal(waiter, CHOSEN);
                }
                return Next::Answer(received.token, message);
            }
        }
        match self.world.take_wake() {
            Some(waiter) => Next::Wake(waiter),
            None => Next::Receive,
        }
    }

    /// Nobody has a handle with this badge any more.
    fn closed(&mut self, badge: u64) {
        match Badge::decode(badge) {
            Badge::Client(client) => {
                self.setup.end_client(client);
                self.shard.client_closed(client, &mut self.world);
            }
            Badge::Driver(driver) => self.shard.driver_closed(driver, &mut self.world),
            Badge::Source(source) => self.shard.watch_closed(source, &mut self.world),
            Badge::Lobby(caller) => self.setup.process_ended(caller),
            Badge::Lineage(lineage) => self.shard.lineage_closed(lineage, &mut self.world),
            Badge::Ticket(_) => {}
        }
    }
}

/// The answer that says why not.
pub fn refusal(error: Error) -> Message {
    Message { tag: Tag::words(label::REPLY), words: [error.errno as u64, 0, 0, 0] }
}

//! A load generator: so many requests over so many connections at once, all in one thread and one kqueue.

mod client;
mod reply;
mod tally;

use alloc::collections::BTreeMap;
use alloc::string::String;
use core::time::Duration;

use libkq::{Error, KEvent, Queue, Result};
use rt::abi::error::ETIMEDOUT;
use rt::clock;

use client::{Client, Step};
pub use reply::{Reply, sum};
pub use tally::Tally;

/// Without an event for so long the load is over, and what was not answered has failed.
const PATIENCE: Duration = Duration::from_secs(120);
const ROOM: usize = 32;

/// What to ask for, and how often.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Load {
    /// `127.0.0.1:80`, or the path of a local socket.
    pub address: String,
    /// The file.
    pub path: String,
    /// Connections at once.
    pub connections: usize,
    /// Requests in all.
    pub requests: u64,
    /// Whether a connection is used again.
    pub keep_alive: bool,
}

impl Default for Load {
    fn default() -> Load {
        Load {
            address: "127.0.0.1:80".into(),
            path: "/".into(),
            connections: 8,
            requests: 1000,
            keep_alive: false,
        }
    }
}

impl Load {
    /// Does it, and tells how it went. An error: it could not be done; a request that fails is counted.
    pub fn run(&self) -> Result<Tally> {
        let queue = Queue::new()?;
        let mut clients = BTreeMap::new();
        let mut tally = Tally::new(self.requests);
        let mut begun = 0;
        let request = client::request(self);
        while begun < self.requests.min(self.connections as u64) {
            begun += 1;
            self.begin(&queue, &request, &mut clients, &mut tally, &mut begun)?;
        }
        let mut events = [KEvent::default(); ROOM];
        while !clients.is_empty() {
            let told = queue.wait(&mut events, Some(PATIENCE))?;
            if told.is_empty() {
                return Err(Error::new(ETIMEDOUT));
            }
            for event in told {
                let fd = event.ident as i32;
                let Some(mut client) = clients.remove(&fd) else { continue };
                loop {
                    match client.advance(&queue) {
                        Ok(Step::Wait) => {
                            clients.insert(fd, client);
                            break;
                        }
                        Ok(Step::Answered(reply, stays)) => {
                            tally.answered(&reply, clock::now_ns() - client.since);
                            if begun == self.requests {
                                break;
                            }
                            begun += 1;
                            if self.keep_alive && stays {
                                client.ask_again();
                                continue;
                            }
                            drop(client);
                            self.begin(&queue, &request, &mut clients, &mut tally, &mut begun)?;
                            break;
                        }
                        Err(error) => {
                            tally.failed(error);
                            drop(client);
                            if begun < self.requests {
                                begun += 1;
                                self.begin(&queue, &request, &mut clients, &mut tally, &mut begun)?;
                            }
                            break;
                        }
                    }
                }
            }
        }
        tally.finish();
        Ok(tally)
    }

    /// Begins a request on a connection of its own; if there is none, further ones, as each has failed.
    fn begin<'a>(
        &self,
        queue: &Queue,
        request: &'a [u8],
        clients: &mut BTreeMap<i32, Client<'a>>,
        tally: &mut Tally,
        begun: &mut u64,
    ) -> Result<()> {
        loop {
            match Client::connect(&self.address, request, queue) {
                Ok(client) => {
                    clients.insert(client.number(), client);
                    return Ok(());
                }
                Err(error) => tally.failed(error),
            }
            if *begun == self.requests {
                return Ok(());
            }
            *begun += 1;
        }
    }
}

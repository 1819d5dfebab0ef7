//! Requests of clients.

use abi::Handle;
use abi::error::{EACCES, EINVAL, Error, Result};
use abi::handle::Kind;
use alloc::vec;
use event_protocol::activation::BankLayout;
use event_protocol::badge::{Badge, ClientId, SourceId};
use event_protocol::control::client::{Reply, Request};
use rt::ipc::{Arrivals, Transfer, decode};
use rt::sys::{Memory, Notification, Object, close};

use crate::memory::Pages;
use crate::request::{Answer, rights};
use crate::serve::ShardThread;

impl ShardThread {
    /// Serves a request on a session handle.
    pub fn client(&mut self, client: ClientId, bytes: usize, mut arrivals: Arrivals) -> Result<Answer> {
        let reply = match decode(bytes)? {
            Request::RegisterWaiter { number } => {
                let notification: Notification = arrivals.object(0)?;
                if notification.info()?.kind != Kind::Notification as u32 {
                    return Err(Error::new(EINVAL));
                }
                self.set_waiter(client, number, notification.handle())?;
                // The directory owns it now.
                notification.into_handle();
                Reply::Done
            }
            Request::ReleaseWaiter { number } => {
                self.set_waiter(client, number, Handle::NONE)?;
                Reply::Done
            }
            Request::CreateQueue { queue, slots } => {
                let memory = self.bank(slots, arrivals.object(0)?)?;
                self.setup.directory.lock().create_queue(client, queue, slots, memory)?;
                Reply::Done
            }
            Request::GrowQueue { queue, slots } => {
                let memory = self.bank(slots, arrivals.object(0)?)?;
                let bank = self.setup.directory.lock().grow_queue(client, queue, slots, memory)?;
                Reply::Bank { bank }
            }
            Request::CloseQueue { queue } => {
                self.setup.directory.lock().close_queue(client, queue)?;
                self.shard.close_queue(client, queue)?;
                Reply::Done
            }
            Request::Release { source } => {
                self.shard.release(client, source)?;
                Reply::Done
            }
            Request::Change { queue, failures_allowed, changes } => {
                let memory = self.setup.directory.lock().queue(client, queue)?;
                let world = &mut self.world;
                let (processed, failures) =
                    self.shard.change(client, queue, &memory, failures_allowed, &changes, world)?;
                Reply::Changed { processed, failures }
            }
            Request::Stats => Reply::Stats(self.shard.stats()),
        };
        Answer::document(&reply)
    }

    fn set_waiter(&self, client: ClientId, number: u32, notification: Handle) -> Result<()> {
        let old = self.setup.directory.lock().set_waiter(client, number, notification)?;
        if !old.is_none() {
            close(old)?;
        }
        Ok(())
    }

    fn bank(&self, slots: u32, memory: Memory) -> Result<Pages> {
        let shards = self.setup.gates.len() as u32;
        let layout = BankLayout::new(slots, shards).ok_or(Error::new(EINVAL))?;
        Pages::map(&memory, layout.size())
    }

    /// Serves a request on a watch handle, from the client whose session handle came with it.
    pub fn adopt(&mut self, source: SourceId, mut arrivals: Arrivals) -> Result<Answer> {
        let Badge::Client(client) = Badge::decode(arrivals.badge(0)?) else {
            return Err(Error::new(EACCES));
        };
        let session = self.setup.directory.lock().session(client)?;
        let new = self.shard.enter(session)?;
        let answer = self.adopted(client, source, new);
        if new && answer.is_err() {
            // Without a handle of this shard nothing would tell of the client's end.
            self.shard.leave(client);
        }
        answer
    }

    fn adopted(&mut self, client: ClientId, source: SourceId, new: bool) -> Result<Answer> {
        let (adopted, page) = self.shard.adopt(client, source)?;
        let mut handles = vec![Transfer::Copy(page, rights::LOOK)];
        if new {
            handles.push(Transfer::moved(self.setup.handle(self.number, client.0)?));
        }
        Ok(Answer::document(&adopted)?.with(handles))
    }
}

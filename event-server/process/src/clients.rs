//! Requests of clients.

use abi::error::{EINVAL, Error, Result};
use abi::handle::Kind;
use abi::{Handle, Rights};
use alloc::vec;
use event_protocol::activation::BankLayout;
use event_protocol::badge::{Badge, ClientId};
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
                self.shard.close_queue(client, queue, &mut self.world)?;
                Reply::Done
            }
            Request::Meet { shard } => return self.meet(client, shard),
            Request::Adopt => return self.adopt(client, arrivals.badge(0)?),
            Request::Release { source } => {
                self.shard.release(client, source, &mut self.world)?;
                Reply::Done
            }
            Request::Change { queue, failures_allowed, changes } => {
                let memory = self.setup.directory.lock().queue(client, queue)?;
                let world = &mut self.world;
                let (processed, failures) =
                    self.shard.change(client, queue, &memory, failures_allowed, &changes, world)?;
                Reply::Changed { processed, failures }
            }
            Request::HandBack { queue } => {
                self.shard.hand_back(client, queue, &mut self.world)?;
                Reply::Done
            }
            Request::Stats => Reply::Stats(self.shard.stats()),
            Request::Reopen { source } => {
                let descriptor = self.shard.reopen(client, source)?;
                let descriptor = Transfer::Copy(descriptor, Rights::all());
                return Ok(Answer::document(&Reply::Done)?.with(vec![descriptor]));
            }
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

    /// A session handle of another shard. That shard gets to know the client when it hears of it through this handle, whose
    /// closing it then hears too.
    fn meet(&self, client: ClientId, shard: u32) -> Result<Answer> {
        let setup = &self.setup;
        let handle = setup.directory.lock().introduce(client, shard, || setup.handle(shard, client.0))?;
        Ok(Answer::document(&Reply::Done)?.with(vec![Transfer::moved(handle)]))
    }

    /// A watch handle that a client shows, as the badge that nobody can have forged.
    fn adopt(&mut self, client: ClientId, shown: u64) -> Result<Answer> {
        let session = self.setup.directory.lock().session(client)?;
        self.shard.enter(session)?;
        let (adopted, page) = self.shard.adopt(client, Badge::decode(shown), &mut self.world)?;
        Ok(Answer::document(&Reply::Adopted(adopted))?.with(vec![Transfer::Copy(page, rights::LOOK)]))
    }
}

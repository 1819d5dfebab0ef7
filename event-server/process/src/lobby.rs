//! Requests of processes that have no session.

use abi::Rights;
use abi::error::{EAGAIN, EINVAL, EPROTONOSUPPORT, Error, Result};
use alloc::vec;
use event_core::shard::Name;
use event_protocol::badge::Badge;
use event_protocol::changed::memory_size;
use event_protocol::control::VERSION;
use event_protocol::control::lobby::{Reply, Request};
use event_protocol::park::SESSION_SIZE;
use init_protocol::caller::Caller;
use rt::ipc::{Arrivals, Arrived, Transfer, decode};
use rt::sys::{Memory, Object};

use crate::memory::Pages;
use crate::request::{Answer, rights};
use crate::serve::ShardThread;

impl ShardThread {
    /// Serves a request on the handle of a lobby.
    pub fn lobby(&mut self, caller: Caller, bytes: usize, mut arrivals: Arrivals) -> Result<Answer> {
        match decode(bytes)? {
            Request::Shard { shard } => {
                let lobby = self.setup.lobby(caller, shard)?;
                let shards = self.setup.gates.len() as u32;
                Ok(Answer::document(&Reply::Shard { shards })?
                    .with(vec![Transfer::Copy(lobby, rights::CALL)]))
            }
            Request::OpenSession => self.open_session(caller, arrivals.object(0)?),
            Request::Attach { version, .. } if version != VERSION => Err(Error::new(EPROTONOSUPPORT)),
            Request::Attach { name, filters, cells, .. } => {
                let size = memory_size(cells).ok_or(Error::new(EINVAL))?;
                let name = Name::try_from(name.as_str()).map_err(|_| Error::new(EINVAL))?;
                let memory: Memory = arrivals.object(0)?;
                let account = self.setup.directory.lock().account(caller);
                let lineage = match arrivals.take(1) {
                    None => None,
                    Some(Arrived::Badge(badge)) => match Badge::decode(badge) {
                        Badge::Lineage(lineage) => Some(lineage),
                        _ => return Err(Error::new(EINVAL)),
                    },
                    Some(Arrived::Handle(..)) => return Err(Error::new(EINVAL)),
                };
                let driver = self.shard.attach(account, name, Pages::map(&memory, size)?, filters, cells)?;
                if let Some(lineage) = lineage {
                    self.shard
                        .follow(driver, lineage)
                        .inspect_err(|_| self.shard.driver_closed(driver, &mut self.world))?;
                }
                let doorbell_bits = 1 << driver.index();
                let handles = || -> Result<_> {
                    let session = self.setup.handle(self.number, driver.0)?;
                    let doorbell = self.setup.gates[self.number as usize]
                        .doorbell
                        .with_badge(Rights::WRITE.union(Rights::TRANSFER), doorbell_bits)?;
                    Ok(vec![Transfer::moved(session), Transfer::moved(doorbell)])
                };
                let handles = handles().inspect_err(|_| self.shard.driver_closed(driver, &mut self.world))?;
                let reply = Reply::Attached { driver, shard: self.number, doorbell_bits };
                Ok(Answer::document(&reply)?.with(handles))
            }
            Request::Stats => Answer::document(&Reply::Stats(self.shard.stats())),
            Request::Audit => {
                let began = rt::clock::now_ns();
                if !self.world.audits.may(began) {
                    return Err(Error::new(EAGAIN));
                }
                let audit = self.shard.audit();
                self.world.audits.done(began, rt::clock::now_ns());
                Answer::document(&Reply::Audit(audit))
            }
            Request::Home => match Badge::decode(arrivals.badge(0)?) {
                Badge::Lineage(lineage) => Answer::document(&Reply::Home { shard: lineage.shard() }),
                _ => Err(Error::new(EINVAL)),
            },
        }
    }

    fn open_session(&mut self, caller: Caller, memory: Memory) -> Result<Answer> {
        let memory = Pages::map(&memory, SESSION_SIZE)?;
        let session = self.setup.directory.lock().open(caller, memory)?;
        let client = session.id();
        let handles = || -> Result<_> {
            let setup = &self.setup;
            let handle = || setup.handle(self.number, client.0);
            let own = setup.directory.lock().introduce(client, self.number, handle)?;
            let ticket = self.setup.handle(self.number, session.ticket().0)?;
            let server = Transfer::Copy(self.setup.process, Rights::READ);
            Ok(vec![Transfer::moved(own), Transfer::moved(ticket), server])
        };
        let handles = handles().and_then(|handles| self.shard.enter(session).map(|()| handles));
        let handles = handles.inspect_err(|_| self.setup.end_client(client))?;
        let shards = self.setup.gates.len() as u32;
        let reply = Reply::Session { client, shards, shard: self.number };
        Ok(Answer::document(&reply)?.with(handles))
    }
}

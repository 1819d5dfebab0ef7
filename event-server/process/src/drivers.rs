//! Requests of drivers.

use abi::Handle;
use abi::error::{EACCES, Error, Result};
use abi::handle::Kind;
use alloc::vec;
use event_core::shard::{Created, Shared};
use event_protocol::badge::{Badge, DriverId};
use event_protocol::control::driver::{Reply, Request};
use rt::ipc::{Arrivals, Transfer, decode};
use rt::sys::{AnyHandle, Object};

use crate::request::{Answer, rights};
use crate::serve::ShardThread;

impl ShardThread {
    /// Serves a request on a driver's session handle.
    pub fn driver(&mut self, driver: DriverId, bytes: usize, mut arrivals: Arrivals) -> Result<Answer> {
        match decode(bytes)? {
            Request::CreateSource { filters, shared, low_water } => {
                let session = self.watcher(shared, &mut arrivals)?;
                let (session, world) = (session.as_deref(), &mut self.world);
                let created = self.shard.create_source(driver, filters, session, low_water, world)?;
                self.created(driver, created)
            }
            Request::CreateDurable { filters, shared, low_water, kept } => {
                let session = self.watcher(shared, &mut arrivals)?;
                let (session, world) = (session.as_deref(), &mut self.world);
                let created = self.shard.create_durable(driver, filters, session, low_water, kept, world)?;
                self.created(driver, created)
            }
            Request::DestroySource { source, errno } => {
                self.shard.destroy_source(driver, source, errno, &mut self.world)?;
                Answer::document(&Reply::Done)
            }
            Request::Bequeath => {
                let lineage = self.shard.bequeath(driver)?;
                let handle = self
                    .setup
                    .handle(self.number, lineage.0)
                    .inspect_err(|_| self.shard.lineage_closed(lineage, &mut self.world))?;
                Ok(Answer::document(&Reply::Done)?.with(vec![Transfer::moved(handle)]))
            }
            Request::Orphans { after } => {
                Answer::document(&Reply::Orphans(self.shard.orphans(driver, after)?))
            }
            Request::Claim { source } => {
                let descriptor = self.descriptor(&mut arrivals)?;
                let created = self.shard.claim(driver, source, descriptor, &mut self.world)?;
                let reply = Reply::Created { source, page: created.page, cell: created.cell };
                Ok(Answer::document(&reply)?.with(vec![Transfer::Copy(created.handle, rights::PUBLISH)]))
            }
            Request::Share { source } => {
                let session = self.shown(&mut arrivals)?;
                let shared = self.shard.share(driver, source, &session, &mut self.world)?;
                self.shared(driver, shared)
            }
            Request::Settled => {
                self.shard.settled(driver, &mut self.world)?;
                Answer::document(&Reply::Done)
            }
        }
    }

    /// The client that a source is for; none of a shared one.
    fn watcher(&self, shared: bool, arrivals: &mut Arrivals) -> Result<Option<Watcher>> {
        if shared {
            return Ok(None);
        }
        self.shown(arrivals).map(Some)
    }

    /// The client whose ticket is shown.
    fn shown(&self, arrivals: &mut Arrivals) -> Result<Watcher> {
        let Badge::Ticket(ticket) = Badge::decode(arrivals.badge(0)?) else {
            return Err(Error::new(EACCES));
        };
        self.setup.directory.lock().shown(ticket)
    }

    /// The answer that brings the page of a source that is for all, and a client's watch handle.
    fn shared(&mut self, driver: DriverId, shared: Shared) -> Result<Answer> {
        let watch = self
            .setup
            .handle(self.number, shared.view.0)
            .inspect_err(|_| self.shard.unshare(driver, shared, &mut self.world))?;
        let Created { source, page, cell, handle } = shared.hub;
        let reply = Reply::Shared { source, page, cell, is_new: shared.is_new };
        let page = Transfer::Copy(handle, rights::PUBLISH);
        Ok(Answer::document(&reply)?.with(vec![page, Transfer::moved(watch)]))
    }

    /// The answer that brings a new source's page and watch handle.
    fn created(&mut self, driver: DriverId, created: Created) -> Result<Answer> {
        let source = created.source;
        let watch = self.setup.handle(self.number, source.0).inspect_err(|_| {
            // Nobody has heard of it: both of its ends go at once.
            let _ = self.shard.destroy_source(driver, source, 0, &mut self.world);
            self.shard.watch_closed(source, &mut self.world);
        })?;
        let reply = Reply::Created { source, page: created.page, cell: created.cell };
        let page = Transfer::Copy(created.handle, rights::PUBLISH);
        Ok(Answer::document(&reply)?.with(vec![page, Transfer::moved(watch)]))
    }

    /// A handle that a client shall have: what it is, is between the two. One that cannot be given on would be no descriptor.
    fn descriptor(&self, arrivals: &mut Arrivals) -> Result<Handle> {
        let handle: AnyHandle = arrivals.object(0)?;
        if handle.info()?.kind != Kind::Endpoint as u32 {
            return Err(Error::new(EACCES));
        }
        Ok(handle.into_handle())
    }
}

/// A client's session as its directory knows it.
type Watcher = alloc::sync::Arc<event_core::session::Session<crate::memory::Pages>>;

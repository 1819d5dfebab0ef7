//! Requests of drivers.

use abi::error::{EACCES, Error, Result};
use alloc::vec;
use event_protocol::badge::{Badge, DriverId};
use event_protocol::control::driver::{Reply, Request};
use rt::ipc::{Arrivals, Transfer, decode};

use crate::request::{Answer, rights};
use crate::serve::ShardThread;

impl ShardThread {
    /// Serves a request on a driver's session handle.
    pub fn driver(&mut self, driver: DriverId, bytes: usize, mut arrivals: Arrivals) -> Result<Answer> {
        match decode(bytes)? {
            Request::CreateSource { filters, shared, low_water } => {
                let session = match shared {
                    true => None,
                    false => {
                        let Badge::Ticket(ticket) = Badge::decode(arrivals.badge(0)?) else {
                            return Err(Error::new(EACCES));
                        };
                        Some(self.setup.directory.lock().shown(ticket)?)
                    }
                };
                let world = &mut self.world;
                let session = session.as_deref();
                let created = self.shard.create_source(driver, filters, session, low_water, world)?;
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
            Request::DestroySource { source, errno } => {
                self.shard.destroy_source(driver, source, errno, &mut self.world)?;
                Answer::document(&Reply::Done)
            }
        }
    }
}

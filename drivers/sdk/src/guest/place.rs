//! Where a driver is reached, and what is said there while it has no device.

use super::mapped::Shared;
use super::pci::Awaited;
use super::{ARRIVED, BUS_GONE, message, trace};
use crate::Driver;
use abi::Rights;
use abi::error::{ENODEV, EPIPE, Error, Result};
use abi::limits::FOREVER;
use abi::message::{LABEL_CLOSED, LABEL_NOTIFICATION, WORDS};
use event_protocol::descriptor::message::MAX_HANDLES;
use event_protocol::descriptor::{label, words};
use event_protocol::shared::Kept;
use event_protocol::trace::Trace;
use pci_protocol::Wanted;
use rt::ipc;
use rt::sys::{Endpoint, Notification, Object};

/// What `INSPECT` is told.
const ABSENT: &[u8] = b"absent 1\n";

/// The driver's endpoint, and what is bound to its thread: signals come with the endpoint's messages.
pub(super) struct Place {
    pub(super) endpoint: Endpoint,
    pub(super) bound: Notification,
    /// Shown from the first moment on.
    pub(super) trace: Kept<Shared, Trace>,
    is_known: bool,
}

impl Place {
    pub(super) fn new() -> Result<Place> {
        let (endpoint, bound) = (Endpoint::create()?, Notification::create()?);
        bound.bind(None)?;
        Ok(Place { endpoint, bound, trace: trace::begin()?, is_known: false })
    }

    /// Has clients find it.
    pub(super) fn register<D: Driver>(&mut self, service: &str) -> Result<()> {
        if !core::mem::replace(&mut self.is_known, true) {
            if D::KNOWS_CALLERS {
                rt::init::register_knowing_callers(service, &self.endpoint)?;
            } else {
                rt::init::register(service, &self.endpoint)?;
            }
        }
        Ok(())
    }

    /// A handle by which others signal these bits.
    pub(super) fn notice(&self, bits: u64) -> Result<Notification> {
        self.bound.with_badge(Rights::WRITE.union(Rights::TRANSFER), bits)
    }

    /// Says ENODEV to everybody until there is a function to claim.
    pub(super) fn await_function<D: Driver>(&mut self, service: &str, wanted: &Wanted) -> Result<()> {
        let awaited = Awaited::begin(wanted, self.notice(ARRIVED)?)?;
        self.bound.watch_exit(awaited.bus(), BUS_GONE)?;
        self.register::<D>(service)?;
        loop {
            ipc::set_accept(MAX_HANDLES as u32);
            let received = self.endpoint.recv(FOREVER)?;
            // What comes with a request is closed.
            drop(ipc::Arrivals::of(received.tag));
            let mut answer = [0; WORDS];
            let bytes = match received.tag.label() {
                LABEL_NOTIFICATION if received.words[0] & BUS_GONE != 0 => return Err(Error::new(EPIPE)),
                LABEL_NOTIFICATION if received.words[0] & ARRIVED != 0 => return Ok(()),
                LABEL_NOTIFICATION | LABEL_CLOSED => continue,
                label::INSPECT => {
                    answer[words::COUNT] = ABSENT.len() as u64;
                    ipc::write_bytes(ABSENT)?
                }
                _ => {
                    answer[words::ERRNO] = ENODEV as u64;
                    0
                }
            };
            let mut reply = message(answer);
            reply.tag = abi::Tag::new(label::REPLY, bytes, 0);
            // ESRCH: the caller gave up, which is its right.
            _ = Endpoint::reply(received.token, reply);
        }
    }
}

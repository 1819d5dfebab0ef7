//! A function of the PCI bus, as its driver has it.

use super::dma::Dma;
use super::mmio::Mmio;
use abi::Rights;
use abi::error::{EBADMSG, Error, Result};
use abi::limits::FOREVER;
use alloc::vec;
use alloc::vec::Vec;
use pci_protocol::{
    Address, FunctionReply, FunctionRequest, Identity, Reply, Request, SERVICE, Wanted, label,
};
use rt::ipc::{Arrivals, Transfer, call_postcard};
use rt::sys::{AnyHandle, Endpoint, Irq, Memory, Notification, Process};

/// What the bus may do with memory that it keeps.
const KEPT: Rights = Rights::TRANSFER;

/// A claimed function. Dropped, it goes back to the bus, which stops and resets it.
#[derive(Debug)]
pub struct Function {
    handle: Endpoint,
    bus: Process,
    address: Address,
    identity: Identity,
}

impl Function {
    /// Claims a function. ENODEV: the machine has none like it; EBUSY: it is another driver's.
    pub fn claim(wanted: Wanted) -> Result<Function> {
        let bus = rt::init::connect(SERVICE)?;
        match call_postcard(&bus, label::BUS, &Request::Claim(wanted), vec![], FOREVER)? {
            (Reply::Claimed { address, identity }, mut handles) => {
                Ok(Function { handle: handles.object(0)?, bus: handles.object(1)?, address, identity })
            }
            _ => nonsense(),
        }
    }

    /// Where it is.
    pub fn address(&self) -> Address {
        self.address
    }

    /// What it is.
    pub fn identity(&self) -> Identity {
        self.identity
    }

    /// The bus driver: without it the function is lost.
    pub(super) fn bus(&self) -> &Process {
        &self.bus
    }

    /// Has the bus signal the notification when the function is unplugged, or is to be.
    pub(super) fn watch(&self, notice: Notification) -> Result<()> {
        match self.ask(&FunctionRequest::Watch, vec![Transfer::moved(notice)])? {
            (FunctionReply::Done, _) => Ok(()),
            _ => nonsense(),
        }
    }

    /// Whether it is there still.
    pub(super) fn is_there(&self) -> bool {
        self.config().is_ok()
    }

    fn ask(&self, request: &FunctionRequest, send: Vec<Transfer>) -> Result<(FunctionReply, Arrivals)> {
        call_postcard(&self.handle, label::FUNCTION, request, send, FOREVER)
    }

    /// The beginning of its configuration space.
    pub fn config(&self) -> Result<Vec<u8>> {
        match self.ask(&FunctionRequest::Config, vec![])? {
            (FunctionReply::Config(bytes), _) => Ok(bytes),
            _ => nonsense(),
        }
    }

    /// Registers of a BAR.
    pub fn window(&self, bar: u8, offset: u32, length: u32) -> Result<Mmio> {
        match self.ask(&FunctionRequest::Window { bar, offset, length }, vec![])? {
            (FunctionReply::Window { offset }, mut handles) => {
                Mmio::map(&handles.object(0)?)?.part(offset as usize, length as usize)
            }
            _ => nonsense(),
        }
    }

    /// An interrupt for this CPU, and whether it is a message rather than a line.
    pub fn interrupt(&self, entry: u16) -> Result<(Irq, bool)> {
        let cpu = rt::clock::cpu() as u32;
        match self.ask(&FunctionRequest::Interrupt { entry, cpu }, vec![])? {
            (FunctionReply::Interrupt { message }, mut handles) => Ok((handles.object(0)?, message)),
            _ => nonsense(),
        }
    }

    /// Memory for the function to reach, rounded up to pages: the driver pays for it, and the bus keeps it until the function is
    /// stopped. So nothing of a device's reaches pages that have gone to others.
    pub fn dma(&self, size: usize) -> Result<Dma> {
        let memory = Memory::create_contiguous(size)?;
        match self.ask(&FunctionRequest::Lend, vec![Transfer::copy_with(&memory, KEPT)])? {
            (FunctionReply::Done, _) => Dma::map(&memory),
            _ => nonsense(),
        }
    }

    /// Lets the function reach memory by itself, or no longer.
    pub fn set_master(&self, on: bool) -> Result<()> {
        match self.ask(&FunctionRequest::Master(on), vec![])? {
            (FunctionReply::Done, _) => Ok(()),
            _ => nonsense(),
        }
    }
}

/// The wait for a function that the machine does not have. Dropped, it is over.
#[derive(Debug)]
pub(super) struct Awaited {
    _ticket: AnyHandle,
    bus: Process,
}

impl Awaited {
    /// Has the bus signal the notification when the function can be claimed.
    pub(super) fn begin(wanted: &Wanted, notice: Notification) -> Result<Awaited> {
        let bus = rt::init::connect(SERVICE)?;
        let request = Request::Await(wanted.clone());
        match call_postcard(&bus, label::BUS, &request, vec![Transfer::moved(notice)], FOREVER)? {
            (Reply::Waiting, mut handles) => {
                Ok(Awaited { _ticket: handles.object(0)?, bus: handles.object(1)? })
            }
            _ => nonsense(),
        }
    }

    /// The bus driver, without which nobody comes.
    pub(super) fn bus(&self) -> &Process {
        &self.bus
    }
}

fn nonsense<T>() -> Result<T> {
    Err(Error::new(EBADMSG))
}

//! Requests in, replies out.

use alloc::vec::Vec;

use abi::Rights;
use abi::error::{EAGAIN, EIO, ENOSYS, EPERM, Error, Result};
use init_protocol::caller::Caller;
use pci::bus::{Bus, Claimed};
use pci::enumeration::{Found, enumerate};
use pci_protocol::{FunctionReply, FunctionRequest, Reply, Request, SERVICE, Wanted, label};
use rt::clock::now_ns;
use rt::ipc::{self, Service, Transfer};
use rt::sys::{Endpoint, Hardware, Memory, Object};

use crate::machine::Board;

/// What a driver may do with its function.
const FUNCTION: Rights = Rights::WRITE.union(Rights::TRANSFER);
/// What a driver may do with the memory of its registers.
const REGISTERS: Rights = Rights::READ.union(Rights::WRITE).union(Rights::TRANSFER);
/// Claims that wait for a reset; one more gives the oldest up.
const WAITING: usize = 64;

/// Serves until that is impossible.
pub fn main(start: &rt::Start) -> i32 {
    let error = match run(start) {
        Ok(error) | Err(error) => error,
    };
    rt::log!("pci: ends: {error}");
    1
}

fn run(start: &rt::Start) -> Result<Error> {
    let hardware: Hardware = start.object("hardware:pci").ok_or_else(|| {
        rt::log!("pci: was not given hardware:pci: see its devices in the manifest");
        Error::new(EIO)
    })?;
    let window = hardware
        .pci_config()
        .inspect_err(|_| rt::log!("pci: the firmware tells of no configuration space"))?;
    let mut board = Board::new(hardware, window);
    let found = enumerate(&mut board, window.last);
    tell(&found);
    let endpoint = Endpoint::create()?;
    let bus = Bus::new(board, found, now_ns());
    let mut server =
        Server { bus, endpoint: endpoint.restricted(MINT)?, process: start.process(), waiting: Vec::new() };
    rt::init::register_knowing_callers(SERVICE, &endpoint)?;
    Ok(ipc::serve(&endpoint, &mut server))
}

/// What handles of functions are made of.
const MINT: Rights = Rights::WRITE.union(Rights::DUPLICATE).union(Rights::TRANSFER).union(Rights::MINT);

fn tell(found: &[Found]) {
    for Found { address, identity, kind } in found {
        if let Err(fault) = kind {
            rt::log!("pci: {address} ({:04x}:{:04x}): {fault}", identity.vendor, identity.device);
        }
    }
    rt::log!("pci: {} functions", found.len());
}

struct Server {
    bus: Bus<Board>,
    endpoint: Endpoint,
    process: abi::Handle,
    /// Claims of functions that are being reset, oldest first.
    waiting: Vec<(u64, Wanted)>,
}

impl Server {
    fn ask_bus(&mut self, request: &ipc::Request) -> Result<Option<ipc::Reply>> {
        match request.decode()? {
            Request::Functions { after } => {
                Ok(Some(ipc::Reply::document(label::BUS, &Reply::Functions(self.bus.list(after)))))
            }
            // Who has a function has all memory: there is nothing between the two.
            Request::Claim(_) if !Caller::of(request.badge).provider => Err(Error::new(EPERM)),
            Request::Claim(wanted) => match self.bus.claim(&wanted)? {
                Some(claimed) => self.hand_out(claimed).map(Some),
                None => {
                    if self.waiting.len() == WAITING {
                        let (oldest, _) = self.waiting.remove(0);
                        _ = ipc::Reply::error(label::BUS, Error::new(EAGAIN)).send(oldest);
                    }
                    self.waiting.push((request.token, wanted));
                    Ok(None)
                }
            },
        }
    }

    /// The answer to a claim. What it says of the function is lost with it: an undelivered handle is a closed one.
    fn hand_out(&mut self, claimed: Claimed) -> Result<ipc::Reply> {
        let Claimed { badge, address, identity } = claimed;
        let handle = self.endpoint.with_badge(FUNCTION, badge).inspect_err(|_| {
            self.bus.closed(badge, now_ns());
        })?;
        Ok(ipc::Reply::document(label::BUS, &Reply::Claimed { address, identity })
            .handle(Transfer::moved(handle))
            .handle(Transfer::Copy(self.process, Rights::READ | Rights::TRANSFER)))
    }

    fn ask_function(&mut self, request: &mut ipc::Request) -> Result<ipc::Reply> {
        let badge = request.badge;
        let reply = |reply: FunctionReply| ipc::Reply::document(label::FUNCTION, &reply);
        match request.decode()? {
            FunctionRequest::Config => Ok(reply(FunctionReply::Config(self.bus.config(badge)?))),
            FunctionRequest::Window { bar, offset, length } => {
                let (memory, offset) = self.bus.window(badge, bar, offset, length)?;
                let memory = memory.restricted(REGISTERS)?;
                Ok(reply(FunctionReply::Window { offset }).handle(Transfer::moved(memory)))
            }
            FunctionRequest::Interrupt { entry, cpu } => {
                let (interrupt, message) = self.bus.interrupt(badge, entry, cpu)?;
                Ok(reply(FunctionReply::Interrupt { message }).handle(Transfer::moved(interrupt)))
            }
            FunctionRequest::Lend => {
                let memory: Memory = request.arrivals.object(0)?;
                self.bus.lend(badge, memory)?;
                Ok(reply(FunctionReply::Done))
            }
            FunctionRequest::Master(on) => {
                self.bus.set_master(badge, on)?;
                Ok(reply(FunctionReply::Done))
            }
        }
    }
}

/// Whether a badge is init's, which says who calls, and not a function's ([`Claimed::badge`]).
fn is_service(badge: u64) -> bool {
    badge >> 32 == 0
}

impl Service for Server {
    fn request(&mut self, mut request: ipc::Request) -> Option<ipc::Reply> {
        let label = request.label;
        let answer = match (label, request.badge) {
            (label::BUS, badge) if is_service(badge) => self.ask_bus(&request).transpose()?,
            (label::FUNCTION, badge) if !is_service(badge) => self.ask_function(&mut request),
            _ => Err(Error::new(ENOSYS)),
        };
        Some(answer.unwrap_or_else(|error| ipc::Reply::error(label, error)))
    }

    fn closed(&mut self, badge: u64) {
        self.bus.closed(badge, now_ns());
    }

    fn deadline(&self) -> u64 {
        self.bus.deadline()
    }

    fn expired(&mut self) {
        self.bus.expired(now_ns());
        for (token, wanted) in core::mem::take(&mut self.waiting) {
            let answer = match self.bus.claim(&wanted) {
                Ok(None) => {
                    self.waiting.push((token, wanted));
                    continue;
                }
                Ok(Some(claimed)) => self.hand_out(claimed),
                Err(error) => Err(error),
            };
            // ESRCH: the caller gave up, which is its right, and the handle is closed.
            _ = answer.unwrap_or_else(|error| ipc::Reply::error(label::BUS, error)).send(token);
        }
    }
}

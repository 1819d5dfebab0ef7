//! Requests in, replies out.

use alloc::vec::Vec;

use abi::Rights;
use abi::error::{EAGAIN, EIO, ENOSYS, EPERM, Error, Result};
use init_protocol::caller::Caller;
use pci::bus::{Bus, Claimed};
use pci::enumeration::{Found, enumerate};
use pci_protocol::{Address, FunctionReply, FunctionRequest, Reply, Request, SERVICE, Wanted, label};
use rt::clock::now_ns;
use rt::ipc::{self, Service, Transfer};
use rt::sys::{Endpoint, Hardware, Irq, Memory, Notification, Object};

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
    let mut bus = Bus::new(board, found, now_ns());
    let bound = Notification::create()?;
    bound.bind(None)?;
    let sockets = listen(&mut bus, &bound)?;
    let mut server = Server {
        bus,
        endpoint: endpoint.restricted(MINT)?,
        process: start.process(),
        waiting: Vec::new(),
        sockets,
    };
    // An interrupt that came while its socket was not listened to.
    server.bus.interrupted(now_ns());
    server.tell_news();
    rt::init::register_knowing_callers(SERVICE, &endpoint)?;
    Ok(ipc::serve(&endpoint, &mut server))
}

/// What handles of functions are made of.
const MINT: Rights = Rights::WRITE.union(Rights::DUPLICATE).union(Rights::TRANSFER).union(Rights::MINT);

/// Sockets that have a bit each share the last one when there are more.
const BITS: usize = 64;

/// Connects the sockets' interrupts with the bits of a notification.
fn listen(bus: &mut Bus<Board>, bound: &Notification) -> Result<Vec<(Irq, u64)>> {
    let ports: Vec<Address> = bus.ports().collect();
    rt::sys::set_affinity(1 << rt::clock::cpu())?;
    let mut sockets = Vec::new();
    for (at, interrupt) in bus.listen(rt::clock::cpu() as u32).into_iter().enumerate() {
        let bit = 1 << at.min(BITS - 1);
        let connected = interrupt.and_then(|interrupt| {
            interrupt.bind(bound, bit)?;
            Ok(interrupt)
        });
        match connected {
            Ok(interrupt) => sockets.push((interrupt, bit)),
            Err(error) => rt::log!("pci: the port {} cannot tell what is plugged in: {error}", ports[at]),
        }
    }
    Ok(sockets)
}

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
    /// Interrupts of ports, and the bit of each.
    sockets: Vec<(Irq, u64)>,
}

/// What a driver may do with the handle that its waiting goes by.
const TICKET: Rights = Rights::TRANSFER;

impl Server {
    fn ask_bus(&mut self, request: &mut ipc::Request) -> Result<Option<ipc::Reply>> {
        match request.decode()? {
            Request::Functions { after } => {
                Ok(Some(ipc::Reply::document(label::BUS, &Reply::Functions(self.bus.list(after)))))
            }
            // Who has a function has all memory: there is nothing between the two.
            Request::Claim(_) | Request::Await(_) if !Caller::of(request.badge).provider => {
                Err(Error::new(EPERM))
            }
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
            Request::Await(wanted) => {
                let badge = self.bus.await_function(wanted, request.arrivals.object(0)?)?;
                let ticket = self.endpoint.with_badge(TICKET, badge);
                let ticket = ticket.inspect_err(|_| self.bus.closed(badge, now_ns()))?;
                let reply = ipc::Reply::document(label::BUS, &Reply::Waiting);
                let bus = Transfer::Copy(self.process, Rights::READ | Rights::TRANSFER);
                Ok(Some(reply.handle(Transfer::moved(ticket)).handle(bus)))
            }
        }
    }

    fn tell_news(&mut self) {
        self.bus.news().iter().for_each(|news| rt::log!("pci: {news}"));
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
            FunctionRequest::Watch => {
                self.bus.watch(badge, request.arrivals.object(0)?)?;
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
            (label::BUS, badge) if is_service(badge) => self.ask_bus(&mut request).transpose()?,
            (label::FUNCTION, badge) if !is_service(badge) => self.ask_function(&mut request),
            _ => Err(Error::new(ENOSYS)),
        };
        Some(answer.unwrap_or_else(|error| ipc::Reply::error(label, error)))
    }

    fn closed(&mut self, badge: u64) {
        self.bus.closed(badge, now_ns());
    }

    fn notified(&mut self, bits: u64) {
        for (interrupt, _) in self.sockets.iter().filter(|(_, bit)| bits & bit != 0) {
            // Before it is looked at: what comes after that interrupts again.
            _ = interrupt.ack();
        }
        self.bus.interrupted(now_ns());
        self.tell_news();
    }

    fn deadline(&self) -> u64 {
        self.bus.deadline()
    }

    fn expired(&mut self) {
        self.bus.expired(now_ns());
        self.tell_news();
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

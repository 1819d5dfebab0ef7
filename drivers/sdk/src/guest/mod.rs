//! The engine connected to the kernel, the event server and init.

mod cells;
pub mod dma;
mod mapped;
pub mod mmio;
pub mod pci;
pub mod ports;
mod session;
mod trace;

use crate::driver::Driver;
use crate::engine::{Answer, Engine, Request};
use crate::link::Carried;
use crate::report;
use abi::error::{EIO, ENODEV, EPIPE, ETIMEDOUT, Error, Result};
use abi::message::{LABEL_CLOSED, LABEL_NOTIFICATION, MAX_BYTES, WORDS};
use abi::{Message, Rights, Tag};
use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec;
use event_protocol::descriptor::label;
use event_protocol::descriptor::message::MAX_HANDLES;
use event_protocol::filter::Filters;
use event_protocol::trace::Clock;
use init_protocol::request::KEPT;
use pci::Function;
use pci_protocol::Wanted;
use rt::Start;
use rt::clock::now_ns;
use rt::ipc;
use rt::sys::{Endpoint, Irq, Notification, Object, Received};
use session::Session;

/// The bit of the bound notification that the interrupt line signals.
const INTERRUPT: u64 = 1;
/// The bit that init signals before the machine is powered off; bits 1 to 60 are the driver's ([`Driver::connect`]).
const POWER_OFF: u64 = 1 << 63;
/// The bit that says that the bus driver is gone.
const BUS_GONE: u64 = 1 << 62;
/// The bit by which init asks whether the loop comes round.
const WATCHDOG: u64 = 1 << 61;

/// What descriptors are made of: the endpoint, to be called and given away, not received from.
const MINT: Rights = Rights::WRITE.union(Rights::DUPLICATE).union(Rights::TRANSFER).union(Rights::MINT);

/// What a driver needs from the system.
#[derive(Clone, Copy, Debug)]
pub struct Setup<'a> {
    /// The service that it registers; its name in logs.
    pub service: &'a str,
    /// Filters that its sources may serve.
    pub filters: Filters,
    /// Files it may have open at once, each with its source: a power of two. One client may have a quarter of them.
    pub sources: u32,
    /// Name of its interrupt line among the handles that it was started with.
    pub interrupt: Option<&'a str>,
}

/// Runs a driver on the CPU that it was started on. Returns the exit status, which is never success: a driver whose
/// device or event server is gone ends, and init decides what comes next.
pub fn run<D: Driver>(start: &Start, setup: Setup<'_>, driver: Result<D>) -> i32 {
    serve(setup, driver.and_then(|driver| Running::new(start, setup, driver, None, stay(start)?)))
}

/// The same for a driver of a PCI function, which `make` makes of it; entry 0 of its interrupts is the driver's. A machine
/// without such a function is no failure: the status is 0 then.
pub fn run_on<D: Driver>(
    start: &Start,
    setup: Setup<'_>,
    wanted: Wanted,
    make: impl FnOnce(&Function) -> Result<D>,
) -> i32 {
    let running = || -> Result<Running<D>> {
        // Interrupts go to the CPU that the driver stays on.
        let lineage = stay(start)?;
        let function = Function::claim(wanted.clone())?;
        let driver = make(&function)
            .inspect_err(|error| rt::log!("{}: {}: {error}", setup.service, function.address()))?;
        Running::new(start, setup, driver, Some(function), lineage)
    };
    match running() {
        Err(error) if error.errno == ENODEV => {
            let (vendor, device) = (wanted.vendor, wanted.devices.first().copied().unwrap_or_default());
            rt::log!(
                "{}: the machine has no such device (PCI {vendor:04x}:{device:04x}): --device of `cargo xtask run` adds one",
                setup.service
            );
            0
        }
        running => serve(setup, running),
    }
}

/// Chooses the CPU that the driver stays on, whose shard is the sources' home: this one, or that on which the driver before it was,
/// of which it has the lineage then.
fn stay(start: &Start) -> Result<Option<Endpoint>> {
    if let Some(lineage) = start.object::<Endpoint>(KEPT)
        && let Some(home) = Session::home(&lineage)
        && rt::sys::set_affinity(1 << home).is_ok()
    {
        return Ok(Some(lineage));
    }
    rt::sys::set_affinity(1 << rt::clock::cpu())?;
    Ok(None)
}

fn serve<D: Driver>(setup: Setup<'_>, running: Result<Running<D>>) -> i32 {
    let error = match running {
        Ok(mut running) => {
            let error = running.serve();
            let mut report = String::new();
            // Text in memory does not fail.
            _ = report::write(&running.engine, &mut report);
            report.lines().for_each(|line| rt::log!("{}: {line}", setup.service));
            let clock = Clock::of(rt::hints());
            let entries = running.engine.trace().entries();
            entries.for_each(|entry| rt::log!("{}: {}", setup.service, entry.at(clock)));
            error
        }
        Err(error) => error,
    };
    rt::log!("{}: ends: {error}", setup.service);
    1
}

struct Running<D> {
    engine: Engine<D, Session>,
    endpoint: Endpoint,
    interrupt: Option<Irq>,
    /// The interrupt was left with more to do.
    again: bool,
    /// init waits to hear that the driver is drained.
    awaited: bool,
    /// Kept, and so the driver's.
    _function: Option<Function>,
    bus_gone: bool,
    bytes: Box<[u8]>,
    // Bound to this thread: its signals come with the endpoint's messages.
    _bound: Notification,
}

impl<D: Driver> Running<D> {
    fn new(
        start: &Start,
        setup: Setup<'_>,
        driver: D,
        function: Option<Function>,
        lineage: Option<Endpoint>,
    ) -> Result<Running<D>> {
        let endpoint = Endpoint::create()?;
        let trace = trace::begin()?;
        let attach = |lineage| {
            let minting = endpoint.restricted(MINT)?;
            Session::attach(setup.service, setup.filters, setup.sources, minting, lineage, trace.clone())
        };
        let follow = lineage.as_ref().filter(|_| D::DURABLE);
        let (mut session, follows) = match follow.map(|lineage| attach(Some(lineage))) {
            Some(Ok(session)) => (session, true),
            // What was left to it is not to be had: it begins anew, and with what init keeps of it that ends.
            _ => (attach(None)?, false),
        };
        if D::DURABLE && !follows {
            session.bequeath()?;
        }
        let bound = Notification::create()?;
        bound.bind(None)?;
        let mut engine = Engine::new(driver, session, setup.sources as usize);
        let mut again = false;
        let interrupt = match (&function, setup.interrupt) {
            (Some(function), _) => {
                bound.watch_exit(function.bus(), BUS_GONE)?;
                let (irq, _) = function.interrupt(0)?;
                again = irq.bind(&bound, INTERRUPT)?;
                Some(irq)
            }
            (None, None) => None,
            (None, Some(name)) => {
                let irq: Irq = start.object(name).ok_or_else(|| {
                    rt::log!("{}: was not given {name}: see its devices in the manifest", setup.service);
                    Error::new(EIO)
                })?;
                again = irq.bind(&bound, INTERRUPT)?;
                Some(irq)
            }
        };
        // EPERM: the manifest does not say that it is watched.
        _ = rt::init::watched(bound.with_badge(Rights::WRITE.union(Rights::TRANSFER), WATCHDOG)?);
        engine.set_time(now_ns());
        engine.connect(&bound)?;
        engine.start();
        if follows {
            let left = engine.link().left()?;
            engine.restore(left);
            engine.link().settled()?;
        }
        if engine.driver().has_buffers() {
            let notice = bound.with_badge(Rights::WRITE.union(Rights::TRANSFER), POWER_OFF)?;
            if let Err(error) = rt::init::on_power_off(notice) {
                rt::log!("{}: what it buffers is lost at power off: {error}", setup.service);
            }
        }
        if D::KNOWS_CALLERS {
            rt::init::register_knowing_callers(setup.service, &endpoint)?;
        } else {
            rt::init::register(setup.service, &endpoint)?;
        }
        let bytes = vec![0; MAX_BYTES].into_boxed_slice();
        Ok(Running {
            engine,
            endpoint,
            interrupt,
            again,
            awaited: false,
            _function: function,
            bus_gone: false,
            bytes,
            _bound: bound,
        })
    }

    /// Serves until the endpoint or the event server fails.
    fn serve(&mut self) -> Error {
        let mut answer: Option<(u64, [u64; WORDS])> = None;
        loop {
            ipc::set_accept(MAX_HANDLES as u32);
            let deadline = if self.again { 0 } else { self.engine.deadline() };
            let heard = match answer.take() {
                Some((token, words)) => self.endpoint.reply_recv(token, message(words), deadline),
                None => self.endpoint.recv(deadline),
            };
            let now = now_ns();
            self.engine.set_time(now);
            match heard {
                Ok(received) => answer = self.hear(&received),
                Err(error) if error.errno != ETIMEDOUT => return error,
                Err(_) if self.again => self.interrupt(),
                Err(_) => {}
            }
            // Looked at after each message too: a stream of them does not hold it off.
            if self.engine.deadline() <= now {
                self.engine.expired();
            }
            let drained = self.awaited && self.engine.driver().is_drained();
            if self.engine.is_unsettled() || drained {
                if let Some((token, words)) = answer.take() {
                    // ESRCH: the caller gave up, which is its right.
                    _ = Endpoint::reply(token, message(words));
                }
                self.engine.settle();
            }
            if drained {
                self.awaited = false;
                // Without init nobody waits for it.
                _ = rt::init::drained();
            }
            if let Some(error) = self.engine.link().lost().or(self.engine.driver().lost()) {
                return error;
            }
            if self.bus_gone {
                return Error::new(EPIPE);
            }
        }
    }

    fn hear(&mut self, received: &Received) -> Option<(u64, [u64; WORDS])> {
        match received.tag.label() {
            LABEL_NOTIFICATION => {
                if received.words[0] & POWER_OFF != 0 {
                    self.awaited = true;
                    self.engine.power_off();
                }
                if received.words[0] & WATCHDOG != 0 {
                    // Without init nobody asks.
                    _ = rt::init::alive();
                }
                self.bus_gone |= received.words[0] & BUS_GONE != 0;
                self.interrupt();
                None
            }
            LABEL_CLOSED => {
                self.engine.closed(received.badge);
                None
            }
            label => {
                let mut arrivals = ipc::Arrivals::of(received.tag);
                let handles = (0..received.tag.handles()).filter_map(|at| match arrivals.take(at)? {
                    ipc::Arrived::Handle(handle, _) => Some(Carried::Handle(handle)),
                    ipc::Arrived::Badge(badge) => Some(Carried::Own(badge)),
                });
                let handles = handles.collect();
                // The engine sends messages while it serves: they need the IPC buffer.
                let length = ipc::read_bytes(received.tag.bytes(), &mut self.bytes);
                let request = Request {
                    badge: received.badge,
                    label,
                    words: received.words,
                    bytes: &self.bytes[..length],
                    token: received.token,
                    handles,
                };
                match self.engine.request(request) {
                    Answer::Done => None,
                    Answer::Words(words) => Some((received.token, words)),
                }
            }
        }
    }

    fn interrupt(&mut self) {
        self.again = self.engine.interrupt();
        if let Some(line) = &self.interrupt {
            // An acknowledged line that fails would be a line taken away: nothing more would come, and nothing is lost.
            _ = line.ack();
            // An edge that came while the line was masked is not repeated.
            self.again |= self.engine.interrupt();
        }
    }
}

fn message(words: [u64; WORDS]) -> Message {
    Message { tag: Tag::words(label::REPLY), words }
}

//! The engine connected to the kernel, the event server and init.

mod cells;
pub mod dma;
mod mapped;
pub mod mmio;
pub mod pci;
mod place;
pub mod ports;
mod session;
mod trace;

use crate::driver::Driver;
use crate::engine::{Answer, Engine, Request};
use crate::link::Carried;
use crate::report;
use abi::error::{EIO, ENODEV, EPIPE, ETIMEDOUT, Error, Result};
use abi::limits::FOREVER;
use abi::message::{LABEL_CLOSED, LABEL_NOTIFICATION, MAX_BYTES, WORDS};
use abi::{Message, Rights, Tag};
use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;
use event_protocol::descriptor::label;
use event_protocol::descriptor::message::MAX_HANDLES;
use event_protocol::filter::Filters;
use event_protocol::trace::Clock;
use init_protocol::request::KEPT;
use init_protocol::status::AGAIN;
use pci::Function;
use pci_protocol::Wanted;
use place::Place;
use rt::Start;
use rt::clock::now_ns;
use rt::ipc;
use rt::sys::{Endpoint, Irq, Object, Received};
use session::Session;

/// The bit of the bound notification that the interrupts signal.
const INTERRUPT: u64 = 1;
/// The bit that init signals before the machine is powered off; bits 1 to 60 are the driver's ([`Driver::connect`]).
const POWER_OFF: u64 = 1 << 63;
/// The bit that says that the bus driver is gone.
const BUS_GONE: u64 = 1 << 62;
/// The bit by which init asks whether the loop comes round.
const WATCHDOG: u64 = 1 << 61;
/// The bit that says that the function is unplugged, or is to be.
const UNPLUGGED: u64 = 1 << 60;
/// The bit that says that there is a function to claim.
const ARRIVED: u64 = 1 << 59;
/// How long what is buffered may take to be written to a device that is to be unplugged.
const PATIENCE_NS: u64 = 5_000_000_000;

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
    /// Name of its interrupt line among the handles that it was started with. Has it more than one: [`Driver::LINES`].
    pub interrupt: Option<&'a str>,
}

/// Runs a driver on the CPU that it was started on. Returns the exit status, which is never success: a driver whose
/// device or event server is gone ends, and init decides what comes next.
pub fn run<D: Driver>(start: &Start, setup: Setup<'_>, driver: Result<D>) -> i32 {
    let running = || Running::new(start, setup, driver?, Place::new()?, None, stay(start)?);
    serve(setup, running())
}

/// The same for a driver of a PCI function, which `make` makes of it; entry 0 of its interrupts is the driver's. While the machine
/// has no such function, those who open the driver's paths are told ENODEV. Is it unplugged, the files end with ENODEV and the
/// process with [`AGAIN`]: init starts it anew, to wait for the next one.
pub fn run_on<D: Driver>(
    start: &Start,
    setup: Setup<'_>,
    wanted: Wanted,
    make: impl FnOnce(&Function) -> Result<D>,
) -> i32 {
    let running = || -> Result<Running<D>> {
        // Interrupts go to the CPU that the driver stays on.
        let mut lineage = stay(start)?;
        let mut place = Place::new()?;
        let function = loop {
            match Function::claim(wanted.clone()) {
                Err(error) if error.errno == ENODEV => {
                    tell_absent(setup.service, &wanted);
                    // What was left to it had the device that is gone: it does not wait for another.
                    if let Some(lineage) = lineage.take().filter(|_| D::DURABLE) {
                        let minting = place.endpoint.restricted(MINT)?;
                        Session::attach(
                            setup.service,
                            setup.filters,
                            setup.sources,
                            minting,
                            Some(&lineage),
                            place.trace.clone(),
                        )
                        .and_then(|mut session| session.settled())
                        .inspect_err(|error| rt::log!("{}: what was left: {error}", setup.service))?;
                    }
                    place.await_function::<D>(setup.service, &wanted)?;
                }
                claimed => break claimed?,
            }
        };
        function.watch(place.notice(UNPLUGGED)?)?;
        let driver = make(&function)
            .inspect_err(|error| rt::log!("{}: {}: {error}", setup.service, function.address()))?;
        Running::new(start, setup, driver, place, Some(function), lineage)
    };
    serve(setup, running())
}

fn tell_absent(service: &str, wanted: &Wanted) {
    let (vendor, device) = (wanted.vendor, wanted.devices.first().copied().unwrap_or_default());
    rt::log!(
        "{service}: the machine has no such device (PCI {vendor:04x}:{device:04x}): --device of `cargo xtask run` adds one"
    );
}

/// Why a driver ends.
enum End {
    Failed(Error),
    Unplugged,
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
            let end = running.serve();
            if matches!(end, End::Unplugged) {
                running.engine.retire_all(ENODEV);
            }
            let mut report = String::new();
            // Text in memory does not fail.
            _ = report::write(&running.engine, &mut report);
            report.lines().for_each(|line| rt::log!("{}: {line}", setup.service));
            let clock = Clock::of(rt::hints());
            let entries = running.engine.trace().entries();
            entries.for_each(|entry| rt::log!("{}: {}", setup.service, entry.at(clock)));
            match end {
                End::Failed(error) => error,
                End::Unplugged => {
                    rt::log!("{}: its device is unplugged", setup.service);
                    return AGAIN as i32;
                }
            }
        }
        Err(error) => error,
    };
    rt::log!("{}: ends: {error}", setup.service);
    1
}

struct Running<D> {
    engine: Engine<D, Session>,
    place: Place,
    interrupts: Vec<Irq>,
    /// An interrupt was left with more to do.
    again: bool,
    /// init waits to hear that the driver is drained.
    awaited: bool,
    /// Kept, and so the driver's.
    function: Option<Function>,
    bus_gone: bool,
    /// The function is to be unplugged: until when the driver may put things in order.
    leaves: Option<u64>,
    bytes: Box<[u8]>,
}

impl<D: Driver> Running<D> {
    fn new(
        start: &Start,
        setup: Setup<'_>,
        driver: D,
        mut place: Place,
        function: Option<Function>,
        lineage: Option<Endpoint>,
    ) -> Result<Running<D>> {
        let attach = |lineage| {
            let minting = place.endpoint.restricted(MINT)?;
            Session::attach(
                setup.service,
                setup.filters,
                setup.sources,
                minting,
                lineage,
                place.trace.clone(),
            )
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
        let bound = &place.bound;
        let mut engine = Engine::new(driver, session, setup.sources as usize);
        let mut again = false;
        let mut interrupts = Vec::new();
        if let Some(function) = &function {
            bound.watch_exit(function.bus(), BUS_GONE)?;
            interrupts.push(function.interrupt(0)?.0);
        }
        for &name in setup.interrupt.iter().filter(|_| function.is_none()).chain(D::LINES) {
            interrupts.push(start.object(name).ok_or_else(|| {
                rt::log!("{}: was not given {name}: see its devices in the manifest", setup.service);
                Error::new(EIO)
            })?);
        }
        for interrupt in &interrupts {
            again |= interrupt.bind(bound, INTERRUPT)?;
        }
        // EPERM: the manifest does not say that it is watched.
        _ = rt::init::watched(place.notice(WATCHDOG)?);
        engine.set_time(now_ns());
        engine.connect(bound)?;
        engine.start();
        if follows {
            let left = engine.link().left()?;
            engine.restore(left);
            engine.link().settled()?;
        }
        if engine.driver().has_buffers()
            && let Err(error) = rt::init::on_power_off(place.notice(POWER_OFF)?)
        {
            rt::log!("{}: what it buffers is lost at power off: {error}", setup.service);
        }
        place.register::<D>(setup.service)?;
        let bytes = vec![0; MAX_BYTES].into_boxed_slice();
        Ok(Running {
            engine,
            place,
            interrupts,
            again,
            awaited: false,
            function,
            bus_gone: false,
            leaves: None,
            bytes,
        })
    }

    /// Serves until the endpoint or the event server fails, or the device is unplugged.
    fn serve(&mut self) -> End {
        let mut answer: Option<(u64, [u64; WORDS])> = None;
        loop {
            ipc::set_accept(MAX_HANDLES as u32);
            let patience = self.leaves.unwrap_or(FOREVER);
            let deadline = if self.again { 0 } else { self.engine.deadline().min(patience) };
            let heard = match answer.take() {
                Some((token, words)) => self.place.endpoint.reply_recv(token, message(words), deadline),
                None => self.place.endpoint.recv(deadline),
            };
            let now = now_ns();
            self.engine.set_time(now);
            match heard {
                Ok(received) => answer = self.hear(&received),
                Err(error) if error.errno != ETIMEDOUT => return End::Failed(error),
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
            if self.leaves.is_some_and(|until| until <= now || self.engine.driver().is_drained()) {
                return End::Unplugged;
            }
            if let Some(error) = self.engine.link().lost().or(self.engine.driver().lost()) {
                return End::Failed(error);
            }
            if self.bus_gone {
                return End::Failed(Error::new(EPIPE));
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
                if received.words[0] & UNPLUGGED != 0 {
                    self.leave();
                }
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

    /// The function is unplugged, or is to be: then what is buffered is written first.
    fn leave(&mut self) {
        let is_there = self.function.as_ref().is_some_and(Function::is_there);
        let patience = if is_there && self.engine.driver().has_buffers() { PATIENCE_NS } else { 0 };
        self.leaves = Some(now_ns() + patience);
        if patience > 0 {
            self.engine.power_off();
        }
    }

    fn interrupt(&mut self) {
        self.again = self.engine.interrupt();
        if !self.interrupts.is_empty() {
            for interrupt in &self.interrupts {
                // An acknowledged line that fails would be a line taken away: nothing more would come, and nothing is lost.
                _ = interrupt.ack();
            }
            // An edge that came while the line was masked is not repeated.
            self.again |= self.engine.interrupt();
        }
    }
}

fn message(words: [u64; WORDS]) -> Message {
    Message { tag: Tag::words(label::REPLY), words }
}

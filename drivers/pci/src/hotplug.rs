//! What comes and goes while the machine runs.
//!
//! ```text
//!             something is in it,        100 ms, it answers
//!             what was there is returned
//!   empty ──────────────────────► starting ──────────────► occupied
//!     ▲  taken out                   │ nothing answers         │ button: drivers are told
//!     │                              ▼                         ▼
//!     └───────────────────────────  off  ◄────────────────  leaving
//!       (taken out at any other time: to empty at once)       all functions returned, or 10 s
//! ```
//! A driver's function is its own until it closes it: what is plugged in next waits for that, so that no old window onto
//! registers shows another device's.

use crate::bus::{Bus, Machine, Slot};
use crate::capability::Messages;
use crate::config::{BARS, ConfigSpace};
use crate::enumeration::{Found, Kind, MOST, plugged_in};
use crate::message;
use crate::place::{Room, assign};
use crate::port::{Port, Seen};
use abi::error::{ENOSPC, Error, Result};
use abi::limits::FOREVER;
use alloc::vec::Vec;
use core::fmt;
use pci_protocol::{AWAITED, Address, State, Wanted};

/// From power to the first question (6.6.1: 100 ms).
const START_NS: u64 = 100_000_000;
/// From power to giving up (6.6.1: 1 s).
const GIVE_UP_NS: u64 = 1_000_000_000;
/// From switching power off to switching it on again (6.7.1.8: 1 s).
const OFF_NS: u64 = 1_000_000_000;
/// How long drivers may take to return what is to be unplugged.
const PATIENCE_NS: u64 = 10_000_000_000;
/// Badges of those who wait have this bit, and no function's has.
const WAITER: u64 = 1 << 63;

/// A port, and how far what is in it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Socket {
    port: Port,
    phase: Phase,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Phase {
    /// Nothing is in it; it has no power until then at least.
    Empty(u64),
    /// Power is on: asked at this time, given up at that.
    Starting(u64, u64),
    /// Its functions are in the list.
    Occupied,
    /// Its functions are being returned, until this time at most.
    Leaving(u64),
    /// Something is in it and has no power.
    Off,
}

impl Socket {
    /// The socket that a bridge is.
    pub(crate) fn find(config: &impl ConfigSpace, address: Address) -> Option<Socket> {
        Some(Socket { port: Port::find(config, address)?, phase: Phase::Occupied })
    }
}

/// Somebody who waits for a function.
pub(crate) struct Awaiting<N> {
    pub(crate) badge: u64,
    wanted: Wanted,
    notice: N,
}

/// What there is to tell of what comes and goes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum News {
    /// It was plugged in.
    Came(Found),
    /// It was asked for, and can be taken out.
    Left(Address),
    /// It was taken out and nobody had asked.
    Torn(Address),
    /// Its driver does not return it.
    Kept(Address),
    /// Something was plugged into a port and does not answer, or there is no room for it.
    Mute(Address),
}

impl fmt::Display for News {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            News::Came(Found { address, identity, kind }) => {
                write!(f, "{address} ({:04x}:{:04x}) was plugged in", identity.vendor, identity.device)?;
                kind.err().map_or(Ok(()), |fault| write!(f, ": {fault}"))
            }
            News::Left(address) => write!(f, "{address} is unplugged"),
            News::Torn(address) => write!(f, "{address} is gone, and nobody had asked"),
            News::Kept(address) => write!(f, "the driver of {address} does not return it"),
            News::Mute(port) => write!(f, "what was plugged into the port {port} does not answer"),
        }
    }
}

/// The place of what is gone for longest, of those first whose number among their kind nobody behind them goes by.
fn forgettable<T, N>(slots: &[Slot<T, N>]) -> Option<usize> {
    let kind = |slot: &Slot<T, N>| (slot.found.identity.vendor, slot.found.identity.device);
    let named = |at: usize| {
        let mut behind = slots[at + 1..].iter();
        behind.any(|slot| kind(slot) == kind(&slots[at]) && slot.state != State::Absent)
    };
    let absent = (0..slots.len()).filter(|&at| slots[at].state == State::Absent);
    absent.min_by_key(|&at| (named(at), slots[at].left))
}

impl<M: Machine> Bus<M> {
    /// Sockets as they were found.
    pub(crate) fn begin(&mut self, now: u64) {
        for at in 0..self.sockets.len() {
            let port = self.sockets[at].port;
            port.arm(&mut self.machine);
            let (seen, on) = (port.look(&mut self.machine), port.has_power(&self.machine));
            // Of a bus that died between power and addresses: what has none begins anew.
            let here = |slot: &&Slot<_, _>| slot.found.address.bus() == port.bus;
            let ready = self.slots.iter().filter(here).all(|slot| match slot.found.kind {
                Ok(Kind::Device(device)) => {
                    device.bars.iter().flatten().all(|bar| !bar.is_memory || bar.base != 0)
                }
                _ => true,
            });
            let known = self.slots.iter().any(|slot| here(&slot));
            self.sockets[at].phase = if seen.present && on && known && ready {
                Phase::Occupied
            } else {
                self.drop_functions(port, false);
                Phase::Empty(now)
            };
        }
        self.attend(now);
    }

    /// The interrupts by which sockets tell, each of which is to be followed by [`Bus::interrupted`].
    pub fn listen(&mut self, cpu: u32) -> Vec<Result<M::Interrupt>> {
        let ports: Vec<Port> = self.sockets.iter().map(|socket| socket.port).collect();
        ports.into_iter().map(|port| self.listen_at(port, cpu)).collect()
    }

    fn listen_at(&mut self, port: Port, cpu: u32) -> Result<M::Interrupt> {
        let none = || Error::new(abi::error::ENODEV);
        let messages: Messages = port.messages.filter(|has| port.entry < has.entries).ok_or_else(none)?;
        // A port has two BARs, to which the firmware gave addresses.
        let bar = u16::from(messages.table.0).min(1);
        let low = self.machine.read(port.address, BARS + 4 * bar);
        let high = if low & 6 == 4 { self.machine.read(port.address, BARS + 4) } else { 0 };
        let table = self.table_at(u64::from(high) << 32 | u64::from(low & !0xf), &messages)?;
        let (interrupt, sent) = self.machine.message(cpu)?;
        message::mask_all(&table, messages.entries);
        message::set(&table, port.entry, sent);
        message::switch(&mut self.machine, port.address, &messages, true);
        Ok(interrupt)
    }

    /// Where the sockets are.
    pub fn ports(&self) -> impl Iterator<Item = Address> + '_ {
        self.sockets.iter().map(|socket| socket.port.address)
    }

    /// A socket told of something.
    pub fn interrupted(&mut self, now: u64) {
        self.attend(now);
        self.tell_awaiting();
    }

    /// What there is to tell.
    pub fn news(&mut self) -> Vec<News> {
        core::mem::take(&mut self.news)
    }

    /// Has a function's owner told when it goes. At once, if it does already.
    pub fn watch(&mut self, badge: u64, notice: M::Notice) -> Result<()> {
        let (at, _) = self.claimed(badge)?;
        if self.slots[at].state == State::Leaving {
            self.machine.tell(&notice);
        }
        self.slots[at].notice = Some(notice);
        Ok(())
    }

    /// Has somebody told when a function can be claimed: the badge of a handle that, closed, ends the waiting.
    pub fn await_function(&mut self, wanted: Wanted, notice: M::Notice) -> Result<u64> {
        if self.awaiting.len() == AWAITED {
            return Err(Error::new(ENOSPC));
        }
        self.waited = self.waited.wrapping_add(1);
        let badge = WAITER | u64::from(self.waited);
        self.awaiting.push(Awaiting { badge, wanted, notice });
        self.tell_awaiting();
        Ok(badge)
    }

    /// Tells those whose function can be claimed: once each.
    pub(crate) fn tell_awaiting(&mut self) {
        let ready = |bus: &Bus<M>, wanted: &Wanted| {
            bus.wanted(wanted).is_some_and(|at| bus.slots[at].state == State::Free)
        };
        for awaiting in core::mem::take(&mut self.awaiting) {
            if ready(self, &awaiting.wanted) {
                self.machine.tell(&awaiting.notice);
            } else {
                self.awaiting.push(awaiting);
            }
        }
    }

    /// Whether what is at an address is there for whoever claims it next.
    pub(crate) fn stays(&self, address: Address) -> bool {
        let socket = self.sockets.iter().find(|socket| socket.port.bus == address.bus());
        socket.is_none_or(|socket| socket.phase == Phase::Occupied)
    }

    /// When a socket is to be looked at without being told.
    pub(crate) fn next_switch(&self) -> u64 {
        let when = |socket: &Socket| match socket.phase {
            Phase::Starting(until, _) | Phase::Leaving(until) => until,
            Phase::Empty(until) if until > 0 && !self.is_busy(socket.port.bus) => until,
            _ => FOREVER,
        };
        self.sockets.iter().map(when).min().unwrap_or(FOREVER)
    }

    /// Whether somebody has a function of a bus still.
    fn is_busy(&self, bus: u8) -> bool {
        let busy = |slot: &Slot<_, _>| matches!(slot.state, State::Leaving | State::Resetting);
        self.slots.iter().any(|slot| slot.found.address.bus() == bus && busy(slot))
    }

    /// Looks at every socket, and does what there is to do.
    pub(crate) fn attend(&mut self, now: u64) {
        for at in 0..self.sockets.len() {
            let Socket { port, phase } = self.sockets[at];
            let seen = port.look(&mut self.machine);
            let mut next = self.next(port, phase, seen, now);
            if next != phase {
                // What was put in while something else went on is not told of again.
                next = self.next(port, next, Seen { button: false, changed: false, ..seen }, now);
            }
            self.sockets[at].phase = next;
        }
    }

    fn next(&mut self, port: Port, phase: Phase, seen: Seen, now: u64) -> Phase {
        match phase {
            Phase::Empty(until) => {
                if !seen.present {
                    return Phase::Empty(if until <= now { 0 } else { until });
                }
                if self.is_busy(port.bus) || until > now {
                    // Not 0: there is something to come back for.
                    return Phase::Empty(until.max(1));
                }
                port.switch(&mut self.machine, true);
                Phase::Starting(now + START_NS, now + GIVE_UP_NS)
            }
            Phase::Starting(until, give_up) => {
                // Changed: another may be in it, which has had no power for as long as it needs.
                if !seen.present || seen.changed {
                    return self.switch_off(port, now);
                }
                if until > now {
                    return phase;
                }
                if self.fill(port) {
                    return Phase::Occupied;
                }
                if now < give_up {
                    return Phase::Starting((now + START_NS).min(give_up), give_up);
                }
                self.news.push(News::Mute(port.address));
                port.switch(&mut self.machine, false);
                Phase::Off
            }
            Phase::Occupied | Phase::Leaving(_) if !seen.present || seen.changed => {
                self.drop_functions(port, true);
                self.switch_off(port, now)
            }
            Phase::Occupied if seen.button => {
                self.take_back(port);
                Phase::Leaving(now + PATIENCE_NS)
            }
            Phase::Leaving(until) if !self.is_busy(port.bus) || until <= now => {
                let kept =
                    |slot: &&Slot<_, _>| slot.found.address.bus() == port.bus && slot.state == State::Leaving;
                let kept = self.slots.iter().filter(kept).map(|slot| News::Kept(slot.found.address));
                let kept: Vec<News> = kept.collect();
                self.news.extend(kept);
                self.news.push(News::Left(Address::new(port.bus, 0, 0)));
                port.switch(&mut self.machine, false);
                // The emulator lets it go at once.
                let seen = port.look(&mut self.machine);
                if seen.present && !seen.changed { Phase::Off } else { Phase::Empty(now + OFF_NS) }
            }
            Phase::Off if !seen.present || seen.changed || seen.button => Phase::Empty(now + OFF_NS),
            same => same,
        }
    }

    fn switch_off(&mut self, port: Port, now: u64) -> Phase {
        port.switch(&mut self.machine, false);
        Phase::Empty(now + OFF_NS)
    }

    /// What is behind a port is there no more.
    fn drop_functions(&mut self, port: Port, tell: bool) {
        let here = |slot: &&Slot<_, _>| slot.found.address.bus() == port.bus && slot.state != State::Absent;
        let torn = self.slots.iter().filter(here).map(|slot| News::Torn(slot.found.address));
        let torn: Vec<News> = torn.filter(|_| tell).collect();
        self.news.extend(torn);
        self.take_back(port);
    }

    /// Owners are told, and nobody else gets a function of this port.
    fn take_back(&mut self, port: Port) {
        let Bus { machine, slots, left, .. } = self;
        for slot in slots.iter_mut().filter(|slot| slot.found.address.bus() == port.bus) {
            match slot.state {
                State::Free | State::Unusable => slot.leave(left),
                State::Claimed => {
                    slot.state = State::Leaving;
                    slot.notice.iter().for_each(|notice| machine.tell(notice));
                }
                State::Resetting | State::Leaving | State::Absent => {}
            }
        }
    }

    /// Puts the functions behind a port into the list: false, if there are none.
    fn fill(&mut self, port: Port) -> bool {
        let mut found = plugged_in(&mut self.machine, port.bus);
        let mut room = Room::new(port.windows(&self.machine));
        for found in &mut found {
            if let Ok(Kind::Device(device)) = &mut found.kind
                && let Err(fault) = assign(&mut self.machine, found.address, &mut device.bars, &mut room)
            {
                found.kind = Err(fault);
            }
        }
        for &found in &found {
            self.news.push(News::Came(found));
            let Bus { machine, slots, .. } = self;
            let same = |slot: &&mut Slot<_, _>| {
                let is = slot.found.identity;
                slot.state == State::Absent
                    && slot.found.address == found.address
                    && (is.vendor, is.device) == (found.identity.vendor, found.identity.device)
            };
            if let Some(slot) = slots.iter_mut().find(same) {
                slot.fill(machine, found);
            } else if slots.len() < MOST {
                slots.push(Slot::new(machine, found));
            } else if let Some(at) = forgettable(slots) {
                slots[at].fill(machine, found);
            }
        }
        !found.is_empty()
    }
}

//! Whose each function is, and what its driver gets of it.
//!
//! ```text
//!            claim                    last handle closed              reset done
//!   free ─────────────► claimed ─────────────────────────► resetting ───────────► free
//!                                 master off, messages off,            lent memory
//!                                 function level reset                 given back
//! ```
//! Memory that a driver lent is given back when the function is reset: nothing of it is on its way any more. What comes and goes
//! while the machine runs: [`hotplug`](crate::hotplug).

use crate::bar::{Bar, COUNT};
use crate::capability::{ENTRY, Messages};
use crate::config::{self, BARS, ConfigSpace, MASTER, MEMORY, NO_LINE, command, set_command};
use crate::enumeration::{Device, Found, Kind};
use crate::hotplug::{Awaiting, News, Socket};
use crate::{message, routing};
use abi::error::{EBUSY, EINVAL, EIO, ENODEV, ENOSPC, EPERM, Error, Result};
use abi::limits::FOREVER;
use abi::memory::{InterruptMessage, PAGE};
use alloc::vec::Vec;
use driver_sdk::Registers;
use pci_protocol::{Address, CONFIG, INTERRUPTS, Identity, LENT, LISTED, Listed, State, Wanted};

/// How long a function is left alone after its reset (PCI Express 6.6.2: 100 ms).
pub const RESET_NS: u64 = 100_000_000;
/// In the word of device control and status: initiate function level reset.
const RESET: u32 = 1 << 15;

/// The machine, or what stands for it in a test.
pub trait Machine: ConfigSpace {
    /// Device memory, or memory that was lent; freed when it is dropped.
    type Memory;
    /// An interrupt, gone when it is dropped.
    type Interrupt;
    /// Registers that the bus uses itself.
    type Table: Registers;
    /// How somebody is told of something.
    type Notice;

    /// Device memory: whole pages.
    fn memory(&mut self, address: u64, length: u64) -> Result<Self::Memory>;
    /// The same for the bus itself.
    fn table(&mut self, address: u64, length: u64) -> Result<Self::Table>;
    /// A message interrupt for a CPU, and what raises it.
    fn message(&mut self, cpu: u32) -> Result<(Self::Interrupt, InterruptMessage)>;
    /// A line, level-triggered and active high.
    fn line(&mut self, gsi: u32) -> Result<Self::Interrupt>;
    /// Tells somebody.
    fn tell(&mut self, notice: &Self::Notice);
}

/// Functions and their owners.
pub struct Bus<M: Machine> {
    pub(crate) machine: M,
    /// In the order in which they were found, which is that of their addresses but for what was plugged in. None is removed,
    /// since the names of devices go by their places here; when the list is full, what is plugged in takes the place of what is
    /// gone for longest.
    pub(crate) slots: Vec<Slot<M::Memory, M::Notice>>,
    pub(crate) sockets: Vec<Socket>,
    pub(crate) awaiting: Vec<Awaiting<M::Notice>>,
    /// Who waited so far.
    pub(crate) waited: u32,
    /// What has gone so far.
    pub(crate) left: u64,
    pub(crate) news: Vec<News>,
}

pub(crate) struct Slot<T, N> {
    pub(crate) found: Found,
    pub(crate) state: State,
    /// Claims so far: part of the badge, so that a late close is not the next owner's.
    claims: u32,
    /// While it is resetting: when that is over.
    until: u64,
    /// What BARs held when it was found: a reset forgets it.
    kept: [u32; COUNT],
    lent: Vec<T>,
    /// Interrupts that this claim was given: the machine has few vectors for all.
    interrupts: usize,
    /// Of what is absent: after how many others it went.
    pub(crate) left: u64,
    /// How its owner is told that it goes.
    pub(crate) notice: Option<N>,
}

impl<T, N> Slot<T, N> {
    /// What was found, for whoever claims it. Its BARs are as they will be.
    pub(crate) fn new(config: &impl ConfigSpace, found: Found) -> Slot<T, N> {
        Slot {
            state: if matches!(found.kind, Ok(Kind::Device(_))) { State::Free } else { State::Unusable },
            kept: core::array::from_fn(|bar| config.read(found.address, BARS + 4 * bar as u16)),
            found,
            claims: 0,
            until: 0,
            lent: Vec::new(),
            interrupts: 0,
            left: 0,
            notice: None,
        }
    }

    /// The same place has something in it again.
    pub(crate) fn fill(&mut self, config: &impl ConfigSpace, found: Found) {
        *self = Slot { claims: self.claims, ..Slot::new(config, found) };
    }

    /// It is there no more, and nobody has it.
    pub(crate) fn leave(&mut self, left: &mut u64) {
        *left += 1;
        self.left = *left;
        self.state = State::Absent;
    }

    pub(crate) fn fits(&self, wanted: &Wanted) -> bool {
        let identity = self.found.identity;
        identity.vendor == wanted.vendor && wanted.devices.contains(&identity.device)
    }
}

/// A claimed function.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Claimed {
    /// The badge of its handle, above 2^32: below it are those of callers.
    pub badge: u64,
    /// Where it is.
    pub address: Address,
    /// What it is.
    pub identity: Identity,
}

impl<M: Machine> Bus<M> {
    /// All free. Functions that reach memory by themselves, of drivers before this life of the bus, are stopped first.
    pub fn new(machine: M, found: Vec<Found>, now: u64) -> Bus<M> {
        let bridges = found.iter().filter(|found| found.kind == Ok(Kind::Bridge));
        let sockets = bridges.filter_map(|found| Socket::find(&machine, found.address)).collect();
        let slots = found.into_iter().map(|found| Slot::new(&machine, found)).collect();
        let mut bus =
            Bus { machine, slots, sockets, awaiting: Vec::new(), waited: 0, left: 0, news: Vec::new() };
        for at in 0..bus.slots.len() {
            let address = bus.slots[at].found.address;
            if bus.slots[at].state == State::Free && command(&bus.machine, address) & MASTER != 0 {
                bus.stop(at, now);
            }
        }
        bus.begin(now);
        bus
    }

    /// Functions behind an address.
    pub fn list(&self, after: Option<Address>) -> Vec<Listed> {
        let later = |slot: &&Slot<_, _>| {
            slot.state != State::Absent && after.is_none_or(|after| slot.found.address > after)
        };
        let listed = |slot: &Slot<_, _>| Listed {
            address: slot.found.address,
            identity: slot.found.identity,
            state: slot.state,
        };
        let mut list: Vec<Listed> = self.slots.iter().filter(later).map(listed).collect();
        list.sort_by_key(|listed| listed.address);
        list.truncate(LISTED);
        list
    }

    /// The place that a driver wants.
    pub(crate) fn wanted(&self, wanted: &Wanted) -> Option<usize> {
        (0..self.slots.len()).filter(|&at| self.slots[at].fits(wanted)).nth(wanted.skip as usize)
    }

    /// Claims a function. `Ok(None)`: one is being reset, ask again later.
    pub fn claim(&mut self, wanted: &Wanted) -> Result<Option<Claimed>> {
        let at = self.wanted(wanted).ok_or(Error::new(ENODEV))?;
        let slot = &mut self.slots[at];
        match slot.state {
            State::Resetting => return Ok(None),
            State::Claimed => return Err(Error::new(EBUSY)),
            State::Unusable => return Err(Error::new(EIO)),
            State::Leaving | State::Absent => return Err(Error::new(ENODEV)),
            State::Free => {}
        }
        if config::identity(&self.machine, slot.found.address) != Some(slot.found.identity) {
            // It was unplugged, or another is in its place.
            return Err(Error::new(ENODEV));
        }
        slot.state = State::Claimed;
        slot.claims += 1;
        slot.interrupts = 0;
        let Found { address, identity, .. } = slot.found;
        let badge = u64::from(slot.claims) << 32 | (at as u64 + 1);
        set_command(&mut self.machine, address, MEMORY | NO_LINE, MASTER | config::PORTS);
        Ok(Some(Claimed { badge, address, identity }))
    }

    /// The slot of a badge whose claim has not ended.
    pub(crate) fn claimed(&self, badge: u64) -> Result<(usize, Device)> {
        let at = (badge as u32).wrapping_sub(1) as usize;
        match self.slots.get(at) {
            Some(Slot {
                state: State::Claimed | State::Leaving,
                claims,
                found: Found { kind: Ok(Kind::Device(device)), .. },
                ..
            }) if u64::from(*claims) == badge >> 32 => Ok((at, *device)),
            _ => Err(Error::new(ENODEV)),
        }
    }

    /// The beginning of configuration space.
    pub fn config(&self, badge: u64) -> Result<Vec<u8>> {
        let Found { address, identity, .. } = self.slots[self.claimed(badge)?.0].found;
        if config::identity(&self.machine, address) != Some(identity) {
            return Err(Error::new(ENODEV));
        }
        let words = (0..CONFIG as u16).step_by(4);
        Ok(words.flat_map(|offset| self.machine.read(address, offset).to_le_bytes()).collect())
    }

    /// Registers: the pages around them, and where in these they begin.
    pub fn window(&mut self, badge: u64, bar: u8, offset: u32, length: u32) -> Result<(M::Memory, u32)> {
        let (_, device) = self.claimed(badge)?;
        let place = device.bars.get(usize::from(bar)).copied().flatten().ok_or(Error::new(EINVAL))?;
        let (first, last) = (u64::from(offset), u64::from(offset) + u64::from(length));
        if !place.is_memory || place.base == 0 || length == 0 || last > place.length {
            return Err(Error::new(EINVAL));
        }
        let start = (place.base + first) & !(PAGE - 1);
        let end = (place.base + last).next_multiple_of(PAGE);
        let meets = |(part, offset, length): (u8, u64, u64)| {
            let of = device.bars[usize::from(part)].map_or(0, |bar: Bar| bar.base);
            start < of + offset + length && of + offset < end
        };
        if device.capabilities.messages.is_some_and(|messages| messages.parts().into_iter().any(meets)) {
            return Err(Error::new(EPERM));
        }
        let memory = self.machine.memory(start, end - start)?;
        Ok((memory, (place.base + first - start) as u32))
    }

    /// An interrupt, and whether it is a message.
    pub fn interrupt(&mut self, badge: u64, entry: u16, cpu: u32) -> Result<(M::Interrupt, bool)> {
        let (at, device) = self.claimed(badge)?;
        let address = self.slots[at].found.address;
        let has_room = self.slots[at].interrupts < INTERRUPTS;
        if let Some(messages) = device.capabilities.messages {
            if entry >= messages.entries {
                return Err(Error::new(EINVAL));
            }
            if !has_room {
                return Err(Error::new(ENOSPC));
            }
            let table = self.table(&device)?;
            let (interrupt, sent) = self.machine.message(cpu)?;
            message::set(&table, entry, sent);
            message::switch(&mut self.machine, address, &messages, true);
            self.slots[at].interrupts += 1;
            return Ok((interrupt, true));
        }
        let pin = device.pin.ok_or(Error::new(ENODEV))?;
        if entry != 0 {
            return Err(Error::new(EINVAL));
        }
        let on_root = address.bus() == 0;
        let gsi = routing::line(address.device(), pin).filter(|_| on_root).ok_or(Error::new(ENODEV))?;
        if !has_room {
            return Err(Error::new(ENOSPC));
        }
        let interrupt = self.machine.line(gsi)?;
        self.slots[at].interrupts += 1;
        set_command(&mut self.machine, address, 0, NO_LINE);
        Ok((interrupt, false))
    }

    fn table(&mut self, device: &Device) -> Result<M::Table> {
        let messages = device.capabilities.messages.ok_or(Error::new(ENODEV))?;
        let base = device.bars[usize::from(messages.table.0)].map_or(0, |bar| bar.base);
        self.table_at(base, &messages)
    }

    /// The table that is in a BAR with this address.
    pub(crate) fn table_at(&mut self, base: u64, messages: &Messages) -> Result<M::Table> {
        if base == 0 {
            return Err(Error::new(EIO));
        }
        self.machine.table(base + u64::from(messages.table.1), u64::from(messages.entries) * ENTRY)
    }

    /// Keeps memory that a function will reach.
    pub fn lend(&mut self, badge: u64, memory: M::Memory) -> Result<()> {
        let (at, _) = self.claimed(badge)?;
        let lent = &mut self.slots[at].lent;
        if lent.len() == LENT {
            return Err(Error::new(ENOSPC));
        }
        lent.push(memory);
        Ok(())
    }

    /// Lets a function reach memory, or no longer.
    pub fn set_master(&mut self, badge: u64, on: bool) -> Result<()> {
        let (at, _) = self.claimed(badge)?;
        let (set, clear) = if on { (MASTER, 0) } else { (0, MASTER) };
        set_command(&mut self.machine, self.slots[at].found.address, set, clear);
        Ok(())
    }

    /// The last handle with this badge is closed.
    pub fn closed(&mut self, badge: u64, now: u64) {
        self.awaiting.retain(|awaiting| awaiting.badge != badge);
        if let Ok((at, _)) = self.claimed(badge) {
            self.slots[at].notice = None;
            self.stop(at, now);
        }
    }

    /// Stops and resets a function.
    fn stop(&mut self, at: usize, now: u64) {
        let Slot { found, kept, .. } = &self.slots[at];
        let (address, kept) = (found.address, *kept);
        let Ok(Kind::Device(device)) = found.kind else { return };
        // First of all: from here on it begins nothing new.
        set_command(&mut self.machine, address, NO_LINE, MASTER);
        if let Some(messages) = device.capabilities.messages {
            set_command(&mut self.machine, address, MEMORY, 0);
            if let Ok(table) = self.table(&device) {
                message::mask_all(&table, messages.entries);
            }
            message::switch(&mut self.machine, address, &messages, false);
        }
        set_command(&mut self.machine, address, 0, MEMORY | config::PORTS);
        if let Some(express) = device.capabilities.reset {
            let register = u16::from(express) + 8;
            // The upper half is the status, whose ones clear.
            let control = self.machine.read(address, register) & 0xffff;
            self.machine.write(address, register, control | RESET);
        }
        let slot = &mut self.slots[at];
        slot.state = State::Resetting;
        slot.until = now + RESET_NS;
        slot.kept = kept;
    }

    /// When [`Bus::expired`] has something to do.
    pub fn deadline(&self) -> u64 {
        let resetting = |slot: &&Slot<_, _>| slot.state == State::Resetting;
        let reset = self.slots.iter().filter(resetting).map(|slot| slot.until).min();
        reset.unwrap_or(FOREVER).min(self.next_switch())
    }

    /// Functions whose reset is over are free again, and what waits at the sockets goes on.
    pub fn expired(&mut self, now: u64) {
        for at in 0..self.slots.len() {
            let stays = self.stays(self.slots[at].found.address);
            let Bus { machine, slots, left, .. } = self;
            let slot = &mut slots[at];
            if slot.state != State::Resetting || slot.until > now {
                continue;
            }
            if stays {
                for (bar, &value) in slot.kept.iter().enumerate() {
                    machine.write(slot.found.address, BARS + 4 * bar as u16, value);
                }
            }
            slot.lent.clear();
            if stays {
                slot.state = State::Free;
            } else {
                slot.leave(left);
            }
        }
        self.attend(now);
        self.tell_awaiting();
    }
}

//! Whose each function is, and what its driver gets of it.
//!
//! ```text
//!            claim                    last handle closed              reset done
//!   free ─────────────► claimed ─────────────────────────► resetting ───────────► free
//!                                 master off, messages off,            lent memory
//!                                 function level reset                 given back
//! ```
//! Memory that a driver lent is given back when the function is reset: nothing of it is on its way any more.

use crate::bar::{Bar, COUNT};
use crate::capability::ENTRY;
use crate::config::{self, BARS, ConfigSpace, MASTER, MEMORY, NO_LINE, command, set_command};
use crate::enumeration::{Device, Found, Kind};
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

    /// Device memory: whole pages.
    fn memory(&mut self, address: u64, length: u64) -> Result<Self::Memory>;
    /// The same for the bus itself.
    fn table(&mut self, address: u64, length: u64) -> Result<Self::Table>;
    /// A message interrupt for a CPU, and what raises it.
    fn message(&mut self, cpu: u32) -> Result<(Self::Interrupt, InterruptMessage)>;
    /// A line, level-triggered and active high.
    fn line(&mut self, gsi: u32) -> Result<Self::Interrupt>;
}

/// Functions and their owners.
pub struct Bus<M: Machine> {
    machine: M,
    slots: Vec<Slot<M::Memory>>,
}

struct Slot<T> {
    found: Found,
    state: State,
    /// Claims so far: part of the badge, so that a late close is not the next owner's.
    claims: u32,
    /// While it is resetting: when that is over.
    until: u64,
    /// What BARs and command held when it was found: a reset forgets it.
    kept: [u32; COUNT],
    lent: Vec<T>,
    /// Interrupts that this claim was given: the machine has few vectors for all.
    interrupts: usize,
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
        let slots = found.into_iter().map(|found| Slot {
            state: if matches!(found.kind, Ok(Kind::Device(_))) { State::Free } else { State::Unusable },
            kept: core::array::from_fn(|bar| machine.read(found.address, BARS + 4 * bar as u16)),
            found,
            claims: 0,
            until: 0,
            lent: Vec::new(),
            interrupts: 0,
        });
        let slots: Vec<_> = slots.collect();
        let mut bus = Bus { machine, slots };
        for at in 0..bus.slots.len() {
            let address = bus.slots[at].found.address;
            if bus.slots[at].state == State::Free && command(&bus.machine, address) & MASTER != 0 {
                bus.stop(at, now);
            }
        }
        bus
    }

    /// Functions behind an address.
    pub fn list(&self, after: Option<Address>) -> Vec<Listed> {
        let later = |slot: &&Slot<_>| after.is_none_or(|after| slot.found.address > after);
        let listed = |slot: &Slot<_>| Listed {
            address: slot.found.address,
            identity: slot.found.identity,
            state: slot.state,
        };
        self.slots.iter().filter(later).take(LISTED).map(listed).collect()
    }

    /// Claims a function. `Ok(None)`: one is being reset, ask again later.
    pub fn claim(&mut self, wanted: &Wanted) -> Result<Option<Claimed>> {
        let fits = |slot: &Slot<_>| {
            let identity = slot.found.identity;
            identity.vendor == wanted.vendor && wanted.devices.contains(&identity.device)
        };
        let at = (0..self.slots.len()).filter(|&at| fits(&self.slots[at])).nth(wanted.skip as usize);
        let at = at.ok_or(Error::new(ENODEV))?;
        let slot = &mut self.slots[at];
        match slot.state {
            State::Resetting => return Ok(None),
            State::Claimed => return Err(Error::new(EBUSY)),
            State::Unusable => return Err(Error::new(EIO)),
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
    fn claimed(&self, badge: u64) -> Result<(usize, Device)> {
        let at = (badge as u32).wrapping_sub(1) as usize;
        match self.slots.get(at) {
            Some(Slot {
                state: State::Claimed,
                claims,
                found: Found { kind: Ok(Kind::Device(device)), .. },
                ..
            }) if u64::from(*claims) == badge >> 32 => Ok((at, *device)),
            _ => Err(Error::new(ENODEV)),
        }
    }

    /// The beginning of configuration space.
    pub fn config(&self, badge: u64) -> Result<Vec<u8>> {
        let address = self.slots[self.claimed(badge)?.0].found.address;
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
        if let Ok((at, _)) = self.claimed(badge) {
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
        let resetting = |slot: &&Slot<_>| slot.state == State::Resetting;
        self.slots.iter().filter(resetting).map(|slot| slot.until).min().unwrap_or(FOREVER)
    }

    /// Functions whose reset is over are free again.
    pub fn expired(&mut self, now: u64) {
        let Bus { machine, slots } = self;
        for slot in slots.iter_mut().filter(|slot| slot.state == State::Resetting && slot.until <= now) {
            for (bar, &value) in slot.kept.iter().enumerate() {
                machine.write(slot.found.address, BARS + 4 * bar as u16, value);
            }
            slot.lent.clear();
            slot.state = State::Free;
        }
    }
}

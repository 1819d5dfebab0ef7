//! A port into which a function is plugged while the machine runs (PCI Express Base Specification 6.7; slot registers 7.5.3.9
//! to 7.5.3.11, the bridge's windows: PCI-to-PCI Bridge 1.2, 3.2.5).

use crate::capability::{self, Messages};
use crate::config::{
    BUSES, ConfigSpace, HEADER, MASTER, MEMORY, MEMORY_WINDOW, NO_LINE, WIDE_BASE, WIDE_LIMIT, WIDE_WINDOW,
    set_command,
};
use pci_protocol::Address;

/// In the capability's first word: it has a slot; above it the entry of its interrupts.
const HAS_SLOT: u32 = 1 << 24;
/// Root port and downstream port of a switch, in the same word.
const KINDS: [u32; 2] = [4, 6];
/// Slot capabilities: things are plugged in here.
const HOT_PLUG: u32 = 1 << 6;
/// Slot control; the upper half of the word is the status.
const SLOT: u16 = 0x18;

/// Bits of slot control.
mod control {
    pub const BUTTON: u32 = 1 << 0;
    pub const PRESENCE: u32 = 1 << 3;
    pub const INTERRUPT: u32 = 1 << 5;
    /// The attention indicator is off.
    pub const NO_ATTENTION: u32 = 3 << 6;
    pub const POWER_LIGHT_ON: u32 = 1 << 8;
    pub const POWER_LIGHT_OFF: u32 = 3 << 8;
    pub const POWER_LIGHT: u32 = 3 << 8;
    pub const POWER_OFF: u32 = 1 << 10;
}

/// Bits of slot status, in its word. Ones that are written to the first five clear them.
mod status {
    pub const BUTTON: u32 = 1 << 16;
    pub const PRESENCE: u32 = 1 << 19;
    pub const EVENTS: u32 = 0x11f << 16;
    pub const PRESENT: u32 = 1 << 22;
}

/// Looks at events that keep coming while they are cleared.
const LOOKS: usize = 8;

/// A port.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Port {
    /// Where it is.
    pub address: Address,
    /// The bus behind it.
    pub bus: u8,
    /// Its own interrupts.
    pub messages: Option<Messages>,
    /// Which of them tells of its slot.
    pub entry: u16,
    express: u16,
}

/// What has happened at a slot since it was looked at last, and what is in it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Seen {
    /// Somebody pressed the button, or asked for the same in another way.
    pub button: bool,
    /// Something was put in or taken out.
    pub changed: bool,
    /// Something is in it.
    pub present: bool,
}

impl Port {
    /// The port that a bridge is, if something can be plugged in behind it, and its capabilities make sense.
    pub fn find(config: &impl ConfigSpace, address: Address) -> Option<Port> {
        let header = (config.read(address, HEADER) >> 16) as u8 & 0x7f;
        let bus = (config.read(address, BUSES) >> 8) as u8;
        let found = capability::read(config, address).ok()?;
        let express = u16::from(found.express?);
        let head = config.read(address, express);
        let has_slot = head & HAS_SLOT != 0 && KINDS.contains(&(head >> 20 & 0xf));
        if header != 1 || bus == 0 || !has_slot || express + SLOT + 4 > 0x100 {
            return None;
        }
        if config.read(address, express + SLOT - 4) & HOT_PLUG == 0 {
            return None;
        }
        Some(Port { address, bus, messages: found.messages, entry: (head >> 25 & 0x1f) as u16, express })
    }

    fn slot(&self, config: &impl ConfigSpace) -> u32 {
        config.read(self.address, self.express + SLOT)
    }

    /// Writes slot control. Whatever is written there is a command, which the port says that it has completed.
    fn command(&self, config: &mut impl ConfigSpace, word: u32) {
        config.write_half(self.address, self.express + SLOT, word as u16);
    }

    /// Clears bits of slot status, which is no command.
    fn clear(&self, config: &mut impl ConfigSpace, events: u32) {
        config.write_half(self.address, self.express + SLOT + 2, (events >> 16) as u16);
    }

    /// Has it tell of its slot, and reach memory for that. What was to be told before is forgotten.
    pub fn arm(&self, config: &mut impl ConfigSpace) {
        set_command(config, self.address, MEMORY | MASTER | NO_LINE, 0);
        let told = control::BUTTON | control::PRESENCE | control::INTERRUPT;
        self.command(config, self.slot(config) | told);
        self.clear(config, status::EVENTS);
    }

    /// Looks, and lets further events interrupt.
    pub fn look(&self, config: &mut impl ConfigSpace) -> Seen {
        let mut seen = Seen::default();
        for _ in 0..LOOKS {
            let word = self.slot(config);
            if word == u32::MAX {
                // The port itself is gone, and what was behind it.
                return Seen::default();
            }
            seen.button |= word & status::BUTTON != 0;
            seen.changed |= word & status::PRESENCE != 0;
            seen.present = word & status::PRESENT != 0;
            if word & status::EVENTS == 0 {
                break;
            }
            self.clear(config, word & status::EVENTS);
        }
        seen
    }

    /// Whether the slot has power.
    pub fn has_power(&self, config: &impl ConfigSpace) -> bool {
        self.slot(config) & control::POWER_OFF == 0
    }

    /// Switches the slot's power, and the light that says so.
    pub fn switch(&self, config: &mut impl ConfigSpace, on: bool) {
        let kept = self.slot(config) & !(control::POWER_LIGHT | control::POWER_OFF);
        let (light, off) =
            if on { (control::POWER_LIGHT_ON, 0) } else { (control::POWER_LIGHT_OFF, control::POWER_OFF) };
        self.command(config, kept | control::NO_ATTENTION | light | off);
    }

    /// What the firmware left for what is behind it: first address and the one behind the last, of memory below 4 GiB, and of
    /// the memory that may be above.
    pub fn windows(&self, config: &impl ConfigSpace) -> [Option<(u64, u64)>; 2] {
        let range = |word: u32, base: u32, limit: u32| {
            let first = u64::from(word & 0xfff0) << 16 | u64::from(base) << 32;
            let last = u64::from(word & 0xfff0_0000) | 0xf_ffff | u64::from(limit) << 32;
            (first != 0 && first < last && last < 1 << 52).then(|| (first, last + 1))
        };
        let wide = config.read(self.address, WIDE_WINDOW);
        let halves = match wide & 0xf {
            1 => [WIDE_BASE, WIDE_LIMIT].map(|register| config.read(self.address, register)),
            _ => [0; 2],
        };
        [range(config.read(self.address, MEMORY_WINDOW), 0, 0), range(wide, halves[0], halves[1])]
    }
}

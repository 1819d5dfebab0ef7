//! I/O APICs: which CPU and vector a global system interrupt goes to.

use firmware::madt::IoApic;

use crate::arch::{apic, cpu, memory, vector};
use crate::lock::{Devices, Ipc, LockToken, Mutex};

const VERSION: u32 = 1;
const REDIRECTION: u32 = 0x10;
const MASKED: u32 = 1 << 16;
const LEVEL: u32 = 1 << 15;
const REMOTE_REQUEST: u32 = 1 << 14;
const ACTIVE_LOW: u32 = 1 << 13;
const DELIVERY_PENDING: u32 = 1 << 12;

struct Chip {
    registers: *mut u8,
    first: u32,
    lines: u32,
}

// SAFETY: the pointer is to device registers, used under the lock only.
unsafe impl Send for Chip {}

static CHIPS: Mutex<Devices, heapless::Vec<Chip, { firmware::madt::MAX_IO_APICS }>> =
    Mutex::new(heapless::Vec::new());

impl Chip {
    fn read(&self, register: u32) -> u32 {
        // SAFETY: the registers are mapped (select at 0, data at 0x10) and the lock is held.
        unsafe {
            self.registers.cast::<u32>().write_volatile(register);
            self.registers.add(0x10).cast::<u32>().read_volatile()
        }
    }

    fn write(&self, register: u32, value: u32) {
        // SAFETY: as in `read`.
        unsafe {
            self.registers.cast::<u32>().write_volatile(register);
            self.registers.add(0x10).cast::<u32>().write_volatile(value);
        }
    }

    /// Register with the low half of a line's entry.
    fn entry(&self, gsi: u32) -> Option<u32> {
        let line = gsi.checked_sub(self.first).filter(|&line| line < self.lines)?;
        Some(REDIRECTION + line * 2)
    }
}

/// Maps the registers and masks every line.
pub fn init(io_apics: &[IoApic]) {
    let mut chips = CHIPS.lock_leaf();
    for io_apic in io_apics {
        let mut chip =
            Chip { registers: memory::map_device(io_apic.address, 32), first: io_apic.first, lines: 0 };
        chip.lines = (chip.read(VERSION) >> 16 & 0xff) + 1;
        for line in 0..chip.lines {
            chip.write(REDIRECTION + line * 2, MASKED);
        }
        let _ = chips.push(chip);
    }
}

fn with<R>(token: &mut LockToken<'_, Ipc>, gsi: u32, operate: impl FnOnce(&Chip, u32) -> R) -> Option<R> {
    if gsi >= u32::from(vector::IRQ_COUNT) {
        return None;
    }
    let chips = CHIPS.lock(token);
    let found = chips.iter().find_map(|chip| Some((chip, chip.entry(gsi)?)));
    found.map(|(chip, entry)| operate(chip, entry))
}

/// Whether there is such a line.
pub fn exists(gsi: u32, token: &mut LockToken<'_, Ipc>) -> bool {
    with(token, gsi, |_, _| ()).is_some()
}

/// Sends a line to a CPU as vector [`vector::IRQ_FIRST`]` + gsi`, and leaves it masked. `false`: no such line.
pub fn route(gsi: u32, number: u32, level: bool, active_low: bool, token: &mut LockToken<'_, Ipc>) -> bool {
    let trigger = if level { LEVEL } else { 0 };
    let polarity = if active_low { ACTIVE_LOW } else { 0 };
    with(token, gsi, |chip, entry| {
        chip.write(entry, MASKED);
        chip.write(entry + 1, cpu::cpu(number).apic_id << 24);
        chip.write(entry, MASKED | trigger | polarity | (u32::from(vector::IRQ_FIRST) + gsi));
    })
    .is_some()
}

/// Keeps a line from interrupting.
pub fn mask(gsi: u32, token: &mut LockToken<'_, Ipc>) {
    with(token, gsi, |chip, entry| chip.write(entry, chip.read(entry) | MASKED));
}

/// Lets a line interrupt. Says whether it does at once: the controller or this CPU has it pending.
pub fn unmask(gsi: u32, token: &mut LockToken<'_, Ipc>) -> bool {
    with(token, gsi, |chip, entry| {
        chip.write(entry, chip.read(entry) & !MASKED);
        chip.read(entry) & (DELIVERY_PENDING | REMOTE_REQUEST) != 0
            || apic::is_requested(vector::IRQ_FIRST + gsi as u8)
    })
    .unwrap_or(false)
}

//! The local APIC (xAPIC, memory-mapped; Intel SDM volume 3, chapter 11): acknowledging, the one-shot timer, IPIs.

use core::sync::atomic::{AtomicPtr, AtomicU64, Ordering};

use abi::memory::InterruptMessage;

use crate::arch::{clock, cpu, memory, pic, vector};

const END_OF_INTERRUPT: usize = 0xb0;
const SPURIOUS: usize = 0xf0;
const REQUESTS: usize = 0x200;
const COMMAND: usize = 0x300;
const COMMAND_TARGET: usize = 0x310;
const TIMER: usize = 0x320;
const LINT0: usize = 0x350;
const LINT1: usize = 0x360;
const INITIAL_COUNT: usize = 0x380;
const CURRENT_COUNT: usize = 0x390;
const DIVIDE: usize = 0x3e0;

const MASKED: u32 = 1 << 16;
const ENABLED: u32 = 1 << 8;
const PENDING: u32 = 1 << 12;
/// Turns for which a sent command may stay pending.
const PATIENCE: u32 = 1_000_000;

/// Where devices write messages.
const MESSAGES: u32 = 0xfee0_0000;

/// How a command is delivered.
#[derive(Clone, Copy, Debug)]
#[repr(u32)]
pub enum Delivery {
    /// An interrupt with a vector.
    Fixed = 0,
    /// Non-maskable interrupt.
    Nmi = 4 << 8,
    /// Reset, and wait for a start.
    Init = 5 << 8,
    /// Start at the page whose number is the vector.
    Start = 6 << 8,
}

static REGISTERS: AtomicPtr<u8> = AtomicPtr::new(core::ptr::null_mut());
/// Timer ticks per ns, times 2^32.
static TICKS: AtomicU64 = AtomicU64::new(0);

/// Maps the registers and turns the boot CPU's APIC on.
pub fn init(address: u64) {
    pic::mask();
    REGISTERS.store(memory::map_device(address, 4096), Ordering::Relaxed);
    init_cpu();
}

/// Turns this CPU's APIC on, everything but IPIs masked.
pub fn init_cpu() {
    write(LINT0, MASKED);
    // NMI from the machine.
    write(LINT1, Delivery::Nmi as u32);
    write(TIMER, MASKED | u32::from(vector::TIMER));
    // Divide by 1.
    write(DIVIDE, 0b1011);
    write(SPURIOUS, ENABLED | u32::from(vector::SPURIOUS));
}

fn read(register: usize) -> u32 {
    // SAFETY: the registers are mapped, each CPU sees its own, and `register` is one of the constants.
    unsafe { REGISTERS.load(Ordering::Relaxed).add(register).cast::<u32>().read_volatile() }
}

#[inline(always)]
fn write(register: usize, value: u32) {
    // SAFETY: as in `read`.
    unsafe { REGISTERS.load(Ordering::Relaxed).add(register).cast::<u32>().write_volatile(value) };
}

/// The interrupt has been taken notice of.
#[inline(always)]
pub fn eoi() {
    write(END_OF_INTERRUPT, 0);
}

/// Whether a vector waits to be taken by this CPU.
pub fn is_requested(vector: u8) -> bool {
    read(REQUESTS + usize::from(vector) / 32 * 16) >> (vector % 32) & 1 != 0
}

/// Makes this CPU's timer fire [`vector::TIMER`] once, at a monotonic time in ns. A far one comes early: the handler
/// looks at the clock anyway.
pub fn timer_arm(deadline: u64) {
    let delay = deadline.saturating_sub(clock::now_ns());
    let ticks = (u128::from(delay) * u128::from(TICKS.load(Ordering::Relaxed))) >> 32;
    write(TIMER, u32::from(vector::TIMER));
    // Rounded up, so that it does not fire just before the deadline; 0 would stop it.
    write(INITIAL_COUNT, u32::try_from(ticks + 1).unwrap_or(u32::MAX));
}

/// Sends an interrupt to a CPU that is up.
pub fn send_ipi(number: u32, vector: u8) {
    let ipis = &cpu::this_cpu().hint().ipis;
    ipis.store(ipis.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
    command(cpu::cpu(number).apic_id, Delivery::Fixed, vector);
}

/// What a device writes to send a vector to the CPU with that APIC id: fixed delivery, edge (Intel SDM volume 3, 11.11).
pub fn message(apic_id: u32, vector: u8) -> InterruptMessage {
    InterruptMessage { address: MESSAGES | apic_id << 12, data: u32::from(vector) }
}

/// Sends a command to the CPU with that APIC id.
pub fn command(apic_id: u32, delivery: Delivery, vector: u8) {
    write(COMMAND_TARGET, apic_id << 24);
    // Level "assert", which all but an old kind of INIT want.
    write(COMMAND, 1 << 14 | delivery as u32 | u32::from(vector));
    for _ in 0..PATIENCE {
        if read(COMMAND) & PENDING == 0 {
            break;
        }
    }
}

/// Sends NMI to all CPUs but this one, if the APIC is up.
pub fn nmi_others() {
    if !REGISTERS.load(Ordering::Relaxed).is_null() {
        // Shorthand "all excluding self".
        write(COMMAND, 3 << 18 | 1 << 14 | Delivery::Nmi as u32);
    }
}

/// Starts the timer from its highest count, silently, to measure it.
pub(super) fn measure_begin() {
    write(TIMER, MASKED | u32::from(vector::TIMER));
    write(INITIAL_COUNT, u32::MAX);
}

/// Ticks since [`measure_begin`].
pub(super) fn measure_read() -> u32 {
    u32::MAX - read(CURRENT_COUNT)
}

/// Sets what was measured: ticks in a number of ns.
pub(super) fn set_frequency(ticks: u64, ns: u64) {
    write(INITIAL_COUNT, 0);
    TICKS.store((u128::from(ticks) << 32).div_ceil(u128::from(ns)) as u64, Ordering::Relaxed);
}

//! Interrupt vectors.

/// Non-maskable interrupt.
pub const NMI: u8 = 2;
/// Vector of global system interrupt 0; the others follow.
pub const IRQ_FIRST: u8 = 32;
/// Vectors for global system interrupts.
pub const IRQ_COUNT: u8 = 0xf0 - IRQ_FIRST;
/// The CPU's one-shot timer.
pub const TIMER: u8 = 0xf0;
/// Another CPU has put something on this CPU's run queue.
pub const RESCHEDULE: u8 = 0xf1;
/// Another CPU has changed page tables that this one may have loaded.
pub const TLB: u8 = 0xf2;
/// The local APIC had nothing to deliver after all; not acknowledged.
pub const SPURIOUS: u8 = 0xff;

/// The global system interrupt of a vector, if it is one's.
pub fn interrupt(vector: u8) -> Option<u32> {
    (IRQ_FIRST..IRQ_FIRST + IRQ_COUNT).contains(&vector).then(|| u32::from(vector - IRQ_FIRST))
}

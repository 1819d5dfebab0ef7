//! Device interrupts: from a vector to the notification of its line.

use crate::{
    arch::{self, ioapic},
    objects, sched,
};
use kernel_core::irq::Irq;

/// Whether an I/O APIC has this line.
pub fn exists(gsi: u32) -> bool {
    ioapic::has(gsi)
}

/// Routes a line to the CPU that asks and unmasks it.
pub fn enable(gsi: u32, flags: u64) {
    ioapic::route(gsi, arch::cpu::this_cpu().number, flags);
    ioapic::unmask(gsi);
}

/// Unmasks a line that was handled.
pub fn unmask(gsi: u32) {
    ioapic::unmask(gsi);
}

/// Nobody has a handle to the line any more.
pub fn release(line: Irq) {
    ioapic::mask(line.gsi);
}

/// A device interrupt: masked until it is acknowledged, so a storm costs one interrupt.
pub fn interrupt(gsi: u32) {
    ioapic::mask(gsi);
    let mut objects = objects::lock();
    let found = objects.irqs.ids().find(|&id| objects.irqs.get(id).is_some_and(|irq| irq.gsi == gsi));
    let Some(irq) = found.and_then(|id| objects.irqs.get_mut(id)) else { return };
    irq.pending = true;
    let (notification, bits) = (irq.notification, irq.bits);
    if let Some((woken, outcome)) = notification.and_then(|notification| objects.signal(notification, bits)) {
        sched::wake_from_interrupt(&mut objects, woken, outcome);
    }
}

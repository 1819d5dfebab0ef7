//! Device interrupts: from a vector to the notification of its line.

use crate::{
    arch::{self, ioapic},
    lock::{Ipc, LockToken},
    objects, sched,
};
use abi::memory::{IRQ_ACTIVE_LOW, IRQ_LEVEL};
use kernel_core::irq::Irq;

/// Whether an I/O APIC has this line.
pub fn exists(gsi: u32, token: &mut LockToken<'_, Ipc>) -> bool {
    ioapic::exists(gsi, token)
}

/// Routes a line to the CPU that asks and unmasks it. Says whether it was pending already.
pub fn enable(gsi: u32, flags: u64, token: &mut LockToken<'_, Ipc>) -> bool {
    let (level, low) = (flags & IRQ_LEVEL != 0, flags & IRQ_ACTIVE_LOW != 0);
    ioapic::route(gsi, arch::cpu::this_cpu().number, level, low, token) && ioapic::unmask(gsi, token)
}

/// Unmasks a line that was handled.
pub fn unmask(gsi: u32, token: &mut LockToken<'_, Ipc>) {
    ioapic::unmask(gsi, token);
}

/// Nobody has a handle to the line any more.
pub fn release(line: Irq) {
    let mut objects = objects::lock();
    let again = objects.irqs.ids().any(|id| objects.irqs.get(id).is_some_and(|irq| irq.gsi == line.gsi));
    if !again {
        ioapic::mask(line.gsi, &mut objects.token());
    }
}

/// A device interrupt: masked until it is acknowledged, so a storm costs one interrupt.
pub fn interrupt(gsi: u32) {
    let mut objects = objects::lock();
    ioapic::mask(gsi, &mut objects.token());
    let found = objects.irqs.ids().find(|&id| objects.irqs.get(id).is_some_and(|irq| irq.gsi == gsi));
    let Some(irq) = found.and_then(|id| objects.irqs.get_mut(id)) else { return };
    irq.pending = true;
    let (notification, bits) = (irq.notification, irq.bits);
    if let Some((woken, outcome)) = notification.and_then(|notification| objects.signal(notification, bits)) {
        sched::wake_from_interrupt(&mut objects, woken, outcome);
    }
}

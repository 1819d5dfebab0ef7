//! Device interrupts: from a vector to the notification of its line or message.

use crate::{
    arch::{self, apic, ioapic, vector},
    lock::{Ipc, LockToken},
    objects, sched,
};
use abi::memory::{IRQ_ACTIVE_LOW, IRQ_LEVEL, IRQ_MESSAGE, InterruptMessage};
use kernel_core::{
    arena::Arena,
    irq::{self, Irq},
};

/// Whether an I/O APIC has this line.
pub fn exists(gsi: u32, token: &mut LockToken<'_, Ipc>) -> bool {
    ioapic::exists(gsi, token)
}

/// A number for a message interrupt.
pub fn free_message(irqs: &Arena<Irq>, token: &mut LockToken<'_, Ipc>) -> Option<u32> {
    irq::free_message(irqs, u32::from(vector::IRQ_COUNT), |gsi| exists(gsi, token))
}

/// What a device has to write to raise the message interrupt `gsi` on a CPU that is up.
pub fn message(gsi: u32, cpu: u32) -> InterruptMessage {
    let vector = u32::from(vector::IRQ_FIRST) + gsi;
    apic::message(arch::cpu::cpu(cpu).apic_id, vector as u8)
}

/// Routes a line to the CPU that asks and unmasks it. Says whether it was pending already.
///
/// A message is always on: where it goes is in what its device writes.
pub fn enable(gsi: u32, flags: u64, token: &mut LockToken<'_, Ipc>) -> bool {
    if flags & IRQ_MESSAGE != 0 {
        return false;
    }
    let (level, low) = (flags & IRQ_LEVEL != 0, flags & IRQ_ACTIVE_LOW != 0);
    ioapic::route(gsi, arch::cpu::this_cpu().number, level, low, token) && ioapic::unmask(gsi, token)
}

/// Unmasks a line that was handled; a message has no mask here.
pub fn unmask(gsi: u32, token: &mut LockToken<'_, Ipc>) {
    ioapic::unmask(gsi, token);
}

/// Nobody has a handle to the interrupt any more.
pub fn release(line: Irq) {
    let mut objects = objects::lock();
    if !irq::is_taken(&objects.irqs, line.gsi) {
        ioapic::mask(line.gsi, &mut objects.token());
    }
}

/// A device interrupt: a line is masked until it is acknowledged, so a storm costs one interrupt.
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

//! Interrupts as objects: lines of the I/O APICs, and messages that devices write themselves.

use crate::{
    arena::{Arena, Id},
    notification::Notification,
    quota::Charge,
};
use abi::memory::IRQ_MESSAGE;

/// One interrupt. The kernel masks a line when it fires and unmasks it on acknowledgement; a message comes once each time
/// that it is sent, and is its device's to hold back.
pub struct Irq {
    /// Global system interrupt; of a message a number that is no line's. The vector follows from it.
    pub gsi: u32,
    /// `IRQ_*` flags of [`abi::memory`].
    pub flags: u64,
    /// Signalled when it fires; the interrupt keeps the notification alive.
    pub notification: Option<Id<Notification>>,
    /// With these bits.
    pub bits: u64,
    /// Fired and not acknowledged.
    pub pending: bool,
    /// Handles to it.
    pub references: u32,
    /// What it costs.
    pub charge: Option<Charge>,
}

impl Irq {
    /// Whether it is a message, and no line.
    pub const fn is_message(&self) -> bool {
        self.flags & IRQ_MESSAGE != 0
    }
}

/// Whether a number has an object.
pub fn is_taken(irqs: &Arena<Irq>, gsi: u32) -> bool {
    irqs.ids().any(|id| irqs.get(id).is_some_and(|irq| irq.gsi == gsi))
}

/// A number for a message: below `end`, no line's, no other message's. From the end down, away from the lines.
pub fn free_message(irqs: &Arena<Irq>, end: u32, mut is_line: impl FnMut(u32) -> bool) -> Option<u32> {
    (0..end).rev().find(|&gsi| !is_line(gsi) && !is_taken(irqs, gsi))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn irq(gsi: u32, flags: u64) -> Irq {
        Irq { gsi, flags, notification: None, bits: 0, pending: false, references: 1, charge: None }
    }

    #[test]
    fn messages_have_numbers_of_their_own_until_there_are_none() {
        let mut irqs = Arena::new(64);
        let is_line = |gsi| gsi < 24;
        irqs.insert(irq(4, 0));
        let mut taken = alloc::vec![];
        while let Some(gsi) = free_message(&irqs, 30, is_line) {
            taken.push((gsi, irqs.insert(irq(gsi, IRQ_MESSAGE)).unwrap()));
        }
        assert_eq!(
            taken.iter().map(|&(gsi, _)| gsi).collect::<alloc::vec::Vec<_>>(),
            [29, 28, 27, 26, 25, 24]
        );
        irqs.remove(taken[3].1);
        assert!(!is_taken(&irqs, 26) && is_taken(&irqs, 27) && is_taken(&irqs, 4));
        assert_eq!(free_message(&irqs, 30, is_line), Some(26));
        assert_eq!(free_message(&irqs, 24, is_line), None, "lines are never given out");
    }
}

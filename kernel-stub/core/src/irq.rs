//! Interrupt lines as objects.

use crate::{arena::Id, notification::Notification, quota::Charge};

/// One interrupt line. The kernel masks it when it fires and unmasks it on acknowledgement.
pub struct Irq {
    /// Global system interrupt.
    pub gsi: u32,
    /// `IRQ_*` flags of [`abi::memory`].
    pub flags: u64,
    /// Signalled when it fires; the line keeps the notification alive.
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

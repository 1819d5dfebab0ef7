//! Virtio devices on PCI (Virtual I/O Device 1.2): where their registers are, how one is set up, and split queues.
//!
//! The device is another party, which may lie: what it writes is checked against what it was given, and the first nonsense is
//! a [`Fault`], after which nothing that it says is believed. A queue refers to its own memory only, and nothing here waits for
//! the device but a reset, whose looks are counted.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

pub mod device;
pub mod fault;
pub mod layout;
pub mod queue;

pub use device::{Device, Parts};
pub use fault::Fault;
pub use queue::{Queue, Segment, Used};

use driver_sdk::{Mmio, Wanted};

/// Vendor of all virtio devices.
pub const VENDOR: u16 = 0x1af4;

/// Types of devices (5).
pub mod kind {
    /// Network card.
    pub const NETWORK: u16 = 1;
    /// Block device.
    pub const BLOCK: u16 = 2;
    /// Entropy source.
    pub const ENTROPY: u16 = 4;
    /// Keyboard, mouse, tablet.
    pub const INPUT: u16 = 18;
}

/// The function of the `skip`th device of a type: its number of today, and the one from before virtio 1 that devices which
/// know both have (4.1.2).
pub fn wanted(kind: u16, skip: u32) -> Wanted {
    let mut devices = alloc::vec![0x1040 + kind];
    match kind {
        kind::NETWORK => devices.push(0x1000),
        kind::BLOCK => devices.push(0x1001),
        kind::ENTROPY => devices.push(0x1005),
        _ => {}
    }
    Wanted { vendor: VENDOR, devices, skip }
}

/// The device behind a function: reset, and from then on allowed to reach memory.
pub fn open(function: &driver_sdk::Function) -> abi::error::Result<Device<Mmio>> {
    let layout = layout::read(&function.config()?)?;
    let window = |place: layout::Place| function.window(place.bar, place.offset, place.length);
    let parts = Parts {
        common: window(layout.common)?,
        notify: window(layout.notify)?,
        multiplier: layout.multiplier,
        status: window(layout.status)?,
        config: layout.config.map(window).transpose()?,
    };
    let device = Device::reset(parts)?;
    function.set_master(true)?;
    Ok(device)
}

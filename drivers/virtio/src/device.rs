//! Setting a device up (3.1) through its common structure (4.1.4.3).

use crate::fault::Fault;
use crate::queue::Queue;
use driver_sdk::{Registers, SharedMemory, Word};

const DEVICE_FEATURE_SELECT: usize = 0x00;
const DEVICE_FEATURE: usize = 0x04;
const DRIVER_FEATURE_SELECT: usize = 0x08;
const DRIVER_FEATURE: usize = 0x0c;
const CONFIG_VECTOR: usize = 0x10;
const STATUS: usize = 0x14;
const GENERATION: usize = 0x15;
const QUEUE_SELECT: usize = 0x16;
const QUEUE_SIZE: usize = 0x18;
const QUEUE_VECTOR: usize = 0x1a;
const QUEUE_ENABLE: usize = 0x1c;
const QUEUE_NOTIFY: usize = 0x1e;
const QUEUE_DESCRIPTORS: usize = 0x20;
const QUEUE_DRIVER: usize = 0x28;
const QUEUE_DEVICE: usize = 0x30;

/// Bits of the device status (2.1).
mod status {
    pub const ACKNOWLEDGE: u8 = 1;
    pub const DRIVER: u8 = 2;
    pub const DRIVER_OK: u8 = 4;
    pub const FEATURES_OK: u8 = 8;
    pub const NEEDS_RESET: u8 = 64;
}

/// The device is one of today's (6): the layouts here are.
const VERSION_1: u64 = 1 << 32;
/// Looks at the status before a device that does not come out of its reset is given up.
const PATIENCE: u32 = 100_000;
/// Tries to read a device's own structure as it is at one moment.
const TRIES: u32 = 100;
/// Entry of the interrupt table that everything uses.
const ENTRY: u16 = 0;

/// The windows of a device.
#[derive(Debug)]
pub struct Parts<R> {
    /// Set-up.
    pub common: R,
    /// Notifications.
    pub notify: R,
    /// Bytes between two queues' notifications.
    pub multiplier: u32,
    /// Interrupt status.
    pub status: R,
    /// The device's own.
    pub config: Option<R>,
}

/// A device.
#[derive(Debug)]
pub struct Device<R> {
    parts: Parts<R>,
}

impl<R: Registers> Device<R> {
    /// Resets it and tells it that it has a driver.
    pub fn reset(parts: Parts<R>) -> Result<Device<R>, Fault> {
        let device = Device { parts };
        device.parts.common.write(STATUS, 0u8);
        if !(0..PATIENCE).any(|_| device.status() == 0) {
            return Err(Fault::NoReset);
        }
        device.add_status(status::ACKNOWLEDGE);
        device.add_status(status::DRIVER);
        Ok(device)
    }

    fn status(&self) -> u8 {
        self.parts.common.read(STATUS)
    }

    fn add_status(&self, bit: u8) {
        self.parts.common.write(STATUS, self.status() | bit);
    }

    /// Agrees on features: those of `wanted` that it has.
    pub fn negotiate(&mut self, wanted: u64) -> Result<u64, Fault> {
        let common = &self.parts.common;
        let half = |select: u32| {
            common.write(DEVICE_FEATURE_SELECT, select);
            u64::from(common.read::<u32>(DEVICE_FEATURE))
        };
        let offered = half(0) | half(1) << 32;
        let agreed = offered & (wanted | VERSION_1);
        for select in 0..2u32 {
            common.write(DRIVER_FEATURE_SELECT, select);
            common.write(DRIVER_FEATURE, (agreed >> (32 * select)) as u32);
        }
        self.add_status(status::FEATURES_OK);
        let kept = self.status() & status::FEATURES_OK != 0;
        if kept && agreed & VERSION_1 != 0 { Ok(agreed) } else { Err(Fault::Features) }
    }

    /// Gives it a queue of at most `most` descriptors, for which `memory` makes the memory: how many bytes is what it is
    /// called with.
    pub fn queue<M: SharedMemory, E: From<Fault>>(
        &mut self,
        index: u16,
        most: u16,
        memory: impl FnOnce(u16) -> Result<M, E>,
    ) -> Result<Queue<M>, E> {
        let common = &self.parts.common;
        common.write(QUEUE_SELECT, index);
        let size = common.read::<u16>(QUEUE_SIZE).min(most);
        // A power of two, of which the largest that fits is taken.
        let size = size.checked_ilog2().map_or(0, |bits| 1 << bits);
        if size == 0 || common.read::<u16>(QUEUE_ENABLE) != 0 {
            return Err(Fault::NoQueue(index).into());
        }
        let notify = usize::from(common.read::<u16>(QUEUE_NOTIFY));
        let notify = notify.checked_mul(self.parts.multiplier as usize);
        let notify = notify.filter(|&at| at.is_multiple_of(2) && at + 2 <= self.parts.notify.length());
        let notify = notify.ok_or(Fault::BadStructure("notification structure"))?;
        let queue = Queue::new(memory(size)?, index, size, notify)?;
        common.write(QUEUE_SIZE, size);
        let (descriptors, driver, device) = queue.addresses();
        let places = [(QUEUE_DESCRIPTORS, descriptors), (QUEUE_DRIVER, driver), (QUEUE_DEVICE, device)];
        for (register, address) in places {
            common.write(register, address as u32);
            common.write(register + 4, (address >> 32) as u32);
        }
        common.write(QUEUE_VECTOR, ENTRY);
        common.write(QUEUE_ENABLE, 1u16);
        Ok(queue)
    }

    /// It may begin.
    pub fn start(&mut self) {
        self.parts.common.write(CONFIG_VECTOR, ENTRY);
        self.add_status(status::DRIVER_OK);
    }

    /// Tells it that there is something in a queue, if it wants to hear it.
    pub fn notify<M: SharedMemory>(&self, queue: &Queue<M>) {
        if queue.wants_notification() {
            self.parts.notify.write(queue.notify_offset(), queue.index());
        }
    }

    /// Takes notice of an interrupt, which lowers the line: whether its own structure has changed.
    pub fn interrupted(&mut self) -> Result<bool, Fault> {
        let why: u8 = self.parts.status.read(0);
        if self.status() & status::NEEDS_RESET != 0 {
            return Err(Fault::NeedsReset);
        }
        Ok(why & 2 != 0)
    }

    /// Writes a word of its own structure.
    pub fn configure<W: Word>(&self, offset: usize, value: W) -> Result<(), Fault> {
        let config = self.parts.config.as_ref().ok_or(Fault::NoStructure("device structure"))?;
        config.write(offset, value);
        Ok(())
    }

    /// Reads words of its own structure as they are at one moment.
    pub fn config<W: Word + Default, const N: usize>(&self, offsets: [usize; N]) -> Result<[W; N], Fault> {
        let config = self.parts.config.as_ref().ok_or(Fault::NoStructure("device structure"))?;
        let generation = || self.parts.common.read::<u8>(GENERATION);
        for _ in 0..TRIES {
            let before = generation();
            let words = offsets.map(|offset| config.read(offset));
            if generation() == before {
                return Ok(words);
            }
        }
        Err(Fault::BadStructure("device structure"))
    }
}

//! The device: requests on their way (5.2.6).

use crate::cache::{Cache, PAGE};
use abi::error::Result;
use alloc::vec;
use alloc::vec::Vec;
use driver_sdk::{Registers, SharedMemory};
use virtio::{Device, Fault, Queue, Segment, queue};

/// Bytes of a sector.
pub const SECTOR: u64 = 512;
/// Pages that are kept.
pub const SLOTS: usize = 64;
/// Descriptors, three for a request.
const DESCRIPTORS: u16 = 128;
const QUEUE: u16 = 0;
/// Features (5.2.3): it cannot be written; it can be told to make what was written safe.
const READ_ONLY: u64 = 1 << 5;
const FLUSH: u64 = 1 << 9;
/// Types of requests.
const READ: u32 = 0;
const WRITE: u32 = 1;
const MAKE_SAFE: u32 = 4;
/// Status of a request that succeeded.
const SUCCEEDED: u8 = 0;
/// What the status is before the device has written one.
const NONE: u8 = 0xff;
/// For each request: type, reserved, sector; then the status.
const HEADER: usize = 32;
const STATUS: usize = 16;

/// Where the headers begin in memory with a queue of so many descriptors, and the pages behind them.
fn places(size: u16) -> (usize, usize) {
    let headers = queue::data(size);
    (headers, (headers + (SLOTS + 1) * HEADER).next_multiple_of(PAGE))
}

/// What came of a request.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Outcome {
    /// A page was read or written, or could not be.
    Page {
        /// Which.
        page: u64,
        /// Written, rather than read.
        is_write: bool,
        /// Whether it was.
        succeeded: bool,
    },
    /// What was written is safe, or could not be made so.
    Safe(bool),
}

/// A disk with its cache.
#[derive(Debug)]
pub struct Disk<R, M> {
    device: Device<R>,
    queue: Queue<M>,
    /// By chain: the slot, or [`SLOTS`] when it makes things safe.
    chains: Vec<Option<usize>>,
    cache: Cache,
    size: u64,
    features: u64,
    /// Something was written since it was last made safe.
    unsafe_since: bool,
    is_flushing: bool,
}

impl<R: Registers, M: SharedMemory> Disk<R, M> {
    /// Sets the device up; `allocate` gets shared memory of so many bytes.
    pub fn new(mut device: Device<R>, allocate: impl FnOnce(usize) -> Result<M>) -> Result<Disk<R, M>> {
        let features = device.negotiate(READ_ONLY | FLUSH)?;
        let [low, high]: [u32; 2] = device.config([0, 4])?;
        let sectors = u64::from(high) << 32 | u64::from(low);
        let queue = device.queue(QUEUE, DESCRIPTORS, |size| allocate(places(size).1 + SLOTS * PAGE))?;
        Ok(Disk {
            chains: vec![None; usize::from(queue.size())],
            device,
            queue,
            cache: Cache::new(SLOTS),
            // No file is longer than a signed number says.
            size: sectors.min((i64::MAX as u64) / SECTOR) * SECTOR,
            features,
            unsafe_since: false,
            is_flushing: false,
        })
    }

    /// Lets the device begin.
    pub fn start(&mut self) {
        self.device.start();
    }

    /// Bytes.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Whether it cannot be written.
    pub fn is_read_only(&self) -> bool {
        self.features & READ_ONLY != 0
    }

    /// Its pages. What was changed there is [issued](Disk::issue) afterwards.
    pub fn cache(&mut self) -> &mut Cache {
        &mut self.cache
    }

    /// Requests that the device has.
    pub fn in_flight(&self) -> u16 {
        self.queue.in_flight()
    }

    /// Bytes of a page, of which the last may have fewer.
    pub fn page_length(&self, page: u64) -> usize {
        self.size.saturating_sub(page.saturating_mul(PAGE as u64)).min(PAGE as u64) as usize
    }

    fn place(&self, slot: usize) -> usize {
        places(self.queue.size()).1 + slot * PAGE
    }

    /// Copies a part of a slot's page out.
    pub fn copy_out(&self, slot: usize, offset: usize, bytes: &mut [u8]) {
        self.queue.memory().copy_out(self.place(slot) + offset, bytes);
    }

    /// Copies bytes into a slot's page, which has to be written then.
    pub fn copy_in(&mut self, slot: usize, offset: usize, bytes: &[u8]) {
        self.queue.memory().copy_in(self.place(slot) + offset, bytes);
        self.cache.changed(slot);
    }

    /// Gives the device what waits for it, as much as it takes.
    pub fn issue(&mut self) {
        let mut any = false;
        while let Some((slot, page, is_write)) = self.cache.next() {
            let data = Segment {
                offset: self.place(slot),
                length: self.page_length(page) as u32,
                is_written: !is_write,
            };
            let kind = if is_write { WRITE } else { READ };
            if !self.request(slot, kind, page * (PAGE as u64 / SECTOR), Some(data)) {
                break;
            }
            self.cache.issued(slot);
            self.unsafe_since |= is_write;
            any = true;
        }
        if any {
            self.device.notify(&self.queue);
        }
    }

    /// Makes what was written safe: whether it is. Otherwise [`Outcome::Safe`] follows, or a page that was on its way.
    pub fn make_safe(&mut self) -> bool {
        if !self.cache.is_written() || self.is_flushing {
            return false;
        }
        if !self.unsafe_since || self.features & FLUSH == 0 {
            return true;
        }
        if self.request(SLOTS, MAKE_SAFE, 0, None) {
            self.unsafe_since = false;
            self.is_flushing = true;
            self.device.notify(&self.queue);
        }
        false
    }

    fn request(&mut self, slot: usize, kind: u32, sector: u64, data: Option<Segment>) -> bool {
        let header = places(self.queue.size()).0 + slot * HEADER;
        let memory = self.queue.memory();
        memory.write(header, kind);
        memory.write(header + 4, 0u32);
        memory.write(header + 8, sector);
        memory.write(header + STATUS, NONE);
        let first = Segment { offset: header, length: STATUS as u32, is_written: false };
        let last = Segment { offset: header + STATUS, length: 1, is_written: true };
        let added = match data {
            Some(data) => self.queue.add(&[first, data, last]),
            None => self.queue.add(&[first, last]),
        };
        let Some(chain) = added else { return false };
        self.chains[usize::from(chain)] = Some(slot);
        true
    }

    /// Takes notice of an interrupt.
    pub fn interrupted(&mut self) -> core::result::Result<(), Fault> {
        self.device.interrupted().map(drop)
    }

    /// The next request that the device is done with.
    pub fn take(&mut self) -> core::result::Result<Option<Outcome>, Fault> {
        let Some(used) = self.queue.take()? else { return Ok(None) };
        let slot = self.chains[usize::from(used.chain)].take();
        let slot = slot.ok_or(Fault::NotGiven(u32::from(used.chain)))?;
        let header = places(self.queue.size()).0 + slot * HEADER;
        let succeeded = self.queue.memory().read::<u8>(header + STATUS) == SUCCEEDED;
        if slot == SLOTS {
            self.is_flushing = false;
            self.unsafe_since |= !succeeded;
            return Ok(Some(Outcome::Safe(succeeded)));
        }
        let done = self.cache.done(slot, succeeded);
        Ok(Some(Outcome::Page { page: done.page, is_write: done.is_write, succeeded }))
    }
}

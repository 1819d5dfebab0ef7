//! Split queues (2.7).
//!
//! ```text
//! memory:  descriptors 16·n │ driver area 6 + 2·n │ device area 6 + 8·n │ data, the owner's
//!          written here     │ written here        │ the device's        │
//! ```
//! Which descriptors are in use and how they hang together is known here and never read back: the device could change it.

use crate::fault::Fault;
use alloc::vec::Vec;
use core::sync::atomic::{Ordering, fence};
use driver_sdk::SharedMemory;

const DESCRIPTOR: usize = 16;
/// In a descriptor's flags: another follows.
const NEXT: u16 = 1;
/// The device writes it.
const WRITE: u16 = 2;
/// In the device area's flags: the device looks without being told.
const NO_NOTIFY: u16 = 1;
/// Data begins at a multiple of this.
const ALIGN: usize = 64;

/// A part of a chain: bytes of the queue's own memory.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Segment {
    /// Where in the memory.
    pub offset: usize,
    /// Bytes.
    pub length: u32,
    /// The device writes it, rather than reads.
    pub is_written: bool,
}

/// A chain that the device is done with.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Used {
    /// What [`Queue::add`] called it.
    pub chain: u16,
    /// Bytes that the device says it has written, at most as many as there was room for.
    pub length: u32,
}

/// A queue and its memory.
#[derive(Debug)]
pub struct Queue<M> {
    memory: M,
    index: u16,
    size: u16,
    notify: usize,
    /// Descriptors in no chain.
    free: Vec<u16>,
    /// By its first descriptor, each chain that the device has: its descriptors and the bytes it may write.
    chains: Vec<Option<(Vec<u16>, u32)>>,
    in_flight: u16,
    /// Chains made available so far.
    made: u16,
    /// Chains taken back so far.
    taken: u16,
    fault: Option<Fault>,
}

/// Where the driver area begins.
const fn driver_area(size: u16) -> usize {
    DESCRIPTOR * size as usize
}

/// Where the device area begins.
const fn device_area(size: u16) -> usize {
    (driver_area(size) + 6 + 2 * size as usize).next_multiple_of(4)
}

/// Where the data begins in a queue of so many descriptors: what its memory needs beside that.
pub const fn data(size: u16) -> usize {
    (device_area(size) + 6 + 8 * size as usize).next_multiple_of(ALIGN)
}

impl<M: SharedMemory> Queue<M> {
    pub(crate) fn new(memory: M, index: u16, size: u16, notify: usize) -> Result<Queue<M>, Fault> {
        if memory.length() < data(size) {
            return Err(Fault::NoQueue(index));
        }
        Ok(Queue {
            memory,
            index,
            size,
            notify,
            free: (0..size).rev().collect(),
            chains: (0..size).map(|_| None).collect(),
            in_flight: 0,
            made: 0,
            taken: 0,
            fault: None,
        })
    }

    /// Which of the device's queues.
    pub fn index(&self) -> u16 {
        self.index
    }

    /// Descriptors.
    pub fn size(&self) -> u16 {
        self.size
    }

    /// Chains that the device has.
    pub fn in_flight(&self) -> u16 {
        self.in_flight
    }

    /// Descriptors that are in no chain.
    pub fn room(&self) -> usize {
        self.free.len()
    }

    /// Its memory; what is before [`data`] is the queue's.
    pub fn memory(&self) -> &M {
        &self.memory
    }

    pub(crate) fn notify_offset(&self) -> usize {
        self.notify
    }

    /// Of descriptors, driver area and device area, as the device knows them.
    pub(crate) fn addresses(&self) -> (u64, u64, u64) {
        let base = self.memory.address();
        (base, base + driver_area(self.size) as u64, base + device_area(self.size) as u64)
    }

    /// Makes a chain available to the device: what is read before what is written. [`None`]: no room, or a segment that is
    /// empty or outside of the data.
    pub fn add(&mut self, segments: &[Segment]) -> Option<u16> {
        let inside = |segment: &Segment| {
            let end = segment.offset.checked_add(segment.length as usize);
            segment.offset >= data(self.size)
                && segment.length > 0
                && end.is_some_and(|end| end <= self.memory.length())
        };
        let in_order = segments.is_sorted_by_key(|segment| segment.is_written);
        if segments.is_empty() || segments.len() > self.free.len() || !in_order {
            return None;
        }
        if self.fault.is_some() || !segments.iter().all(inside) {
            return None;
        }
        let descriptors = self.free.split_off(self.free.len() - segments.len());
        let room = segments.iter().filter(|segment| segment.is_written).map(|segment| segment.length);
        let room = room.fold(0u32, u32::saturating_add);
        for (at, segment) in segments.iter().enumerate() {
            let place = DESCRIPTOR * usize::from(descriptors[at]);
            let next = descriptors.get(at + 1).copied();
            let flags = if segment.is_written { WRITE } else { 0 } | if next.is_some() { NEXT } else { 0 };
            self.memory.write(place, self.memory.address() + segment.offset as u64);
            self.memory.write(place + 8, segment.length);
            self.memory.write(place + 12, flags);
            self.memory.write(place + 14, next.unwrap_or(0));
        }
        let head = descriptors[0];
        self.chains[usize::from(head)] = Some((descriptors, room));
        self.in_flight += 1;
        let area = driver_area(self.size);
        self.memory.write(area + 4 + 2 * usize::from(self.made % self.size), head);
        self.made = self.made.wrapping_add(1);
        // The chain is whole before the device is told of it.
        fence(Ordering::Release);
        self.memory.write(area + 2, self.made);
        Some(head)
    }

    /// The next chain that the device is done with. A fault is the queue's end.
    pub fn take(&mut self) -> Result<Option<Used>, Fault> {
        if let Some(fault) = self.fault {
            return Err(fault);
        }
        self.take_used().inspect_err(|&fault| self.fault = Some(fault))
    }

    fn take_used(&mut self) -> Result<Option<Used>, Fault> {
        let area = device_area(self.size);
        let used: u16 = self.memory.read(area + 2);
        let count = used.wrapping_sub(self.taken);
        if count == 0 {
            return Ok(None);
        }
        if count > self.in_flight {
            return Err(Fault::TooMuchUsed);
        }
        // What is used is read after the count that says so.
        fence(Ordering::Acquire);
        let element = area + 4 + 8 * usize::from(self.taken % self.size);
        let (head, length): (u32, u32) = (self.memory.read(element), self.memory.read(element + 4));
        let chain = self.chains.get_mut(head as usize).ok_or(Fault::NotGiven(head))?;
        let (descriptors, room) = chain.take().ok_or(Fault::NotGiven(head))?;
        self.free.extend(descriptors.into_iter().rev());
        self.in_flight -= 1;
        self.taken = self.taken.wrapping_add(1);
        if length > room {
            return Err(Fault::TooLong(length));
        }
        Ok(Some(Used { chain: head as u16, length }))
    }

    /// Whether the device has to be told of what was added.
    pub(crate) fn wants_notification(&self) -> bool {
        // What was added is visible before the device's wish is looked at: else both could wait for each other (2.7.21).
        fence(Ordering::SeqCst);
        self.memory.read::<u16>(device_area(self.size)) & NO_NOTIFY == 0
    }
}

//! Random bytes from a virtio entropy source (Virtual I/O Device 1.2, 5.4), path `/dev/random`.
//!
//! Up to [`STOCK`] bytes are kept, and asked for again as they are read; who reads faster than the device gives waits for its
//! interrupt. A byte is given to one reader and is nowhere afterwards.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

use abi::error::{EAGAIN, EINVAL, ENOENT, Error, Result};
use alloc::collections::VecDeque;
use alloc::vec;
use alloc::vec::Vec;
use core::fmt;
use driver_sdk::{
    Context, Control, ControlReply, Direction, Driver, FileId, Filters, Kind, Level, Opening, Registers,
    SharedMemory, Taken,
};
use virtio::{Device, Fault, Queue, Segment, queue};

/// Path of the device.
pub const PATH: &str = "/dev/random";
/// Requests that the device has at most.
pub const REQUESTS: u16 = 8;
/// Bytes of one request.
pub const REQUEST: usize = 512;
/// Bytes that are kept or asked for.
pub const STOCK: usize = REQUESTS as usize * REQUEST;
/// The one queue.
const QUEUE: u16 = 0;
/// Those who wait all wait for the same.
const WAITING: u64 = 0;

/// Bytes of shared memory for a queue of so many requests.
pub const fn memory(size: u16) -> usize {
    queue::data(size) + size as usize * REQUEST
}

/// An entropy source and its readers.
pub struct Random<R, M> {
    device: Device<R>,
    queue: Queue<M>,
    /// Buffer of each chain that the device has, by the chain.
    buffers: Vec<Option<usize>>,
    /// Buffers that the device does not have.
    idle: Vec<usize>,
    stock: VecDeque<u8>,
    files: Vec<FileId>,
    fault: Option<Fault>,
    counters: Counters,
}

#[derive(Clone, Copy, Default)]
struct Counters {
    interrupts: u64,
    received: u64,
    given: u64,
}

impl<R: Registers, M: SharedMemory> Random<R, M> {
    /// Sets the device up; `allocate` gets shared memory of so many bytes.
    pub fn new(mut device: Device<R>, allocate: impl FnOnce(usize) -> Result<M>) -> Result<Random<R, M>> {
        device.negotiate(0)?;
        let queue = device.queue(QUEUE, REQUESTS, |size| allocate(memory(size)))?;
        let size = usize::from(queue.size());
        Ok(Random {
            device,
            queue,
            buffers: vec![None; size],
            idle: (0..size).collect(),
            stock: VecDeque::with_capacity(STOCK),
            files: Vec::new(),
            fault: None,
            counters: Counters::default(),
        })
    }

    /// Where a buffer is.
    fn place(&self, buffer: usize) -> usize {
        queue::data(self.queue.size()) + buffer * REQUEST
    }

    /// Asks for as much as there is room for.
    fn refill(&mut self) {
        let mut asked = false;
        while self.stock.len() + (usize::from(self.queue.in_flight()) + 1) * REQUEST <= STOCK {
            let Some(buffer) = self.idle.pop() else { break };
            let segment = Segment { offset: self.place(buffer), length: REQUEST as u32, is_written: true };
            let Some(chain) = self.queue.add(&[segment]) else {
                self.idle.push(buffer);
                break;
            };
            self.buffers[usize::from(chain)] = Some(buffer);
            asked = true;
        }
        if asked {
            self.device.notify(&self.queue);
        }
    }

    /// Takes what the device has brought: whether it was anything.
    fn collect(&mut self) -> core::result::Result<bool, Fault> {
        self.device.interrupted()?;
        let mut bytes = [0; REQUEST];
        let mut any = false;
        while let Some(used) = self.queue.take()? {
            let Some(buffer) = self.buffers[usize::from(used.chain)].take() else { continue };
            let (place, length) = (self.place(buffer), used.length as usize);
            self.queue.memory().copy_out(place, &mut bytes[..length]);
            // What is given to somebody is nobody else's to find.
            self.queue.memory().copy_in(place, &[0; REQUEST]);
            self.stock.extend(&bytes[..length]);
            self.idle.push(buffer);
            self.counters.received += length as u64;
            any |= length > 0;
        }
        bytes.fill(0);
        Ok(any)
    }

    fn level(&self) -> Level {
        Level::new(self.stock.len() as i64)
    }

    fn publish(&self, context: &mut Context<'_>, arrived: bool) {
        for &file in &self.files {
            context.publish(file, Direction::Read, self.level(), arrived);
        }
    }
}

impl<R: Registers, M: SharedMemory> Driver for Random<R, M> {
    const DURABLE: bool = true;

    fn start(&mut self, _: &mut Context<'_>) {
        self.device.start();
        self.refill();
    }

    fn open(&mut self, _: &mut Context<'_>, _: FileId, path: &str, _: u64) -> Result<Opening> {
        if path != PATH {
            return Err(Error::new(ENOENT));
        }
        Ok(Opening::new(Kind::Device, Filters::READ).shared())
    }

    /// One byte is as good as another: there is nothing to go on with but the file.
    fn restore(&mut self, _: &mut Context<'_>, file: FileId, path: &str, _: u64, _: u64) -> Result<Opening> {
        if path != PATH {
            return Err(Error::new(ENOENT));
        }
        self.files.push(file);
        Ok(Opening::new(Kind::Device, Filters::READ).shared().readable(self.level()))
    }

    fn opened(&mut self, context: &mut Context<'_>, file: FileId) {
        self.files.push(file);
        context.publish(file, Direction::Read, self.level(), !self.stock.is_empty());
    }

    fn close(&mut self, _: &mut Context<'_>, file: FileId) {
        self.files.retain(|&open| open != file);
    }

    fn read(
        &mut self,
        context: &mut Context<'_>,
        _: FileId,
        buffer: &mut [u8],
        _: Option<u64>,
    ) -> Result<Taken> {
        if self.stock.is_empty() && !buffer.is_empty() {
            return Err(Error::new(EAGAIN));
        }
        let count = buffer.len().min(self.stock.len());
        for byte in &mut buffer[..count] {
            // Overwritten where it was, so that the stock holds nobody's bytes but those to come.
            *byte = self.stock.front_mut().map_or(0, core::mem::take);
            self.stock.pop_front();
        }
        self.counters.given += count as u64;
        self.refill();
        self.publish(context, false);
        Ok(Taken { count, arrival: 0 })
    }

    fn unread(&mut self, context: &mut Context<'_>, _: FileId, _: &[u8]) {
        // Whether the reader saw them is not certain: they are gone, and others come.
        self.publish(context, false);
    }

    fn control(&mut self, _: &mut Context<'_>, _: FileId, control: &Control) -> Result<ControlReply> {
        match control {
            Control::Available => Ok(ControlReply::Available(self.stock.len() as u64)),
            _ => Err(Error::new(EINVAL)),
        }
    }

    fn interrupt(&mut self, context: &mut Context<'_>) -> bool {
        self.counters.interrupts += 1;
        match self.collect() {
            Ok(true) => {
                self.refill();
                self.publish(context, true);
                context.wake(Direction::Read, WAITING);
            }
            Ok(false) => self.refill(),
            Err(fault) => self.fault = Some(fault),
        }
        false
    }

    fn lost(&self) -> Option<Error> {
        self.fault.map(Error::from)
    }

    fn report(&self, out: &mut dyn fmt::Write) -> fmt::Result {
        let Counters { interrupts, received, given } = self.counters;
        for (name, value) in [
            ("interrupts", interrupts),
            ("received", received),
            ("given", given),
            ("stock", self.stock.len() as u64),
            ("in_flight", u64::from(self.queue.in_flight())),
        ] {
            writeln!(out, "{name} {value}")?;
        }
        match self.fault {
            Some(fault) => writeln!(out, "fault {fault}"),
            None => Ok(()),
        }
    }

    fn queue(&self, _: FileId, _: Direction) -> u64 {
        WAITING
    }
}

//! A virtio input device (Virtual I/O Device 1.2, 5.8): what it tells comes in buffers of eight bytes, one thing each.

use crate::readers::Readers;
use crate::record::Record;
use abi::error::{EINVAL, ENOENT, ESPIPE, Error, Result};
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;
use core::fmt;
use driver_sdk::{
    Context, Control, ControlReply, Driver, FileId, Filters, Kind, Opening, Registers, SharedMemory, Taken,
};
use virtio::{Device, Fault, Queue, Segment, queue};

/// Buffers that the device has.
pub const BUFFERS: u16 = 64;
/// Bytes of each: kind, code, value.
pub const BUFFER: usize = 8;
/// The queue of what it tells.
const EVENTS: u16 = 0;

/// Bytes of shared memory for a queue of so many buffers.
pub const fn memory(size: u16) -> usize {
    queue::data(size) + size as usize * BUFFER
}

/// A device and its readers.
pub struct Input<R, M> {
    device: Device<R>,
    queue: Queue<M>,
    path: String,
    /// The buffer of each chain that the device has, by the chain.
    buffers: Vec<Option<usize>>,
    idle: Vec<usize>,
    readers: Readers,
    fault: Option<Fault>,
    interrupts: u64,
    /// Buffers that came back without a whole thing in them.
    nonsense: u64,
}

impl<R: Registers, M: SharedMemory> Input<R, M> {
    /// Sets the device up as the file of this path; `allocate` gets shared memory of so many bytes.
    pub fn new(
        mut device: Device<R>,
        path: String,
        allocate: impl FnOnce(usize) -> Result<M>,
    ) -> Result<Input<R, M>> {
        device.negotiate(0)?;
        let queue = device.queue(EVENTS, BUFFERS, |size| allocate(memory(size)))?;
        let size = usize::from(queue.size());
        Ok(Input {
            device,
            queue,
            path,
            buffers: vec![None; size],
            idle: (0..size).collect(),
            readers: Readers::default(),
            fault: None,
            interrupts: 0,
            nonsense: 0,
        })
    }

    fn place(&self, buffer: usize) -> usize {
        queue::data(self.queue.size()) + buffer * BUFFER
    }

    /// Gives the device the buffers that it does not have.
    fn refill(&mut self) {
        let mut any = false;
        while let Some(buffer) = self.idle.pop() {
            let segment = Segment { offset: self.place(buffer), length: BUFFER as u32, is_written: true };
            let Some(chain) = self.queue.add(&[segment]) else {
                self.idle.push(buffer);
                break;
            };
            self.buffers[usize::from(chain)] = Some(buffer);
            any = true;
        }
        if any {
            self.device.notify(&self.queue);
        }
    }

    /// Takes what the device tells: no more at once than it has buffers.
    fn collect(&mut self, now: u64) -> core::result::Result<bool, Fault> {
        self.device.interrupted()?;
        for _ in 0..self.queue.size() {
            let Some(used) = self.queue.take()? else { return Ok(false) };
            let Some(buffer) = self.buffers[usize::from(used.chain)].take() else { continue };
            let (place, mut bytes) = (self.place(buffer), [0; BUFFER]);
            self.idle.push(buffer);
            if used.length as usize != BUFFER {
                self.nonsense += 1;
                continue;
            }
            self.queue.memory().copy_out(place, &mut bytes);
            let [k0, k1, c0, c1, v0, v1, v2, v3] = bytes;
            self.readers.push(Record {
                time: now,
                kind: u16::from_le_bytes([k0, k1]),
                code: u16::from_le_bytes([c0, c1]),
                value: i32::from_le_bytes([v0, v1, v2, v3]),
            });
        }
        Ok(true)
    }
}

impl<R: Registers, M: SharedMemory> Driver for Input<R, M> {
    fn start(&mut self, _: &mut Context<'_>) {
        self.device.start();
        self.refill();
    }

    fn open(&mut self, _: &mut Context<'_>, file: FileId, path: &str, _: u64) -> Result<Opening> {
        if path != self.path {
            return Err(Error::new(ENOENT));
        }
        self.readers.open(file);
        Ok(Opening::new(Kind::Device, Filters::READ))
    }

    fn close(&mut self, _: &mut Context<'_>, file: FileId) {
        self.readers.close(file);
    }

    fn read(
        &mut self,
        context: &mut Context<'_>,
        file: FileId,
        buffer: &mut [u8],
        offset: Option<u64>,
    ) -> Result<Taken> {
        self.readers.read(context, file, buffer, offset)
    }

    fn unread(&mut self, context: &mut Context<'_>, file: FileId, bytes: &[u8]) {
        self.readers.unread(context, file, bytes);
    }

    fn control(&mut self, _: &mut Context<'_>, file: FileId, control: &Control) -> Result<ControlReply> {
        match control {
            Control::Available => Ok(ControlReply::Available(self.readers.available(file) as u64)),
            Control::Seek { .. } => Err(Error::new(ESPIPE)),
            _ => Err(Error::new(EINVAL)),
        }
    }

    fn interrupt(&mut self, context: &mut Context<'_>) -> bool {
        self.interrupts += 1;
        let again = self.collect(context.now());
        self.refill();
        self.readers.publish(context);
        again.unwrap_or_else(|fault| {
            self.fault = Some(fault);
            false
        })
    }

    fn lost(&self) -> Option<Error> {
        self.fault.map(Error::from)
    }

    fn report(&self, out: &mut dyn fmt::Write) -> fmt::Result {
        for (name, value) in [
            ("interrupts", self.interrupts),
            ("told", self.readers.told),
            ("dropped", self.readers.dropped),
            ("nonsense", self.nonsense),
            ("in_flight", u64::from(self.queue.in_flight())),
        ] {
            writeln!(out, "{name} {value}")?;
        }
        self.fault.map_or(Ok(()), |fault| writeln!(out, "fault {fault}"))
    }
}

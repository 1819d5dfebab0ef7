//! The virtio network card: two queues of buffers.

use crate::port::Card;
use abi::error::Result;
use alloc::vec;
use alloc::vec::Vec;
use driver_sdk::{Registers, SharedMemory};
use virtio::{Device, Fault, Queue, Segment, queue};

/// Bytes of a buffer: the header, and a frame of Ethernet.
pub const BUFFER: usize = 2048;
/// Buffers of each direction at most.
pub const BUFFERS: u16 = 64;
/// The largest frame: 1500 bytes and Ethernet's own header.
pub const FRAME: usize = 1514;
/// The header before each frame (5.1.6); zeros ask for nothing.
pub const HEADER: usize = 12;
/// The device has an address (5.1.3).
const MAC: u64 = 1 << 5;

const RECEIVE: u16 = 0;
const TRANSMIT: u16 = 1;

/// Bytes of shared memory for a queue of so many buffers.
pub const fn memory(size: u16) -> usize {
    queue::data(size) + size as usize * BUFFER
}

/// A queue and what its buffers are doing.
struct Lane<M> {
    queue: Queue<M>,
    /// Buffer of each chain that the device has, by the chain.
    buffers: Vec<Option<usize>>,
    idle: Vec<usize>,
    /// Something was added that the device was not told of.
    untold: bool,
}

impl<M: SharedMemory> Lane<M> {
    fn new(queue: Queue<M>) -> Lane<M> {
        let size = usize::from(queue.size());
        Lane { queue, buffers: vec![None; size], idle: (0..size).collect(), untold: false }
    }

    fn place(&self, buffer: usize) -> usize {
        queue::data(self.queue.size()) + buffer * BUFFER
    }

    fn give(&mut self, buffer: usize, length: usize, is_written: bool) {
        let segment = Segment { offset: self.place(buffer), length: length as u32, is_written };
        match self.queue.add(&[segment]) {
            Some(chain) => {
                self.buffers[usize::from(chain)] = Some(buffer);
                self.untold = true;
            }
            None => self.idle.push(buffer),
        }
    }

    fn take(&mut self) -> core::result::Result<Option<(usize, usize)>, Fault> {
        while let Some(used) = self.queue.take()? {
            if let Some(buffer) = self.buffers[usize::from(used.chain)].take() {
                return Ok(Some((buffer, used.length as usize)));
            }
        }
        Ok(None)
    }
}

/// The card.
pub struct Virtio<R, M> {
    device: Device<R>,
    mac: [u8; 6],
    received: Lane<M>,
    sent: Lane<M>,
    fault: Option<Fault>,
}

impl<R: Registers, M: SharedMemory> Virtio<R, M> {
    /// Sets the device up; `allocate` gets shared memory of so many bytes, once for each direction.
    pub fn new(mut device: Device<R>, allocate: impl Fn(usize) -> Result<M>) -> Result<Virtio<R, M>> {
        let agreed = device.negotiate(MAC)?;
        let mac = match agreed & MAC {
            0 => return Err(Fault::Features.into()),
            _ => device.config::<u8, 6>([0, 1, 2, 3, 4, 5])?,
        };
        let mut lane = |index| -> Result<Lane<M>> {
            Ok(Lane::new(device.queue(index, BUFFERS, |size| allocate(memory(size)))?))
        };
        let (received, sent) = (lane(RECEIVE)?, lane(TRANSMIT)?);
        Ok(Virtio { device, mac, received, sent, fault: None })
    }

    fn checked<T>(&mut self, result: core::result::Result<Option<T>, Fault>) -> Option<T> {
        match result {
            Ok(taken) => taken,
            Err(fault) => {
                self.fault = Some(fault);
                None
            }
        }
    }
}

impl<R: Registers, M: SharedMemory> Card for Virtio<R, M> {
    fn mac(&self) -> [u8; 6] {
        self.mac
    }

    fn start(&mut self) {
        self.device.start();
        for buffer in core::mem::take(&mut self.received.idle) {
            self.received.give(buffer, BUFFER, true);
        }
        self.flush();
    }

    fn interrupted(&mut self) {
        if let Err(fault) = self.device.interrupted() {
            self.fault = Some(fault);
        }
        while self.fault.is_none() {
            let taken = self.sent.take();
            let Some((buffer, _)) = self.checked(taken) else { break };
            self.sent.idle.push(buffer);
        }
    }

    fn receive(&mut self) -> Option<Vec<u8>> {
        loop {
            let taken = self.received.take();
            let (buffer, length) = self.checked(taken)?;
            let frame = length.checked_sub(HEADER).filter(|&frame| frame > 0).map(|frame| {
                let mut bytes = vec![0; frame];
                let place = self.received.place(buffer);
                self.received.queue.memory().copy_out(place + HEADER, &mut bytes);
                bytes
            });
            self.received.give(buffer, BUFFER, true);
            if frame.is_some() {
                return frame;
            }
        }
    }

    fn has_room(&self) -> bool {
        !self.sent.idle.is_empty()
    }

    fn send(&mut self, frame: &[u8]) {
        if frame.len() > BUFFER - HEADER {
            return;
        }
        let Some(buffer) = self.sent.idle.pop() else { return };
        let place = self.sent.place(buffer);
        let memory = self.sent.queue.memory();
        memory.copy_in(place, &[0; HEADER]);
        memory.copy_in(place + HEADER, frame);
        self.sent.give(buffer, HEADER + frame.len(), false);
    }

    fn flush(&mut self) {
        for lane in [&mut self.received, &mut self.sent] {
            if core::mem::take(&mut lane.untold) {
                self.device.notify(&lane.queue);
            }
        }
    }

    fn fault(&self) -> Option<Fault> {
        self.fault
    }
}

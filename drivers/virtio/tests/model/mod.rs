//! A virtio device as a test has it: its registers, and its side of a queue.
#![allow(dead_code)] // each test uses its own part

use driver_sdk::{Registers, SharedMemory, Word};
use std::cell::{Cell, RefCell};
use std::rc::Rc;
use virtio::{Device, Parts};

/// Address of the first byte of shared memory as the device knows it.
pub const BASE: u64 = 0x1234_5000;

/// Memory that both sides reach.
#[derive(Clone, Debug)]
pub struct Memory(pub Rc<RefCell<Vec<u8>>>);

impl Memory {
    pub fn new(length: usize) -> Memory {
        Memory(Rc::new(RefCell::new(vec![0; length])))
    }
}

impl Registers for Memory {
    fn read<W: Word>(&self, offset: usize) -> W {
        let bytes = self.0.borrow();
        let word = bytes.get(offset..offset + W::SIZE).expect("inside");
        W::from_bits(word.iter().rev().fold(0, |bits, &byte| bits << 8 | u64::from(byte)))
    }

    fn write<W: Word>(&self, offset: usize, value: W) {
        let bits = value.to_bits().to_le_bytes();
        self.0.borrow_mut()[offset..offset + W::SIZE].copy_from_slice(&bits[..W::SIZE]);
    }

    fn length(&self) -> usize {
        self.0.borrow().len()
    }
}

impl SharedMemory for Memory {
    fn address(&self) -> u64 {
        BASE
    }

    fn copy_in(&self, offset: usize, bytes: &[u8]) {
        self.0.borrow_mut()[offset..offset + bytes.len()].copy_from_slice(bytes);
    }

    fn copy_out(&self, offset: usize, bytes: &mut [u8]) {
        bytes.copy_from_slice(&self.0.borrow()[offset..offset + bytes.len()]);
    }
}

/// What a queue's registers hold.
#[derive(Clone, Copy, Debug, Default)]
pub struct QueueRegisters {
    pub size: u16,
    pub vector: u16,
    pub enabled: bool,
    pub descriptors: u64,
    pub driver: u64,
    pub device: u64,
}

/// The device.
#[derive(Debug)]
pub struct Hardware {
    pub features: u64,
    pub accepted: u64,
    /// What it does not agree to.
    pub refused: u64,
    pub status: u8,
    /// It stays in its reset.
    pub is_stuck: bool,
    pub generation: Cell<u8>,
    /// It changes while it is read, so many times.
    pub changes: Cell<u32>,
    pub isr: Cell<u8>,
    pub config: Vec<u8>,
    pub queues: Vec<QueueRegisters>,
    pub config_vector: u16,
    /// Which queues it was told of.
    pub notified: Vec<u16>,
    pub selected: usize,
    pub feature_select: [u32; 2],
    pub seen: u16,
    pub used: u16,
}

impl Hardware {
    pub fn new(sizes: &[u16], features: u64, config: &[u8]) -> Hardware {
        let queue = |&size: &u16| QueueRegisters { size, vector: 0xffff, ..QueueRegisters::default() };
        Hardware {
            features: features | 1 << 32,
            accepted: 0,
            refused: 0,
            status: 0,
            is_stuck: false,
            generation: Cell::new(0),
            changes: Cell::new(0),
            isr: Cell::new(0),
            config: config.to_vec(),
            queues: sizes.iter().map(queue).collect(),
            config_vector: 0xffff,
            notified: Vec::new(),
            selected: 0,
            feature_select: [0; 2],
            seen: 0,
            used: 0,
        }
    }

    fn queue(&self) -> QueueRegisters {
        self.queues.get(self.selected).copied().unwrap_or_default()
    }

    fn read(&self, offset: usize) -> u64 {
        let half =
            |features: u64, select: u32| if select < 2 { features >> (32 * select) & 0xffff_ffff } else { 0 };
        match offset {
            0x04 => half(self.features, self.feature_select[0]),
            0x0c => half(self.accepted, self.feature_select[1]),
            0x10 => u64::from(self.config_vector),
            0x12 => self.queues.len() as u64,
            0x14 => u64::from(self.status),
            0x15 => {
                if self.changes.get() > 0 {
                    self.changes.set(self.changes.get() - 1);
                    self.generation.set(self.generation.get().wrapping_add(1));
                }
                u64::from(self.generation.get())
            }
            0x18 => u64::from(self.queue().size),
            0x1a => u64::from(self.queue().vector),
            0x1c => u64::from(self.queue().enabled),
            // Each queue has a place of its own.
            0x1e => self.selected as u64,
            _ => panic!("nobody reads {offset:#x}"),
        }
    }

    fn write(&mut self, offset: usize, value: u64) {
        let selected = self.selected;
        let half = |old: u64, high: bool| {
            if high { old & 0xffff_ffff | value << 32 } else { old & !0xffff_ffff | value & 0xffff_ffff }
        };
        match offset {
            0x00 => self.feature_select[0] = value as u32,
            0x08 => self.feature_select[1] = value as u32,
            0x0c => {
                let shift = 32 * self.feature_select[1];
                self.accepted = self.accepted & !(0xffff_ffff << shift) | value << shift;
            }
            0x10 => self.config_vector = value as u16,
            0x14 if value == 0 => {
                let again = Hardware::new(&[], self.features, &self.config);
                let queues = std::mem::take(&mut self.queues);
                let (status, stuck, refused) = (self.status, self.is_stuck, self.refused);
                let features = self.features;
                *self = Hardware { queues, is_stuck: stuck, refused, features, ..again };
                self.queues.iter_mut().for_each(|queue| queue.enabled = false);
                self.status = if stuck { status | 1 } else { 0 };
            }
            0x14 => {
                let agrees = self.accepted & self.refused == 0;
                self.status = if agrees { value as u8 } else { value as u8 & !8 };
            }
            0x16 => self.selected = value as usize,
            _ => {
                let Some(queue) = self.queues.get_mut(selected) else { panic!("a queue that is not there") };
                match offset {
                    0x18 => queue.size = value as u16,
                    0x1a => queue.vector = value as u16,
                    0x1c => queue.enabled = value == 1,
                    0x20 | 0x24 => queue.descriptors = half(queue.descriptors, offset == 0x24),
                    0x28 | 0x2c => queue.driver = half(queue.driver, offset == 0x2c),
                    0x30 | 0x34 => queue.device = half(queue.device, offset == 0x34),
                    _ => panic!("nobody writes {offset:#x}"),
                }
            }
        }
    }
}

#[derive(Clone, Copy, Debug)]
enum Window {
    Common,
    Notify,
    Status,
    Config,
}

/// A window to the device, which stays in the test's hands.
#[derive(Clone, Debug)]
pub struct Wire {
    hardware: Rc<RefCell<Hardware>>,
    window: Window,
}

impl Registers for Wire {
    fn read<W: Word>(&self, offset: usize) -> W {
        let hardware = self.hardware.borrow();
        W::from_bits(match self.window {
            Window::Common => hardware.read(offset),
            Window::Status => u64::from(hardware.isr.replace(0)),
            Window::Config => {
                let word = hardware.config.get(offset..offset + W::SIZE).unwrap_or(&[0xff; 8][..W::SIZE]);
                word.iter().rev().fold(0, |bits, &byte| bits << 8 | u64::from(byte))
            }
            Window::Notify => panic!("nothing is read there"),
        })
    }

    fn write<W: Word>(&self, offset: usize, value: W) {
        let mut hardware = self.hardware.borrow_mut();
        match self.window {
            Window::Common => hardware.write(offset, value.to_bits()),
            Window::Notify => {
                assert_eq!(offset as u64, value.to_bits() * 4, "each queue in its own place");
                hardware.notified.push(value.to_bits() as u16);
            }
            Window::Config => {
                hardware.config[offset..offset + W::SIZE]
                    .copy_from_slice(&value.to_bits().to_le_bytes()[..W::SIZE]);
            }
            Window::Status => panic!("nothing is written there"),
        }
    }

    fn length(&self) -> usize {
        match self.window {
            Window::Common => 0x38,
            Window::Notify => 4 * 4,
            Window::Status => 1,
            Window::Config => self.hardware.borrow().config.len(),
        }
    }
}

/// A device and its driver's side of it, reset.
pub fn connect(hardware: Hardware) -> (Rc<RefCell<Hardware>>, Result<Device<Wire>, virtio::Fault>) {
    let hardware = Rc::new(RefCell::new(hardware));
    let wire = |window| Wire { hardware: hardware.clone(), window };
    let device = Device::reset(Parts {
        common: wire(Window::Common),
        notify: wire(Window::Notify),
        multiplier: 4,
        status: wire(Window::Status),
        config: Some(wire(Window::Config)),
    });
    (hardware, device)
}

/// A chain as the device sees it: where in the memory, how long, whether it writes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Chain {
    pub head: u16,
    pub parts: Vec<(usize, u32, bool)>,
}

/// The device's side of its first queue.
pub struct Side {
    pub hardware: Rc<RefCell<Hardware>>,
    pub memory: Memory,
}

impl Side {
    fn registers(&self) -> QueueRegisters {
        let queue = self.hardware.borrow().queues[0];
        assert!(queue.enabled && queue.vector == 0 && self.hardware.borrow().status & 4 != 0);
        queue
    }

    fn place(address: u64) -> usize {
        (address - BASE) as usize
    }

    /// Takes the chains that were made available.
    pub fn take(&self) -> Vec<Chain> {
        let queue = self.registers();
        let driver = Side::place(queue.driver);
        let made: u16 = self.memory.read(driver + 2);
        let mut chains = Vec::new();
        let mut hardware = self.hardware.borrow_mut();
        while hardware.seen != made {
            let head: u16 = self.memory.read(driver + 4 + 2 * usize::from(hardware.seen % queue.size));
            hardware.seen = hardware.seen.wrapping_add(1);
            chains.push(self.chain(&queue, head));
        }
        chains
    }

    fn chain(&self, queue: &QueueRegisters, head: u16) -> Chain {
        let (mut at, mut parts) = (head, Vec::new());
        loop {
            assert!(at < queue.size && parts.len() < usize::from(queue.size), "a chain that ends");
            let place = Side::place(queue.descriptors) + 16 * usize::from(at);
            let (address, length): (u64, u32) = (self.memory.read(place), self.memory.read(place + 8));
            let (flags, next): (u16, u16) = (self.memory.read(place + 12), self.memory.read(place + 14));
            let offset = Side::place(address);
            assert!(offset + length as usize <= self.memory.length(), "inside of the memory");
            parts.push((offset, length, flags & 2 != 0));
            if flags & 1 == 0 {
                return Chain { head, parts };
            }
            at = next;
        }
    }

    /// Says that a chain is used: whatever it says.
    pub fn used(&self, head: u32, length: u32) {
        let queue = self.registers();
        let device = Side::place(queue.device);
        let mut hardware = self.hardware.borrow_mut();
        let element = device + 4 + 8 * usize::from(hardware.used % queue.size);
        self.memory.write(element, head);
        self.memory.write(element + 4, length);
        hardware.used = hardware.used.wrapping_add(1);
        self.memory.write(device + 2, hardware.used);
        hardware.isr.set(1);
    }

    /// Writes the number of used chains: whatever it is.
    pub fn set_used(&self, count: u16) {
        let device = Side::place(self.registers().device);
        self.memory.write(device + 2, count);
    }

    /// Whether it wants to be told of new chains.
    pub fn set_quiet(&self, quiet: bool) {
        let device = Side::place(self.registers().device);
        self.memory.write(device, u16::from(quiet));
    }
}

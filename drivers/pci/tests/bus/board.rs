//! A machine with a log, and a bus in it.

use crate::space::{Function, Space};
use abi::error::{Error, Result};
use abi::memory::InterruptMessage;
use driver_sdk::{Registers, Word};
use pci::bus::{Bus, Claimed, Machine};
use pci::config::ConfigSpace;
use pci::enumeration::enumerate;
use pci_protocol::{Address, State, Wanted};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

pub const SOURCE: Address = Address::new(3, 0, 0);
pub const OTHER: Address = Address::new(4, 0, 0);
pub const LINED: Address = Address::new(0, 5, 0);
pub const TABLE: u64 = 0xfe80_0000;

/// Slot control and status of the ports.
pub const SLOT: usize = 0x4c + 0x18;

/// What happened to the machine, in its order.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Act {
    Config(Address, u16, u32),
    Register(u64, u32),
    Freed(u64),
    Told(u32),
}

/// A machine with a log.
#[derive(Clone, Default)]
pub struct Board {
    pub space: Rc<RefCell<Space>>,
    pub acts: Rc<RefCell<Vec<Act>>>,
    pub registers: Rc<RefCell<BTreeMap<u64, u32>>>,
    pub vectors: Rc<RefCell<u32>>,
    /// What happens at a port as soon as its events are cleared: bits of its slot that are set, and that are cleared.
    pub meanwhile: Rc<RefCell<Option<(Address, u32, u32)>>>,
}

/// Memory that says when it is freed.
pub struct Memory(pub u64, pub u64, pub Rc<RefCell<Vec<Act>>>);

impl Drop for Memory {
    fn drop(&mut self) {
        self.2.borrow_mut().push(Act::Freed(self.0));
    }
}

pub struct Table(u64, u64, Board);

impl Registers for Table {
    fn read<W: Word>(&self, offset: usize) -> W {
        W::from_bits(u64::from(*self.2.registers.borrow().get(&(self.0 + offset as u64)).unwrap_or(&0)))
    }

    fn write<W: Word>(&self, offset: usize, value: W) {
        assert!(W::SIZE == 4 && (offset as u64) < self.1);
        let (at, value) = (self.0 + offset as u64, value.to_bits() as u32);
        self.2.registers.borrow_mut().insert(at, value);
        self.2.acts.borrow_mut().push(Act::Register(at, value));
    }

    fn length(&self) -> usize {
        self.1 as usize
    }
}

impl ConfigSpace for Board {
    fn read(&self, address: Address, offset: u16) -> u32 {
        self.space.borrow().read(address, offset)
    }

    fn write(&mut self, address: Address, offset: u16, value: u32) {
        self.acts.borrow_mut().push(Act::Config(address, offset, value));
        let mut space = self.space.borrow_mut();
        space.write(address, offset, value);
        // Function level reset: BARs and command are forgotten.
        if offset == 0x4c + 8
            && value & 1 << 15 != 0
            && let Some(function) = space.functions.get_mut(&address)
        {
            let writable: Vec<usize> = (4..0x28).filter(|&at| function.writable[at] != 0).collect();
            for at in writable {
                function.bytes[at] &= !function.writable[at];
            }
        }
    }

    fn write_half(&mut self, address: Address, offset: u16, value: u16) {
        let mut space = self.space.borrow_mut();
        space.write_half(address, offset, value);
        if usize::from(offset) == SLOT + 2
            && let Some((port, set, clear)) = self.meanwhile.take()
        {
            space.happens(port, set, clear);
        }
    }
}

impl Machine for Board {
    type Memory = Memory;
    type Interrupt = u32;
    type Table = Table;
    type Notice = u32;

    fn memory(&mut self, address: u64, length: u64) -> Result<Memory> {
        assert!((address | length).is_multiple_of(4096) && length > 0);
        Ok(Memory(address, length, Rc::default()))
    }

    fn table(&mut self, address: u64, length: u64) -> Result<Table> {
        Ok(Table(address, length, self.clone()))
    }

    fn message(&mut self, cpu: u32) -> Result<(u32, InterruptMessage)> {
        let mut vectors = self.vectors.borrow_mut();
        *vectors += 1;
        Ok((*vectors, InterruptMessage { address: 0xfee0_0000 | cpu << 12, data: *vectors }))
    }

    fn line(&mut self, gsi: u32) -> Result<u32> {
        Ok(1000 + gsi)
    }

    fn tell(&mut self, notice: &u32) {
        self.acts.borrow_mut().push(Act::Told(*notice));
    }
}

impl Space {
    /// Something happens at a port: bits of its slot are set, and cleared.
    pub fn happens(&mut self, port: Address, set: u32, clear: u32) {
        let port = self.functions.get_mut(&port).unwrap();
        port.set(SLOT, port.get(SLOT) & !clear | set);
    }
}

pub struct Bench {
    pub board: Board,
    pub bus: Bus<Board>,
}

impl Bench {
    pub fn new() -> Bench {
        Bench::with(|_| {})
    }

    pub fn with(prepare: impl FnOnce(&mut Space)) -> Bench {
        let mut lined = Function::new(0x1af4, 0x1044, 0x00ff00).bar(0, 0xfea0_0000, 0x80);
        lined.bytes[0x3d] = 1;
        let mut broken = Function::source(0xfeb0_0000);
        broken.bytes[0x3d] = 9;
        let mut space = Space::default()
            .with(Address::new(0, 0, 0), Function::new(0x8086, 0x29c0, 0x060000))
            .with(Address::new(0, 1, 0), Function::bridge(3))
            .with(Address::new(0, 2, 0), Function::bridge(4))
            .with(LINED, lined)
            .with(Address::new(0, 6, 0), broken)
            .with(SOURCE, Function::source(TABLE as u32))
            .with(OTHER, Function::source(0xfec0_0000));
        prepare(&mut space);
        let found = enumerate(&mut space, 255);
        let board = Board { space: Rc::new(RefCell::new(space)), ..Board::default() };
        let bus = Bus::new(board.clone(), found, 0);
        Bench { board, bus }
    }

    pub fn claim(&mut self, skip: u32) -> Result<Option<Claimed>> {
        self.bus.claim(&Wanted { vendor: 0x1af4, devices: vec![0x1005, 0x1044], skip })
    }

    /// The source behind the first port.
    pub fn source(&mut self) -> Claimed {
        let claimed = self.claim(2).unwrap().unwrap();
        assert_eq!(claimed.address, SOURCE);
        claimed
    }

    pub fn command(&self, address: Address) -> u32 {
        self.board.space.borrow().at(address).get(4) & 0xffff
    }

    pub fn state(&self, address: Address) -> State {
        self.bus.list(None).into_iter().find(|listed| listed.address == address).unwrap().state
    }

    pub fn lend(&mut self, claimed: Claimed, name: u64) -> Result<()> {
        self.bus.lend(claimed.badge, Memory(name, 4096, self.board.acts.clone()))
    }
}

pub fn refused<T>(result: Result<T>, errno: i32) {
    assert_eq!(result.err(), Some(Error::new(errno)));
}

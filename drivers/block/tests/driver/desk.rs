//! The driver between a device and programs, each of which does one thing at a time.

use crate::fake::{Bench, Got};
use crate::model::{Chain, Hardware, Memory, Side, Wire, connect};
use abi::error::{Error, Result};
use abi::flag::O_RDWR;
use block::disk::Disk;
use block::driver::Block;
use driver_sdk::{Control, ControlReply, FileId};
use event_protocol::descriptor::label;
use std::cell::RefCell;
use std::rc::Rc;

pub const PATH: &str = "/dev/vda";
pub const READ_ONLY: u64 = 1 << 5;
pub const FLUSH: u64 = 1 << 9;

pub struct Desk {
    pub side: Side,
    pub bench: Bench<Block<Wire, Memory>>,
    pub bytes: Vec<u8>,
    pub asked: Vec<Chain>,
    /// Requests of this type fail.
    pub failing: Option<u32>,
    /// Types and sectors of what was done.
    pub done: Vec<(u32, u64)>,
}

impl Desk {
    pub fn new(sectors: u64, features: u64) -> Desk {
        let shared = Rc::new(RefCell::new(None));
        let (hardware, device) = connect(Hardware::new(&[256], features, &sectors.to_le_bytes()));
        let disk = Disk::new(device.unwrap(), |size| {
            let memory = Memory::new(size);
            *shared.borrow_mut() = Some(memory.clone());
            Ok(memory)
        });
        let bench = Bench::new(Block::new(disk.unwrap(), PATH.to_owned()));
        let memory = shared.take().expect("it was asked for");
        let bytes = (0..sectors * 512).map(|at| (at / 512 + at) as u8).collect();
        let side = Side { hardware, memory };
        Desk { side, bench, bytes, asked: Vec::new(), failing: None, done: Vec::new() }
    }

    pub fn open(&mut self) -> FileId {
        self.bench.open(PATH, O_RDWR, 1).expect("a disk")
    }

    pub fn look(&mut self) {
        self.asked.extend(self.side.take());
    }

    /// The device does one of the requests that it has.
    pub fn work(&mut self, which: usize) {
        let Chain { head, parts } = self.asked.remove(which);
        let memory = self.side.memory.clone();
        let mut memory = memory.0.borrow_mut();
        let (header, status) = (parts[0], parts[parts.len() - 1]);
        assert_eq!((header.1, header.2, status.1, status.2), (16, false, 1, true));
        let field =
            |at: usize| u64::from_le_bytes(memory[header.0 + at..header.0 + at + 8].try_into().unwrap());
        let (kind, sector) = (field(0) as u32, field(8));
        let mut written = 1;
        let failed = self.failing == Some(kind);
        self.done.push((kind, sector));
        if let [_, (place, length, is_written), _] = parts[..] {
            assert_eq!(is_written, kind == 0);
            let disk = sector as usize * 512..sector as usize * 512 + length as usize;
            let memory = &mut memory[place..place + length as usize];
            match kind {
                _ if failed => {}
                0 => memory.copy_from_slice(&self.bytes[disk]),
                1 => self.bytes[disk].copy_from_slice(memory),
                other => panic!("no transfer is of type {other}"),
            }
            written += if is_written { length } else { 0 };
        } else {
            assert_eq!((kind, sector), (4, 0));
        }
        memory[status.0] = u8::from(failed);
        drop(memory);
        self.side.used(u32::from(head), written);
    }

    pub fn interrupt(&mut self) {
        while self.bench.engine.interrupt() {}
        self.bench.settle();
        self.look();
    }

    /// The device does everything, and what follows from it.
    pub fn run(&mut self) {
        self.look();
        while !self.asked.is_empty() {
            (0..self.asked.len()).for_each(|_| self.work(0));
            self.interrupt();
        }
    }

    pub fn begin_read(&mut self, file: FileId, offset: u64, length: u64, how: u64) -> u64 {
        self.bench.send(file.badge(), label::READ, [length, how, offset, 0], &[], None)
    }

    pub fn read_at(&mut self, file: FileId, offset: u64, length: u64) -> Got {
        let token = self.begin_read(file, offset, length, 0);
        self.run();
        self.bench.got(token).expect("it is answered")
    }

    pub fn write_at(&mut self, file: FileId, bytes: &[u8], offset: u64) -> Got {
        let token = self.bench.send(file.badge(), label::WRITE, [0, 0, offset, 0], bytes, None);
        self.run();
        self.bench.got(token).expect("it is answered")
    }

    pub fn sync(&mut self, file: FileId) -> Result<()> {
        let token = self.bench.begin_control(file, Control::Sync, 0);
        self.run();
        match self.bench.got(token) {
            Some(Got::Control(ControlReply::Done)) => Ok(()),
            Some(Got::Errno(errno)) => Err(Error::new(errno)),
            other => panic!("{other:?}"),
        }
    }
}

pub fn data(bytes: &[u8]) -> Got {
    if bytes.is_empty() { Got::Count(0) } else { Got::Data(bytes.to_vec(), 0) }
}

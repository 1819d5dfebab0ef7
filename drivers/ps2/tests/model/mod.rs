//! A controller with a keyboard and a mouse, as far as a driver can tell.

use driver_sdk::{Registers, Word};
use ps2::controller::Time;
use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;

/// What is wrong with the machine.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Lack {
    Nothing,
    Controller,
    /// It takes no byte.
    Ear,
    /// Its test says this.
    Test(u8),
    SecondPort,
    /// The test of the first port fails.
    FirstPort,
    Keyboard,
    Mouse,
    Wheel,
    /// The keyboard has each byte said twice.
    Attention,
}

#[derive(Default)]
pub struct Board {
    pub out: VecDeque<(u8, u8)>,
    pub mode: u8,
    /// The command whose byte is to come.
    command: u8,
    /// The last rates that the mouse was told.
    rates: Vec<u8>,
    awaits_rate: bool,
    inattentive: bool,
    /// Devices that speak.
    pub speaks: [bool; 2],
}

#[derive(Clone)]
pub struct Machine {
    pub board: Rc<RefCell<Board>>,
    lack: Lack,
    now: Rc<Cell<u64>>,
}

impl Machine {
    pub fn with(lack: Lack) -> Machine {
        let board = Board { mode: 0x03, ..Board::default() };
        Machine { board: Rc::new(RefCell::new(board)), lack, now: Rc::default() }
    }

    /// A device tells bytes.
    pub fn tell(&self, port: usize, bytes: &[u8]) {
        let bit = [0, 0x20][port];
        self.board.borrow_mut().out.extend(bytes.iter().map(|&byte| (bit, byte)));
    }

    fn command(&self, command: u8) {
        let mode = self.board.borrow().mode;
        let mut answer = None;
        match command {
            0x20 => answer = Some(mode | if self.lack == Lack::SecondPort { 0x20 } else { 0 }),
            0x60 | 0xd4 => self.board.borrow_mut().command = command,
            0xa7 => self.board.borrow_mut().mode |= 0x20,
            0xa8 => self.board.borrow_mut().mode &= !0x20,
            0xad => self.board.borrow_mut().mode |= 0x10,
            0xae => self.board.borrow_mut().mode &= !0x10,
            0xaa => answer = Some(if let Lack::Test(found) = self.lack { found } else { 0x55 }),
            0xab => answer = Some(u8::from(self.lack == Lack::FirstPort)),
            0xa9 => answer = Some(0),
            _ => panic!("no command: {command:#x}"),
        }
        if let Some(answer) = answer {
            self.board.borrow_mut().out.push_back((0, answer));
        }
    }

    fn byte(&self, byte: u8) {
        let command = std::mem::take(&mut self.board.borrow_mut().command);
        match command {
            0x60 => {
                self.board.borrow_mut().mode = byte;
                return;
            }
            0xd4 if self.lack == Lack::Mouse => return,
            0xd4 => {}
            _ if self.lack == Lack::Keyboard => return,
            _ if self.lack == Lack::Attention => {
                let mut board = self.board.borrow_mut();
                board.inattentive = !board.inattentive;
                if board.inattentive {
                    drop(board);
                    return self.tell(0, &[0xfe]);
                }
                drop(board);
                return self.keyboard(byte);
            }
            _ => return self.keyboard(byte),
        }
        self.mouse(byte);
    }

    fn keyboard(&self, byte: u8) {
        // What was typed before is on its way still.
        match byte {
            0xff => self.tell(0, &[0x1e, 0x9e, 0xfa, 0xaa]),
            0xf4 => self.tell(0, &[0xfa]),
            _ => panic!("no command of a keyboard: {byte:#x}"),
        }
        self.board.borrow_mut().speaks[0] = byte == 0xf4;
    }

    fn mouse(&self, byte: u8) {
        let is_rate = std::mem::take(&mut self.board.borrow_mut().awaits_rate);
        if is_rate {
            self.board.borrow_mut().rates.push(byte);
            return self.tell(1, &[0xfa]);
        }
        match byte {
            0xff => self.tell(1, &[0xfa, 0xaa, 0]),
            0xf2 => {
                let knocked = self.board.borrow().rates.ends_with(&[200, 100, 80]);
                self.tell(1, &[0xfa, if knocked && self.lack != Lack::Wheel { 3 } else { 0 }]);
            }
            0xf3 => {
                self.board.borrow_mut().awaits_rate = true;
                self.tell(1, &[0xfa]);
            }
            0xf4 => {
                self.board.borrow_mut().speaks[1] = true;
                self.tell(1, &[0xfa]);
            }
            _ => panic!("no command of a mouse: {byte:#x}"),
        }
    }
}

impl Registers for Machine {
    fn read<W: Word>(&self, offset: usize) -> W {
        assert_eq!(W::SIZE, 1);
        if self.lack == Lack::Controller {
            return W::ONES;
        }
        let mut board = self.board.borrow_mut();
        let busy = if self.lack == Lack::Ear { 2 } else { 0 };
        W::from_bits(
            match offset {
                0 => board.out.pop_front().map_or(0, |(_, byte)| byte),
                4 => board.out.front().map_or(0, |&(bit, _)| bit | 1) | busy,
                _ => panic!("port {:#x} is another's", 0x60 + offset),
            }
            .into(),
        )
    }

    fn write<W: Word>(&self, offset: usize, value: W) {
        let value = value.to_bits() as u8;
        match offset {
            0 => self.byte(value),
            4 => self.command(value),
            _ => panic!("port {:#x} is another's", 0x60 + offset),
        }
    }

    fn length(&self) -> usize {
        5
    }
}

impl Time for Machine {
    fn now(&self) -> u64 {
        self.now.get()
    }

    fn pause(&self) {
        self.now.set(self.now.get() + 1_000_000);
    }
}

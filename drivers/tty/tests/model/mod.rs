//! A 16550 with a line behind it, as the data sheet has it, seen from the driver's side.

use std::collections::VecDeque;

use tty::uart::registers::*;

/// The device. `line` holds what the other side has sent and the FIFO had no place for yet.
#[derive(Default)]
pub struct Device {
    pub line: VecDeque<u8>,
    pub sent: Vec<u8>,
    pub receive: VecDeque<u8>,
    pub transmit: VecDeque<u8>,
    pub scratch: u8,
    pub enable: u8,
    pub line_control: u8,
    pub modem_control: u8,
    pub divisor: u16,
    pub errors: u8,
    pub transmit_pending: bool,
    pub timeout: bool,
    pub modem_pending: bool,
    pub fifos: bool,
    pub absent: bool,
}

impl Device {
    const TRIGGER: usize = 8;

    /// Lets up to `count` bytes arrive; a full FIFO leaves them on the line.
    pub fn arrive(&mut self, count: usize) {
        for _ in 0..count {
            if self.receive.len() == if self.fifos { 16 } else { 1 } {
                break;
            }
            let Some(byte) = self.line.pop_front() else { break };
            self.receive.push_back(byte);
        }
    }

    /// Four character times pass: a stale byte is reported, the transmitter runs dry.
    pub fn time_passes(&mut self) {
        self.timeout = !self.receive.is_empty();
        if !self.transmit.is_empty() {
            self.sent.extend(self.transmit.drain(..));
            self.transmit_pending = true;
        }
    }

    fn source(&self) -> Option<u8> {
        if self.enable & ier::LINE != 0 && self.errors != 0 {
            Some(iir::LINE)
        } else if self.enable & ier::RECEIVE != 0 && self.receive.len() >= Self::TRIGGER {
            Some(iir::RECEIVE)
        } else if self.enable & ier::RECEIVE != 0 && self.timeout {
            Some(iir::TIMEOUT)
        } else if self.enable & ier::TRANSMIT != 0 && self.transmit_pending {
            Some(iir::TRANSMIT)
        } else if self.enable & ier::MODEM != 0 && self.modem_pending {
            Some(iir::MODEM)
        } else {
            None
        }
    }

    /// The state of the interrupt line.
    pub fn asserted(&self) -> bool {
        self.source().is_some() && self.modem_control & mcr::OUT2 != 0
    }
}

impl Registers for Device {
    fn read(&mut self, offset: u16) -> u8 {
        if self.absent {
            return 0xff;
        }
        match offset {
            DATA if self.line_control & lcr::DIVISOR != 0 => self.divisor as u8,
            DATA => {
                self.timeout = false;
                self.receive.pop_front().unwrap_or(0)
            }
            IER if self.line_control & lcr::DIVISOR != 0 => (self.divisor >> 8) as u8,
            IER => self.enable,
            IIR => {
                let source = self.source();
                if source == Some(iir::TRANSMIT) {
                    self.transmit_pending = false;
                }
                source.unwrap_or(iir::NONE) | if self.fifos { iir::FIFOS_ON } else { 0 }
            }
            LCR => self.line_control,
            MCR => self.modem_control,
            LSR => {
                let idle = lsr::TRANSMIT_EMPTY | lsr::TRANSMITTER_IDLE;
                let empty = if self.transmit.is_empty() { idle } else { 0 };
                let ready = if self.receive.is_empty() { 0 } else { lsr::READY };
                core::mem::take(&mut self.errors) | empty | ready
            }
            MSR => {
                self.modem_pending = false;
                msr::CTS | msr::DSR | msr::DCD
            }
            SCRATCH => self.scratch,
            _ => panic!("no register {offset}"),
        }
    }

    fn write(&mut self, offset: u16, value: u8) {
        match offset {
            DATA if self.line_control & lcr::DIVISOR != 0 => {
                self.divisor = self.divisor & 0xff00 | u16::from(value);
            }
            DATA => {
                assert!(self.transmit.len() < 16, "a byte was written to a full transmit FIFO");
                self.transmit_pending = false;
                self.transmit.push_back(value);
            }
            IER if self.line_control & lcr::DIVISOR != 0 => {
                self.divisor = self.divisor & 0xff | u16::from(value) << 8;
            }
            IER => {
                if value & !self.enable & ier::TRANSMIT != 0 && self.transmit.is_empty() {
                    self.transmit_pending = true;
                }
                self.enable = value;
            }
            FCR => {
                let fifos = value & fcr::ENABLE != 0;
                if fifos != self.fifos || value & fcr::CLEAR_RECEIVE != 0 {
                    self.receive.clear();
                }
                self.fifos = fifos;
            }
            LCR => self.line_control = value,
            MCR => self.modem_control = value,
            SCRATCH => self.scratch = value,
            _ => panic!("register {offset} is not for writing"),
        }
    }
}

//! The registers of a 16550 (National Semiconductor PC16550D data sheet).

/// Access to the eight registers of one UART.
pub trait Registers {
    /// Reads the register at `offset` (0 to 7).
    fn read(&mut self, offset: u16) -> u8;
    /// Writes the register at `offset` (0 to 7).
    fn write(&mut self, offset: u16, value: u8);
}

/// Receiver buffer (read), transmitter holding (write), divisor low (with [`lcr::DIVISOR`]).
pub const DATA: u16 = 0;
/// Interrupt enable; divisor high (with [`lcr::DIVISOR`]).
pub const IER: u16 = 1;
/// Interrupt identification (read).
pub const IIR: u16 = 2;
/// FIFO control (write).
pub const FCR: u16 = 2;
/// Line control.
pub const LCR: u16 = 3;
/// Modem control.
pub const MCR: u16 = 4;
/// Line status.
pub const LSR: u16 = 5;
/// Modem status.
pub const MSR: u16 = 6;
/// Scratch.
pub const SCRATCH: u16 = 7;

/// Bits of [`IER`].
pub mod ier {
    /// Received data and character timeout.
    pub const RECEIVE: u8 = 1;
    /// Transmitter holding register empty.
    pub const TRANSMIT: u8 = 2;
    /// Line status: overrun, parity, framing, break.
    pub const LINE: u8 = 4;
    /// Modem status.
    pub const MODEM: u8 = 8;
}

/// Values of [`IIR`].
pub mod iir {
    /// Set while nothing is pending.
    pub const NONE: u8 = 1;
    /// Both bits are set while the FIFOs are on.
    pub const FIFOS_ON: u8 = 0xc0;
    /// The bits that name the source.
    pub const SOURCE: u8 = 0x0e;
    /// Line status; cleared by reading LSR.
    pub const LINE: u8 = 0x06;
    /// Received data; cleared by draining below the trigger level.
    pub const RECEIVE: u8 = 0x04;
    /// Data below the trigger level that nobody fetched for four character times.
    pub const TIMEOUT: u8 = 0x0c;
    /// Transmitter empty; cleared by reading IIR or writing.
    pub const TRANSMIT: u8 = 0x02;
    /// Modem status; cleared by reading MSR.
    pub const MODEM: u8 = 0x00;
}

/// Bits of [`FCR`].
pub mod fcr {
    /// Both FIFOs on.
    pub const ENABLE: u8 = 0x01;
    /// Empties the receive FIFO.
    pub const CLEAR_RECEIVE: u8 = 0x02;
    /// Empties the transmit FIFO.
    pub const CLEAR_TRANSMIT: u8 = 0x04;
    /// Interrupt at 8 of 16 received bytes: leaves the driver half a FIFO of time.
    pub const TRIGGER_8: u8 = 0x80;
}

/// Bits of [`LCR`].
pub mod lcr {
    /// Eight data bits, no parity, one stop bit.
    pub const EIGHT_N_ONE: u8 = 0x03;
    /// The first two registers are the divisor.
    pub const DIVISOR: u8 = 0x80;
}

/// Bits of [`MCR`].
pub mod mcr {
    /// Data terminal ready.
    pub const DTR: u8 = 0x01;
    /// Request to send: "my peer may send".
    pub const RTS: u8 = 0x02;
    /// On a PC: connects the interrupt line.
    pub const OUT2: u8 = 0x08;
}

/// Bits of [`LSR`].
pub mod lsr {
    /// A byte has been received.
    pub const READY: u8 = 0x01;
    /// A byte was lost because the FIFO was full.
    pub const OVERRUN: u8 = 0x02;
    /// The byte at the head of the FIFO has a parity error.
    pub const PARITY: u8 = 0x04;
    /// The byte at the head of the FIFO has no stop bit.
    pub const FRAMING: u8 = 0x08;
    /// The byte at the head of the FIFO is a break condition.
    pub const BREAK: u8 = 0x10;
    /// The transmit FIFO is empty.
    pub const TRANSMIT_EMPTY: u8 = 0x20;
    /// The transmit FIFO and the shift register behind it are empty.
    pub const TRANSMITTER_IDLE: u8 = 0x40;
}

/// Bits of [`MSR`].
pub mod msr {
    /// Clear to send.
    pub const CTS: u8 = 0x10;
    /// Data set ready.
    pub const DSR: u8 = 0x20;
    /// Carrier detect.
    pub const DCD: u8 = 0x80;
}

//! A 16550 driven by interrupts in both directions.
//!
//! The state machine knows nothing of terminals: received bytes go to a [`Peer`] and bytes to send come from it.

pub mod registers;

use registers::{DATA, FCR, IER, IIR, LCR, LSR, MCR, MSR, Registers, SCRATCH, fcr, ier, iir, lcr, lsr, mcr};

/// Bytes that the transmit FIFO takes when it is empty.
pub const FIFO: usize = 16;

/// Sources served in one call of [`Uart::interrupt`]: a device that never stops asking must not keep the driver from
/// its clients.
const ROUNDS: usize = 64;

/// What stands behind the UART.
pub trait Peer {
    /// Whether one more received byte can be taken. While it cannot, bytes stay in the FIFO and the line is held.
    fn has_room(&self) -> bool;
    /// Whether a sender that was held for want of room should go on.
    fn can_resume(&self) -> bool;
    /// Takes a received byte; called only after [`has_room`](Peer::has_room) said yes.
    fn receive(&mut self, byte: u8);
    /// The next byte to send.
    fn transmit(&mut self) -> Option<u8>;
    /// Whether [`transmit`](Peer::transmit) would give a byte.
    fn has_output(&self) -> bool;
}

/// What the device did, counted since the start.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Counters {
    /// Bytes received and handed on.
    pub received: u64,
    /// Bytes sent.
    pub sent: u64,
    /// Interrupts that had at least one source.
    pub interrupts: u64,
    /// Times that the receive FIFO overflowed.
    pub overruns: u64,
    /// Bytes dropped for a parity or framing error.
    pub damaged: u64,
    /// Break conditions.
    pub breaks: u64,
    /// Times that the receiver was held because nobody reads.
    pub holds: u64,
}

/// The device is not there, or is not a 16550.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct NotFound;

/// A 16550.
pub struct Uart<R> {
    registers: R,
    /// Received before the FIFOs were on.
    early: Option<u8>,
    enabled: u8,
    held: bool,
    modem: u8,
    counters: Counters,
}

impl<R: Registers> Uart<R> {
    /// Finds the device and sets it to 115,200 baud 8N1 with both FIFOs on and no interrupt enabled.
    pub fn new(mut registers: R) -> Result<Uart<R>, NotFound> {
        for probe in [0x5a, 0xa5] {
            registers.write(SCRATCH, probe);
            if registers.read(SCRATCH) != probe {
                return Err(NotFound);
            }
        }
        registers.write(IER, 0);
        registers.write(LCR, lcr::EIGHT_N_ONE);
        // Switching the FIFOs on empties them: a byte that came before the driver did is saved first.
        let fifos_on = registers.read(IIR) & iir::FIFOS_ON == iir::FIFOS_ON;
        let waiting = !fifos_on && registers.read(LSR) & lsr::READY != 0;
        let early = waiting.then(|| registers.read(DATA));
        registers.write(FCR, fcr::ENABLE | fcr::TRIGGER_8);
        registers.write(LCR, lcr::DIVISOR);
        registers.write(DATA, 1);
        registers.write(IER, 0);
        registers.write(LCR, lcr::EIGHT_N_ONE);
        registers.write(MCR, mcr::DTR | mcr::RTS | mcr::OUT2);
        Ok(Uart { registers, early, enabled: 0, held: false, modem: 0, counters: Counters::default() })
    }

    /// Enables the interrupts and serves what is there already. The line must be bound before.
    pub fn start(&mut self, peer: &mut impl Peer) {
        self.modem = self.registers.read(MSR);
        if let Some(byte) = self.early.take() {
            self.counters.received += 1;
            peer.receive(byte);
        }
        self.drain(peer);
        self.enable(ier::RECEIVE | ier::LINE | ier::MODEM);
        self.pump(peer);
    }

    /// Serves the interrupt. Returns true when it stopped for fairness with sources still pending: the line is edge
    /// triggered, so no further interrupt would tell, and it must be called again.
    #[must_use]
    pub fn interrupt(&mut self, peer: &mut impl Peer) -> bool {
        for round in 0..ROUNDS {
            let source = self.registers.read(IIR);
            if source & iir::NONE != 0 {
                return false;
            }
            self.counters.interrupts += u64::from(round == 0);
            match source & iir::SOURCE {
                iir::LINE => _ = self.line_status(),
                iir::RECEIVE | iir::TIMEOUT => self.drain(peer),
                iir::TRANSMIT => self.fill(peer),
                iir::MODEM => self.modem = self.registers.read(MSR),
                _ => {}
            }
        }
        true
    }

    /// To be called whenever the peer has new output or new room: starts the transmitter, lets the receiver go on.
    pub fn pump(&mut self, peer: &mut impl Peer) {
        if self.held && peer.can_resume() {
            self.held = false;
            self.registers.write(MCR, mcr::DTR | mcr::RTS | mcr::OUT2);
            self.enable(self.enabled | ier::RECEIVE);
            self.drain(peer);
        }
        // With the interrupt on, the transmitter is busy and asks for more by itself.
        if self.enabled & ier::TRANSMIT == 0 && peer.has_output() {
            if self.line_status() & lsr::TRANSMIT_EMPTY != 0 {
                self.fill(peer);
            }
            if peer.has_output() {
                self.enable(self.enabled | ier::TRANSMIT);
            }
        }
    }

    /// What it did.
    pub fn counters(&self) -> Counters {
        self.counters
    }

    /// The modem status lines as last reported ([`registers::msr`]).
    pub fn modem(&self) -> u8 {
        self.modem
    }

    /// Whether the receiver is held because the peer has no room.
    pub fn is_held(&self) -> bool {
        self.held
    }

    /// Whether the last byte has left the device.
    pub fn is_idle(&mut self) -> bool {
        self.line_status() & lsr::TRANSMITTER_IDLE != 0
    }

    /// The registers, for tests and for shutting down.
    pub fn registers(&mut self) -> &mut R {
        &mut self.registers
    }

    fn enable(&mut self, bits: u8) {
        if self.enabled != bits {
            self.enabled = bits;
            self.registers.write(IER, bits);
        }
    }

    /// Reads LSR, whose reading clears the error bits: each read must count them.
    fn line_status(&mut self) -> u8 {
        let status = self.registers.read(LSR);
        self.counters.overruns += u64::from(status & lsr::OVERRUN != 0);
        self.counters.breaks += u64::from(status & lsr::BREAK != 0);
        status
    }

    fn drain(&mut self, peer: &mut impl Peer) {
        loop {
            if !peer.has_room() {
                return self.hold();
            }
            let status = self.line_status();
            if status & lsr::READY == 0 {
                return;
            }
            let byte = self.registers.read(DATA);
            if status & lsr::BREAK != 0 {
                continue;
            }
            if status & (lsr::PARITY | lsr::FRAMING) != 0 {
                self.counters.damaged += 1;
                continue;
            }
            self.counters.received += 1;
            peer.receive(byte);
        }
    }

    /// Leaves the bytes where they are: the FIFO fills, then RTS (and in an emulator the channel behind it) holds the
    /// sender. Nothing is lost, and no interrupt asks again in vain.
    fn hold(&mut self) {
        if !self.held {
            self.held = true;
            self.counters.holds += 1;
            self.enable(self.enabled & !ier::RECEIVE);
            self.registers.write(MCR, mcr::DTR | mcr::OUT2);
        }
    }

    /// Fills the empty transmit FIFO; with nothing to send, stops its interrupt.
    fn fill(&mut self, peer: &mut impl Peer) {
        for _ in 0..FIFO {
            let Some(byte) = peer.transmit() else {
                return self.enable(self.enabled & !ier::TRANSMIT);
            };
            self.registers.write(DATA, byte);
            self.counters.sent += 1;
        }
    }
}

//! The kernel's log on the first serial port, and the end of the kernel.

use core::fmt::{self, Write};
use core::panic::PanicInfo;
use core::sync::atomic::{AtomicBool, Ordering};

use crate::arch::frame::Frame;
use crate::arch::port::Port;
use crate::arch::{self, apic, cpu};
use crate::lock::{Log, Mutex};

const BASE: u16 = 0x3f8;
const FIFO_CONTROL: u16 = BASE + 2;
const FIFO_ENABLE: u8 = 1;
const LINE_STATUS: u16 = BASE + 5;
const ROOM: u8 = 1 << 5;
/// Turns to wait for room; a lost device costs this once a character, and no more.
const PATIENCE: u32 = 100_000;
/// `isa-debug-exit`, and what a panic writes there.
const DEBUG_EXIT: u16 = 0xf4;
const PANIC_CODE: u8 = 0x7f;

static SERIAL: Mutex<Log, Serial> = Mutex::new(Serial { fifos: false, lost: false });

/// A CPU panics: an NMI stops the others. The NMI entry code reads it.
pub static PANICKING: AtomicBool = AtomicBool::new(false);

/// Writes a whole line to the log.
#[macro_export]
macro_rules! log {
    ($($argument:tt)*) => { $crate::log::write_line(::core::format_args!($($argument)*)) };
}

struct Serial {
    /// The FIFOs are on: since before the first word, because switching them on empties them, and whoever is at the other
    /// end sends when it has heard something.
    fifos: bool,
    /// It has not taken a character in time: not waited for again.
    lost: bool,
}

impl Serial {
    fn put(&mut self, byte: u8) {
        // SAFETY: the serial port touches no memory.
        let (status, data) = unsafe { (Port::new(LINE_STATUS), Port::new(BASE)) };
        if !self.fifos {
            self.fifos = true;
            // SAFETY: as above.
            unsafe { Port::new(FIFO_CONTROL) }.write(FIFO_ENABLE);
        }
        if !self.lost && !(0..PATIENCE).any(|_| status.read() & ROOM != 0) {
            self.lost = true;
        }
        data.write(byte);
    }
}

impl Write for Serial {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for byte in text.bytes() {
            if byte == b'\n' {
                self.put(b'\r');
            }
            self.put(byte);
        }
        Ok(())
    }
}

/// What `log!` calls.
pub fn write_line(line: fmt::Arguments<'_>) {
    let mut serial = SERIAL.lock_leaf();
    // The writer never fails; a `Display` that does has its line cut short.
    let _ = writeln!(serial, "{line}");
}

/// Writes bytes from a user program as a line; what is not printable becomes a dot.
pub fn write_bytes(line: &[u8]) {
    let mut serial = SERIAL.lock_leaf();
    for &byte in line {
        serial.put(if byte == b'\t' || (b' '..=b'~').contains(&byte) || byte >= 0x80 { byte } else { b'.' });
    }
    let _ = serial.write_str("\n");
}

/// The end: stops the other CPUs, says why, stops.
fn end(message: fmt::Arguments<'_>) -> ! {
    if !PANICKING.swap(true, Ordering::SeqCst) {
        apic::nmi_others();
        // Not through the lock: its holder may be this CPU or one that the NMI stopped.
        let mut serial = Serial { fifos: true, lost: false };
        let _ = writeln!(serial, "\nKERNEL PANIC on CPU {}: {message}", cpu::number_now());
        // SAFETY: the port ends the emulator or does nothing.
        unsafe { Port::new(DEBUG_EXIT) }.write(PANIC_CODE);
    }
    loop {
        // SAFETY: stops this CPU.
        unsafe { core::arch::asm!("cli", "hlt", options(nomem, nostack)) };
    }
}

/// An exception in the kernel.
pub fn panic_exception(frame: &Frame) -> ! {
    end(format_args!(
        "exception {} (error {:#x}) at {:#x}, address {:#x}\n{frame:x?}",
        frame.kind & 0xff,
        frame.error,
        frame.rip,
        arch::fault_address(),
    ))
}

#[panic_handler]
fn panic(info: &PanicInfo<'_>) -> ! {
    match info.location() {
        Some(place) => end(format_args!("{} ({place})", info.message())),
        None => end(format_args!("{}", info.message())),
    }
}

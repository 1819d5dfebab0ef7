//! Powering off.

use core::arch::asm;

use abi::limits::FOREVER;
use rt::sys::{Hardware, Notification, Process};

/// QEMU's `isa-debug-exit`: the status of QEMU is `value << 1 | 1`, of which its host keeps eight bits.
const DEBUG_EXIT: u16 = 0xf4;
/// An `isa-debugcon` that takes the whole status before the exit, so that the eighth bit is not lost.
const STATUS: u16 = 0xf8;
/// `PM1a_CNT` of QEMU's q35 (ICH9) as its firmware places it.
const PM1A_CONTROL: u16 = 0x604;
/// `SLP_EN` with `SLP_TYP` 0, which is S5 there (ACPI 4.8.3.2.1).
const SLEEP_S5: u16 = 1 << 13;

/// The machine as init holds it.
pub struct Board {
    /// Everything that is not memory.
    pub hardware: Hardware,
    /// init itself.
    pub own: Process,
}

impl Board {
    /// Powers the machine off with a status; when it has no way to, stops.
    pub fn off(&self, status: u8) -> ! {
        if self.may_use(STATUS, 1) {
            // SAFETY: the port is granted; a machine without the device ignores the write.
            unsafe { asm!("out dx, al", in("dx") STATUS, in("al") status, options(nomem, nostack)) };
        }
        if self.may_use(DEBUG_EXIT, 4) {
            // SAFETY: the ports are granted; a machine without the device ignores the write.
            unsafe {
                asm!("out dx, eax", in("dx") DEBUG_EXIT, in("eax") u32::from(status), options(nomem, nostack))
            };
        }
        if self.may_use(PM1A_CONTROL, 2) {
            // SAFETY: the ports are granted; nothing is lost by it that is not meant to be.
            unsafe { asm!("out dx, ax", in("dx") PM1A_CONTROL, in("ax") SLEEP_S5, options(nomem, nostack)) };
        }
        rt::log!("init: the machine has status {status} and does not power off; it is stopped");
        loop {
            let Ok(nothing) = Notification::create() else { continue };
            let _ = nothing.wait(FOREVER);
        }
    }

    /// Whether init may use these ports from now on.
    fn may_use(&self, first: u16, count: u16) -> bool {
        self.hardware.grant_ports(&self.own, first, count).is_ok()
    }
}

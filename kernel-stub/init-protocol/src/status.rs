//! How a process ended, as init tells it.

use core::fmt;

use abi::status::{ProcessStatus, State};
use serde::{Deserialize, Serialize};

/// Added to a signal's number: the status that a process is ended with by that signal. Far from what a program would
/// return, so that a status of 137 is not mistaken for a `SIGKILL`.
pub const SIGNALED: i64 = i64::MIN;
/// Signals are 1 to 64.
pub const SIGNALS: u8 = 64;

/// Status of a driver that ends because its device is unplugged: it is started again to wait for the next one, and that was no
/// failure. The number is that of `EX_TEMPFAIL` (sysexits(3)).
pub const AGAIN: i64 = 75;

/// How a process ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum ExitStatus {
    /// It ended itself, or was killed, with this status.
    Exited(i64),
    /// A processor exception ended it.
    Faulted {
        /// Exception vector.
        vector: u32,
        /// Error code of the exception.
        error: u64,
        /// The address it accessed (page fault).
        address: u64,
        /// Its instruction pointer.
        instruction: u64,
    },
}

impl ExitStatus {
    /// What the kernel tells of a process, [`None`] while it lives.
    pub fn from_kernel(status: &ProcessStatus) -> Option<ExitStatus> {
        const EXITED: u32 = State::Exited as u32;
        const FAULTED: u32 = State::Faulted as u32;
        match status.state {
            EXITED => Some(ExitStatus::Exited(status.code)),
            FAULTED => Some(ExitStatus::Faulted {
                vector: status.vector,
                error: status.error,
                address: status.address,
                instruction: status.instruction,
            }),
            _ => None,
        }
    }

    /// Whether it ended with status 0.
    pub fn is_success(&self) -> bool {
        *self == ExitStatus::Exited(0)
    }

    /// The signal that ended it, if one did.
    pub fn signal(&self) -> Option<u8> {
        match *self {
            ExitStatus::Exited(code) => {
                let number = code.wrapping_sub(SIGNALED);
                u8::try_from(number).ok().filter(|number| (1..=SIGNALS).contains(number))
            }
            // What POSIX systems send for such a fault.
            ExitStatus::Faulted { vector, .. } => Some(match vector {
                0 | 16 | 19 => 8,
                1 | 3 => 5,
                6 => 4,
                17 => 7,
                _ => 11,
            }),
        }
    }

    /// The status as `wait(2)` has it: the signal in the low 7 bits, or the status's low byte in the next 8.
    pub fn to_wait(&self) -> i32 {
        match (self.signal(), *self) {
            (Some(signal), _) => i32::from(signal),
            (None, ExitStatus::Exited(code)) => i32::from(code as u8) << 8,
            (None, ExitStatus::Faulted { .. }) => 0,
        }
    }

    /// The status as a shell has it: 0 to 255, or 128 + number after a signal, as which a fault counts.
    pub fn to_byte(&self) -> u8 {
        match (self.signal(), *self) {
            (Some(signal), _) => 128 + signal,
            // As `exit`: the low byte, but a failure never becomes a success.
            (None, ExitStatus::Exited(code)) if code & 0xff != 0 => code as u8,
            (None, status) => u8::from(!status.is_success()),
        }
    }
}

impl fmt::Display for ExitStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            ExitStatus::Exited(code) => match self.signal() {
                Some(signal) => write!(f, "was ended by signal {signal}"),
                None => write!(f, "ended with status {code}"),
            },
            ExitStatus::Faulted { vector: 14, error, address, instruction } => {
                let access = match (error & 0x10 != 0, error & 2 != 0) {
                    (true, _) => "executing",
                    (false, true) => "writing",
                    (false, false) => "reading",
                };
                write!(f, "killed by page fault at {instruction:#x}, {access} address {address:#x}")
            }
            ExitStatus::Faulted { vector, error, instruction, .. } => {
                write!(
                    f,
                    "killed by {} (vector {vector}, error {error:#x}) at {instruction:#x}",
                    exception(vector)
                )
            }
        }
    }
}

/// Name of an exception, Intel SDM volume 3, table 6-1.
fn exception(vector: u32) -> &'static str {
    match vector {
        0 => "divide error",
        1 => "debug exception",
        3 => "breakpoint",
        4 => "overflow",
        5 => "bound range exceeded",
        6 => "invalid opcode",
        7 => "device not available",
        8 => "double fault",
        10 => "invalid TSS",
        11 => "segment not present",
        12 => "stack fault",
        13 => "general protection fault",
        16 => "x87 floating-point error",
        17 => "alignment check",
        18 => "machine check",
        19 => "SIMD floating-point error",
        _ => "exception",
    }
}

#[cfg(test)]
mod tests {
    use alloc::string::ToString;

    use super::*;

    const fn fault(vector: u32, error: u64) -> ExitStatus {
        ExitStatus::Faulted { vector, error, address: 0x18, instruction: 0x20_1000 }
    }

    #[test]
    fn a_failure_never_becomes_a_success() {
        for (code, byte) in [
            (0, 0),
            (1, 1),
            (255, 255),
            (256, 1),
            (-1, 255),
            (i64::MIN, 1),
            (0x1_0000_0007, 7),
            (SIGNALED + 9, 137),
        ] {
            let status = ExitStatus::Exited(code);
            assert_eq!(status.to_byte(), byte, "{code}");
            assert_eq!(status.is_success(), code == 0);
        }
        for (vector, byte) in [(0, 136), (6, 132), (13, 139), (14, 139), (u32::MAX, 139)] {
            assert_eq!(fault(vector, 0).to_byte(), byte, "{vector}");
        }
        assert!(!fault(0, 0).is_success());
    }

    #[test]
    fn r29_the_wait_format_tells_a_signal_from_a_status() {
        for (code, wait) in [
            (0, 0),
            (3, 0x300),
            (-1, 0xff00),
            (137, 137 << 8),
            (SIGNALED, 0),
            (SIGNALED + 9, 9),
            (SIGNALED + 64, 64),
            (SIGNALED + 65, 65 << 8),
        ] {
            assert_eq!(ExitStatus::Exited(code).to_wait(), wait, "{code:#x}");
        }
        assert_eq!((fault(14, 6).to_wait(), fault(0, 0).to_wait(), fault(6, 0).to_wait()), (11, 8, 4));
        assert_eq!(ExitStatus::Exited(SIGNALED + 15).to_string(), "was ended by signal 15");
    }

    #[test]
    fn a_fault_says_what_and_where() {
        let text = |vector, error| fault(vector, error).to_string();
        assert_eq!(text(14, 4), "killed by page fault at 0x201000, reading address 0x18");
        assert_eq!(text(14, 6), "killed by page fault at 0x201000, writing address 0x18");
        assert_eq!(text(14, 0x15), "killed by page fault at 0x201000, executing address 0x18");
        assert_eq!(text(6, 0), "killed by invalid opcode (vector 6, error 0x0) at 0x201000");
        assert_eq!(text(99, 0), "killed by exception (vector 99, error 0x0) at 0x201000");
    }

    #[test]
    fn the_kernels_word_is_read() {
        let mut status = ProcessStatus { code: 7, vector: 14, error: 6, ..ProcessStatus::default() };
        assert_eq!(ExitStatus::from_kernel(&status), None);
        status.state = State::Exited as u32;
        assert_eq!(ExitStatus::from_kernel(&status), Some(ExitStatus::Exited(7)));
        status.state = State::Faulted as u32;
        assert!(matches!(ExitStatus::from_kernel(&status), Some(ExitStatus::Faulted { vector: 14, .. })));
        status.state = 77;
        assert_eq!(ExitStatus::from_kernel(&status), None);
    }
}

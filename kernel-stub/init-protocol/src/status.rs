//! How a process ended, as init tells it.

use core::fmt;

use abi::status::{ProcessStatus, State};
use serde::{Deserialize, Serialize};

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

    /// The status as a shell has it: 0 to 255, 128 + vector after a fault.
    pub fn to_byte(&self) -> u8 {
        match *self {
            // As `exit`: the low byte, but a failure never becomes a success.
            ExitStatus::Exited(code) if code != 0 && code & 0xff == 0 => 1,
            ExitStatus::Exited(code) => code as u8,
            ExitStatus::Faulted { vector, .. } => 128 + vector.min(31) as u8,
        }
    }
}

impl fmt::Display for ExitStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            ExitStatus::Exited(code) => write!(f, "ended with status {code}"),
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
        for (code, byte) in
            [(0, 0), (1, 1), (255, 255), (256, 1), (-1, 255), (i64::MIN, 1), (0x1_0000_0007, 7)]
        {
            let status = ExitStatus::Exited(code);
            assert_eq!(status.to_byte(), byte, "{code}");
            assert_eq!(status.is_success(), code == 0);
        }
        assert_eq!(fault(0, 0).to_byte(), 128);
        assert_eq!(fault(u32::MAX, 0).to_byte(), 159);
        assert!(!fault(0, 0).is_success());
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

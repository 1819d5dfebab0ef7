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

//! The registers of a user thread as the entry code leaves them.

use abi::memory::USER_END;

use crate::arch::gdt::{USER_CODE, USER_DATA};

/// [`Frame::kind`] of a thread that entered by `syscall`.
pub const KIND_SYSCALL: u64 = 0;
/// [`Frame::kind`] of a thread that was interrupted or has not run yet; the low byte is the vector.
pub const KIND_INTERRUPT: u64 = 0x100;
/// `RFLAGS` of a new thread: interrupts on.
const FLAGS: u64 = 0x202;

/// Registers of a user thread. The order is that in which the processor and the interrupt stubs push, last first.
#[derive(Clone, Copy, Debug, Default)]
#[repr(C, align(16))]
#[allow(missing_docs)] // The fields are the registers of those names.
pub struct Frame {
    pub r15: u64,
    pub r14: u64,
    pub r13: u64,
    pub r12: u64,
    pub r11: u64,
    pub r10: u64,
    pub r9: u64,
    pub r8: u64,
    pub rbp: u64,
    pub rdi: u64,
    pub rsi: u64,
    pub rdx: u64,
    pub rcx: u64,
    pub rbx: u64,
    pub rax: u64,
    /// How it entered, and so how it returns: [`KIND_SYSCALL`] by `sysretq` (`rcx` and `r11` are then not restored),
    /// anything else by `iretq`.
    pub kind: u64,
    /// Error code of the exception, if it has one.
    pub error: u64,
    pub rip: u64,
    pub cs: u64,
    pub rflags: u64,
    pub rsp: u64,
    pub ss: u64,
}

const _: () = assert!(size_of::<Frame>() == 176);

impl Frame {
    /// Registers of a thread that starts at `entry`. An entry outside user memory becomes 0, which faults in user mode:
    /// `iretq` to a non-canonical address would fault in the kernel.
    pub fn new(entry: u64, stack: u64, argument: u64) -> Frame {
        Frame {
            rdi: argument,
            kind: KIND_INTERRUPT,
            rip: if entry < USER_END { entry } else { 0 },
            cs: u64::from(USER_CODE),
            rflags: FLAGS,
            rsp: stack,
            ss: u64::from(USER_DATA),
            ..Frame::default()
        }
    }
}

//! Calls as a careless or hostile program makes them. They are not `unsafe` here, so that a test reads as one: what a call
//! does to this process is the affair of the test that makes it.

use abi::IpcBuffer;
use abi::error::Result;
use abi::thread::ThreadOptions;
use rt::sys::raw::{syscall, syscall_registers};
use rt::sys::{Process, Registers, Thread};

use crate::mini::{CODE, DATA, STACK};

/// A call with six arguments.
pub fn raw(number: u64, arguments: [u64; 6]) -> Result<u64> {
    // SAFETY: the test's affair.
    unsafe { syscall(number, arguments) }
}

/// A call with all registers.
pub fn raw_registers(registers: &mut Registers) {
    // SAFETY: the test's affair.
    unsafe { syscall_registers(registers) }
}

/// The calling thread's IPC buffer, found once: for who breaks its own thread pointer afterwards.
#[derive(Clone, Copy, Debug)]
pub struct IpcPage(*mut IpcBuffer);

impl IpcPage {
    /// The calling thread's.
    pub fn here() -> IpcPage {
        IpcPage(rt::block::current().ipc_buffer())
    }

    /// Changes what is in it.
    pub fn change(&self, change: impl FnOnce(&mut IpcBuffer)) {
        // SAFETY: the thread's own page, which the kernel writes in a message call only; the test stays on its thread.
        change(unsafe { &mut *self.0 });
    }
}

/// One more thread of a small process, on the first one's code, data and stack, with an IPC buffer somewhere.
pub fn thread_in(process: &Process, ipc_buffer: u64, options: ThreadOptions) -> Result<Thread> {
    // SAFETY: another process's thread.
    unsafe { process.create_thread(CODE as u64, STACK as u64 + 4088, DATA as u64, ipc_buffer, options) }
}

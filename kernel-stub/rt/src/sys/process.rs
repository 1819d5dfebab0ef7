//! Processes.

use abi::Handle;
use abi::Rights;
use abi::error::Result;
use abi::flag::MapFlags;
use abi::number::{
    SYS_HANDLE_GRANT, SYS_MEMORY_MAP, SYS_MEMORY_UNMAP, SYS_PROCESS_CREATE, SYS_PROCESS_KILL,
    SYS_PROCESS_STATUS, SYS_THREAD_CREATE,
};
use abi::status::ProcessStatus;
use abi::thread::ThreadOptions;

use super::handle::{Object, object};
use super::raw::syscall;
use super::{Memory, Thread};

object! {
    /// A process.
    Process
}

/// What a new process may use.
#[derive(Clone, Copy, Debug)]
pub struct Quota {
    /// Bytes, taken out of the creator's.
    pub bytes: u64,
    /// The highest priority of its threads.
    pub priority: u8,
}

/// Ends this process.
pub fn exit(status: i64) -> ! {
    loop {
        // SAFETY: does not return; nothing of the process is left to be broken.
        let _ = unsafe { syscall(SYS_PROCESS_KILL, [0, status as u64, 0, 0, 0, 0]) };
    }
}

pub(super) fn status(handle: Handle) -> Result<ProcessStatus> {
    let mut status = ProcessStatus::default();
    // SAFETY: the kernel writes one `ProcessStatus` where the exclusive reference points.
    unsafe { syscall(SYS_PROCESS_STATUS, [handle.0, &raw mut status as u64, 0, 0, 0, 0]) }.map(|_| status)
}

impl Process {
    /// An empty process: no thread, nothing mapped but the hint page.
    pub fn create(quota: Quota) -> Result<Process> {
        // SAFETY: registers only.
        unsafe { syscall(SYS_PROCESS_CREATE, [quota.bytes, u64::from(quota.priority), 0, 0, 0, 0]) }
            .map(|h| Process::from_handle(Handle(h)))
    }

    /// Ends every thread and closes every handle of it. Must not be the calling process: see [`exit`].
    pub fn kill(&self, status: i64) -> Result<()> {
        // SAFETY: another process's memory is not this one's affair.
        unsafe { syscall(SYS_PROCESS_KILL, [self.handle().0, status as u64, 0, 0, 0, 0]) }.map(drop)
    }

    /// How it is, or how it ended.
    pub fn status(&self) -> Result<ProcessStatus> {
        status(self.handle())
    }

    /// Gives it a handle; returns the number there.
    pub fn grant(&self, handle: Handle, mask: Rights) -> Result<Handle> {
        // SAFETY: registers only.
        unsafe { syscall(SYS_HANDLE_GRANT, [self.handle().0, handle.0, u64::from(mask.bits()), 0, 0, 0]) }
            .map(Handle)
    }

    /// Maps memory there, at `address` or, with 0, where the kernel likes. The address is the other process's.
    ///
    /// # Safety
    /// If it is the calling process, the same as [`map_self`](super::map_self).
    pub unsafe fn map(
        &self,
        memory: &Memory,
        address: usize,
        offset: usize,
        length: usize,
        protection: MapFlags,
    ) -> Result<usize> {
        let arguments = [
            self.handle().0,
            memory.handle().0,
            address as u64,
            offset as u64,
            length as u64,
            protection.bits() as u64,
        ];
        // SAFETY: the caller vouches.
        unsafe { syscall(SYS_MEMORY_MAP, arguments) }.map(|start| start as usize)
    }

    /// Unmaps a range there that one call mapped.
    ///
    /// # Safety
    /// If it is the calling process, the same as [`unmap_self`](super::unmap_self).
    pub unsafe fn unmap(&self, address: usize, length: usize) -> Result<()> {
        let arguments = [self.handle().0, address as u64, length as u64, 0, 0, 0];
        // SAFETY: the caller vouches.
        unsafe { syscall(SYS_MEMORY_UNMAP, arguments) }.map(drop)
    }

    /// A suspended thread there.
    ///
    /// # Safety
    /// If it is the calling process: `entry` must be code that is fit to begin a thread with that stack and argument.
    pub unsafe fn create_thread(
        &self,
        entry: u64,
        stack: u64,
        argument: u64,
        ipc_buffer: u64,
        options: ThreadOptions,
    ) -> Result<Thread> {
        // SAFETY: the caller vouches.
        unsafe { create_thread(self.handle(), entry, stack, argument, ipc_buffer, options) }
    }
}

/// A suspended thread of this process.
///
/// # Safety
/// As [`Process::create_thread`].
pub(crate) unsafe fn create_own_thread(
    entry: u64,
    stack: u64,
    argument: u64,
    ipc_buffer: u64,
    options: ThreadOptions,
) -> Result<Thread> {
    // SAFETY: the caller vouches.
    unsafe { create_thread(Handle::NONE, entry, stack, argument, ipc_buffer, options) }
}

/// # Safety
/// As [`Process::create_thread`]; [`Handle::NONE`] is the calling process.
unsafe fn create_thread(
    process: Handle,
    entry: u64,
    stack: u64,
    argument: u64,
    ipc_buffer: u64,
    options: ThreadOptions,
) -> Result<Thread> {
    let arguments = [process.0, entry, stack, argument, ipc_buffer, options.0];
    // SAFETY: the caller vouches.
    unsafe { syscall(SYS_THREAD_CREATE, arguments) }.map(|h| Thread::from_handle(Handle(h)))
}

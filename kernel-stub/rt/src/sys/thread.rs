//! Threads as the kernel knows them; [`crate::thread`] has those with a stack and a closure.

use abi::Handle;
use abi::error::Result;
use abi::number::{
    SYS_THREAD_AFFINITY, SYS_THREAD_KILL, SYS_THREAD_POINTER, SYS_THREAD_PRIORITY, SYS_THREAD_START,
    SYS_THREAD_SUSPEND,
};
use abi::status::ProcessStatus;

use super::handle::{Object, object};
use super::raw::syscall;

object! {
    /// A thread.
    Thread
}

impl Thread {
    /// Starts a new thread, resumes a suspended one.
    pub fn start(&self) -> Result<()> {
        // SAFETY: who made the thread vouched for what it runs.
        unsafe { syscall(SYS_THREAD_START, [self.handle().0, 0, 0, 0, 0, 0]) }.map(drop)
    }

    /// Takes it off the CPU until [`Thread::start`].
    pub fn suspend(&self) -> Result<()> {
        // SAFETY: the thread keeps all it has.
        unsafe { syscall(SYS_THREAD_SUSPEND, [self.handle().0, 0, 0, 0, 0, 0]) }.map(drop)
    }

    /// Ends it wherever it is. What it holds (locks too) stays held: fit for threads of other processes and for tests.
    pub fn kill(&self) -> Result<()> {
        // SAFETY: like `mem::forget` of all that it owns; its stack is freed by nobody before it is gone.
        unsafe { syscall(SYS_THREAD_KILL, [self.handle().0, 0, 0, 0, 0, 0]) }.map(drop)
    }

    /// How it is, or how it ended.
    pub fn status(&self) -> Result<ProcessStatus> {
        super::process::status(self.handle())
    }

    /// Sets its priority, at most its process's highest.
    pub fn set_priority(&self, priority: u8) -> Result<()> {
        priority_of(self.handle(), priority)
    }

    /// Sets the CPUs that it may run on: bit n is CPU n.
    pub fn set_affinity(&self, cpus: u64) -> Result<()> {
        affinity_of(self.handle(), cpus)
    }
}

fn priority_of(thread: Handle, priority: u8) -> Result<()> {
    // SAFETY: registers only.
    unsafe { syscall(SYS_THREAD_PRIORITY, [thread.0, u64::from(priority), 0, 0, 0, 0]) }.map(drop)
}

fn affinity_of(thread: Handle, cpus: u64) -> Result<()> {
    // SAFETY: registers only.
    unsafe { syscall(SYS_THREAD_AFFINITY, [thread.0, cpus, 0, 0, 0, 0]) }.map(drop)
}

/// Sets the calling thread's priority.
pub fn set_priority(priority: u8) -> Result<()> {
    priority_of(Handle::NONE, priority)
}

/// Sets the CPUs that the calling thread may run on.
pub fn set_affinity(cpus: u64) -> Result<()> {
    affinity_of(Handle::NONE, cpus)
}

/// Ends the calling thread; the last one ends the process with status 0.
pub fn exit_thread() -> ! {
    loop {
        // SAFETY: does not return; the stack is freed by whoever joins, after the kernel says that it is gone.
        let _ = unsafe { syscall(SYS_THREAD_KILL, [0; 6]) };
    }
}

/// Sets the FS base of the calling thread.
///
/// # Safety
/// `address` must be that of a thread block that outlives the thread: see [`crate::thread`].
pub unsafe fn set_thread_pointer(address: u64) -> Result<()> {
    // SAFETY: the caller vouches.
    unsafe { syscall(SYS_THREAD_POINTER, [address, 0, 0, 0, 0, 0]) }.map(drop)
}

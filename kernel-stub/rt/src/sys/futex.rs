//! Waiting for a word of the process's own memory.

use core::sync::atomic::AtomicU32;

use abi::error::Result;
use abi::flag::{FUTEX_WAIT, FUTEX_WAKE};
use abi::number::SYS_FUTEX;

use super::raw::syscall;

/// Sleeps while `word` is `value`, until woken or `deadline`. `EAGAIN`: it was another; `ETIMEDOUT`.
#[inline]
pub fn futex_wait(word: &AtomicU32, value: u32, deadline: u64) -> Result<()> {
    let arguments = [word.as_ptr() as u64, FUTEX_WAIT as u64, u64::from(value), deadline, 0, 0];
    // SAFETY: the kernel only reads the word.
    unsafe { syscall(SYS_FUTEX, arguments) }.map(drop)
}

/// Wakes up to `count` threads that sleep on `word`; returns how many.
#[inline]
pub fn futex_wake(word: &AtomicU32, count: u32) -> Result<u64> {
    // SAFETY: the kernel only uses the address as a key.
    unsafe { syscall(SYS_FUTEX, [word.as_ptr() as u64, FUTEX_WAKE as u64, u64::from(count), 0, 0, 0]) }
}

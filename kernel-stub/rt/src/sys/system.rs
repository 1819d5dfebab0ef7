//! Calls that need no object.

use abi::counters::KernelCounters;
use abi::error::Result;
use abi::flag::{CLOCK_MONOTONIC, CLOCK_REALTIME};
use abi::number::{SYS_CLOCK_GETTIME, SYS_COUNTERS, SYS_LOG, SYS_NULL, SYS_YIELD};
use core::mem::MaybeUninit;

use super::raw::{syscall, syscall2};

/// Redox's `TimeSpec` as the kernel writes it.
#[repr(C)]
struct TimeSpec {
    seconds: i64,
    nanoseconds: i32,
}

/// Enters the kernel and comes back.
#[inline(always)]
pub fn null() -> Result<()> {
    // SAFETY: does nothing.
    unsafe { syscall2(SYS_NULL, 0, 0) }.map(drop)
}

/// Yields the CPU to the next thread of the same priority.
#[inline]
pub fn yield_now() {
    // SAFETY: does nothing else. It has no error.
    let _ = unsafe { syscall2(SYS_YIELD, 0, 0) };
}

/// Writes one line to the kernel's log.
pub fn log_line(line: &[u8]) -> Result<()> {
    // SAFETY: the kernel reads the slice.
    unsafe { syscall(SYS_LOG, [line.as_ptr() as u64, line.len() as u64, 0, 0, 0, 0]) }.map(drop)
}

/// The kernel's numbers of live things.
pub fn counters() -> Result<KernelCounters> {
    let mut counters = KernelCounters::default();
    // SAFETY: the kernel writes one `KernelCounters` where the exclusive reference points.
    unsafe { syscall(SYS_COUNTERS, [&raw mut counters as u64, 0, 0, 0, 0, 0]) }.map(|_| counters)
}

fn clock(clock: usize) -> Result<u64> {
    let mut time = MaybeUninit::<TimeSpec>::zeroed();
    // SAFETY: the kernel writes one time where the exclusive reference points.
    unsafe { syscall(SYS_CLOCK_GETTIME, [clock as u64, time.as_mut_ptr() as u64, 0, 0, 0, 0]) }?;
    // SAFETY: zeroed is a valid value, and the kernel wrote over it.
    let time = unsafe { time.assume_init() };
    Ok(time.seconds as u64 * 1_000_000_000 + time.nanoseconds as u64)
}

/// Nanoseconds since boot, by the kernel; [`crate::clock::now_ns`] needs no kernel entry.
pub fn monotonic() -> Result<u64> {
    clock(CLOCK_MONOTONIC)
}

/// Nanoseconds since 1970, by the kernel.
pub fn realtime() -> Result<u64> {
    clock(CLOCK_REALTIME)
}

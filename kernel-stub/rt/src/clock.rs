//! Time and CPU from the hint page: no kernel entry.

use core::arch::x86_64::{__rdtscp, _rdtsc};
use core::sync::atomic::Ordering::Relaxed;

use abi::hints::{CpuHint, HINTS_ADDRESS, HintsPage};
use abi::limits::{FOREVER, MAX_CPUS};

/// The page that the kernel keeps up to date for everybody.
#[inline(always)]
pub fn hints() -> &'static HintsPage {
    // SAFETY: the kernel maps it read-only at this address into every process for its whole life, and every field that
    // changes is an atomic.
    unsafe { &*(HINTS_ADDRESS as *const HintsPage) }
}

/// The time stamp counter.
#[inline(always)]
pub fn ticks() -> u64 {
    // SAFETY: reads a counter, which every program may.
    unsafe { _rdtsc() }
}

/// The CPU that the caller runs on, or did a moment ago.
#[inline(always)]
pub fn cpu() -> usize {
    let mut number = 0;
    // SAFETY: reads a counter and the CPU's number, which the kernel put into IA32_TSC_AUX.
    unsafe { __rdtscp(&raw mut number) };
    number as usize
}

/// What the kernel tells of the CPU that the caller runs on.
#[inline]
pub fn cpu_hint() -> &'static CpuHint {
    &hints().cpus[cpu() % MAX_CPUS]
}

/// CPUs that are up.
#[inline]
pub fn cpu_count() -> usize {
    hints().cpu_count.load(Relaxed) as usize
}

/// Converts a number of ticks: `ticks * mul >> shift`, without loss in between.
#[inline(always)]
pub const fn scale(ticks: u64, mul: u64, shift: u32) -> u64 {
    ((ticks as u128 * mul as u128) >> shift) as u64
}

/// Nanoseconds since boot: the clock of all deadlines.
#[inline]
pub fn now_ns() -> u64 {
    let hints = hints();
    let elapsed = ticks().wrapping_sub(hints.tsc_base.load(Relaxed));
    scale(elapsed, hints.tsc_mul.load(Relaxed), hints.tsc_shift.load(Relaxed))
}

/// Nanoseconds since 1970.
#[inline]
pub fn realtime_ns() -> u64 {
    hints().realtime_base.load(Relaxed).wrapping_add(now_ns())
}

/// A deadline this far from now; one too far away never comes.
#[inline]
pub fn after(nanoseconds: u64) -> u64 {
    now_ns().saturating_add(nanoseconds)
}

/// A deadline from an optional timeout.
#[inline]
pub fn deadline(timeout: Option<u64>) -> u64 {
    timeout.map_or(FOREVER, after)
}

/// The kernel's tables have an entry for the CPU number that `rdtscp` can tell.
const _: () = assert!(MAX_CPUS.is_power_of_two());

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_uptime_does_not_overflow() {
        // 4 GHz for a hundred years, in the precision that a calibration gives.
        let ticks = 4_000_000_000u64 * 86_400 * 36_525;
        assert!(ticks > 1 << 60);
        let mul = (1u64 << 32) / 4;
        assert_eq!(scale(ticks, mul, 32), ticks / 4);
    }

    #[test]
    fn one_tick_a_nanosecond_is_exact() {
        for ticks in [0, 1, 999, u64::MAX] {
            assert_eq!(scale(ticks, 1 << 32, 32), ticks);
        }
    }

    #[test]
    fn no_timeout_is_a_deadline_that_never_comes() {
        assert_eq!(deadline(None), FOREVER);
    }
}

//! The hint page: mapped read-only into every process at [`HINTS_ADDRESS`]. Looking at it costs no kernel entry.

use core::sync::atomic::{AtomicU32, AtomicU64};

use crate::limits::MAX_CPUS;

/// Where every process finds the page.
pub const HINTS_ADDRESS: u64 = 0x7fff_f000_0000;

/// What the kernel tells everybody all the time. Values are hints: true at some moment since boot, perhaps no longer.
#[repr(C, align(4096))]
pub struct HintsPage {
    /// CPUs that are up: entries of `cpus` in use.
    pub cpu_count: AtomicU32,
    /// Shift of the clock conversion.
    pub tsc_shift: AtomicU32,
    /// Monotonic ns = `((rdtsc - tsc_base) as u128 * tsc_mul) >> tsc_shift`.
    pub tsc_mul: AtomicU64,
    /// TSC value at monotonic time 0.
    pub tsc_base: AtomicU64,
    /// Realtime ns at monotonic time 0.
    pub realtime_base: AtomicU64,
    reserved: [u64; 28],
    /// One line per CPU.
    pub cpus: [CpuHint; MAX_CPUS],
}

/// One CPU, by its number (`IA32_TSC_AUX`, the `ecx` of `rdtscp`).
#[repr(C, align(64))]
pub struct CpuHint {
    /// 1 while it has nothing to run (or is about to look again).
    pub idle: AtomicU32,
    /// Threads that are ready and not running.
    pub queue_length: AtomicU32,
    /// Id of the running thread, 0 for none.
    pub running: AtomicU32,
    /// Priority of the running thread.
    pub priority: AtomicU32,
    /// Address-space switches since boot.
    pub switches: AtomicU64,
    /// Kernel entries by system call since boot.
    pub entries: AtomicU64,
    /// Interrupts taken since boot.
    pub interrupts: AtomicU64,
    /// Inter-processor interrupts sent since boot.
    pub ipis: AtomicU64,
    reserved: u64,
}

const _: () = assert!(size_of::<HintsPage>() == 4096);
const _: () = assert!(core::mem::offset_of!(HintsPage, cpus) == 256 + 64 - 64);
const _: () = assert!(size_of::<CpuHint>() == 64);

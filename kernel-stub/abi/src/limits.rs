//! Limits of the system.

/// CPUs that the kernel brings up.
pub const MAX_CPUS: usize = 16;
/// Priorities are 0 (lowest) to `PRIORITIES - 1`.
pub const PRIORITIES: usize = 64;
/// A deadline that never comes.
pub const FOREVER: u64 = u64::MAX;
/// Bytes of one log line.
pub const LOG_LINE: usize = 512;
/// Handles in one process.
pub const MAX_HANDLES_PER_PROCESS: usize = 1 << 20;
/// A thread's time slice among threads of its priority, in ns.
pub const SLICE_NS: u64 = 10_000_000;

/// What objects cost a quota, in bytes. Memory objects cost their pages, address spaces their page tables besides.
pub mod cost {
    /// A process.
    pub const PROCESS: u64 = 8192;
    /// A thread.
    pub const THREAD: u64 = 4096 + 512;
    /// An endpoint.
    pub const ENDPOINT: u64 = 128;
    /// A badge of an endpoint, shared by all handles that have it.
    pub const BADGE: u64 = 64;
    /// A notification.
    pub const NOTIFICATION: u64 = 64;
    /// A memory object, besides its pages.
    pub const MEMORY: u64 = 128;
    /// One mapping of a memory object.
    pub const MAPPING: u64 = 128;
    /// A handle.
    pub const HANDLE: u64 = 64;
    /// An exit watch.
    pub const WATCH: u64 = 64;
    /// An interrupt line.
    pub const IRQ: u64 = 64;
}

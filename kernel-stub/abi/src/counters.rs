//! The kernel's books.

/// What [`SYS_COUNTERS`](crate::number::SYS_COUNTERS) tells: numbers of live things, so that a leak shows.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[repr(C)]
pub struct KernelCounters {
    /// Page frames of the machine that the kernel manages.
    pub frames_total: u64,
    /// Page frames that are free.
    pub frames_free: u64,
    /// Page frames that the kernel's heap has for small objects. It keeps what is not wholly free.
    pub heap_frames: u64,
    /// Bytes of them that are in use.
    pub heap_bytes: u64,
    /// Handles in all processes.
    pub handles: u64,
    /// Processes that exist (a dead one exists while a handle to it does).
    pub processes: u64,
    /// Threads that exist.
    pub threads: u64,
    /// Endpoints.
    pub endpoints: u64,
    /// Badges of endpoints.
    pub badges: u64,
    /// Notifications.
    pub notifications: u64,
    /// Memory objects.
    pub memory_objects: u64,
    /// Mappings of memory objects.
    pub mappings: u64,
    /// Exit watches that have not fired.
    pub watches: u64,
}

//! System call numbers.
//!
//! Calling convention: number in `rax`; arguments in `rdi rsi rdx r10 r8 r9`, then `r12 r13` (the two message calls that
//! need more than six); result in `rax`. `rcx` and `r11` are clobbered, every other register that a call does not
//! document as a result is preserved. "deadline" is absolute [`CLOCK_MONOTONIC`](crate::flag::CLOCK_MONOTONIC) time in
//! nanoseconds; [`limits::FOREVER`](crate::limits::FOREVER) waits without one, 0 looks and returns at once (`ETIMEDOUT`).

/// Close a handle: `(handle)`. Redox's number and meaning.
pub const SYS_CLOSE: u64 = syscall_number(syscall::number::SYS_CLOSE);
/// Yield the CPU to the next thread of the same priority: `()`.
pub const SYS_YIELD: u64 = syscall_number(syscall::number::SYS_YIELD);
/// `(clock, *mut TimeSpec)`; clocks are `CLOCK_REALTIME` and `CLOCK_MONOTONIC`.
pub const SYS_CLOCK_GETTIME: u64 = syscall_number(syscall::number::SYS_CLOCK_GETTIME);
/// `(*u32, op, value, deadline in ns)`, op `FUTEX_WAIT` (`EAGAIN` when the word is not `value`, `ETIMEDOUT`) or
/// `FUTEX_WAKE` (wakes up to `value` threads, returns how many). The key is (address space, address); the deadline
/// is absolute nanoseconds where Redox takes a pointer.
pub const SYS_FUTEX: u64 = syscall_number(syscall::number::SYS_FUTEX);

/// The class of the calls that Redox does not have.
pub const CLASS_NATIVE: u64 = 0x5000_0000;

const fn syscall_number(number: usize) -> u64 {
    number as u64
}

macro_rules! native {
    ($($(#[$doc:meta])* $name:ident = $value:literal;)*) => {
        $($(#[$doc])* pub const $name: u64 = CLASS_NATIVE | $value;)*
        /// Number of native calls: native numbers are `CLASS_NATIVE` to `CLASS_NATIVE + NATIVE_COUNT - 1`, without gaps.
        pub const NATIVE_COUNT: u64 = [$($value),*].len() as u64;
        /// Names of the native calls in the order of their numbers, for logs and tests.
        pub const NATIVE_NAMES: [&str; NATIVE_COUNT as usize] = [$(stringify!($name)),*];
    };
}

native! {
    /// Does nothing, returns 0: what a kernel entry costs.
    SYS_NULL = 0;
    /// `(handle, rights mask, badge)` → handle. The new handle has `rights & mask`. A badge other than 0 needs
    /// [`Rights::MINT`](crate::Rights::MINT) and a handle that has none yet (else `EPERM`): it is what the receiver sees
    /// (endpoint) or the only bits the handle can signal (notification).
    SYS_HANDLE_DUP = 1;
    /// `(handle, *mut HandleInfo)`.
    SYS_HANDLE_INFO = 2;
    /// `(process, handle, rights mask)` → handle number in that process. Needs `CONTROL` on the process.
    SYS_HANDLE_GRANT = 3;

    /// `()` → handle with all endpoint rights.
    SYS_ENDPOINT_CREATE = 4;
    /// `(endpoint, tag, w0, w1, w2, w3; r12 = deadline)` → tag in `rax`, words in `rdx r10 r8 r9`. `EPIPE` when the
    /// receiver is gone, before or after it has taken the message; `ETIMEDOUT`, and the late reply is discarded. Of a message
    /// with handles, nothing of which arrives then: `EMSGSIZE` when they are more than the receiver takes, `ENOBUFS` when its
    /// quota does not pay for them (`ENOMEM` would be the sender's own, or the machine's).
    SYS_CALL = 5;
    /// `(endpoint; r12 = deadline)` → tag in `rax`, badge in `rdi`, reply token in `rsi`, words in `rdx r10 r8 r9`.
    /// Hears the bound notification too, see [`message::LABEL_NOTIFICATION`](crate::message::LABEL_NOTIFICATION). `EPIPE`
    /// when the handle is closed, or moved to another process, while the thread waits.
    SYS_RECV = 6;
    /// `(token, tag, w0, w1, w2, w3)`. `ESRCH` when the caller no longer waits (dead, timed out, answered already);
    /// `EMSGSIZE` and `ENOBUFS` as of [`SYS_CALL`], and the caller goes on waiting.
    SYS_REPLY = 7;
    /// `(endpoint, tag, w0, w1, w2, w3; r12 = deadline, r13 = token)`: [`SYS_REPLY`], then [`SYS_RECV`], in one entry.
    /// A reply whose caller is gone is dropped silently; a reply that cannot be delivered for another reason
    /// (handles, sizes) returns its error without receiving. A reply that moves `endpoint` itself away is delivered, and
    /// the receive is `EBADF`.
    SYS_REPLY_RECV = 8;

    /// `()` → handle with all notification rights.
    SYS_NOTIFICATION_CREATE = 9;
    /// `(notification, bits)`: ORs `bits` (masked by the handle's badge when it has one) into the word and wakes a
    /// waiter. Never allocates, fails for want of anything, or blocks. No bits left: `EINVAL`.
    SYS_NOTIFICATION_SIGNAL = 10;
    /// `(notification; r12 = deadline)` → the bits in `rdi`, and the word is zero again; 0 in `rax`.
    SYS_NOTIFICATION_WAIT = 11;
    /// `(notification)` → the bits (0 for none) in `rdi`, and the word is zero again; 0 in `rax`. Never blocks.
    SYS_NOTIFICATION_POLL = 12;
    /// `(notification, thread)`: a receive of that thread hears the notification too. thread 0 is the caller. One
    /// thread per notification and one notification per thread; `EBUSY` when either is bound.
    SYS_NOTIFICATION_BIND = 13;
    /// `(notification, bits, target; r12 = deadline)`: signal, then wait on `target`, a notification (results as
    /// [`SYS_NOTIFICATION_WAIT`]) or an endpoint (results as [`SYS_RECV`]), in one entry.
    SYS_SIGNAL_AND_WAIT = 14;

    /// `(size in bytes, flags)` → handle; flags of [`memory`](crate::memory).
    SYS_MEMORY_CREATE = 15;
    /// `(hardware, physical address, size)` → handle of device memory, uncached.
    SYS_MEMORY_PHYSICAL = 16;
    /// `(process or 0, memory, address or 0, offset, length, protection)` → address. Protection is
    /// [`MapFlags`](crate::flag::MapFlags) `PROT_*`; write with execute is `EINVAL`; an occupied range is `EEXIST`.
    SYS_MEMORY_MAP = 17;
    /// `(process or 0, address, length)`: exactly a range that was mapped by one call.
    SYS_MEMORY_UNMAP = 18;
    /// `(memory, offset)` → physical address; only of contiguous or physical memory, needs `PHYSICAL`.
    SYS_MEMORY_ADDRESS = 19;

    /// `(quota in bytes, highest priority of its threads)` → handle of an empty process; the quota comes out of the
    /// caller's and goes back when the process is gone.
    SYS_PROCESS_CREATE = 20;
    /// `(process or 0, status code)`: ends every thread, closes every handle. 0 is the caller (does not return).
    SYS_PROCESS_KILL = 21;
    /// `(process or thread, *mut ProcessStatus)`.
    SYS_PROCESS_STATUS = 22;
    /// `(process or 0, entry, stack pointer, argument in rdi, address of its IPC buffer, options)` → handle of a
    /// suspended thread; see [`thread`](crate::thread) for the options.
    SYS_THREAD_CREATE = 23;
    /// `(thread)`: starts a new thread, resumes a suspended one.
    SYS_THREAD_START = 24;
    /// `(thread)`: takes it off the CPU until [`SYS_THREAD_START`]; what it waits for, it goes on waiting for.
    SYS_THREAD_SUSPEND = 25;
    /// `(thread or 0)`: ends a thread; the last one ends its process with status 0. 0 is the caller.
    SYS_THREAD_KILL = 26;
    /// `(thread or 0, priority)`: at most the process's highest.
    SYS_THREAD_PRIORITY = 27;
    /// `(thread or 0, CPU mask)`: the CPUs it may run on.
    SYS_THREAD_AFFINITY = 28;
    /// `(address)`: sets the FS base of the calling thread.
    SYS_THREAD_POINTER = 29;
    /// `(process or thread, notification, bits)`: signals the bits exactly once when the target is gone, at once when
    /// it already is.
    SYS_EXIT_WATCH = 30;

    /// `(hardware, global system interrupt, flags)` → handle; flags of [`memory`](crate::memory) `IRQ_*`. With
    /// [`IRQ_MESSAGE`](crate::memory::IRQ_MESSAGE) the interrupt is 0 and any that is free is taken: `ENOMEM` when none is.
    SYS_IRQ_CREATE = 31;
    /// `(irq, notification, bits)` → 1 when the line was already pending, else 0. Unmasks.
    SYS_IRQ_BIND = 32;
    /// `(irq)`: handled; unmask.
    SYS_IRQ_ACK = 33;
    /// `(hardware, process, first port, count)`: gives the process an I/O port range.
    SYS_PORT_GRANT = 34;

    /// `(*const u8, length)`: writes a line to the kernel's log (at most [`limits::LOG_LINE`](crate::limits::LOG_LINE)).
    SYS_LOG = 35;
    /// `(*mut KernelCounters)`.
    SYS_COUNTERS = 36;

    /// `(irq, CPU)` → an [`InterruptMessage`](crate::memory::InterruptMessage), packed: what its device has to write to
    /// interrupt that CPU. Needs `PHYSICAL`; `EINVAL`: no message interrupt, no such CPU.
    SYS_IRQ_MESSAGE = 37;
    /// `(hardware)` → a [`PciConfig`](crate::memory::PciConfig), packed: what the firmware says (ACPI's MCFG). `ENODEV`: nothing.
    SYS_PCI_CONFIG = 38;
}

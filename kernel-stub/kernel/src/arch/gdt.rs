//! Segments and the task state segment, whose only uses are the stacks of interrupts and the I/O permission map.

use core::arch::asm;
use core::cell::{Cell, UnsafeCell};
use core::sync::atomic::{AtomicU64, Ordering};

use crate::arch::cpu::this_cpu;

/// Selector of kernel code.
pub const KERNEL_CODE: u16 = 0x08;
/// Selector of kernel data.
pub const KERNEL_DATA: u16 = 0x10;
/// Selector of user data; `sysretq` wants it right before user code.
pub const USER_DATA: u16 = 0x18 | 3;
/// Selector of user code.
pub const USER_CODE: u16 = 0x20 | 3;
const TASK: u16 = 0x28;

/// Bytes of the permission map: a bit per port, and a last byte of ones that the processor may read.
const MAP: usize = 8192 + 1;
const MAP_OFFSET: u16 = 104;

/// The task state segment and the permission map behind it.
///
/// `ring0` is where the processor begins to push when it enters from user mode: the end of the running thread's frame.
/// The entry code of system calls reads it from here too, so that a switch writes it once.
#[repr(C, packed(4))]
pub struct Task {
    reserved0: u32,
    ring0: [u32; 2],
    rings: [u32; 4],
    reserved1: [u32; 2],
    interrupt_stacks: [[u32; 2]; 7],
    reserved2: [u32; 2],
    reserved3: u16,
    map_offset: u16,
    map: [u8; MAP],
}

const _: () = assert!(core::mem::offset_of!(Task, map) == MAP_OFFSET as usize);

/// A CPU's descriptor tables.
#[repr(C)]
pub struct Segments {
    table: UnsafeCell<[u64; 7]>,
    /// Ports that the map allows now: the slice that [`io_allow`] was given.
    allowed: Cell<(*const (u16, u16), usize)>,
}

/// Fills the tables of this CPU and loads them. `stacks` are for NMI, double fault and machine check.
///
/// # Safety
/// `task` and `segments` are this CPU's for ever, and nobody else accesses them.
pub unsafe fn init(segments: &'static Segments, task: *mut Task, stacks: [u64; 3]) {
    // SAFETY: the task is this CPU's alone.
    unsafe {
        for (index, stack) in stacks.into_iter().enumerate() {
            (*task).interrupt_stacks[index] = [stack as u32, (stack >> 32) as u32];
        }
        (*task).map = [0xff; MAP];
        (*task).map_offset = u16::MAX;
    }
    let base = task as u64;
    let limit = size_of::<Task>() as u64 - 1;
    let low = (limit & 0xffff)
        | (base & 0xff_ffff) << 16
        | 0x89 << 40
        | (limit >> 16 & 0xf) << 48
        | (base >> 24 & 0xff) << 56;
    let table = [
        0,
        0x00af_9b00_0000_ffff,
        0x00cf_9300_0000_ffff,
        0x00cf_f300_0000_ffff,
        0x00af_fb00_0000_ffff,
        low,
        base >> 32,
    ];
    // SAFETY: as above; the table is not in use yet.
    unsafe { *segments.table.get() = table };
    let pointer = Pointer { limit: size_of_val(&table) as u16 - 1, base: segments.table.get() as u64 };
    // SAFETY: the table is valid and stays; the far return reloads CS from it, the others are data or the task.
    unsafe {
        asm!(
            "lgdt [{pointer}]",
            "push {code}",
            "lea {scratch}, [rip + 2f]",
            "push {scratch}",
            "retfq",
            "2: mov ss, {data:e}",
            "mov ds, {data:e}",
            "mov es, {data:e}",
            "ltr {task:x}",
            pointer = in(reg) &raw const pointer,
            code = const KERNEL_CODE,
            data = in(reg) u32::from(KERNEL_DATA),
            task = in(reg) TASK,
            scratch = out(reg) _,
        );
    }
}

/// Operand of `lgdt` and `lidt`.
#[repr(C, packed)]
pub struct Pointer {
    /// Bytes, less one.
    pub limit: u16,
    /// Address.
    pub base: u64,
}

impl Segments {
    /// Empty tables.
    pub const fn new() -> Segments {
        Segments { table: UnsafeCell::new([0; 7]), allowed: Cell::new((core::ptr::null(), 0)) }
    }
}

impl Task {
    /// Where `ring0` is in it.
    pub const RING0: usize = core::mem::offset_of!(Task, ring0);

    /// Sets where entries from user mode begin to push.
    ///
    /// # Safety
    /// `task` is this CPU's.
    #[inline(always)]
    pub unsafe fn set_ring0(task: *mut Task, address: u64) {
        // SAFETY: the field is inside the task; a `u64` at 4-byte alignment is written as such.
        unsafe { (&raw mut (*task).ring0).cast::<u64>().write_unaligned(address) };
    }
}

/// Bumped whenever a process's ports change, so that a slice at an address seen before is not taken for the old one.
static CHANGES: AtomicU64 = AtomicU64::new(0);

/// Says that some process's list of ports has changed or gone.
pub fn ports_changed() {
    CHANGES.fetch_add(1, Ordering::SeqCst);
}

/// Lets user code on this CPU use these port ranges (first, count) and no others.
///
/// Without ports (nearly always) it costs a store. The map is rewritten only when another list comes.
#[inline]
pub fn io_allow(ranges: &[(u16, u16)]) {
    let this = this_cpu();
    let task = this.task();
    if ranges.is_empty() {
        // SAFETY: the task is this CPU's.
        unsafe { (*task).map_offset = u16::MAX };
    } else {
        write_map(ranges);
    }
}

#[cold]
fn write_map(ranges: &[(u16, u16)]) {
    let this = this_cpu();
    let task = this.task();
    let key = (ranges.as_ptr(), ranges.len());
    let changes = CHANGES.load(Ordering::SeqCst);
    // SAFETY: the task is this CPU's, and the processor reads the map only in user mode.
    let map = unsafe { &mut (*task).map };
    if this.segments.allowed.get() != key || this.port_changes.replace(changes) != changes {
        map.fill(0xff);
        for &(first, count) in ranges {
            for port in usize::from(first)..(usize::from(first) + usize::from(count)).min(8192 * 8) {
                map[port / 8] &= !(1 << (port % 8));
            }
        }
        this.segments.allowed.set(key);
        this.port_changes.set(changes);
    }
    // SAFETY: as above.
    unsafe { (*task).map_offset = MAP_OFFSET };
}

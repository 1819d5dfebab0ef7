//! The interrupt descriptor table, one for all CPUs.

use core::arch::asm;
use core::cell::UnsafeCell;

use crate::arch::gdt::{KERNEL_CODE, Pointer};
use crate::arch::vector::NMI;

const BREAKPOINT: u8 = 3;
const DOUBLE_FAULT: u8 = 8;
const MACHINE_CHECK: u8 = 18;
/// Privilege level 3 in a gate.
const USER: u64 = 3 << 45;
/// Bytes from one stub to the next.
const STUB: u64 = 16;

#[repr(C, align(16))]
struct Table(UnsafeCell<[[u64; 2]; 256]>);

// SAFETY: written by the boot CPU before others run, then only read, by the processor.
unsafe impl Sync for Table {}

static TABLE: Table = Table(UnsafeCell::new([[0; 2]; 256]));

unsafe extern "C" {
    fn interrupt_stubs();
    fn nmi_entry();
    fn double_fault_entry();
    fn machine_check_entry();
}

/// An interrupt gate for the kernel only: user code cannot raise it with `int`, that is a general protection fault.
fn gate(address: u64, stack: u64) -> [u64; 2] {
    [
        address & 0xffff
            | u64::from(KERNEL_CODE) << 16
            | stack << 32
            | 0x8e << 40
            | (address >> 16 & 0xffff) << 48,
        address >> 32,
    ]
}

/// Fills the table; the boot CPU, once.
pub fn init() {
    // SAFETY: no other CPU runs, and this one has interrupts off.
    let table = unsafe { &mut *TABLE.0.get() };
    for vector in 0..=255_u8 {
        let stub = interrupt_stubs as *const () as u64 + STUB * u64::from(vector);
        table[usize::from(vector)] = match vector {
            NMI => gate(nmi_entry as *const () as u64, 1),
            DOUBLE_FAULT => gate(double_fault_entry as *const () as u64, 2),
            MACHINE_CHECK => gate(machine_check_entry as *const () as u64, 3),
            // User code may raise it itself, so that it ends as what it is.
            BREAKPOINT => [gate(stub, 0)[0] | USER, gate(stub, 0)[1]],
            _ => gate(stub, 0),
        };
    }
}

/// Makes this CPU use the table.
pub fn load() {
    let pointer = Pointer { limit: size_of::<Table>() as u16 - 1, base: TABLE.0.get() as u64 };
    // SAFETY: the table is filled and stays.
    unsafe { asm!("lidt [{}]", in(reg) &raw const pointer, options(nostack, preserves_flags)) };
}

//! The processor and the machine: everything that is x86-64.

pub mod apic;
mod boot;
pub mod clock;
pub mod cpu;
pub mod entry;
pub mod fpu;
pub mod frame;
pub mod gdt;
mod idt;
pub mod ioapic;
pub mod memory;
mod pic;
pub mod port;
pub mod smp;
pub mod tlb;
pub mod vector;

use core::arch::asm;

pub use boot::{BootInfo, pci_config};
pub use entry::return_to_user;

/// Waits for an interrupt, which is taken, and returns with interrupts off. An interrupt that became pending before is
/// taken too: `sti` delays it until the `hlt` has begun.
pub fn idle_once() {
    // SAFETY: every interrupt is served by our handlers, which keep all registers.
    unsafe { asm!("sti", "hlt", "cli", options(nostack)) };
}

/// Takes the interrupts that are pending, and returns with interrupts off.
pub fn interrupt_window() {
    // SAFETY: as in `idle_once`. The `nop` is where they are taken: `sti` delays by one instruction.
    unsafe { asm!("sti", "nop", "cli", options(nostack)) };
}

/// Loads page tables: `root` is an [`AddressSpace::root`](crate::mem::paging::AddressSpace::root) that stays alive while
/// it is loaded.
#[inline(always)]
pub fn write_cr3(root: u64) {
    // SAFETY: all roots share the kernel's half, so the kernel goes on; user memory is only reached by user code.
    unsafe { asm!("mov cr3, {}", in(reg) root, options(nostack, preserves_flags)) };
}

/// Loads the kernel's own page tables, in which no user memory is mapped.
pub fn load_kernel_root() {
    write_cr3(memory::kernel_root());
}

/// Forgets this CPU's translation of a page.
#[inline(always)]
pub fn invlpg(address: u64) {
    // SAFETY: only a cache is emptied.
    unsafe { asm!("invlpg [{}]", in(reg) address, options(nostack, preserves_flags)) };
}

/// The address that the last page fault was for.
pub fn fault_address() -> u64 {
    let address;
    // SAFETY: only reads.
    unsafe { asm!("mov {}, cr2", out(reg) address, options(nomem, nostack, preserves_flags)) };
    address
}

/// Sets the FS base of user code; the kernel does not use FS. A non-canonical address is taken as 0.
#[inline(always)]
pub fn set_fs_base(address: u64) {
    let address = if address < 1 << 47 { address } else { 0 };
    // SAFETY: the MSR exists on every x86-64 and the value is canonical.
    unsafe { write_msr(0xc000_0100, address) };
}

/// Writes a model-specific register.
///
/// # Safety
/// It exists, and the value is valid and harmless.
#[inline(always)]
unsafe fn write_msr(number: u32, value: u64) {
    // SAFETY: the caller's.
    unsafe {
        asm!("wrmsr", in("ecx") number, in("eax") value as u32, in("edx") (value >> 32) as u32,
            options(nostack, preserves_flags));
    }
}

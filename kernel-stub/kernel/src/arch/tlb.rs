//! This CPU's translations of user addresses. Other CPUs are asked in [`shootdown`](crate::shootdown).

/// Forgets them all.
pub fn flush() {
    // SAFETY: reloads the register with its own value; the kernel's translations are global and stay.
    unsafe {
        core::arch::asm!("mov {scratch}, cr3", "mov cr3, {scratch}", scratch = out(reg) _,
            options(nostack, preserves_flags));
    }
}

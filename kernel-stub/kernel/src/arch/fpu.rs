//! x87 and SSE registers of user threads. The kernel does not use them.

use core::arch::asm;

/// Where FXSAVE puts the registers.
#[derive(Clone, Copy, Debug)]
#[repr(C, align(512))]
pub struct FxArea([u8; 512]);

impl FxArea {
    /// The registers of a new thread: empty, exceptions masked (FCW 0x37f, MXCSR 0x1f80).
    pub const fn initial() -> FxArea {
        let mut area = [0; 512];
        area[0] = 0x7f;
        area[1] = 0x03;
        area[24] = 0x80;
        area[25] = 0x1f;
        FxArea(area)
    }
}

/// CR0 and CR4 have been set by the boot code; begins with clean registers.
pub fn init() {
    let area = FxArea::initial();
    // SAFETY: the area is valid.
    unsafe { restore(&raw const area) };
}

/// Saves the registers.
///
/// # Safety
/// `area` is valid for writes and nobody else's.
#[inline(always)]
pub unsafe fn save(area: *mut FxArea) {
    // SAFETY: the caller's; the type aligns it.
    unsafe { asm!("fxsave64 [{}]", in(reg) area, options(nostack, preserves_flags)) };
}

/// Loads the registers.
///
/// # Safety
/// `area` was filled by [`save`] or [`FxArea::initial`] (a reserved bit of MXCSR faults).
#[inline(always)]
pub unsafe fn restore(area: *const FxArea) {
    // SAFETY: the caller's; the type aligns it.
    unsafe { asm!("fxrstor64 [{}]", in(reg) area, options(nostack, preserves_flags, readonly)) };
}

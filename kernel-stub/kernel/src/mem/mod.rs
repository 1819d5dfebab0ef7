//! Physical memory, the kernel's heap, and page tables of programs.

pub mod frames;
pub mod heap;
pub mod paging;

use firmware::pvh::StartInfo;

/// Takes over the machine's memory. The boot page tables are loaded.
pub fn init(info: &StartInfo) {
    frames::init(info);
}

//! The PCI bus driver's process: service `pci`.
#![cfg_attr(target_os = "none", no_std, no_main)]
#![forbid(unsafe_code)]

#[cfg(target_os = "none")]
extern crate alloc;

#[cfg(target_os = "none")]
rt::entry!(serve::main);

#[cfg(target_os = "none")]
mod machine;
#[cfg(target_os = "none")]
mod serve;

#[cfg(not(target_os = "none"))]
fn main() {}

//! The first process of the machine: see the library beside it for what it decides, [`machine`] for what it does.
#![cfg_attr(target_os = "none", no_std, no_main)]

#[cfg(target_os = "none")]
extern crate alloc;

#[cfg(target_os = "none")]
mod archive;
#[cfg(target_os = "none")]
mod layout;
#[cfg(target_os = "none")]
mod loader;
#[cfg(target_os = "none")]
mod machine;
#[cfg(target_os = "none")]
mod off;
#[cfg(target_os = "none")]
mod serve;
#[cfg(target_os = "none")]
mod window;

#[cfg(target_os = "none")]
rt::entry!(serve::main);

#[cfg(not(target_os = "none"))]
fn main() {
    // The program runs on the machine that it is the first process of; the host builds it to test the library.
}

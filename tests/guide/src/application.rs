//! The guide's application.
#![cfg_attr(target_os = "none", no_std, no_main)]
#![forbid(unsafe_code)]

#[cfg(target_os = "none")]
include!(concat!(env!("OUT_DIR"), "/application.rs"));

#[cfg(not(target_os = "none"))]
fn main() {}

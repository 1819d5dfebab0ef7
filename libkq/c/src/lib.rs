//! The C library of the guest: event interfaces and as much of POSIX as their programs need.
//!
//! `libkq.a`, with the headers in `include`. Functions are the C names of what [`libkq`] and [`rt`] do. Layouts and values
//! are those of the headers, which `tests/headers.rs` compares with the Rust sources.
//!
//! What is promised about pointers: a null pointer where an object is needed is `EFAULT`, a negative count is `EINVAL`,
//! and anything else that the C program says of its memory is believed, as C has it. That is the safety condition of
//! every `unsafe` function here, unless it states another. Nothing unwinds: a panic ends the process.
//!
//! No floating-point number crosses between C and Rust: Rust code here is compiled for soft floats, C code is not, and
//! their calling conventions differ. Formatting of numbers is in C for that reason, too.
#![cfg_attr(target_os = "none", no_std)]

extern crate alloc;

mod given;
mod kevent;
#[cfg(target_os = "none")]
mod guest;

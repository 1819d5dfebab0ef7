//! The C library of the guest: event interfaces and as much of POSIX as their programs need.
//!
//! `libkq.a`, with the headers in `include`. The functions are the C names of what [`libkq`] and [`rt`] do. Layouts and
//! values are those of the headers, which `tests/headers.rs` compares with the Rust sources. `docs/c.md` says what there is.
//!
//! What is promised about pointers: a null pointer where an object is needed is `EFAULT`, a negative count is `EINVAL`,
//! and everything else that the C program says of its memory is believed, as C has it. That belief is the safety
//! condition of every `unsafe` function here. Nothing unwinds: a panic ends the process.
//!
//! No floating-point number crosses between C and Rust: Rust code of the guest is compiled for soft floats, C code is not,
//! and their calling conventions differ. Formatting of numbers is in C for that reason, too.
#![cfg_attr(target_os = "none", no_std)]
#![cfg_attr(not(target_os = "none"), allow(dead_code))]

extern crate alloc;

mod answer;
mod event_lists;
mod given;
mod number;
mod sort;

#[cfg(target_os = "none")]
mod alarm;
#[cfg(target_os = "none")]
mod clock;
#[cfg(target_os = "none")]
mod descriptors;
#[cfg(target_os = "none")]
mod ending;
#[cfg(target_os = "none")]
mod entry;
#[cfg(target_os = "none")]
mod epoll;
#[cfg(target_os = "none")]
mod files;
#[cfg(target_os = "none")]
mod heap;
#[cfg(target_os = "none")]
mod inet;
#[cfg(target_os = "none")]
mod kqueue;
#[cfg(target_os = "none")]
mod own;
#[cfg(target_os = "none")]
mod poll;
#[cfg(target_os = "none")]
mod pthread;
#[cfg(target_os = "none")]
mod select;
#[cfg(target_os = "none")]
mod signals;
#[cfg(target_os = "none")]
mod sockets;
#[cfg(target_os = "none")]
mod spawn;
#[cfg(target_os = "none")]
mod stdio;
#[cfg(target_os = "none")]
mod string;

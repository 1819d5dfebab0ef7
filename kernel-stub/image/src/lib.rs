//! What the machine boots from: the boot [`archive`] and the [`elf`] programs in it.
//!
//! Both readers borrow, allocate nothing and trust nothing: the kernel uses them before it has a heap and init uses them
//! on files that applications name. Whatever the bytes are, reading them ends, in time linear in their length, with a
//! view or with an [`Error`](archive::Error) that says what was found.
#![no_std]
#![forbid(unsafe_code)]

#[cfg(feature = "alloc")]
extern crate alloc;

pub mod archive;
mod bytes;
pub mod crc;
pub mod elf;
#[cfg(feature = "alloc")]
pub mod writer;

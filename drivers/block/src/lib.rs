//! A disk: a virtio block device (Virtual I/O Device 1.2, 5.2).
//!
//! [Pages](cache) of the disk are kept in memory that the device reaches; the [disk] has some of them on their way at any
//! time; the [driver] answers from them. A read waits until its pages are there, a write until there is room for its
//! bytes: they go to the device afterwards, and `fsync` waits until they are safe.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

pub mod cache;
pub mod disk;
pub mod driver;

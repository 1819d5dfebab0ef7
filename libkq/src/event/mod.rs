//! The `kevent` vocabulary: events, filters, flags. [`kqueue(2)`].
//!
//! [`kqueue(2)`]: https://man.freebsd.org/cgi/man.cgi?kqueue(2)

pub mod filter;
pub mod flags;
mod kevent;
mod lists;
pub mod note;

pub use kevent::KEvent;
pub use lists::{Lists, Separate, Shared};

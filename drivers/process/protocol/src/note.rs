//! What can happen to a process: `NOTE_*` of `EVFILT_PROC`, with FreeBSD's numbers. kqueue(2).
//!
//! A spawn is a fork and an exec in one: `FORK` of the parent, then, of a child that is followed, `CHILD` and `EXEC`. Who
//! was started can be watched only after its exec, so nobody else sees one.

/// It ended; data is its wait status.
pub const EXIT: u32 = 0x8000_0000;
/// It started a program.
pub const FORK: u32 = 0x4000_0000;
/// It began to be the program that it is.
pub const EXEC: u32 = 0x2000_0000;
/// Its children are watched too.
pub const TRACK: u32 = 0x0001;
/// A child could not be watched.
pub const TRACKERR: u32 = 0x0002;
/// It was started by a process whose children are watched; data is that one's number.
pub const CHILD: u32 = 0x0004;

/// What can be asked for.
pub const ASKED: u32 = EXIT | FORK | EXEC | TRACK;

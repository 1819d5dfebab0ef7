//! `NOTE_*`: the filter-specific flags of [`KEvent::fflags`](crate::KEvent::fflags). `kqueue(2)`; the numbers are
//! FreeBSD's, [`OOB`] is DragonFly's.

/// READ, WRITE: ready at `data` bytes or more, for this note only (R24).
pub const LOWAT: u32 = 0x0001;
/// READ, WRITE of a regular file: always ready, as `poll` has it.
pub const FILE_POLL: u32 = 0x0002;
/// EXCEPT: urgent data.
pub const OOB: u32 = 0x0002;

/// VNODE: removed.
pub const DELETE: u32 = 0x0001;
/// VNODE: written to.
pub const WRITE: u32 = 0x0002;
/// VNODE: grew.
pub const EXTEND: u32 = 0x0004;
/// VNODE: attributes changed.
pub const ATTRIB: u32 = 0x0008;
/// VNODE: link count changed.
pub const LINK: u32 = 0x0010;
/// VNODE: renamed.
pub const RENAME: u32 = 0x0020;
/// VNODE: access revoked.
pub const REVOKE: u32 = 0x0040;
/// VNODE: opened.
pub const OPEN: u32 = 0x0080;
/// VNODE: closed after reading.
pub const CLOSE: u32 = 0x0100;
/// VNODE: closed after writing.
pub const CLOSE_WRITE: u32 = 0x0200;
/// VNODE: read from.
pub const READ: u32 = 0x0400;

/// VNODE: all of these.
pub const VNODE: u32 = 0x07ff;

/// PROC: ended, `data` = wait status.
pub const EXIT: u32 = 0x8000_0000;
/// PROC: forked.
pub const FORK: u32 = 0x4000_0000;
/// PROC: executed another program.
pub const EXEC: u32 = 0x2000_0000;
/// PROC: follow across forks.
pub const TRACK: u32 = 0x0001;
/// PROC: a child could not be followed.
pub const TRACKERR: u32 = 0x0002;
/// PROC: the note of a followed child, `data` = the parent.
pub const CHILD: u32 = 0x0004;

/// TIMER: `data` is in seconds.
pub const SECONDS: u32 = 0x0001;
/// TIMER: `data` is in milliseconds, as without any unit.
pub const MSECONDS: u32 = 0x0002;
/// TIMER: `data` is in microseconds.
pub const USECONDS: u32 = 0x0004;
/// TIMER: `data` is in nanoseconds.
pub const NSECONDS: u32 = 0x0008;
/// TIMER: `data` is a time of the real-time clock, not a period.
pub const ABSTIME: u32 = 0x0010;

/// USER: the change's low 24 bits are ignored.
pub const FFNOP: u32 = 0x0000_0000;
/// USER: the note's bits are ANDed with the change's.
pub const FFAND: u32 = 0x4000_0000;
/// USER: the note's bits are ORed with the change's.
pub const FFOR: u32 = 0x8000_0000;
/// USER: the note's bits become the change's.
pub const FFCOPY: u32 = 0xc000_0000;
/// USER: mask of the operation.
pub const FFCTRLMASK: u32 = 0xc000_0000;
/// USER: mask of the program's own bits.
pub const FFLAGSMASK: u32 = 0x00ff_ffff;
/// USER: fire.
pub const TRIGGER: u32 = 0x0100_0000;

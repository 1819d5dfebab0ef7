//! Filters: what a note asks about. `kqueue(2)`.

use core::fmt;

/// What a note watches. The numbers are FreeBSD's `EVFILT_*`; a number that is not one of them is refused with `EINVAL`
/// when a change names it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
#[repr(transparent)]
pub struct Filter(pub i16);

impl Filter {
    /// Something can be read: `data` = bytes that wait, or connections that wait to be accepted.
    pub const READ: Filter = Filter(-1);
    /// Something can be written: `data` = room in bytes.
    pub const WRITE: Filter = Filter(-2);
    /// A file changed; see [`note`](crate::event::note).
    pub const VNODE: Filter = Filter(-4);
    /// A process forked, executed or ended.
    pub const PROC: Filter = Filter(-5);
    /// A signal was sent to the process: `data` = how often since the last harvest.
    pub const SIGNAL: Filter = Filter(-6);
    /// Time passed: `data` = expirations since the last harvest.
    pub const TIMER: Filter = Filter(-7);
    /// The program itself says so, with [`note::TRIGGER`](crate::event::note::TRIGGER).
    pub const USER: Filter = Filter(-11);
    /// Something exceptional, such as urgent data. FreeBSD has no such filter: the number is the first below its own.
    pub const EXCEPT: Filter = Filter(-32);
}

impl fmt::Debug for Filter {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = match *self {
            Filter::READ => "READ",
            Filter::WRITE => "WRITE",
            Filter::VNODE => "VNODE",
            Filter::PROC => "PROC",
            Filter::SIGNAL => "SIGNAL",
            Filter::TIMER => "TIMER",
            Filter::USER => "USER",
            Filter::EXCEPT => "EXCEPT",
            Filter(number) => return write!(out, "Filter({number})"),
        };
        out.write_str(name)
    }
}

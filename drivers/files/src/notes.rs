//! What `EVFILT_VNODE` tells of a file: kqueue(2); the numbers are FreeBSD's.

use bitflags::bitflags;

bitflags! {
    /// Acts on a file, told to everybody who has it open, whoever did them.
    #[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
    pub struct Notes: u32 {
        /// A name of it was removed.
        const DELETE = 0x0001;
        /// It was written to; a directory: a name came, went or changed.
        const WRITE = 0x0002;
        /// It grew; a directory: a name moved here or away.
        const EXTEND = 0x0004;
        /// Its attributes changed, its length among them.
        const ATTRIB = 0x0008;
        /// Its link count changed.
        const LINK = 0x0010;
        /// It was renamed.
        const RENAME = 0x0020;
        /// Access to it was revoked.
        const REVOKE = 0x0040;
        /// It was opened.
        const OPEN = 0x0080;
        /// A descriptor that could not write was closed.
        const CLOSE = 0x0100;
        /// A descriptor that could write was closed.
        const CLOSE_WRITE = 0x0200;
        /// It was read from; a directory: listed.
        const READ = 0x0400;
    }
}

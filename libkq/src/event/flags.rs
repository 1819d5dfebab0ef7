//! Actions and properties of a note. `kqueue(2)`.

use bitflags::bitflags;

bitflags! {
    /// `EV_*`: what a change does, and what an event says. The numbers are FreeBSD's; `NODATA` is DragonFly's, `WAKEONE`
    /// is new.
    #[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
    #[repr(transparent)]
    pub struct EventFlags: u16 {
        /// Makes the note, or modifies the one that (ident, filter) has already (R6).
        const ADD = 0x0001;
        /// Removes the note.
        const DELETE = 0x0002;
        /// Lets the note be delivered again.
        const ENABLE = 0x0004;
        /// Keeps the note from being delivered; it goes on collecting (R8).
        const DISABLE = 0x0008;
        /// Removed when it has been delivered once (R10).
        const ONESHOT = 0x0010;
        /// Edge-triggered: delivered once per new arrival (R15).
        const CLEAR = 0x0020;
        /// Answers the change with an [`ERROR`](Self::ERROR) event, data 0 when it went well (R3).
        const RECEIPT = 0x0040;
        /// Disabled when it has been delivered (R16).
        const DISPATCH = 0x0080;
        /// A change leaves the note's udata as it is.
        const KEEPUDATA = 0x0200;
        /// Wake-ups, not visibility, are limited to one waiter.
        const WAKEONE = 0x0400;
        /// Event: at the end of the file and nothing is left to read.
        const NODATA = 0x1000;
        /// Event: the change failed, `data` is the errno.
        const ERROR = 0x4000;
        /// Event: at the end of the file, though bytes may be left (R18).
        const EOF = 0x8000;
        const _ = !0;
    }
}

impl EventFlags {
    /// What a note keeps from the change that made it and shows in each event (R54).
    pub const STICKY: EventFlags = EventFlags::ONESHOT
        .union(EventFlags::CLEAR)
        .union(EventFlags::DISPATCH)
        .union(EventFlags::RECEIPT)
        .union(EventFlags::WAKEONE);
}

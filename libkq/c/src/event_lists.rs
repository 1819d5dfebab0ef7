//! `struct kevent` as C programs have it, and lists of it.

use core::ffi::{c_int, c_short, c_uint, c_ushort, c_void};
use core::ptr;

use abi::error::{EFAULT, Error, Result};
use libkq::event::Lists;
use libkq::{EventFlags, Filter, KEvent};

use crate::given::elements;

/// The layout of FreeBSD 12 and later.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct CEvent {
    ident: usize,
    filter: c_short,
    flags: c_ushort,
    fflags: c_uint,
    data: i64,
    udata: *mut c_void,
    /// Not kept: 0 in every event.
    ext: [u64; 4],
}

const _: () = assert!(size_of::<CEvent>() == 64);

impl From<CEvent> for KEvent {
    fn from(event: CEvent) -> KEvent {
        KEvent {
            ident: event.ident,
            filter: Filter(event.filter),
            flags: EventFlags::from_bits_retain(event.flags),
            fflags: event.fflags,
            data: event.data,
            udata: event.udata.expose_provenance(),
        }
    }
}

impl From<KEvent> for CEvent {
    fn from(event: KEvent) -> CEvent {
        CEvent {
            ident: event.ident,
            filter: event.filter.0,
            flags: event.flags.bits(),
            fflags: event.fflags,
            data: event.data,
            udata: ptr::with_exposed_provenance_mut(event.udata),
            ext: [0; 4],
        }
    }
}

/// The two lists of a `kevent` call. They may overlap (R5), so each element is read and written by itself.
#[derive(Debug)]
pub struct CLists {
    changes: *const CEvent,
    change_count: usize,
    events: *mut CEvent,
    event_count: usize,
    used: usize,
}

impl CLists {
    /// Two lists of a C program. `EINVAL`: a negative count (R4); `EFAULT`: a null list with elements.
    ///
    /// # Safety
    /// They have that many elements as long as this exists.
    pub unsafe fn new(
        changes: *const CEvent,
        change_count: c_int,
        events: *mut CEvent,
        event_count: c_int,
    ) -> Result<CLists> {
        let (change_count, event_count) = (elements(change_count)?, elements(event_count)?);
        if changes.is_null() && change_count > 0 || events.is_null() && event_count > 0 {
            return Err(Error::new(EFAULT));
        }
        Ok(CLists { changes, change_count, events, event_count, used: 0 })
    }
}

impl Lists for CLists {
    #[inline]
    fn change(&self, index: usize) -> Option<KEvent> {
        // SAFETY: within the list, as `new` was promised.
        (index < self.change_count).then(|| unsafe { self.changes.add(index).read_unaligned() }.into())
    }

    #[inline]
    fn put(&mut self, event: KEvent) -> bool {
        let room = self.used < self.event_count;
        if room {
            // SAFETY: within the list, as `new` was promised.
            unsafe { self.events.add(self.used).write_unaligned(event.into()) };
            self.used += 1;
        }
        room
    }

    #[inline]
    fn room(&self) -> usize {
        self.event_count - self.used
    }

    #[inline]
    fn used(&self) -> usize {
        self.used
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use abi::error::EINVAL;

    #[test]
    fn r4_counts_and_null_lists_are_checked() {
        let new = |changes, count, events, room| {
            // SAFETY: nothing is read or written.
            unsafe { CLists::new(changes, count, events, room) }.map(drop)
        };
        assert_eq!(new(ptr::null(), 0, ptr::null_mut(), 0), Ok(()));
        assert_eq!(new(ptr::null(), -1, ptr::null_mut(), 0), Err(Error::new(EINVAL)));
        assert_eq!(new(ptr::null(), 0, ptr::null_mut(), -1), Err(Error::new(EINVAL)));
        assert_eq!(new(ptr::null(), 1, ptr::null_mut(), 0), Err(Error::new(EFAULT)));
        assert_eq!(new(ptr::null(), 0, ptr::null_mut(), 1), Err(Error::new(EFAULT)));
    }

    #[test]
    fn r5_the_lists_may_be_one() {
        let change = |ident| CEvent::from(KEvent::user(ident).add().udata(ident * 10));
        let mut list = [change(1), change(2)];
        let all = list.as_mut_ptr();
        // SAFETY: two elements, used through this pointer alone.
        let mut lists = unsafe { CLists::new(all, 2, all, 2) }.unwrap();
        for index in 0..2 {
            let change = lists.change(index).unwrap();
            assert_eq!((change.ident, change.udata), (index + 1, (index + 1) * 10));
            assert!(lists.put(KEvent { flags: EventFlags::ERROR, ..change }));
        }
        assert_eq!((lists.change(2), lists.room(), lists.used()), (None, 0, 2));
        assert!(!lists.put(KEvent::default()));
        assert_eq!(list.map(|event| (event.ident, event.flags)), [(1, 0x4000), (2, 0x4000)]);
    }
}

//! The two lists of a `kevent` call, which may be one (R5).

use event_protocol::parked::Parked;

use super::KEvent;

/// Changes to read and room for events.
pub trait Lists {
    /// Change number `index`.
    fn change(&self, index: usize) -> Option<KEvent>;

    /// Appends an event, if there is [room](Lists::room): tells whether.
    fn put(&mut self, event: KEvent) -> bool;

    /// The same with other data than the event's: what a level note has to report.
    fn put_with(&mut self, event: &KEvent, data: i64) -> bool {
        self.put(KEvent { data, ..*event })
    }

    /// Events that fit still.
    fn room(&self) -> usize;

    /// Events that were put.
    fn used(&self) -> usize;

    /// Whether there is nothing more to wait for.
    #[inline]
    fn is_done(&self) -> bool {
        self.used() > 0 || self.room() == 0
    }

    /// Who waits for what others put into it, if others do.
    #[inline]
    fn parked(&self) -> Option<&Parked> {
        None
    }
}

/// Two slices.
pub struct Separate<'a> {
    changes: &'a [KEvent],
    events: &'a mut [KEvent],
    used: usize,
}

impl<'a> Separate<'a> {
    /// Reads changes from one slice and puts events into the other.
    #[inline]
    pub fn new(changes: &'a [KEvent], events: &'a mut [KEvent]) -> Separate<'a> {
        Separate { changes, events, used: 0 }
    }
}

impl Lists for Separate<'_> {
    #[inline]
    fn change(&self, index: usize) -> Option<KEvent> {
        self.changes.get(index).copied()
    }

    #[inline]
    fn put(&mut self, event: KEvent) -> bool {
        match self.events.get_mut(self.used) {
            Some(place) => {
                *place = event;
                self.used += 1;
                true
            }
            None => false,
        }
    }

    #[inline(always)]
    fn put_with(&mut self, event: &KEvent, data: i64) -> bool {
        match self.events.get_mut(self.used) {
            Some(place) => {
                *place = *event;
                place.data = data;
                self.used += 1;
                true
            }
            None => false,
        }
    }

    #[inline]
    fn room(&self) -> usize {
        self.events.len() - self.used
    }

    #[inline]
    fn used(&self) -> usize {
        self.used
    }
}

/// One slice that holds the changes and receives the events. An answer never lands on a change that is still to be read:
/// there is at most one per change, and events come after the last change.
pub struct Shared<'a> {
    list: &'a mut [KEvent],
    changes: usize,
    events: usize,
    used: usize,
}

impl<'a> Shared<'a> {
    /// The first `changes` of the list are changes, its first `events` entries receive events. Counts beyond the list are
    /// cut to it.
    pub fn new(list: &'a mut [KEvent], changes: usize, events: usize) -> Shared<'a> {
        let (changes, events) = (changes.min(list.len()), events.min(list.len()));
        Shared { list, changes, events, used: 0 }
    }
}

impl Lists for Shared<'_> {
    fn change(&self, index: usize) -> Option<KEvent> {
        self.list[..self.changes].get(index).copied()
    }

    fn put(&mut self, event: KEvent) -> bool {
        let room = self.used < self.events;
        if room {
            self.list[self.used] = event;
            self.used += 1;
        }
        room
    }

    fn room(&self) -> usize {
        self.events - self.used
    }

    fn used(&self) -> usize {
        self.used
    }
}

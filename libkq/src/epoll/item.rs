//! An item of an epoll set: all conditions of one descriptor, in one note (R52).

use alloc::sync::Arc;
use core::any::Any;

use event_protocol::cell::Cell;
use event_protocol::control::client::View as Interface;
use event_protocol::filter::Filters;
use event_protocol::slot::{Control, Slot, Terms};

use super::event::{EpollEvent, EpollFlags};
use crate::conditions::{Conditions, Interest};
use crate::engine::{After, Sink, View};
use crate::nesting::Inner;
use crate::set::Member;

/// R32: the open description and the number by which it was added.
pub type Key = (u64, i32);

/// An item.
pub struct Item {
    key: Key,
    home: u32,
    served: Filters,
    low_water: (u32, u32),
    interest: Interest,
    flags: EpollFlags,
    data: u64,
    enabled: bool,
    /// The set that it watches, and how often something had come for it when this was told last.
    inner: Option<(Arc<dyn Inner>, Option<u64>)>,
    /// A file that the item keeps open.
    kept: Option<Arc<dyn Any + Send + Sync>>,
    /// Tells its level each time, and nothing happens to it then: what most looks are at.
    plain: bool,
}

impl Item {
    /// The item that an event asks for.
    pub fn new(key: Key, home: u32, served: Filters, low_water: (u32, u32), event: EpollEvent) -> Item {
        let mut item = Item {
            key,
            home,
            served,
            low_water,
            interest: Interest::default(),
            flags: EpollFlags::empty(),
            data: 0,
            enabled: true,
            inner: None,
            kept: None,
            plain: true,
        };
        item.modify(event);
        item
    }

    /// The item on another set (R37).
    pub fn on_set(key: Key, inner: Arc<dyn Inner>, event: EpollEvent) -> Item {
        let mut item = Item::new(key, 0, Filters::READ, (1, 1), event);
        item.inner = Some((inner, None));
        item
    }

    /// As another set had it, with the file that it watches.
    pub fn of_another_set(mut self, kept: Arc<dyn Any + Send + Sync>, armed: bool) -> Item {
        self.enabled = armed;
        self.plain &= armed;
        self.kept = Some(kept);
        self
    }

    /// What it asks for and tells, and whether it is armed.
    pub fn state(&self) -> (EpollEvent, bool) {
        (EpollEvent::new(self.flags, self.data), self.enabled)
    }

    /// Asks for something else from now on, and is armed again (R39).
    pub fn modify(&mut self, event: EpollEvent) {
        self.flags = event.events();
        self.data = event.data();
        self.interest = Interest::new(self.flags.conditions(), self.served, self.low_water);
        self.enabled = true;
        if let Some((_, seen)) = &mut self.inner {
            *seen = None;
        }
        let changed = EpollFlags::ET.union(EpollFlags::ONESHOT).union(EpollFlags::EXCLUSIVE);
        self.plain = !self.flags.intersects(changed);
    }

    /// What a set has to tell, and how often something had come for it by then.
    fn news(&self) -> Option<(Conditions, u64)> {
        let (inner, seen) = self.inner.as_ref().filter(|_| self.enabled)?;
        let told = self.interest.wanted().intersection(Conditions::READABLE);
        if told.is_empty() {
            return None;
        }
        let (pending, arrivals) = inner.look();
        let old = self.flags.contains(EpollFlags::ET) && *seen == Some(arrivals);
        (pending > 0 && !old).then_some((told, arrivals))
    }

    fn deliver_set(&mut self, sink: &mut Events<'_>) -> After {
        let Some((told, arrivals)) = self.news() else { return After::Quiet };
        sink.put(self.event(told));
        if let Some((_, seen)) = &mut self.inner {
            *seen = Some(arrivals);
        }
        self.enabled = !self.flags.contains(EpollFlags::ONESHOT);
        // Whether it is true again is found out by looking.
        if self.plain { After::Stay } else { After::Quiet }
    }

    fn event(&self, told: Conditions) -> EpollEvent {
        EpollEvent::new(EpollFlags::from_bits_retain(u32::from(told.bits())), self.data)
    }
}

impl Member for Item {
    type Key = Key;
    const INTERFACE: Interface = Interface::Epoll;

    fn is_due(&self) -> bool {
        self.news().is_some()
    }

    /// Whether it was added with `EPOLLEXCLUSIVE`.
    fn is_exclusive(&self) -> bool {
        self.flags.contains(EpollFlags::EXCLUSIVE)
    }

    fn inner(&self) -> Option<&Arc<dyn Inner>> {
        self.inner.as_ref().map(|(inner, _)| inner)
    }

    fn key(&self) -> Key {
        self.key
    }

    fn home(&self) -> u32 {
        self.home
    }

    fn filters(&self) -> Filters {
        self.interest.filters()
    }

    fn terms(&self) -> Terms {
        let mut control = Control::empty();
        control.set(Control::ENABLED, self.enabled);
        control.set(Control::EDGE, self.flags.contains(EpollFlags::ET));
        Terms { control, filters: self.filters(), low_water: self.interest.low_water(), wanted_bits: 0 }
    }
}

/// Where events are put.
pub struct Events<'a> {
    list: &'a mut [EpollEvent],
    used: usize,
}

impl<'a> Events<'a> {
    /// An empty list.
    #[inline]
    pub fn new(list: &'a mut [EpollEvent]) -> Events<'a> {
        Events { list, used: 0 }
    }

    /// Events that were put.
    #[inline]
    pub fn used(&self) -> usize {
        self.used
    }

    #[inline(always)]
    fn put(&mut self, event: EpollEvent) -> bool {
        match self.list.get_mut(self.used) {
            Some(place) => {
                *place = event;
                self.used += 1;
                true
            }
            None => false,
        }
    }
}

impl Sink for Events<'_> {
    #[inline]
    fn is_full(&self) -> bool {
        self.used == self.list.len()
    }

    #[inline]
    fn is_empty(&self) -> bool {
        self.used == 0
    }
}

impl View<Events<'_>> for Item {
    #[inline(always)]
    fn deliver_plain(&self, cell: &Cell, sink: &mut Events<'_>) -> bool {
        if !self.plain {
            return false;
        }
        match self.interest.plain(cell) {
            Some(told) if !told.is_empty() => sink.put(self.event(told)),
            _ => false,
        }
    }

    fn deliver(&mut self, slot: &Slot, cell: Option<&Cell>, sink: &mut Events<'_>) -> After {
        let Some(cell) = cell else { return self.deliver_set(sink) };
        // R39: a one-shot that was told is silent, also about hang-ups.
        if !self.enabled {
            return After::Drop;
        }
        // Read once, and before the level: an arrival in between shows as a further edge, not as none, and not as this one too.
        let activity = cell.activity();
        let edge = self.flags.contains(EpollFlags::ET);
        if edge && slot.active_at(cell, activity).is_empty() {
            return After::Drop;
        }
        let told = self.interest.told(cell);
        if told.is_empty() {
            return After::Drop;
        }
        sink.put(self.event(told));
        if edge {
            // All that is true was told, whichever direction had the news.
            slot.see_activity(activity, Filters::all());
        }
        if self.flags.contains(EpollFlags::ONESHOT) {
            self.enabled = false;
            slot.set_enabled(false);
        }
        if self.plain { After::Stay } else { After::Settle }
    }
}

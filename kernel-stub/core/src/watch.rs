//! Exit watches: who is told when a thread or process has ended.
//!
//! A watch is a link of two lists: of its target, whose end fires it, and of its notification, with which it goes. It keeps
//! neither alive. A program may watch one that outlives it, as every client of a server does; did its watches stay until
//! the server ends, so would their notifications and the account that pays for them.

use crate::{
    Objects,
    arena::Id,
    notification::Notification,
    object::Object,
    process::{Life, Process},
    quota::Charge,
};
use abi::{
    error::{EINVAL, ENOMEM, Error, Result},
    limits::cost,
};

/// No watch.
pub const NO_WATCH: u32 = u32::MAX;

/// Somebody who wants to know when a thread or process ends.
pub struct Watch {
    target: Object,
    notification: Id<Notification>,
    bits: u64,
    of_target: Links,
    of_notification: Links,
    /// What it costs.
    _charge: Charge,
}

/// Neighbours in a list, by their index.
#[derive(Clone, Copy)]
struct Links {
    previous: u32,
    next: u32,
}

/// Which of the two lists of a watch.
#[derive(Clone, Copy)]
enum List {
    Target,
    Notification,
}

impl Watch {
    fn links(&mut self, list: List) -> &mut Links {
        match list {
            List::Target => &mut self.of_target,
            List::Notification => &mut self.of_notification,
        }
    }
}

impl Objects {
    /// Arranges that `bits` are signalled when the target ends; at once when it has.
    pub fn watch(
        &mut self,
        watcher: Id<Process>,
        target: Object,
        notification: Id<Notification>,
        bits: u64,
    ) -> Result<()> {
        let charge = self.charge(watcher, cost::WATCH)?;
        let second = self.notifications.get(notification).ok_or(Error::new(EINVAL))?.first_watch;
        let Some(&mut first) = self.first_watch_of(target) else {
            if let Some((thread, outcome)) = self.signal(notification, bits) {
                self.wake_later(thread, outcome);
            }
            return Ok(());
        };
        let head = |next| Links { previous: NO_WATCH, next };
        let (of_target, of_notification) = (head(first), head(second));
        let watch = Watch { target, notification, bits, of_target, of_notification, _charge: charge };
        let index = self.watches.insert(watch).ok_or(Error::new(ENOMEM))?.index();
        if let Some(watch) = self.watches.at_mut(first) {
            watch.of_target.previous = index;
        }
        if let Some(watch) = self.watches.at_mut(second) {
            watch.of_notification.previous = index;
        }
        if let Some(place) = self.first_watch_of(target) {
            *place = index;
        }
        if let Some(word) = self.notifications.get_mut(notification) {
            word.first_watch = index;
        }
        Ok(())
    }

    /// Where the list of a target begins, unless it has ended.
    fn first_watch_of(&mut self, target: Object) -> Option<&mut u32> {
        match target {
            Object::Process(id) => {
                let alive = self.processes.get_mut(id).filter(|process| process.life != Life::Dead);
                alive.map(|process| &mut process.first_watch)
            }
            Object::Thread(id) => {
                let alive = self.threads.get_mut(id).filter(|thread| !thread.ended);
                alive.map(|thread| &mut thread.first_watch)
            }
            _ => None,
        }
    }

    /// The target of a list has ended: everybody in it is told.
    pub(crate) fn fire_watches(&mut self, mut first: u32) {
        while let Some(Watch { notification, bits, of_target, .. }) = self.take_watch(first) {
            first = of_target.next;
            if let Some((thread, outcome)) = self.signal(notification, bits) {
                self.wake_later(thread, outcome);
            }
        }
    }

    /// A notification that nobody can hear any more watches nothing.
    pub(crate) fn drop_watches(&mut self, mut first: u32) {
        while let Some(watch) = self.take_watch(first) {
            first = watch.of_notification.next;
        }
    }

    /// Takes a watch out of both lists.
    fn take_watch(&mut self, index: u32) -> Option<Watch> {
        let id = self.watches.id_at(index)?;
        let watch = self.watches.remove(id)?;
        if self.unlink_watch(watch.of_target, List::Target)
            && let Some(first) = self.first_watch_of(watch.target)
        {
            *first = watch.of_target.next;
        }
        if self.unlink_watch(watch.of_notification, List::Notification)
            && let Some(word) = self.notifications.get_mut(watch.notification)
        {
            word.first_watch = watch.of_notification.next;
        }
        Some(watch)
    }

    /// Joins the neighbours of a watch. True when it was the first of the list.
    fn unlink_watch(&mut self, Links { previous, next }: Links, list: List) -> bool {
        if let Some(after) = self.watches.at_mut(next) {
            after.links(list).previous = previous;
        }
        match self.watches.at_mut(previous) {
            Some(before) => {
                before.links(list).next = next;
                false
            }
            None => true,
        }
    }
}

//! Who is told of births and ends: events in a list with a limit, and a notification that says that there are some.

use alloc::{collections::VecDeque, vec::Vec};

use init_protocol::{
    limits::{HAPPENED, OBSERVED},
    request::Event,
};

use crate::System;

/// The observer.
#[derive(Debug)]
struct Observer<H> {
    pid: u32,
    notification: H,
    events: VecDeque<Event>,
}

/// The observer, if there is one.
#[derive(Debug)]
pub struct Observing<H>(Option<Observer<H>>);

impl<H> Observing<H> {
    /// Nobody.
    pub const fn new() -> Observing<H> {
        Observing(None)
    }

    /// Process `pid` observes from now on, with `events` as what there is now.
    pub fn begin<S: System<Handle = H>>(
        &mut self,
        system: &mut S,
        pid: u32,
        notification: H,
        events: impl Iterator<Item = Event>,
    ) {
        self.0 = Some(Observer { pid, notification, events: VecDeque::new() });
        events.for_each(|event| self.happened(system, event));
    }

    /// Something happened. An observer that does not ask ends as one, and is told so when it does: what it would miss
    /// could not be made up for.
    pub fn happened<S: System<Handle = H>>(&mut self, system: &mut S, event: Event) {
        let Some(observer) = &mut self.0 else { return };
        system.signal(&observer.notification);
        observer.events.push_back(event);
        if observer.events.len() > OBSERVED {
            system.log(format_args!(
                "process {} does not ask what happened and is not told any more",
                observer.pid
            ));
            self.0 = None;
        }
    }

    /// Something will have happened by the time that the observer can ask: it is rung for before whoever is answered first could
    /// tell it.
    pub fn ring<S: System<Handle = H>>(&mut self, system: &mut S) {
        if let Some(observer) = &self.0 {
            system.signal(&observer.notification);
        }
    }

    /// The next events, if `pid` is the observer.
    pub fn take(&mut self, pid: u32) -> Option<Vec<Event>> {
        let observer = self.0.as_mut().filter(|observer| observer.pid == pid)?;
        let count = observer.events.len().min(HAPPENED);
        Some(observer.events.drain(..count).collect())
    }

    /// Process `pid` has ended.
    pub fn forget(&mut self, pid: u32) {
        self.0.take_if(|observer| observer.pid == pid);
    }
}

//! Who has something to send is asked for it, one packet each in turn; the others are asked when their time comes.

use super::{CHALLENGE, Handle, Stack};
use crate::port::Card;
use abi::limits::FOREVER;
use core::mem;
use smoltcp::iface::PollResult;
use smoltcp::socket::tcp;
use smoltcp::time::{Duration, Instant};

/// When a socket says that it could go on and it cannot, it is asked again after so long.
const PAUSE: Duration = Duration::from_millis(1);

/// Monotonic ns.
fn ns(instant: Instant) -> u64 {
    u64::try_from(instant.total_micros()).unwrap_or(0).saturating_mul(1000)
}

impl<C: Card> Stack<C> {
    /// A socket may have something to send, another deadline, or another place.
    pub(super) fn touch(&mut self, handle: Handle) {
        self.move_later(handle);
        if !mem::replace(&mut self.table[handle].is_queued, true) {
            self.queue.push_back(handle);
        }
    }

    /// Packets for a socket may be others than before.
    fn move_later(&mut self, handle: Handle) {
        if !mem::replace(&mut self.table[handle].is_moved, true) {
            self.moved.push(handle);
        }
    }

    /// Something has happened to a socket.
    pub(super) fn note_change(&mut self, handle: Handle) {
        if !mem::replace(&mut self.table[handle].is_changed, true) {
            self.changed.push(handle);
        }
    }

    /// The next socket to which something has happened that nobody did to it.
    pub fn next_changed(&mut self) -> Option<Handle> {
        while let Some(handle) = self.changed.pop() {
            if let Some(entry) = self.table.get_mut(handle) {
                entry.is_changed = false;
                return Some(handle);
            }
        }
        None
    }

    /// All sockets are looked at: an address is gone, and with it its connections.
    pub(super) fn touch_all(&mut self) {
        for handle in self.table.handles() {
            let set = &mut self.table[handle].set;
            self.interface.poll_egress(self.now, &mut self.port, set);
            self.touch(handle);
            self.note_change(handle);
        }
    }

    /// How often a socket was given a packet, or asked for one or for its next deadline.
    pub fn polls(&self) -> u64 {
        self.polls
    }

    /// Sends what there is to send, one packet for each socket: whether anything was sent.
    pub fn send_out(&mut self) -> bool {
        self.port.look_after_neighbors();
        let mut any = self.look_after_link();
        while let Some(&(_, handle)) = self.deadlines.first().filter(|(at, _)| *at <= self.now) {
            self.schedule(handle, None);
            self.touch(handle);
        }
        for _ in 0..self.queue.len() {
            if !self.port.has_room() {
                break;
            }
            let Some(handle) = self.queue.pop_front() else { break };
            let Some(entry) = self.table.get_mut(handle) else { continue };
            entry.is_queued = false;
            any |= self.send_one(handle);
        }
        any
    }

    /// Sends the next packet of a socket: whether it had one. Who has is asked again.
    fn send_one(&mut self, handle: Handle) -> bool {
        let at = self.due(handle);
        if at.is_none_or(|at| at > self.now) {
            self.schedule(handle, at);
            return false;
        }
        let set = &mut self.table[handle].set;
        let sent = self.interface.poll_egress(self.now, &mut self.port, set) != PollResult::None;
        self.note_change(handle);
        if sent {
            let entry = &mut self.table[handle];
            if mem::take(&mut entry.is_challenged) {
                let socket = entry.get_mut::<tcp::Socket>();
                // Unless it is to be asked regularly by now.
                if socket.keep_alive() == Some(CHALLENGE) {
                    socket.set_keep_alive(None);
                }
            }
            self.touch(handle);
        } else {
            // It gave something up.
            self.move_later(handle);
            let at = self.due(handle).map(|at| at.max(self.now + PAUSE));
            self.schedule(handle, at);
        }
        sent
    }

    /// When there is something to do without being asked, in monotonic ns.
    pub fn deadline(&mut self) -> u64 {
        // Without room the card's interrupt says when to go on.
        if !self.port.has_room() {
            return FOREVER;
        }
        for _ in 0..self.queue.len() {
            let Some(handle) = self.queue.pop_front() else { break };
            if self.table.get_mut(handle).is_none() {
                continue;
            }
            match self.due(handle) {
                Some(at) if at <= self.now => self.queue.push_back(handle),
                at => {
                    self.table[handle].is_queued = false;
                    self.schedule(handle, at);
                }
            }
        }
        let queue = self.queue.front().map(|_| self.now);
        let sockets = self.deadlines.first().map(|(at, _)| *at);
        let neighbors = self.port.look_after_neighbors();
        let first = [queue, sockets, self.link_at, neighbors].into_iter().flatten().min();
        first.map_or(FOREVER, |at| ns(at.max(self.now + PAUSE)))
    }

    /// What has the card's own address does what it has to: whether that was something.
    fn look_after_link(&mut self) -> bool {
        if self.link_at.is_none_or(|at| at > self.now) {
            return false;
        }
        let asked = self.link.poll_egress(self.now, &mut self.port.link(), &mut self.link_set);
        let leased = self.look_at_lease();
        self.link_at = self.link.poll_at(self.now, &self.link_set);
        asked != PollResult::None || leased
    }

    /// When a socket has something to do.
    fn due(&mut self, handle: Handle) -> Option<Instant> {
        self.polls += 1;
        self.interface.poll_at(self.now, &self.table[handle].set)
    }

    fn schedule(&mut self, handle: Handle, at: Option<Instant>) {
        let Some(entry) = self.table.get_mut(handle) else { return };
        let before = mem::replace(&mut entry.deadline, at);
        if before == at {
            return;
        }
        if let Some(before) = before {
            self.deadlines.remove(&(before, handle));
        }
        if let Some(at) = at {
            self.deadlines.insert((at, handle));
        }
    }
}

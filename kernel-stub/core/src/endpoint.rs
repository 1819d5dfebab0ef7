//! Endpoints: synchronous messages between callers and the process that owns the endpoint.

use crate::{
    Objects,
    arena::Id,
    process::Process,
    quota::Charge,
    thread::{Outcome, Wait},
    thread_queue::ThreadQueue,
};
use abi::error::{EINVAL, EPIPE, ESRCH, Error, Result};

/// An endpoint.
pub struct Endpoint {
    /// The process that holds the receive right; `None` when it is closed for good.
    pub owner: Option<Id<Process>>,
    /// The process that made it: whoever can mint badges has that right from there.
    pub maker: Id<Process>,
    /// Threads with a message that nobody has taken.
    pub callers: ThreadQueue,
    /// Threads that wait for a message. Not both queues have threads at a time.
    pub receivers: ThreadQueue,
    /// First and last badge whose last handle is closed and whose owner has not been told.
    pub notices: (Option<Id<Badge>>, Option<Id<Badge>>),
    /// Handles and badges.
    pub references: u32,
    /// What it costs.
    pub charge: Option<Charge>,
}

/// A badge and the handles that have it. Each minting counts for itself.
pub struct Badge {
    /// What the receiver sees.
    pub value: u64,
    /// Of this endpoint.
    pub endpoint: Id<Endpoint>,
    /// Handles.
    pub handles: u32,
    /// The next one whose owner is to be told.
    pub next: Option<Id<Badge>>,
    /// What it costs.
    pub charge: Option<Charge>,
}

/// What a receive finds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Received {
    /// Bits of the bound notification.
    Notification(u64),
    /// The last handle with this badge is closed.
    Closed(u64),
    /// The message of this thread, which waits for the reply now.
    Message {
        /// The caller.
        caller: u32,
        /// The badge of the handle that it used.
        badge: u64,
        /// Names the reply.
        token: u64,
    },
    /// Nothing: the thread waits.
    Blocked,
}

/// Low bits of a reply token that hold the caller's index.
const TOKEN_INDEX_BITS: u32 = 16;

impl Objects {
    /// The thread that would take a message now: `EPIPE` when nobody ever will.
    #[inline(always)]
    pub fn receiver(&self, endpoint: Id<Endpoint>) -> Result<Option<u32>> {
        let endpoint = self.endpoints.get(endpoint).filter(|e| e.owner.is_some()).ok_or(Error::new(EPIPE))?;
        Ok(endpoint.receivers.front())
    }

    /// Gives the caller's message to the thread that [`Objects::receiver`] names, if there is one: the caller waits for
    /// the reply now. Returns that thread and the reply token. `EPIPE` as there.
    #[inline(always)]
    pub fn call(&mut self, caller: u32, endpoint: Id<Endpoint>) -> Result<Option<(u32, u64)>> {
        let endpoint = self.endpoints.get_mut(endpoint).ok_or(Error::new(EPIPE))?;
        let server = endpoint.owner.ok_or(Error::new(EPIPE))?;
        let Some((receiver, thread)) = endpoint.receivers.pop(&mut self.threads) else { return Ok(None) };
        if thread.deadline.is_some() {
            self.drop_deadline(receiver);
        }
        Ok(Some((receiver, self.await_reply(caller, server))))
    }

    #[inline(always)]
    fn await_reply(&mut self, caller: u32, server: Id<Process>) -> u64 {
        self.calls += 1;
        let token = self.calls << TOKEN_INDEX_BITS | u64::from(caller);
        if let Some(thread) = self.threads.at_mut(caller) {
            thread.wait = Wait::Reply { server };
            thread.token = token;
        }
        token
    }

    /// Makes the caller wait until somebody receives.
    pub fn queue_call(&mut self, caller: u32, id: Id<Endpoint>, badge: u64) {
        if let Some(endpoint) = self.endpoints.get_mut(id) {
            endpoint.callers.push(&mut self.threads, caller, Wait::Call { endpoint: id, badge });
        }
    }

    /// What a receive by `thread` finds: the bound notification first, then closed badges, then callers in order. The
    /// caller has seen the right to receive, which only the endpoint's owner has.
    #[inline(always)]
    pub fn receive(&mut self, thread: u32, process: Id<Process>, id: Id<Endpoint>) -> Result<Received> {
        if let Some(bound) = self.threads.at(thread).and_then(|thread| thread.bound) {
            let bits = self.poll_notification(bound);
            if bits != 0 {
                return Ok(Received::Notification(bits));
            }
        }
        let endpoint = self.endpoints.get_mut(id).ok_or(Error::new(EINVAL))?;
        if let Some(badge) = endpoint.notices.0 {
            let value = self.take_notice(id, badge);
            return Ok(Received::Closed(value));
        }
        if let Some(caller) = endpoint.callers.front() {
            let badge = match self.threads.at(caller).map(|thread| thread.wait) {
                Some(Wait::Call { badge, .. }) => badge,
                _ => 0,
            };
            // Its deadline stays: it covers the reply too.
            endpoint.callers.pop(&mut self.threads);
            let token = self.await_reply(caller, process);
            return Ok(Received::Message { caller, badge, token });
        }
        endpoint.receivers.push(&mut self.threads, thread, Wait::Recv { endpoint: id });
        Ok(Received::Blocked)
    }

    /// The caller that a token names, if it still waits for a reply of `process`: `ESRCH`.
    #[inline(always)]
    pub fn reply_target(&self, process: Id<Process>, token: u64) -> Result<u32> {
        let caller = (token & ((1 << TOKEN_INDEX_BITS) - 1)) as u32;
        match self.threads.at(caller) {
            Some(thread) if thread.wait == (Wait::Reply { server: process }) && thread.token == token => {
                Ok(caller)
            }
            _ => Err(Error::new(ESRCH)),
        }
    }

    fn take_notice(&mut self, id: Id<Endpoint>, badge: Id<Badge>) -> u64 {
        let Some(record) = self.badges.remove(badge) else { return 0 };
        if let Some(endpoint) = self.endpoints.get_mut(id) {
            endpoint.notices.0 = record.next;
            if record.next.is_none() {
                endpoint.notices.1 = None;
            }
        }
        self.release_endpoint(id);
        record.value
    }

    /// Drops one handle with this badge. With the last one the endpoint's owner is told.
    pub fn release_badge(&mut self, badge: Id<Badge>) {
        let Some(record) = self.badges.get_mut(badge) else { return };
        record.handles -= 1;
        if record.handles > 0 {
            return;
        }
        let (id, value) = (record.endpoint, record.value);
        let Some(endpoint) = self.endpoints.get_mut(id) else { return };
        if endpoint.owner.is_none() {
            self.badges.remove(badge);
            self.release_endpoint(id);
        } else if let Some(receiver) = endpoint.receivers.front() {
            endpoint.receivers.remove(&mut self.threads, receiver);
            self.end_wait(receiver);
            self.wake_later(receiver, Outcome::ClosedMessage(value));
            self.badges.remove(badge);
            self.release_endpoint(id);
        } else {
            let last = endpoint.notices.1.replace(badge);
            match last.and_then(|last| self.badges.get_mut(last)) {
                Some(last) => last.next = Some(badge),
                None => endpoint.notices.0 = Some(badge),
            }
        }
    }

    /// The receive right is gone: callers get `EPIPE`, now and later.
    pub fn close_receive(&mut self, id: Id<Endpoint>) {
        let Some(endpoint) = self.endpoints.get_mut(id) else { return };
        endpoint.owner = None;
        while let Some(caller) = self.endpoints.get(id).and_then(|e| e.callers.front()) {
            self.cancel_wait(caller);
            self.wake_later(caller, Outcome::Error(EPIPE));
        }
        self.turn_receivers_away(id);
        while let Some(badge) = self.endpoints.get(id).and_then(|e| e.notices.0) {
            self.take_notice(id, badge);
        }
    }

    /// The receive right goes to a process. Threads of the one that had it get `EPIPE`: what comes is not theirs.
    pub(crate) fn hand_over(&mut self, id: Id<Endpoint>, to: Id<Process>) {
        let Some(endpoint) = self.endpoints.get_mut(id) else { return };
        if endpoint.owner.replace(to) != Some(to) {
            self.turn_receivers_away(id);
        }
    }

    fn turn_receivers_away(&mut self, id: Id<Endpoint>) {
        while let Some(receiver) = self.endpoints.get(id).and_then(|e| e.receivers.front()) {
            self.cancel_wait(receiver);
            self.wake_later(receiver, Outcome::Error(EPIPE));
        }
    }

    /// Drops one reference; the last one frees the endpoint.
    pub fn release_endpoint(&mut self, id: Id<Endpoint>) {
        let Some(endpoint) = self.endpoints.get_mut(id) else { return };
        endpoint.references -= 1;
        if endpoint.references == 0 {
            self.endpoints.remove(id);
        }
    }
}

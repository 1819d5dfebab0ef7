//! Requests that are answered later.

use alloc::vec::Vec;

use init_protocol::limits::WAITING;

/// What a request waits for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum For {
    /// The end of a process.
    End(u32),
    /// The end of a child that its parent has not been told yet.
    Child {
        /// Whose.
        parent: u32,
        /// Which, 0 for any.
        pid: u32,
    },
    /// The registration of a service, by its number.
    Service(usize),
}

#[derive(Clone, Copy, Debug)]
struct Request {
    token: u64,
    caller: u32,
    what: For,
}

/// Requests that are answered later, oldest first.
#[derive(Debug, Default)]
pub struct Waiting(Vec<Request>);

impl Waiting {
    /// Keeps a request. When its caller has too many already, returns the token of the oldest, which is kept no longer.
    pub fn add(&mut self, caller: u32, token: u64, what: For) -> Option<u64> {
        let mut of_caller = self.0.iter().enumerate().filter(|(_, request)| request.caller == caller);
        let oldest = of_caller.next().map(|(index, _)| index);
        let full = 1 + of_caller.count() >= WAITING;
        let evicted = oldest.filter(|_| full).map(|index| self.0.remove(index).token);
        self.0.push(Request { token, caller, what });
        evicted
    }

    /// Takes the requests that wait for this: (caller, token), oldest first.
    pub fn take(&mut self, what: For) -> Vec<(u32, u64)> {
        self.0.extract_if(.., |request| request.what == what).map(|r| (r.caller, r.token)).collect()
    }

    /// Takes the oldest request that waits for this: its token.
    pub fn take_first(&mut self, what: For) -> Option<u64> {
        let first = self.0.iter().position(|request| request.what == what)?;
        Some(self.0.remove(first).token)
    }

    /// Forgets the requests of a process that has ended: nobody hears the answers.
    pub fn forget(&mut self, caller: u32) {
        self.0.retain(|request| request.caller != caller);
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }
}

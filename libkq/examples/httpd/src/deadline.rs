//! Until when a client has to be through with what it began to say: from the first byte on, whatever comes meanwhile.

/// A deadline, which may not have begun.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Deadline {
    patience: u64,
    at: Option<u64>,
}

impl Deadline {
    /// One that has not begun, for so many nanoseconds.
    pub const fn new(patience: u64) -> Deadline {
        Deadline { patience, at: None }
    }

    /// Something is there that is not whole: begins, unless it has begun. Whether it is over.
    pub fn waits(&mut self, now: u64) -> bool {
        now >= *self.at.get_or_insert(now.saturating_add(self.patience))
    }

    /// It is whole: the next one begins anew.
    pub fn met(&mut self) {
        self.at = None;
    }

    /// Whether it has begun and is over.
    pub fn is_over(&self, now: u64) -> bool {
        self.at.is_some_and(|at| now >= at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_byte_does_not_renew_it() {
        let mut deadline = Deadline::new(10);
        assert!(!deadline.is_over(u64::MAX));
        assert!((5..15).all(|now| !deadline.waits(now) && !deadline.is_over(now)));
        assert!(deadline.waits(15) && deadline.is_over(15));
        deadline.met();
        assert!(!deadline.is_over(20) && !deadline.waits(20) && !deadline.waits(29) && deadline.waits(30));
    }
}

//! When a program that failed is started again.

use init_protocol::manifest::{Backoff, Restart};

/// How often in a row a program has failed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Failures(u32);

/// What is to be done.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// Start it again.
    Restart {
        /// After so many milliseconds.
        after_ms: u32,
        /// Restarts in a row, with this one.
        count: u32,
        /// How many there can be.
        limit: u32,
    },
    /// Leave it dead.
    GiveUp,
}

impl Failures {
    /// The program failed after a life of `lived_ms`.
    pub fn failed(&mut self, restart: Restart, lived_ms: u64) -> Verdict {
        let Restart::OnFailure(Backoff { first_ms, longest_ms, limit, settled_ms }) = restart else {
            return Verdict::GiveUp;
        };
        if lived_ms >= u64::from(settled_ms) {
            self.0 = 0;
        }
        if self.0 >= limit {
            return Verdict::GiveUp;
        }
        let after_ms = first_ms.saturating_mul(1 << self.0.min(31)).min(longest_ms);
        self.0 += 1;
        Verdict::Restart { after_ms, count: self.0, limit }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BACKOFF: Backoff = Backoff { first_ms: 10, longest_ms: 50, limit: 5, settled_ms: 1000 };

    fn waits(failures: &mut Failures, backoff: Backoff, lives: &[u64]) -> alloc::vec::Vec<Option<u32>> {
        lives
            .iter()
            .map(|&lived| match failures.failed(Restart::OnFailure(backoff), lived) {
                Verdict::Restart { after_ms, .. } => Some(after_ms),
                Verdict::GiveUp => None,
            })
            .collect()
    }

    #[test]
    fn waits_double_up_to_the_longest_and_end_at_the_limit() {
        let mut failures = Failures::default();
        assert_eq!(
            waits(&mut failures, BACKOFF, &[0; 7]),
            [Some(10), Some(20), Some(40), Some(50), Some(50), None, None]
        );
    }

    #[test]
    fn a_settled_life_begins_anew() {
        let mut failures = Failures::default();
        assert_eq!(
            waits(&mut failures, BACKOFF, &[0, 999, 1000, 0]),
            [Some(10), Some(20), Some(10), Some(20)]
        );
    }

    #[test]
    fn extremes_do_not_overflow() {
        let widest =
            Backoff { first_ms: u32::MAX, longest_ms: u32::MAX, limit: u32::MAX, settled_ms: u32::MAX };
        let mut failures = Failures(u32::MAX - 1);
        assert_eq!(waits(&mut failures, widest, &[0, 0]), [Some(u32::MAX), None]);
        assert_eq!(Failures::default().failed(Restart::Never, u64::MAX), Verdict::GiveUp);
    }
}

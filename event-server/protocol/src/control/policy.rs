//! Whom an arrival wakes.

use serde::{Deserialize, Serialize};

/// Which of those who sleep for a source an arrival there wakes, where their notes leave a choice (`EV_WAKEONE`,
/// `EPOLLEXCLUSIVE`). It is about sleepers only: whoever looks sees what there is. Where nobody fits, whoever sleeps is woken
/// rather than nobody.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default, Serialize, Deserialize)]
#[repr(u8)]
pub enum Policy {
    /// One sleeper of each queue.
    All = 0,
    /// One that sleeps on the CPU where the event arose.
    OneThisCpu = 1,
    /// One that sleeps on another CPU.
    OneOtherCpu = 2,
    /// One for each CPU on which somebody sleeps.
    OnePerCpu = 3,
    /// One, each in turn.
    RoundRobin = 4,
    /// One on the event's CPU when that has nothing else to run, else on one that is idle, else each in turn.
    #[default]
    Auto = 5,
}

impl Policy {
    /// All of them, by their numbers.
    pub const ALL: [Policy; 6] = [
        Policy::All,
        Policy::OneThisCpu,
        Policy::OneOtherCpu,
        Policy::OnePerCpu,
        Policy::RoundRobin,
        Policy::Auto,
    ];

    /// The policy of a number.
    pub fn from_number(number: u8) -> Option<Policy> {
        Policy::ALL.get(usize::from(number)).copied()
    }

    /// What it is called on command lines.
    pub const fn name(self) -> &'static str {
        match self {
            Policy::All => "all",
            Policy::OneThisCpu => "one-this-cpu",
            Policy::OneOtherCpu => "one-other-cpu",
            Policy::OnePerCpu => "one-per-cpu",
            Policy::RoundRobin => "round-robin",
            Policy::Auto => "auto",
        }
    }

    /// The policy of a name.
    pub fn from_name(name: &str) -> Option<Policy> {
        Policy::ALL.into_iter().find(|policy| policy.name() == name)
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_names_lead_back() {
        for policy in Policy::ALL {
            assert_eq!(Policy::from_number(policy as u8), Some(policy));
            assert_eq!(Policy::from_name(policy.name()), Some(policy));
        }
        assert_eq!((Policy::from_number(6), Policy::from_name("one")), (None, None));
    }
}

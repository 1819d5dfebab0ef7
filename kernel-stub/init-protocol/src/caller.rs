//! Who calls a service that knows its callers: what init makes of it the badge of their handles.

/// A caller.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Caller {
    /// Number of the process.
    pub pid: u32,
    /// A server or driver of the manifest itself, not one that such a program started: init starts it again when it fails, and
    /// the others cannot do without it.
    pub provider: bool,
}

/// Highest number of a process.
pub const PID_MAX: u32 = i32::MAX as u32;
/// Bit of a badge that says so of a provider.
const PROVIDER: u64 = 1 << 31;

const _: () = assert!(PROVIDER == PID_MAX as u64 + 1);

impl Caller {
    /// What a badge says. Every word is one; 0 is nobody's.
    pub const fn of(badge: u64) -> Caller {
        Caller { pid: badge as u32 & PID_MAX, provider: badge & PROVIDER != 0 }
    }

    /// The badge, of 32 bits and never 0.
    pub const fn badge(self) -> u64 {
        let provider = if self.provider { PROVIDER } else { 0 };
        (self.pid & PID_MAX) as u64 | provider
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_badge_says_comes_back() {
        for pid in [1, 2, 1 << 30, PID_MAX] {
            for provider in [false, true] {
                let caller = Caller { pid, provider };
                assert_eq!(Caller::of(caller.badge()), caller);
                assert_eq!(caller.badge() >> 32, 0);
            }
        }
    }
}

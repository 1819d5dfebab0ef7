//! What others can have the server do again and again, and how much of it is done.

/// How often the log is told anew of what comes all the time.
const WINDOW_NS: u64 = 60_000_000_000;
/// Lines in that time.
const LINES: u32 = 8;

/// Lies, as the log is told of them: who lies attaches anew and lies again, by whatever name, and each line takes the console
/// from the others. What is not told is counted.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Telling {
    /// When it begins anew.
    until: u64,
    /// Lines since then.
    lines: u32,
    left_out: u64,
}

/// What is told of a lie.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Told {
    /// How many were left out before it.
    pub left_out: u64,
    /// Whether what happened before it is told too.
    pub trace: bool,
}

impl Telling {
    /// There is something at this time. `None`: it is counted only.
    pub fn tell(&mut self, now: u64) -> Option<Told> {
        if now >= self.until {
            (self.until, self.lines) = (now.saturating_add(WINDOW_NS), 0);
        }
        if self.lines == LINES {
            self.left_out += 1;
            return None;
        }
        self.lines += 1;
        Some(Told { left_out: core::mem::take(&mut self.left_out), trace: self.lines == 1 })
    }
}

/// Something long that anybody may ask for: it has a tenth of the time, whoever asks how often.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Tenth {
    /// When it may be done again.
    again: u64,
}

impl Tenth {
    /// Whether it may be done now.
    pub fn may(&self, now: u64) -> bool {
        now >= self.again
    }

    /// It was done.
    pub fn done(&mut self, began: u64, ended: u64) {
        self.again = ended.saturating_add(ended.saturating_sub(began).saturating_mul(9));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_lies_all_the_time_is_told_of_now_and_then() {
        let mut telling = Telling::default();
        assert_eq!(telling.tell(5), Some(Told { left_out: 0, trace: true }));
        let told = (0..1000).filter_map(|now| telling.tell(now)).collect::<alloc::vec::Vec<_>>();
        assert_eq!(told, [Told { left_out: 0, trace: false }; LINES as usize - 1]);
        assert_eq!(telling.tell(WINDOW_NS + 5), Some(Told { left_out: 993, trace: true }));
        assert_eq!(telling.tell(WINDOW_NS + 6), Some(Told { left_out: 0, trace: false }));
    }

    #[test]
    fn what_is_asked_for_all_the_time_has_a_tenth_of_it() {
        let (mut tenth, mut now, mut spent) = (Tenth::default(), 0, 0);
        while now < 100_000 {
            if tenth.may(now) {
                tenth.done(now, now + 70);
                (now, spent) = (now + 70, spent + 70);
            }
            now += 1;
        }
        assert!((9_000..=10_100).contains(&spent), "{spent}");
    }
}

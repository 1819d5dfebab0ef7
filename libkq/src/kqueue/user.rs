//! The state of a USER note. `kqueue(2)`, `EVFILT_USER`.

use crate::event::note;

/// What triggers have left since the last delivery (R27).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct User {
    /// Fired and not cleared.
    pub triggered: bool,
    /// The program's own 24 bits.
    pub bits: u32,
    /// The data of the last change.
    pub data: i64,
}

impl User {
    /// Applies a change.
    pub fn change(&mut self, fflags: u32, data: i64) {
        let given = fflags & note::FFLAGSMASK;
        self.bits = match fflags & note::FFCTRLMASK {
            note::FFAND => self.bits & given,
            note::FFOR => self.bits | given,
            note::FFCOPY => given,
            _ => self.bits,
        };
        self.data = data;
        self.triggered |= fflags & note::TRIGGER != 0;
    }

    /// Forgets what was delivered (`EV_CLEAR`, R15).
    pub fn clear(&mut self) {
        *self = User::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn r27_triggers_between_harvests_merge() {
        let mut user = User::default();
        user.change(note::FFOR | note::TRIGGER | 0x01, 1);
        user.change(note::FFOR | note::TRIGGER | 0x10, 2);
        assert_eq!(user, User { triggered: true, bits: 0x11, data: 2 });
    }

    #[test]
    fn r27_only_the_low_24_bits_come_back() {
        let mut user = User::default();
        user.change(note::FFCOPY | note::TRIGGER | 0x3fff_ffff, 0);
        assert_eq!(user.bits, 0x00ff_ffff);
    }

    #[test]
    fn r27_operations() {
        let mut user = User { bits: 0b1100, ..User::default() };
        user.change(note::FFAND | 0b0110, 0);
        assert_eq!(user.bits, 0b0100);
        user.change(note::FFNOP | 0b1111, 0);
        assert_eq!(user.bits, 0b0100);
        user.change(note::FFCOPY | 0b1001, 0);
        assert_eq!(user.bits, 0b1001);
        assert!(!user.triggered);
    }

    #[test]
    fn r15_clear_forgets_bits_and_data() {
        let mut user = User { triggered: true, bits: 5, data: 6 };
        user.clear();
        assert_eq!(user, User::default());
    }
}

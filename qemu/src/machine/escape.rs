//! The keys that are the tool's and not the guest's: Ctrl-A begins a command, as in QEMU's own console.

const CTRL_A: u8 = 0x01;

/// What to tell a person at the terminal.
pub const HELP: &str = "Ctrl-A X quits, Ctrl-A Ctrl-A sends Ctrl-A, Ctrl-A H shows this";

/// Reads what is typed.
#[derive(Clone, Copy, Debug, Default)]
pub struct Escape {
    begun: bool,
}

/// What typed bytes ask for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Key {
    /// A byte for the guest.
    Guest(u8),
    /// End the run.
    Quit,
    /// Show [`HELP`].
    Help,
}

impl Escape {
    /// Takes one byte. After Ctrl-A, a key that is no command goes to the guest without the Ctrl-A.
    pub fn take(&mut self, byte: u8) -> Option<Key> {
        let begun = self.begun;
        self.begun = byte == CTRL_A && !begun;
        if !begun {
            return (byte != CTRL_A).then_some(Key::Guest(byte));
        }
        Some(match byte {
            b'x' | b'X' => Key::Quit,
            b'h' | b'H' | b'?' => Key::Help,
            other => Key::Guest(other),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(typed: &[u8]) -> Vec<Key> {
        let mut escape = Escape::default();
        typed.iter().filter_map(|&byte| escape.take(byte)).collect()
    }

    #[test]
    fn all_else_goes_to_the_guest() {
        let typed: Vec<u8> = (0..=255).filter(|&byte| byte != CTRL_A).collect();
        let expected: Vec<Key> = typed.iter().map(|&byte| Key::Guest(byte)).collect();
        assert_eq!(keys(&typed), expected);
    }

    #[test]
    fn ctrl_a_commands() {
        assert_eq!(keys(b"a\x01x"), [Key::Guest(b'a'), Key::Quit]);
        assert_eq!(keys(b"\x01?\x01X"), [Key::Help, Key::Quit]);
        assert_eq!(keys(b"\x01\x01x"), [Key::Guest(CTRL_A), Key::Guest(b'x')]);
        assert_eq!(keys(b"\x01qx"), [Key::Guest(b'q'), Key::Guest(b'x')]);
    }
}

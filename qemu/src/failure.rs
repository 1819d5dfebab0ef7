//! Errors: what was asked, what was found, what to do.

use std::fmt;

/// Exit status of the tool when it could not do what it was asked (as opposed to a status of the guest).
pub const STATUS: u8 = 125;

/// Why the tool could not do what it was asked.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Failure {
    asked: String,
    found: String,
    remedy: String,
}

/// Result of everything in the tool that can fail.
pub type Result<T> = std::result::Result<T, Failure>;

impl Failure {
    /// `asked`: what was to be done ("start QEMU"); `found`: what was in the way; `remedy`: what to do about it.
    pub fn new(asked: impl fmt::Display, found: impl fmt::Display, remedy: impl fmt::Display) -> Failure {
        Failure { asked: asked.to_string(), found: found.to_string(), remedy: remedy.to_string() }
    }

    /// What was in the way, in one line.
    pub fn found(&self) -> &str {
        self.found.lines().next().unwrap_or_default()
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cannot {}: {}\n  to do: {}", self.asked, self.found, self.remedy)
    }
}

impl std::error::Error for Failure {}

impl From<lexopt::Error> for Failure {
    fn from(error: lexopt::Error) -> Failure {
        Failure::new("read the command line", error, "see `cargo xtask help`")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_all_three_parts() {
        let text = Failure::new("start QEMU", "no such file", "install it").to_string();
        assert_eq!(text, "cannot start QEMU: no such file\n  to do: install it");
    }
}

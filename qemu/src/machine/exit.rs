//! What QEMU's end says about the guest's.

use std::fmt;

use super::child::Ended;

/// How the machine ended.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Status {
    /// The guest powered off with this status.
    Guest(u8),
    /// QEMU ended in order and the guest had no status: a triple fault, or QEMU's monitor was told to quit.
    Reset,
    /// QEMU did not run the guest, or died.
    Broken {
        /// How QEMU ended.
        how: String,
        /// What it said on stderr.
        complaints: String,
    },
}

/// Status of the tool when the guest ended without one.
pub const RESET: u8 = 126;

impl Status {
    /// The exit status that the tool ends with.
    pub fn to_byte(&self) -> u8 {
        match self {
            Status::Guest(status) => *status,
            Status::Reset => RESET,
            Status::Broken { .. } => crate::failure::STATUS,
        }
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Status::Guest(status) => write!(f, "the guest ended with status {status}"),
            Status::Reset => {
                write!(
                    f,
                    "the machine ended without a status of the guest: QEMU's monitor was told to quit, or it was "
                )?;
                write!(f, "reset or powered off (a triple fault? `-- -d int,cpu_reset` shows those)")
            }
            Status::Broken { how, complaints } if complaints.is_empty() => write!(f, "QEMU {how}"),
            Status::Broken { how, complaints } => write!(f, "QEMU {how}: {}", complaints.trim_end()),
        }
    }
}

/// Decodes QEMU's end. The exit device gives `(value << 1) | 1`, of which the host keeps eight bits; `byte` is what the
/// guest wrote to the status port. QEMU ends with 1 when it cannot start, too: the guest's 0 is believed only when the
/// guest has said anything.
pub fn decode(ended: Ended, byte: Option<u8>, output_seen: bool, complaints: String) -> Status {
    match ended {
        Ended::Exited(0) => Status::Reset,
        Ended::Exited(1) if !output_seen => {
            Status::Broken { how: "ended before the guest said anything".to_owned(), complaints }
        }
        Ended::Exited(code @ 1..=255) if code & 1 == 1 => {
            let value = (code >> 1) as u8;
            Status::Guest(byte.filter(|byte| byte & 0x7f == value).unwrap_or(value))
        }
        Ended::Exited(code) => Status::Broken { how: format!("ended with status {code}"), complaints },
        Ended::Killed(signal) => Status::Broken { how: format!("was killed by signal {signal}"), complaints },
        Ended::TimedOut => Status::Broken { how: "did not end".to_owned(), complaints },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(code: i32, byte: Option<u8>) -> Status {
        decode(Ended::Exited(code), byte, true, String::new())
    }

    #[test]
    fn every_status_comes_back() {
        for status in 0..=255u8 {
            let code = i32::from(status.wrapping_shl(1) | 1);
            assert_eq!(seen(code, Some(status)), Status::Guest(status));
            assert_eq!(seen(code, None), Status::Guest(status & 0x7f), "without the status port: seven bits");
        }
    }

    #[test]
    fn a_status_byte_of_another_end_is_not_believed() {
        // A kernel panic after init had announced a status.
        assert_eq!(seen(0x7f << 1 | 1, Some(0)), Status::Guest(0x7f));
    }

    #[test]
    fn qemu_that_cannot_start_is_no_success() {
        let status = decode(Ended::Exited(1), None, false, "bad option\n".to_owned());
        assert_eq!(status.to_byte(), crate::failure::STATUS);
        assert_eq!(status.to_string(), "QEMU ended before the guest said anything: bad option");
        assert_eq!(seen(1, None), Status::Guest(0));
    }

    #[test]
    fn a_reset_is_no_success() {
        assert_eq!(seen(0, Some(0)), Status::Reset);
        // QEMU ends alike when its monitor is told to quit.
        assert!(Status::Reset.to_string().contains("monitor was told to quit"), "{}", Status::Reset);
        assert_ne!(Status::Reset.to_byte(), 0);
    }

    #[test]
    fn crashes_of_qemu_are_told() {
        assert!(matches!(seen(2, None), Status::Broken { .. }));
        let status = decode(Ended::Killed(11), None, true, String::new());
        assert_eq!(status.to_string(), "QEMU was killed by signal 11");
    }
}

//! Lines for the kernel's log, without allocation.

use core::fmt;

use abi::limits::LOG_LINE;

/// Writes one line to the kernel's log, formatted like `format!`; what is too long is cut.
#[macro_export]
macro_rules! log {
    ($($argument:tt)*) => {
        $crate::LogLine::write(::core::format_args!($($argument)*))
    };
}

/// A line being formatted.
#[derive(Debug)]
pub struct LogLine {
    bytes: [u8; LOG_LINE],
    length: usize,
}

impl LogLine {
    /// Formats a line and writes it.
    pub fn write(arguments: fmt::Arguments<'_>) {
        let mut line = LogLine::new();
        // The only error is the caller's own `Display`: what it wrote until then is worth having.
        let _ = fmt::write(&mut line, arguments);
        // There is nowhere to report to that the log cannot be written.
        let _ = crate::sys::log_line(line.as_bytes());
    }

    pub(crate) const fn new() -> LogLine {
        LogLine { bytes: [0; LOG_LINE], length: 0 }
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.length]
    }
}

impl fmt::Write for LogLine {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        // A line is one line, whatever a string brings along.
        for byte in text.bytes() {
            if self.length == LOG_LINE {
                self.bytes[LOG_LINE - 3..].copy_from_slice(b"...");
                return Ok(());
            }
            self.bytes[self.length] = if byte == b'\n' || byte == b'\r' { b' ' } else { byte };
            self.length += 1;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use core::fmt::Write;
    use std::string::String;

    #[test]
    fn a_long_line_is_cut_and_says_so() {
        let mut line = LogLine::new();
        let long: String = core::iter::repeat_n('x', LOG_LINE * 2).collect();
        write!(line, "{long}").unwrap();
        write!(line, "more").unwrap();
        assert_eq!(line.as_bytes().len(), LOG_LINE);
        assert!(line.as_bytes().ends_with(b"x..."));
    }

    #[test]
    fn a_line_of_just_the_limit_is_whole() {
        let mut line = LogLine::new();
        let long: String = core::iter::repeat_n('y', LOG_LINE).collect();
        write!(line, "{long}").unwrap();
        assert_eq!(line.as_bytes(), long.as_bytes());
    }

    #[test]
    fn a_line_stays_one_line() {
        let mut line = LogLine::new();
        write!(line, "a\nb\r{}", 7).unwrap();
        assert_eq!(line.as_bytes(), b"a b 7");
    }
}

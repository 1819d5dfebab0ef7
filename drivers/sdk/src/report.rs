//! What a driver tells of itself: while it runs, to whoever asks, and to the log when it ends.

use crate::driver::Driver;
use crate::engine::Engine;
use crate::link::Link;
use core::fmt::{self, Write};

/// Writes the report, one `name value` a line.
pub fn write<D: Driver, L: Link>(engine: &Engine<D, L>, out: &mut dyn Write) -> fmt::Result {
    let counters = engine.counters();
    let (files, pending) = engine.load();
    let (sources, parcels) = engine.shared();
    for (name, value) in [
        ("requests", counters.requests),
        ("errors", counters.errors),
        ("waits", counters.waits),
        ("undelivered", counters.undelivered),
        ("files", files as u64),
        ("sources", sources as u64),
        ("parcels", parcels as u64),
        ("waiting", pending as u64),
    ] {
        writeln!(out, "{name} {value}")?;
    }
    engine.driver().report(out)
}

/// Text that ends where there is no more room, at the end of a line.
pub struct Page<'a> {
    bytes: &'a mut [u8],
    length: usize,
}

impl<'a> Page<'a> {
    /// Room for a text.
    pub fn new(bytes: &'a mut [u8]) -> Page<'a> {
        Page { bytes, length: 0 }
    }

    /// Length of the whole lines in it.
    pub fn whole_lines(&self) -> usize {
        let written = &self.bytes[..self.length];
        written.iter().rposition(|&byte| byte == b'\n').map_or(0, |end| end + 1)
    }
}

impl Write for Page<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let room = &mut self.bytes[self.length..];
        let length = text.len().min(room.len());
        room[..length].copy_from_slice(&text.as_bytes()[..length]);
        self.length += length;
        if length == text.len() { Ok(()) } else { Err(fmt::Error) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_too_long_ends_with_a_line() {
        let mut bytes = [0; 20];
        let mut page = Page::new(&mut bytes);
        assert!(writeln!(page, "requests 5").is_ok());
        assert!(writeln!(page, "errors 1234567").is_err());
        assert!(page.write_str("x").is_err());
        assert_eq!(page.whole_lines(), 11);
        assert_eq!(Page::new(&mut []).whole_lines(), 0);
    }
}

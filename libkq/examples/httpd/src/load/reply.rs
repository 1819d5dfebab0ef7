//! What a server answers, as far as the load generator wants to know it.

use libkq::{Error, Result};
use rt::abi::error::EPROTO;

/// An answer that is here as a whole.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Reply {
    /// The status.
    pub status: u16,
    /// Bytes of the body.
    pub length: u64,
    /// [`sum`] of the body.
    pub sum: u64,
}

/// FNV-1a.
pub fn sum(bytes: &[u8]) -> u64 {
    bytes
        .iter()
        .fold(0xcbf2_9ce4_8422_2325, |sum, &byte| (sum ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

impl Reply {
    /// Looks for an answer at the beginning of what came: it, its length with the head, and whether the connection stays.
    /// `EPROTO`: this is none.
    pub fn parse(input: &[u8]) -> Result<Option<(Reply, usize, bool)>> {
        let Some(end) = input.windows(4).position(|four| four == b"\r\n\r\n") else { return Ok(None) };
        let wrong = || Error::new(EPROTO);
        let head = core::str::from_utf8(&input[..end]).map_err(|_| wrong())?;
        let mut lines = head.split("\r\n");
        let first = lines.next().and_then(|line| line.strip_prefix("HTTP/1.1 ")).ok_or_else(wrong)?;
        let status = first.split(' ').next().and_then(|number| number.parse().ok()).ok_or_else(wrong)?;
        let (mut length, mut stays) = (None, true);
        for (name, value) in lines.filter_map(|line| line.split_once(": ")) {
            match name {
                "Content-Length" => length = value.parse::<usize>().ok(),
                "Connection" => stays = value != "close",
                _ => {}
            }
        }
        let (length, begin) = (length.ok_or_else(wrong)?, end + 4);
        let Some(body) = input[begin..].get(..length) else { return Ok(None) };
        Ok(Some((Reply { status, length: length as u64, sum: sum(body) }, begin + length, stays)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_whole_or_is_waited_for() {
        let text = b"HTTP/1.1 404 Not Found\r\nContent-Length: 3\r\nConnection: close\r\n\r\nabcHTTP";
        let reply = Reply { status: 404, length: 3, sum: sum(b"abc") };
        assert_eq!(Reply::parse(text), Ok(Some((reply, text.len() - 4, false))));
        for end in 0..text.len() - 4 {
            assert_eq!(Reply::parse(&text[..end]), Ok(None), "{end}");
        }
        for wrong in ["FTP\r\n\r\n", "HTTP/1.1 x\r\nContent-Length: 0\r\n\r\n", "HTTP/1.1 200 OK\r\n\r\n"] {
            assert!(Reply::parse(wrong.as_bytes()).is_err(), "{wrong}");
        }
    }
}

//! What can be set of a socket of any family.

use abi::error::{EINVAL, Error, Result};
use core::ops::RangeInclusive;

/// The least bytes to receive and the least space to send (`SO_RCVLOWAT`, `SO_SNDLOWAT`).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct LowWater {
    /// Bytes or connections.
    pub receive: u32,
    /// Space.
    pub send: u32,
}

impl LowWater {
    /// Sets what is given. EINVAL for less than one: then nothing is set.
    pub fn set(&mut self, receive: Option<i64>, send: Option<i64>) -> Result<()> {
        let mark = |bytes: i64| match bytes {
            1.. => Ok(u32::try_from(bytes).unwrap_or(u32::MAX)),
            _ => Err(Error::new(EINVAL)),
        };
        let (receive, send) = (receive.map(mark).transpose()?, send.map(mark).transpose()?);
        self.receive = receive.unwrap_or(self.receive);
        self.send = send.unwrap_or(self.send);
        Ok(())
    }
}

/// The size of a buffer that is asked for (`SO_RCVBUF`, `SO_SNDBUF`); what is out of range is brought into it. EINVAL: negative.
pub fn buffer_size(bytes: i64, range: &RangeInclusive<usize>) -> Result<usize> {
    let bytes = usize::try_from(bytes).map_err(|_| Error::new(EINVAL))?;
    Ok(bytes.clamp(*range.start(), *range.end()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_are_one_at_least_and_set_together_or_not_at_all() {
        let mut marks = LowWater { receive: 1, send: 2048 };
        assert_eq!(marks.set(Some(9), None), Ok(()));
        assert_eq!(marks, LowWater { receive: 9, send: 2048 });
        for bad in [0, -1, i64::MIN] {
            assert_eq!(marks.set(Some(3), Some(bad)), Err(Error::new(EINVAL)));
        }
        assert_eq!(marks, LowWater { receive: 9, send: 2048 });
        assert_eq!(marks.set(None, Some(i64::MAX)), Ok(()));
        assert_eq!(marks, LowWater { receive: 9, send: u32::MAX });
    }

    #[test]
    fn sizes_are_brought_into_range() {
        for (asked, size) in [(0, 10), (10, 10), (15, 15), (i64::MAX, 20)] {
            assert_eq!(buffer_size(asked, &(10..=20)), Ok(size));
        }
        assert_eq!(buffer_size(-1, &(10..=20)), Err(Error::new(EINVAL)));
    }
}

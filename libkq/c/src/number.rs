//! Numbers in text. `strtol(3)`.

/// What a text begins with.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Parsed {
    /// The number without its sign; what is too large is the largest.
    pub magnitude: u64,
    /// Whether there was a minus sign.
    pub negative: bool,
    /// It did not fit.
    pub overflow: bool,
    /// Bytes of the text that belong to it, with spaces before; 0 when there is no number.
    pub length: usize,
}

/// Reads a number in a base of 2 to 36, or 0 for C's prefixes. `None`: no such base.
pub fn parse(text: &[u8], base: i32) -> Option<Parsed> {
    let base = u32::try_from(base).ok().filter(|base| *base == 0 || (2..=36).contains(base))?;
    let spaces = text.iter().take_while(|byte| matches!(byte, b' ' | b'\t'..=b'\r')).count();
    let (sign, negative) = match text.get(spaces) {
        Some(b'-') => (1, true),
        Some(b'+') => (1, false),
        _ => (0, false),
    };
    let mut at = spaces + sign;
    let digit = |at: usize, base: u32| text.get(at).and_then(|&byte| char::from(byte).to_digit(base));
    let is_hex = text.get(at) == Some(&b'0')
        && matches!(text.get(at + 1), Some(b'x' | b'X'))
        && digit(at + 2, 16).is_some();
    let base = match base {
        0 | 16 if is_hex => {
            at += 2;
            16
        }
        0 if text.get(at) == Some(&b'0') => 8,
        0 => 10,
        base => base,
    };
    let (begin, mut magnitude, mut overflow) = (at, 0u64, false);
    while let Some(digit) = digit(at, base) {
        let next = magnitude.checked_mul(base.into()).and_then(|shifted| shifted.checked_add(digit.into()));
        overflow |= next.is_none();
        magnitude = next.unwrap_or(u64::MAX);
        at += 1;
    }
    let length = if at == begin { 0 } else { at };
    Some(Parsed { magnitude: if overflow { u64::MAX } else { magnitude }, negative, overflow, length })
}

impl Parsed {
    /// As a signed number, the nearest if it does not fit, and whether it fitted.
    pub fn signed(self) -> (i64, bool) {
        let limit = if self.negative { i64::MIN.unsigned_abs() } else { i64::MAX as u64 };
        let fits = !self.overflow && self.magnitude <= limit;
        let magnitude = if fits { self.magnitude } else { limit };
        (if self.negative { (magnitude as i64).wrapping_neg() } else { magnitude as i64 }, fits)
    }

    /// As an unsigned number, which a minus sign wraps, and whether it fitted.
    pub fn unsigned(self) -> (u64, bool) {
        let wrapped = if self.negative { self.magnitude.wrapping_neg() } else { self.magnitude };
        (if self.overflow { u64::MAX } else { wrapped }, !self.overflow)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::format;

    fn signed(text: &str, base: i32) -> (i64, bool, usize) {
        let parsed = parse(text.as_bytes(), base).unwrap();
        let (value, fits) = parsed.signed();
        (value, fits, parsed.length)
    }

    #[test]
    fn signs_spaces_prefixes_and_ends() {
        assert_eq!(signed(" \t\n-42x", 10), (-42, true, 6));
        assert_eq!(signed("+0x1fg", 0), (31, true, 5));
        assert_eq!(signed("0x1f", 16), (31, true, 4));
        assert_eq!(signed("0xg", 0), (0, true, 1));
        assert_eq!(signed("0x", 16), (0, true, 1));
        assert_eq!(signed("0755", 0), (493, true, 4));
        assert_eq!(signed("089", 0), (0, true, 1));
        assert_eq!(signed("zZ", 36), (1295, true, 2));
        for nothing in ["", "-", "+ 1", "x", "  "] {
            assert_eq!(signed(nothing, 10), (0, true, 0), "{nothing:?}");
        }
        assert_eq!(parse(b"1", 1), None);
        assert_eq!(parse(b"1", 37), None);
        assert_eq!(parse(b"1", -1), None);
    }

    #[test]
    fn what_does_not_fit_is_the_nearest() {
        assert_eq!(signed("9223372036854775808", 10), (i64::MAX, false, 19));
        assert_eq!(signed("-9223372036854775808", 10), (i64::MIN, true, 20));
        assert_eq!(signed("-9223372036854775809", 10), (i64::MIN, false, 20));
        assert_eq!(signed("99999999999999999999999", 10), (i64::MAX, false, 23));
        assert_eq!(parse(b"18446744073709551616", 10).unwrap().unsigned(), (u64::MAX, false));
        assert_eq!(parse(b"-1", 10).unwrap().unsigned(), (u64::MAX, true));
    }

    proptest! {
        #[test]
        fn what_is_printed_is_read_back(number: i64, rest in "[ -/:-@]?") {
            for (text, base) in [(format!("{number}"), 10), (format!("{number}"), 0)] {
                prop_assert_eq!(signed(&format!("{text}{rest}"), base), (number, true, text.len()));
            }
            let hex = format!("{:#x}", number.unsigned_abs());
            prop_assert_eq!(parse(hex.as_bytes(), 0).unwrap().unsigned(), (number.unsigned_abs(), true));
        }
    }
}

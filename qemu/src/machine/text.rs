//! Terminal conventions at the two ends: line endings going out, end of input going in.

/// Ctrl-D: end of input, when a line begins.
const END_OF_INPUT: u8 = 0x04;

/// The guest's terminal ends lines with CR LF; the host wants LF: a file or a pipe as it is, a terminal because it adds a
/// CR itself.
#[derive(Clone, Copy, Debug, Default)]
pub struct LineEndings {
    held: bool,
}

impl LineEndings {
    /// Converts the next piece of output. A CR at its end is held back until it is known what follows.
    pub fn convert(&mut self, piece: &[u8]) -> Vec<u8> {
        let mut converted = Vec::with_capacity(piece.len() + 1);
        for &byte in piece {
            if std::mem::replace(&mut self.held, byte == b'\r') && byte != b'\n' {
                converted.push(b'\r');
            }
            if byte != b'\r' {
                converted.push(byte);
            }
        }
        converted
    }

    /// What was held back.
    pub fn finish(&mut self) -> &'static [u8] {
        if std::mem::take(&mut self.held) { b"\r" } else { b"" }
    }
}

/// What to send when input ends after `last`: in the middle of a line the first Ctrl-D only hands over what there is.
pub fn end_of_input(last: Option<u8>) -> &'static [u8] {
    match last {
        None | Some(b'\n' | b'\r') => &[END_OF_INPUT],
        Some(_) => &[END_OF_INPUT, END_OF_INPUT],
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn converted(pieces: &[&[u8]]) -> Vec<u8> {
        let mut endings = LineEndings::default();
        let mut all: Vec<u8> = pieces.iter().flat_map(|piece| endings.convert(piece)).collect();
        all.extend(endings.finish());
        all
    }

    #[test]
    fn only_a_cr_before_a_lf_goes() {
        assert_eq!(converted(&[b"a\r\nb\rc\n\r\r\n\r"]), b"a\nb\rc\n\r\n\r");
    }

    #[test]
    fn end_of_input_in_the_middle_of_a_line_takes_two() {
        assert_eq!(end_of_input(None), [4]);
        assert_eq!(end_of_input(Some(b'\n')), [4]);
        assert_eq!(end_of_input(Some(b'x')), [4, 4]);
    }

    proptest! {
        #[test]
        fn pieces_do_not_matter(bytes in prop::collection::vec(prop::sample::select(b"\r\nx".to_vec()), 0..40), cut in 0usize..40) {
            let (a, b) = bytes.split_at(cut.min(bytes.len()));
            prop_assert_eq!(converted(&[a, b]), converted(&[&bytes]));
            let text = std::str::from_utf8(&bytes).unwrap().replace("\r\n", "\n");
            prop_assert_eq!(converted(&[a, b]), text.into_bytes());
        }
    }
}

//! How a terminal treats its bytes: the part of termios(3) that it has.

/// `c_iflag`, `c_oflag` and `c_lflag` in one word of switches.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Mode {
    /// ICANON: whole lines with editing; otherwise every byte as it comes (VMIN 1, VTIME 0).
    pub canonical: bool,
    /// ECHO (with ECHOE, ECHOKE and ECHOCTL): input is shown.
    pub echo: bool,
    /// ISIG: the interrupt character discards the input and is reported.
    pub signals: bool,
    /// ICRNL: carriage return is read as newline.
    pub newline_input: bool,
    /// OPOST and ONLCR: newline is written as carriage return, newline.
    pub newline_output: bool,
    /// IXON: XOFF stops and XON restarts the output.
    pub flow_control: bool,
}

impl Mode {
    /// What a person at a keyboard expects.
    pub const LINE: Mode = Mode {
        canonical: true,
        echo: true,
        signals: true,
        newline_input: true,
        newline_output: true,
        flow_control: true,
    };
    /// Bytes in, bytes out: cfmakeraw(3).
    pub const RAW: Mode = Mode {
        canonical: false,
        echo: false,
        signals: false,
        newline_input: false,
        newline_output: false,
        flow_control: false,
    };

    /// As a word that is never 0: what is kept of it.
    pub fn to_word(self) -> u64 {
        let switches = [
            self.canonical,
            self.echo,
            self.signals,
            self.newline_input,
            self.newline_output,
            self.flow_control,
        ];
        switches.iter().fold(1, |word, &switch| word << 1 | u64::from(switch))
    }

    /// The mode that a word was made of, if it was.
    pub fn of_word(word: u64) -> Option<Mode> {
        let is = |bit: u32| word >> bit & 1 != 0;
        (word >> 6 == 1).then(|| Mode {
            canonical: is(5),
            echo: is(4),
            signals: is(3),
            newline_input: is(2),
            newline_output: is(1),
            flow_control: is(0),
        })
    }
}

/// The characters with a meaning (`c_cc`), those of stty(1) `sane`.
pub mod control {
    /// VINTR, Ctrl-C.
    pub const INTERRUPT: u8 = 0x03;
    /// VEOF, Ctrl-D.
    pub const END_OF_FILE: u8 = 0x04;
    /// The other erase character, Ctrl-H.
    pub const BACKSPACE: u8 = 0x08;
    /// VSTART, Ctrl-Q.
    pub const XON: u8 = 0x11;
    /// VSTOP, Ctrl-S.
    pub const XOFF: u8 = 0x13;
    /// VKILL, Ctrl-U.
    pub const KILL: u8 = 0x15;
    /// VWERASE, Ctrl-W.
    pub const WORD_ERASE: u8 = 0x17;
    /// VERASE.
    pub const DELETE: u8 = 0x7f;
    /// What the terminal says when it cannot take a byte.
    pub const BELL: u8 = 0x07;
}

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

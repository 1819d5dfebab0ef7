//! What a keyboard tells, in scan codes of set 1: one byte for a key that goes down, the same with the top bit for one that goes up,
//! and a byte before that for keys that were added later.

/// The keys added later come behind this one.
const EXTENDED: u8 = 0xe0;
/// So does one key, with two bytes to follow.
const PAUSE: u8 = 0xe1;
/// The bit of a key that goes up.
const UP: u8 = 0x80;
/// Too many keys at once, or an error: what went up meanwhile is not known.
const OVERRUN: [u8; 2] = [0x00, 0xff];
/// No keys: answers to commands, and a keyboard that wants something said again.
const ANSWERS: [u8; 3] = [0xfa, 0xfe, 0xee];

/// The key of that name among evdev's.
const KEY_PAUSE: u16 = 119;
/// Codes of keys are below this.
const KEYS: usize = 256;

/// What happened to a key.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Key {
    /// Which one, by evdev's numbers.
    pub code: u16,
    /// 1: it went down, 2: it is down still, 0: it went up.
    pub value: i32,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
enum State {
    #[default]
    Plain,
    Extended,
    /// Two bytes of the one key are to come.
    Pause,
    /// One is.
    PauseEnds,
}

/// What is known of a keyboard.
#[derive(Clone, Debug)]
pub struct Keyboard {
    state: State,
    is_down: [bool; KEYS],
    /// Bytes that were no key's.
    pub unknown: u64,
}

impl Default for Keyboard {
    fn default() -> Keyboard {
        Keyboard { state: State::Plain, is_down: [false; KEYS], unknown: 0 }
    }
}

impl Keyboard {
    /// The keyboard tells a byte: tells what that is about.
    pub fn byte(&mut self, byte: u8, mut tell: impl FnMut(Key)) {
        if OVERRUN.contains(&byte) {
            return self.lost(tell);
        }
        if ANSWERS.contains(&byte) {
            self.unknown += 1;
            return;
        }
        match core::mem::take(&mut self.state) {
            _ if byte == EXTENDED => self.state = State::Extended,
            _ if byte == PAUSE => self.state = State::Pause,
            State::Pause => self.state = State::PauseEnds,
            State::PauseEnds => self.key(KEY_PAUSE, byte & UP == 0, &mut tell),
            State::Extended => match extended(byte & !UP) {
                Some(code) => self.key(code, byte & UP == 0, &mut tell),
                None => self.unknown += 1,
            },
            State::Plain => match plain(byte & !UP) {
                Some(code) => self.key(code, byte & UP == 0, &mut tell),
                None => self.unknown += 1,
            },
        }
    }

    /// Something was lost: what is down, as far as is known, goes up.
    pub fn lost(&mut self, mut tell: impl FnMut(Key)) {
        self.state = State::Plain;
        for (code, is_down) in self.is_down.iter_mut().enumerate() {
            if core::mem::take(is_down) {
                tell(Key { code: code as u16, value: 0 });
            }
        }
    }

    fn key(&mut self, code: u16, down: bool, tell: &mut impl FnMut(Key)) {
        let Some(is_down) = self.is_down.get_mut(usize::from(code)) else { return };
        let was_down = core::mem::replace(is_down, down);
        match (was_down, down) {
            // It went down before somebody listened.
            (false, false) => {}
            (true, true) => tell(Key { code, value: 2 }),
            _ => tell(Key { code, value: i32::from(down) }),
        }
    }
}

/// Keys of a byte: evdev's numbers are those of set 1, up to F12.
fn plain(byte: u8) -> Option<u16> {
    match byte {
        0x54 => Some(99),
        0x01..=0x53 | 0x56..=0x58 => Some(byte.into()),
        0x59 => Some(117),
        0x70 => Some(93),
        0x73 => Some(89),
        0x79 => Some(92),
        0x7b => Some(94),
        0x7d => Some(124),
        _ => None,
    }
}

/// Keys of a byte behind [`EXTENDED`]. Shifts among them are the keyboard's own, for programs that know old keyboards only.
fn extended(byte: u8) -> Option<u16> {
    Some(match byte {
        0x10 => 165,
        0x19 => 163,
        0x1c => 96,
        0x1d => 97,
        0x20 => 113,
        0x22 => 164,
        0x24 => 166,
        0x2e => 114,
        0x30 => 115,
        0x35 => 98,
        0x37 => 99,
        0x38 => 100,
        0x46 => KEY_PAUSE,
        0x47 => 102,
        0x48 => 103,
        0x49 => 104,
        0x4b => 105,
        0x4d => 106,
        0x4f => 107,
        0x50 => 108,
        0x51 => 109,
        0x52 => 110,
        0x53 => 111,
        0x5b => 125,
        0x5c => 126,
        0x5d => 127,
        0x5e => 116,
        0x5f => 142,
        0x63 => 143,
        _ => return None,
    })
}

//! What a mouse tells, in packets of three bytes: buttons, signs and a bit that is always set; how far to the right; how far up. One
//! with a wheel has a fourth: how far that was turned, towards the user.

/// The bit of the first byte by which a packet is known to begin.
const BEGINS: u8 = 1 << 3;
/// Signs of the two distances, and that they were too far for a packet.
const SIGNS: [u8; 2] = [1 << 4, 1 << 5];
const TOO_FAR: [u8; 2] = [1 << 6, 1 << 7];
/// Bytes of a packet come one after the other; after such a pause a new one begins.
const PAUSE_NS: u64 = 500_000_000;

/// Buttons by the bits of the first byte: left, right, middle, by evdev's numbers.
pub const BUTTONS: [u16; 3] = [0x110, 0x111, 0x112];
/// Axes by evdev's numbers: right, down, and the wheel away from the user.
pub const X: u16 = 0;
/// See [`X`].
pub const Y: u16 = 1;
/// See [`X`].
pub const WHEEL: u16 = 8;

/// What happened.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Act {
    /// A button went down, or up.
    Button(u16, bool),
    /// It was moved along an axis, or the wheel was turned.
    Move(u16, i32),
}

/// What is known of a mouse.
#[derive(Clone, Debug, Default)]
pub struct Mouse {
    has_wheel: bool,
    packet: [u8; 4],
    /// Bytes of it that came, and when the last one did.
    count: usize,
    last: u64,
    buttons: u8,
    /// Bytes that were left out, since no packet begins with them or the rest of theirs did not come.
    pub unknown: u64,
}

impl Mouse {
    /// A mouse, perhaps with a wheel.
    pub fn new(has_wheel: bool) -> Mouse {
        Mouse { has_wheel, ..Mouse::default() }
    }

    /// Bytes of a packet.
    pub fn length(&self) -> usize {
        if self.has_wheel { 4 } else { 3 }
    }

    /// The mouse tells a byte: tells what a packet that is whole with it is about. Whether one is.
    pub fn byte(&mut self, now: u64, byte: u8, mut tell: impl FnMut(Act)) -> bool {
        if self.count > 0 && now.saturating_sub(self.last) > PAUSE_NS {
            self.lost();
        }
        if self.count == 0 && byte & BEGINS == 0 {
            self.unknown += 1;
            return false;
        }
        self.packet[self.count] = byte;
        (self.count, self.last) = (self.count + 1, now);
        if self.count < self.length() {
            return false;
        }
        self.count = 0;
        self.whole(&mut tell);
        true
    }

    /// Something was lost: the next byte begins a packet.
    pub fn lost(&mut self) {
        self.unknown += self.count as u64;
        self.count = 0;
    }

    fn whole(&mut self, tell: &mut impl FnMut(Act)) {
        let [head, right, up, turned] = self.packet;
        let buttons = head & 7;
        for (bit, code) in BUTTONS.into_iter().enumerate() {
            if (buttons ^ self.buttons) >> bit & 1 != 0 {
                tell(Act::Button(code, buttons >> bit & 1 != 0));
            }
        }
        self.buttons = buttons;
        // Nine bits each.
        let distance = |axis: usize, low: u8| match head & SIGNS[axis] {
            _ if head & TOO_FAR[axis] != 0 => 0,
            0 => i32::from(low),
            _ => i32::from(low) - 256,
        };
        let wheel = if self.has_wheel { -i32::from(turned.cast_signed()) } else { 0 };
        for (axis, value) in [(X, distance(0, right)), (Y, -distance(1, up)), (WHEEL, wheel)] {
            if value != 0 {
                tell(Act::Move(axis, value));
            }
        }
    }
}

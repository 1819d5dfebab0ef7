//! What a device tells, as readers get it: 16 bytes, little-endian.
//!
//! | bytes | what |
//! |---|---|
//! | 0 to 7 | monotonic time of the interrupt, ns |
//! | 8, 9 | kind: [`SYN`], [`KEY`], [`REL`], [`ABS`] |
//! | 10, 11 | code: which key, button or axis |
//! | 12 to 15 | value, signed: 1 pressed, 0 released, 2 repeated; a distance; a position |
//!
//! Kinds and codes are those of virtio input devices (Virtual I/O Device 1.2, 5.8), which are those of evdev: key 30 is A, button
//! 0x110 the left one, axes 0 and 1 are x and y. What happened at once ends with a record of kind [`SYN`], code [`REPORT`].

/// Bytes of a record.
pub const SIZE: usize = 16;

/// It ends what happened at once, or tells that records are missing.
pub const SYN: u16 = 0;
/// A key or a button.
pub const KEY: u16 = 1;
/// A movement.
pub const REL: u16 = 2;
/// A position.
pub const ABS: u16 = 3;

/// Code of [`SYN`]: the end of what happened at once.
pub const REPORT: u16 = 0;
/// Code of [`SYN`]: the reader was too slow, and what was told before this and not read is lost, the rest of what it had read in part
/// too. What follows is whole again.
pub const DROPPED: u16 = 3;

/// A record.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Record {
    /// Monotonic ns.
    pub time: u64,
    /// What it is about.
    pub kind: u16,
    /// Which one.
    pub code: u16,
    /// How much.
    pub value: i32,
}

impl Record {
    /// Whether what happened at once is whole with it.
    pub fn is_end(&self) -> bool {
        (self.kind, self.code) == (SYN, REPORT)
    }

    /// As bytes.
    pub fn to_bytes(self) -> [u8; SIZE] {
        let mut bytes = [0; SIZE];
        bytes[..8].copy_from_slice(&self.time.to_le_bytes());
        bytes[8..10].copy_from_slice(&self.kind.to_le_bytes());
        bytes[10..12].copy_from_slice(&self.code.to_le_bytes());
        bytes[12..].copy_from_slice(&self.value.to_le_bytes());
        bytes
    }

    /// From bytes.
    pub fn from_bytes(bytes: [u8; SIZE]) -> Record {
        let [t0, t1, t2, t3, t4, t5, t6, t7, k0, k1, c0, c1, v0, v1, v2, v3] = bytes;
        Record {
            time: u64::from_le_bytes([t0, t1, t2, t3, t4, t5, t6, t7]),
            kind: u16::from_le_bytes([k0, k1]),
            code: u16::from_le_bytes([c0, c1]),
            value: i32::from_le_bytes([v0, v1, v2, v3]),
        }
    }
}

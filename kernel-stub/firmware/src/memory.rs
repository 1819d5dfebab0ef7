//! Access to physical memory, and what can be wrong with what is found there.

use core::fmt;

/// Physical memory, as far as it may be read.
pub trait PhysicalMemory {
    /// Fills `buffer` from `address`. [`Error::OutOfRange`] when any byte of it is not readable memory.
    fn read(&self, address: u64, buffer: &mut [u8]) -> Result<(), Error>;
}

/// Why a table cannot be used. Addresses are those of the table.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Error {
    /// Points outside readable memory.
    OutOfRange {
        /// Where.
        address: u64,
        /// Bytes wanted.
        length: usize,
    },
    /// Does not begin with the magic number or signature of what was looked for.
    BadMagic {
        /// Where.
        address: u64,
    },
    /// The bytes of the table do not add up to 0.
    BadChecksum {
        /// Where.
        address: u64,
    },
    /// A length, count or version field is impossible.
    BadLength {
        /// Where.
        address: u64,
    },
    /// More entries than this system has room for.
    TooMany {
        /// Of what.
        what: &'static str,
    },
    /// There is no such table.
    Missing {
        /// Its name.
        what: &'static str,
    },
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Error::OutOfRange { address, length } => {
                write!(f, "{length} bytes at {address:#x} are not in readable memory")
            }
            Error::BadMagic { address } => write!(f, "no table of the expected kind at {address:#x}"),
            Error::BadChecksum { address } => write!(f, "the table at {address:#x} has a wrong checksum"),
            Error::BadLength { address } => write!(f, "the table at {address:#x} has an impossible length"),
            Error::TooMany { what } => write!(f, "more {what} than there is room for"),
            Error::Missing { what } => write!(f, "the firmware gave no {what}"),
        }
    }
}

/// Reads an array of `N` bytes.
pub(crate) fn bytes<const N: usize>(memory: &impl PhysicalMemory, address: u64) -> Result<[u8; N], Error> {
    let mut buffer = [0; N];
    memory.read(address, &mut buffer)?;
    Ok(buffer)
}

/// `address + offset`, which a hostile table could make wrap.
pub(crate) fn offset(address: u64, offset: u64) -> Result<u64, Error> {
    address.checked_add(offset).ok_or(Error::OutOfRange { address, length: 0 })
}

/// Little-endian field of an array; the field is inside it by construction at every use.
pub(crate) fn u32_at<const N: usize>(bytes: &[u8; N], at: usize) -> u32 {
    let mut field = [0; 4];
    field.copy_from_slice(&bytes[at..at + 4]);
    u32::from_le_bytes(field)
}

/// Little-endian field of an array; the field is inside it by construction at every use.
pub(crate) fn u64_at<const N: usize>(bytes: &[u8; N], at: usize) -> u64 {
    let mut field = [0; 8];
    field.copy_from_slice(&bytes[at..at + 8]);
    u64::from_le_bytes(field)
}

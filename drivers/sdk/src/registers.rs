//! Registers of devices and memory that they share, as a driver's logic sees both: by offset and width.
//!
//! The logic is generic over these traits, so that a model of the device stands behind it in tests. What lies outside of the
//! window, or across a boundary of its own width, reads as all ones and is not written: as where there is no device.

/// A width of access: `u8`, `u16`, `u32` or `u64`. Little-endian, as PCI and this processor are.
pub trait Word: Copy + sealed::Sealed {
    /// Bytes.
    const SIZE: usize;
    /// All bits set: what nobody answers.
    const ONES: Self;
    /// In the low bits.
    fn to_bits(self) -> u64;
    /// From the low bits.
    fn from_bits(bits: u64) -> Self;
}

mod sealed {
    pub trait Sealed {}
}

macro_rules! words {
    ($($word:ty)*) => {$(
        impl sealed::Sealed for $word {}
        impl Word for $word {
            const SIZE: usize = size_of::<$word>();
            const ONES: Self = <$word>::MAX;
            fn to_bits(self) -> u64 {
                self as u64
            }
            fn from_bits(bits: u64) -> Self {
                bits as $word
            }
        }
    )*};
}

words!(u8 u16 u32 u64);

/// Registers, or memory that the device changes. Each call is one access of that width, in program order.
pub trait Registers {
    /// Reads at an offset.
    fn read<W: Word>(&self, offset: usize) -> W;
    /// Writes at an offset.
    fn write<W: Word>(&self, offset: usize, value: W);
    /// Bytes.
    fn length(&self) -> usize;
}

/// Memory that a device reads and writes by itself. Whole buffers are copied in and out: no reference into it exists, and what
/// the device does meanwhile can make bytes wrong, but nothing else.
pub trait SharedMemory: Registers {
    /// Address of the first byte as the device knows it; the rest follows.
    fn address(&self) -> u64;
    /// Copies bytes in; what does not fit is left out.
    fn copy_in(&self, offset: usize, bytes: &[u8]);
    /// Copies bytes out; what is outside reads as all ones.
    fn copy_out(&self, offset: usize, bytes: &mut [u8]);
}

/// Whether an access is inside and does not cross a boundary of its width.
pub const fn fits(offset: usize, size: usize, length: usize) -> bool {
    offset.is_multiple_of(size) && size <= length && offset <= length - size
}

//! Why a file is not a program.

use core::fmt;

use abi::memory::{USER_END, USER_FIRST};

/// Why a file is not a program that can be loaded. `index` is the number of a program header.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Error {
    /// Shorter than an ELF header: this many bytes.
    Truncated(u64),
    /// Not an ELF file: its first bytes.
    Magic([u8; 4]),
    /// Not 64-bit, little-endian, version 1: `e_ident[EI_CLASS]`, `[EI_DATA]` and `[EI_VERSION]`.
    Format {
        /// 2 is 64-bit.
        class: u8,
        /// 1 is little-endian.
        order: u8,
        /// 1 is current.
        version: u8,
    },
    /// `e_type` is not `ET_EXEC`.
    Type(u16),
    /// `e_machine` is not `EM_X86_64`.
    Machine(u16),
    /// `e_phentsize` is not 56.
    HeaderSize(u16),
    /// The program headers are not within the file.
    HeaderTable {
        /// `e_phoff`.
        offset: u64,
        /// `e_phnum`.
        count: u16,
    },
    /// It wants a dynamic linker, relocation or thread-local storage.
    NotStatic {
        /// Program header.
        index: u16,
        /// `p_type`.
        kind: u32,
    },
    /// `p_filesz` is more than `p_memsz`.
    LargerInFile {
        /// Program header.
        index: u16,
        /// `p_filesz`.
        length: u64,
        /// `p_memsz`.
        size: u64,
    },
    /// The segment's bytes are not within the file.
    Data {
        /// Program header.
        index: u16,
        /// `p_offset`.
        offset: u64,
        /// `p_filesz`.
        length: u64,
    },
    /// `p_align` is not a power of two, or `p_vaddr` and `p_offset` differ modulo it.
    Alignment {
        /// Program header.
        index: u16,
        /// `p_align`.
        alignment: u64,
        /// `p_offset`.
        offset: u64,
        /// `p_vaddr`.
        address: u64,
    },
    /// The segment is not within the addresses of programs.
    Address {
        /// Program header.
        index: u16,
        /// `p_vaddr`.
        address: u64,
        /// `p_memsz`.
        size: u64,
    },
    /// A segment that is writable and executable.
    WritableCode {
        /// Program header.
        index: u16,
        /// `p_vaddr`.
        address: u64,
    },
    /// A segment that begins in or before the last page of the segment before.
    SharedPage {
        /// Program header.
        index: u16,
        /// `p_vaddr`.
        address: u64,
    },
    /// `e_entry` is in no executable segment.
    Entry(u64),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Error::Truncated(found) => write!(f, "not a program: {found} bytes, an ELF header has 64"),
            Error::Magic(found) => {
                write!(f, "not a program: it begins with \"{}\", ELF with \"\\x7fELF\"", found.escape_ascii())
            }
            Error::Format { class, order, version } => write!(
                f,
                "ELF class {class}, byte order {order}, version {version}; expected 2, 1, 1 (64-bit little-endian)"
            ),
            Error::Type(found) => write!(f, "ELF type {found}, expected 2 (static, at a fixed address)"),
            Error::Machine(found) => write!(f, "ELF machine {found}, expected 62 (x86-64)"),
            Error::HeaderSize(found) => write!(f, "program headers of {found} bytes, expected 56"),
            Error::HeaderTable { offset, count } => {
                write!(f, "{count} program headers at {offset:#x} are not within the file")
            }
            Error::NotStatic { index, kind } => {
                let what = match kind {
                    2 => "PT_DYNAMIC",
                    3 => "PT_INTERP",
                    7 => "PT_TLS",
                    _ => "unknown",
                };
                write!(f, "program header {index} is {what}; only static programs without PT_TLS are loaded")
            }
            Error::LargerInFile { index, length, size } => {
                write!(f, "segment {index} has {length:#x} bytes in the file and {size:#x} in memory")
            }
            Error::Data { index, offset, length } => {
                write!(f, "segment {index}, {length:#x} bytes at {offset:#x}, is not within the file")
            }
            Error::Alignment { index, alignment, offset, address } => write!(
                f,
                "segment {index}: address {address:#x} and offset {offset:#x} do not agree modulo {alignment:#x}"
            ),
            Error::Address { index, address, size } => write!(
                f,
                "segment {index}, {size:#x} bytes at {address:#x}, is not within {USER_FIRST:#x} to {USER_END:#x}"
            ),
            Error::WritableCode { index, address } => {
                write!(f, "segment {index} at {address:#x} is writable and executable")
            }
            Error::SharedPage { index, address } => {
                write!(
                    f,
                    "segment {index} at {address:#x} does not begin on a page after the segment before it"
                )
            }
            Error::Entry(address) => write!(f, "entry {address:#x} is in no executable segment"),
        }
    }
}

impl core::error::Error for Error {}

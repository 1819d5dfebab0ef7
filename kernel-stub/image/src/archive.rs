//! The boot archive: files that are loaded with the kernel.
//!
//! Little-endian, version 1:
//!
//! | offset | size | |
//! |---|---|---|
//! | 0 | 8 | [`MAGIC`] |
//! | 8 | 4 | [`VERSION`] |
//! | 12 | 4 | number of files |
//! | 16 | 8 | length of the whole archive |
//! | 24 | 4 | CRC-32 of the table |
//! | 28 | 4 | CRC-32 of bytes 0 to 27 |
//! | 32 | 256 each | the table |
//!
//! A line of the table is the path (232 bytes, padded with zeros), offset (8), length (8), CRC-32 of the file (4) and four
//! zeros. Lines are in ascending order of their paths' bytes: no path occurs twice, and finding one is a binary search.
//! Files begin at page boundaries and follow each other, so that a file can be mapped without its neighbours' bytes
//! when the archive is page-aligned in memory.
//!
//! There is no file that many tools can unpack here because those formats (cpio, tar) have variants, no checksums and
//! files at odd offsets; three fixed structures are less to get wrong in the first bytes that a kernel reads.

use core::{cmp::Ordering, fmt, str};

use abi::memory::PAGE;

use crate::{
    bytes::{array, range, u32_at, u64_at},
    crc::crc32,
};

/// First bytes of an archive.
pub const MAGIC: [u8; 8] = *b"kqboot\r\n";
/// Version of the format.
pub const VERSION: u32 = 1;
/// Bytes in a path.
pub const PATH: usize = 232;

pub(crate) const HEADER: usize = 32;
pub(crate) const LINE: usize = 256;

/// Why bytes are not an archive.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Error {
    /// Fewer bytes than a header, the table or the archive needs.
    Truncated {
        /// Bytes that are needed.
        needed: u64,
        /// Bytes that are there.
        found: u64,
    },
    /// Not an archive.
    Magic([u8; 8]),
    /// Another version of the format.
    Version(u32),
    /// The header is damaged.
    HeaderChecksum {
        /// What the header says.
        stored: u32,
        /// What its bytes give.
        computed: u32,
    },
    /// The table is damaged.
    TableChecksum {
        /// What the header says.
        stored: u32,
        /// What its bytes give.
        computed: u32,
    },
    /// A path is not one: see [`is_path`].
    Path {
        /// Line of the table.
        index: u32,
    },
    /// A path does not come after the one before.
    Order {
        /// Line of the table.
        index: u32,
    },
    /// A file that begins off a page boundary, within the one before, or ends beyond the archive.
    Place {
        /// Line of the table.
        index: u32,
        /// Its offset.
        offset: u64,
        /// Its length.
        length: u64,
    },
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Truncated { needed, found } => {
                write!(f, "archive cut short: {found} bytes of {needed}")
            }
            Error::Magic(found) => {
                write!(f, "not a boot archive: it begins with \"{}\"", found.escape_ascii())
            }
            Error::Version(found) => write!(f, "archive of version {found}, expected {VERSION}"),
            Error::HeaderChecksum { stored, computed } => {
                write!(f, "archive header damaged: checksum {computed:#010x}, expected {stored:#010x}")
            }
            Error::TableChecksum { stored, computed } => {
                write!(f, "archive table damaged: checksum {computed:#010x}, expected {stored:#010x}")
            }
            Error::Path { index } => write!(f, "file {index} of the archive has no valid path"),
            Error::Order { index } => {
                write!(f, "file {index} of the archive does not come after the one before it")
            }
            Error::Place { index, offset, length } => write!(
                f,
                "file {index} of the archive, {length} bytes at {offset:#x}, is not within it on a page of its own"
            ),
        }
    }
}

impl core::error::Error for Error {}

/// A file's bytes are not those that were put into the archive.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Damaged {
    /// What the table says.
    pub stored: u32,
    /// What the bytes give.
    pub computed: u32,
}

impl fmt::Display for Damaged {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "file damaged: checksum {:#010x}, expected {:#010x}", self.computed, self.stored)
    }
}

impl core::error::Error for Damaged {}

/// Whether `path` may name a file: 1 to [`PATH`] bytes, parts separated by single slashes, none empty, `.` or `..`, no
/// control characters.
pub fn is_path(path: &str) -> bool {
    path.len() <= PATH
        && !path.chars().any(char::is_control)
        && path.split('/').all(|part| !matches!(part, "" | "." | ".."))
}

/// An archive whose header and table have been checked.
#[derive(Clone, Copy)]
pub struct Archive<'a> {
    bytes: &'a [u8],
    table: &'a [u8],
}

/// A file of an [`Archive`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct File<'a> {
    /// Its path.
    pub path: &'a str,
    /// Its bytes, not checked yet: see [`File::verify`].
    pub data: &'a [u8],
    /// Where it is in the archive: a multiple of [`PAGE`].
    pub offset: u64,
    /// CRC-32 of its bytes.
    pub checksum: u32,
}

impl<'a> Archive<'a> {
    /// Checks the header and the table of the archive at the beginning of `bytes` (which may be longer, as memory that
    /// is handed out in pages is). Files are checked one by one, by [`File::verify`].
    pub fn parse(bytes: &'a [u8]) -> Result<Archive<'a>, Error> {
        let truncated = |needed: u64| Error::Truncated { needed, found: bytes.len() as u64 };
        let header = bytes.get(..HEADER).ok_or(truncated(HEADER as u64))?;
        let magic = array(header, 0).unwrap_or_default();
        if magic != MAGIC {
            return Err(Error::Magic(magic));
        }
        let word = |offset| u32_at(header, offset).unwrap_or_default();
        if word(8) != VERSION {
            return Err(Error::Version(word(8)));
        }
        let (stored, computed) = (word(28), crc32(&header[..28]));
        if stored != computed {
            return Err(Error::HeaderChecksum { stored, computed });
        }
        let length = u64_at(header, 16).unwrap_or_default();
        let table_end = HEADER as u64 + u64::from(word(12)) * LINE as u64;
        let bytes = range(bytes, 0, length.max(table_end)).ok_or(truncated(length.max(table_end)))?;
        let table = &bytes[HEADER..table_end as usize];
        let (stored, computed) = (word(24), crc32(table));
        if stored != computed {
            return Err(Error::TableChecksum { stored, computed });
        }
        let archive = Archive { bytes, table };
        archive.check_files(table_end)?;
        Ok(archive)
    }

    fn check_files(&self, table_end: u64) -> Result<(), Error> {
        let mut free = table_end;
        let mut before = "";
        for (index, line) in (0..).zip(self.table.chunks_exact(LINE)) {
            let file = self.file(line, index)?;
            if file.path <= before {
                return Err(Error::Order { index });
            }
            if file.offset < free {
                let (offset, length) = (file.offset, file.data.len() as u64);
                return Err(Error::Place { index, offset, length });
            }
            before = file.path;
            free = file.offset + file.data.len() as u64;
        }
        Ok(())
    }

    fn file(&self, line: &'a [u8], index: u32) -> Result<File<'a>, Error> {
        let (offset, length) =
            (u64_at(line, PATH).unwrap_or_default(), u64_at(line, PATH + 8).unwrap_or_default());
        let path = path_of(line).ok_or(Error::Path { index })?;
        let place = Error::Place { index, offset, length };
        let data = range(self.bytes, offset, length).ok_or(place)?;
        if offset % PAGE != 0 {
            return Err(place);
        }
        Ok(File { path, data, offset, checksum: u32_at(line, PATH + 16).unwrap_or_default() })
    }

    /// The files in order of their paths.
    pub fn files(&self) -> impl Iterator<Item = File<'a>> + '_ {
        // The lines have been checked: none is left out.
        (0..).zip(self.table.chunks_exact(LINE)).filter_map(|(index, line)| self.file(line, index).ok())
    }

    /// Number of files.
    pub fn len(&self) -> usize {
        self.table.len() / LINE
    }

    /// Whether it has no files.
    pub fn is_empty(&self) -> bool {
        self.table.is_empty()
    }

    /// The file of this path.
    pub fn find(&self, path: &str) -> Option<File<'a>> {
        let line = |index: usize| self.table.chunks_exact(LINE).nth(index);
        let (mut low, mut high) = (0, self.len());
        while low < high {
            let middle = low + (high - low) / 2;
            let file = self.file(line(middle)?, middle as u32).ok()?;
            match file.path.cmp(path) {
                Ordering::Equal => return Some(file),
                Ordering::Less => low = middle + 1,
                Ordering::Greater => high = middle,
            }
        }
        None
    }
}

impl fmt::Debug for Archive<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.files().map(|file| file.path)).finish()
    }
}

impl File<'_> {
    /// Checks the file's bytes.
    pub fn verify(&self) -> Result<(), Damaged> {
        let computed = crc32(self.data);
        if computed == self.checksum { Ok(()) } else { Err(Damaged { stored: self.checksum, computed }) }
    }
}

/// The path of a line, if it is one and the bytes after it are zero.
fn path_of(line: &[u8]) -> Option<&str> {
    let field = line.get(..PATH)?;
    let length = field.iter().position(|&byte| byte == 0).unwrap_or(PATH);
    let (path, padding) = field.split_at(length);
    let path = str::from_utf8(path).ok()?;
    (is_path(path) && padding.iter().all(|&byte| byte == 0)).then_some(path)
}

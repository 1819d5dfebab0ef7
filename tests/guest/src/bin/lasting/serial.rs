//! A driver whose files count: they make serial numbers and have them taken, and go on where they were.
//!
//! All that is asked of it may be asked again with the same end: numbers are made up to a number, and taken up to one.

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::String;

use abi::error::{EAGAIN, EBADF, EINVAL, ENOENT, Error, Result};
use abi::limits::FOREVER;
use abi::{Message, Tag};
use driver_sdk::{Context, Direction, Driver, FileId, Filters, Kind, Level, Opening, Setup, Taken};
use rt::sys::Endpoint;

/// Make numbers up to this one.
pub const MAKE: u8 = b'M';
/// Numbers up to this one are taken.
pub const TAKE: u8 = b'T';
/// Never come round again.
pub const SPIN: u8 = b'H';
/// Call somebody who never answers.
pub const CALL: u8 = b'C';
/// Work for so many nanoseconds.
pub const WORK: u8 = b'S';
/// Bytes of what is asked: one of these, and the number.
pub const ASKED: usize = 9;
/// Bytes of a number.
pub const NUMBER: usize = 8;

/// What its files can be watched for.
const FILTERS: Filters = Filters::READ.union(Filters::WRITE);

/// Numbers of a file, from the first that is not taken to the first that is not made.
#[derive(Clone, Copy, Default)]
struct Marks {
    made: u32,
    taken: u32,
}

impl Marks {
    fn word(self) -> u64 {
        u64::from(self.made) << 32 | u64::from(self.taken)
    }

    fn of(word: u64) -> Marks {
        Marks { made: (word >> 32) as u32, taken: word as u32 }
    }

    fn level(self) -> Level {
        Level::new(i64::from(self.made - self.taken))
    }
}

struct Serial {
    path: String,
    files: BTreeMap<FileId, Marks>,
}

/// The driver's process.
pub fn run(start: &rt::Start, service: &str) -> i32 {
    let setup = Setup { service, filters: FILTERS, sources: 1024, interrupt: None };
    driver_sdk::run(start, setup, Ok(Serial { path: format!("/dev/{service}"), files: BTreeMap::new() }))
}

fn opening(marks: Marks) -> Opening {
    Opening::new(Kind::Device, FILTERS)
        .seekable()
        .readable(marks.level())
        .writable(Level::new(ASKED as i64))
        .keeping(marks.word())
}

impl Driver for Serial {
    const DURABLE: bool = true;

    fn open(&mut self, _: &mut Context<'_>, file: FileId, path: &str, _: u64) -> Result<Opening> {
        if path != self.path {
            return Err(Error::new(ENOENT));
        }
        self.files.insert(file, Marks::default());
        Ok(opening(Marks::default()))
    }

    fn restore(
        &mut self,
        _: &mut Context<'_>,
        file: FileId,
        path: &str,
        _: u64,
        kept: u64,
    ) -> Result<Opening> {
        if path != self.path {
            return Err(Error::new(ENOENT));
        }
        self.files.insert(file, Marks::of(kept));
        Ok(opening(Marks::of(kept)))
    }

    fn close(&mut self, _: &mut Context<'_>, file: FileId) {
        self.files.remove(&file);
    }

    /// The number of the position, or else the first that is not taken.
    fn read(
        &mut self,
        _: &mut Context<'_>,
        file: FileId,
        buffer: &mut [u8],
        offset: Option<u64>,
    ) -> Result<Taken> {
        let marks = *self.files.get(&file).ok_or(Error::new(EBADF))?;
        let number = offset.unwrap_or(marks.taken.into());
        let place = buffer.get_mut(..NUMBER).ok_or(Error::new(EINVAL))?;
        if number >= u64::from(marks.made) {
            return Err(Error::new(EAGAIN));
        }
        place.copy_from_slice(&number.to_le_bytes());
        Ok(Taken { count: NUMBER, arrival: 0 })
    }

    fn write(
        &mut self,
        context: &mut Context<'_>,
        file: FileId,
        bytes: &[u8],
        _: Option<u64>,
    ) -> Result<usize> {
        let marks = self.files.get_mut(&file).ok_or(Error::new(EBADF))?;
        let Some((&what, number)) = bytes.split_first() else { return Err(Error::new(EINVAL)) };
        let number = u64::from_le_bytes(number.try_into().map_err(|_| Error::new(EINVAL))?);
        let before = *marks;
        match what {
            MAKE => marks.made = marks.made.max(number as u32),
            TAKE => marks.taken = marks.taken.max(number as u32).min(marks.made),
            SPIN => loop {
                core::hint::spin_loop();
            },
            CALL => _ = Endpoint::create()?.call(Message { tag: Tag::words(1), words: [0; 4] }, FOREVER),
            WORK => {
                let end = rt::clock::after(number);
                while rt::clock::now_ns() < end {
                    core::hint::spin_loop();
                }
            }
            _ => return Err(Error::new(EINVAL)),
        }
        let marks = *marks;
        if marks.word() != before.word() {
            context.keep(file, marks.word());
            context.publish(file, Direction::Read, marks.level(), marks.made != before.made);
        }
        Ok(bytes.len())
    }
}

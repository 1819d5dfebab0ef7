//! A driver that does what is written to it: hang, or nothing.

use abi::error::{EINVAL, ENOENT, Error, Result};
use abi::limits::FOREVER;
use abi::{Message, Tag};
use driver_sdk::{Context, Driver, FileId, Filters, Kind, Level, Opening, Setup, Taken};
use rt::sys::Endpoint;

/// Its name.
pub const NAME: &str = "knot";
/// Its only path.
pub const PATH: &str = "/dev/knot";

/// Nothing.
pub const NOTHING: &[u8] = b"n";
/// Go round for ever.
pub const SPIN: &[u8] = b"s";
/// Call somebody who never answers.
pub const CALL: &[u8] = b"c";

struct Knot;

/// The driver's process.
pub fn run(start: &rt::Start) -> i32 {
    let setup = Setup { service: NAME, filters: Filters::WRITE, sources: 64, interrupt: None };
    driver_sdk::run(start, setup, Ok(Knot))
}

impl Driver for Knot {
    fn open(&mut self, _: &mut Context<'_>, _: FileId, path: &str, _: u64) -> Result<Opening> {
        match path {
            PATH => Ok(Opening::new(Kind::Device, Filters::WRITE).writable(Level::new(1))),
            _ => Err(Error::new(ENOENT)),
        }
    }

    fn close(&mut self, _: &mut Context<'_>, _: FileId) {}

    fn read(&mut self, _: &mut Context<'_>, _: FileId, _: &mut [u8], _: Option<u64>) -> Result<Taken> {
        Err(Error::new(EINVAL))
    }

    fn write(&mut self, _: &mut Context<'_>, _: FileId, bytes: &[u8], _: Option<u64>) -> Result<usize> {
        match bytes {
            NOTHING => Ok(bytes.len()),
            SPIN => loop {
                core::hint::spin_loop();
            },
            CALL => {
                Endpoint::create()?.call(Message { tag: Tag::words(1), words: [0; 4] }, FOREVER)?;
                Ok(bytes.len())
            }
            _ => Err(Error::new(EINVAL)),
        }
    }
}

//! A driver that does whatever drivers do at their worst, when it is told to: it blocks, errs, publishes nonsense, loses its
//! device, dies.
//!
//! `/dev/odd/desk` takes the orders, one byte each. `/dev/odd/mouse` is a device that can be unplugged; what is
//! written to one mouse is read from it.

use abi::error::{EBUSY, EINVAL, EIO, ENODEV, Error, Result};
use driver_sdk::{
    Context, Direction, Driver, FileId, Filters, Kind, Level, LevelFlags, Opening, Setup, Taken,
};
use guest_tests::loopback::{self, Loopback};
use guest_tests::random::Random;

pub const DESK: &str = "/dev/odd/desk";
pub const MOUSE: &str = "/dev/odd/mouse";
/// Always busy.
pub const BUSY: &str = "/dev/odd/busy";

/// Orders.
pub mod order {
    /// The mouse is pulled out.
    pub const UNPLUG: u8 = b'u';
    /// It is there again.
    pub const PLUG: u8 = b'p';
    /// Every mouse moves a million times, and nobody looks.
    pub const STORM: u8 = b's';
    /// Levels, counts and bits that mean nothing, and then silence.
    pub const NONSENSE: u8 = b'n';
    /// An error on every mouse.
    pub const ERROR: u8 = b'e';
    /// No more than that.
    pub const MEND: u8 = b'm';
    /// The driver never answers anything again.
    pub const BLOCK: u8 = b'b';
}

/// Movements of [`order::STORM`].
pub const STORM: i64 = 1_000_000;
/// Of these, the server hears of one in so many.
const HEARD: i64 = 2_000;

/// Runs it.
pub fn run(start: &rt::Start) -> i32 {
    let filters = Filters::READ | Filters::WRITE | Filters::EXCEPT;
    let setup = Setup { service: "odd", filters, sources: 256, interrupt: None };
    driver_sdk::run(start, setup, Ok(Odd { mice: Loopback::new(MOUSE), plugged: true }))
}

struct Odd {
    mice: Loopback,
    plugged: bool,
}

impl Odd {
    fn obey(&mut self, context: &mut Context<'_>, order: u8) -> Result<()> {
        let mice = self.mice.files();
        match order {
            order::UNPLUG => {
                self.plugged = false;
                mice.iter().for_each(|&file| context.retire(file, ENODEV));
            }
            order::PLUG => self.plugged = true,
            order::STORM => {
                for movement in 1..=STORM {
                    for &file in &mice {
                        context.publish(file, Direction::Read, Level::new(movement), true);
                    }
                    if movement % HEARD == 0 {
                        // The event server, which is below, looks now and then.
                        rt::thread::sleep(1_000);
                    }
                }
            }
            order::NONSENSE => nonsense(context, &mice),
            order::ERROR => {
                for &file in &mice {
                    context.set_error(file, EIO);
                    context.publish(file, Direction::Read, Level::new(0).with(LevelFlags::ERROR), true);
                }
            }
            order::MEND => {
                mice.iter().for_each(|&file| context.set_error(file, 0));
                self.mice.publish_all(context);
            }
            order::BLOCK => rt::thread::sleep(u64::MAX),
            _ => return Err(Error::new(EINVAL)),
        }
        Ok(())
    }
}

fn nonsense(context: &mut Context<'_>, mice: &[FileId]) {
    let mut random = Random::new(56);
    for _ in 0..500 {
        for &file in mice {
            let direction = *random.pick(&[Direction::Read, Direction::Write]);
            let flags = LevelFlags::from_bits_truncate(random.draw() as u16).difference(LevelFlags::GONE);
            let any = random.draw() as i64;
            let amount = *random.pick(&[i64::MIN, -1, 0, 1, i64::MAX, any]);
            context.set_error(file, random.draw() as i32);
            context.publish(file, direction, Level { amount, flags }, random.below(2) == 0);
            context.post(file, random.draw());
            context.note(file, random.draw() as u32, random.draw() as u32);
        }
    }
}

impl Driver for Odd {
    fn open(&mut self, context: &mut Context<'_>, file: FileId, path: &str, flags: u64) -> Result<Opening> {
        match path {
            DESK => Ok(Opening::new(Kind::Device, Filters::empty())),
            MOUSE if !self.plugged => Err(Error::new(ENODEV)),
            BUSY => Err(Error::new(EBUSY)),
            _ => {
                self.mice.open(context, file, path, flags)?;
                Ok(loopback::opening(Filters::EXCEPT))
            }
        }
    }

    fn close(&mut self, context: &mut Context<'_>, file: FileId) {
        self.mice.close(context, file);
    }

    fn read(
        &mut self,
        context: &mut Context<'_>,
        file: FileId,
        buffer: &mut [u8],
        offset: Option<u64>,
    ) -> Result<Taken> {
        if !self.plugged {
            return Err(Error::new(ENODEV));
        }
        self.mice.read(context, file, buffer, offset)
    }

    fn unread(&mut self, context: &mut Context<'_>, file: FileId, taken: &[u8]) {
        self.mice.unread(context, file, taken);
    }

    fn write(
        &mut self,
        context: &mut Context<'_>,
        file: FileId,
        bytes: &[u8],
        offset: Option<u64>,
    ) -> Result<usize> {
        if !self.mice.has(file) {
            bytes.iter().try_for_each(|&byte| self.obey(context, byte))?;
            return Ok(bytes.len());
        }
        if !self.plugged {
            return Err(Error::new(ENODEV));
        }
        self.mice.write(context, file, bytes, offset)
    }
}

//! A driver that does whatever drivers do at their worst, when it is told to: it blocks, errs, publishes nonsense, loses its
//! device, dies.
//!
//! `/dev/odd/desk` takes the orders, one byte each. `/dev/odd/mouse` is a device that can be unplugged; what is
//! written to one mouse is read from it.

use alloc::vec::Vec;

use abi::error::{EAGAIN, EBUSY, EINVAL, EIO, ENODEV, ENOENT, Error, Result};
use driver_sdk::{
    Context, Direction, Driver, FileId, Filters, Kind, Level, LevelFlags, Opening, Setup, Taken,
};
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
    driver_sdk::run(start, setup, Ok(Odd { mice: Vec::new(), plugged: true }))
}

struct Odd {
    /// Mice and what can be read from each.
    mice: Vec<(FileId, i64)>,
    plugged: bool,
}

impl Odd {
    fn mouse(&mut self, file: FileId) -> Option<&mut i64> {
        self.mice.iter_mut().find(|(known, _)| *known == file).map(|(_, waiting)| waiting)
    }

    fn obey(&mut self, context: &mut Context<'_>, order: u8) -> Result<()> {
        let mice: Vec<FileId> = self.mice.iter().map(|(file, _)| *file).collect();
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
                for &file in &mice {
                    context.set_error(file, 0);
                    context.publish(file, Direction::Read, Level::new(0), false);
                    context.publish(file, Direction::Write, Level::new(1), false);
                }
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
    fn open(&mut self, _: &mut Context<'_>, file: FileId, path: &str, _: u64) -> Result<Opening> {
        let filters = match path {
            DESK => Filters::empty(),
            MOUSE if self.plugged => {
                self.mice.push((file, 0));
                Filters::READ | Filters::WRITE | Filters::EXCEPT
            }
            MOUSE => return Err(Error::new(ENODEV)),
            BUSY => return Err(Error::new(EBUSY)),
            _ => return Err(Error::new(ENOENT)),
        };
        let room = if path == MOUSE { 1 } else { 0 };
        Ok(Opening::new(Kind::Device, filters).writable(Level::new(room)))
    }

    fn close(&mut self, _: &mut Context<'_>, file: FileId) {
        self.mice.retain(|(known, _)| *known != file);
    }

    fn read(
        &mut self,
        context: &mut Context<'_>,
        file: FileId,
        buffer: &mut [u8],
        _: Option<u64>,
    ) -> Result<Taken> {
        if !self.plugged {
            return Err(Error::new(ENODEV));
        }
        let waiting = self.mouse(file).ok_or(Error::new(EINVAL))?;
        let count = buffer.len().min(*waiting as usize);
        if count == 0 {
            return Err(Error::new(EAGAIN));
        }
        *waiting -= count as i64;
        let left = *waiting;
        buffer[..count].fill(b'm');
        context.publish(file, Direction::Read, Level::new(left), false);
        Ok(Taken { count, arrival: 0 })
    }

    fn write(
        &mut self,
        context: &mut Context<'_>,
        file: FileId,
        bytes: &[u8],
        _: Option<u64>,
    ) -> Result<usize> {
        let Some(waiting) = self.mouse(file) else {
            bytes.iter().try_for_each(|&byte| self.obey(context, byte))?;
            return Ok(bytes.len());
        };
        *waiting += bytes.len() as i64;
        let waiting = *waiting;
        if !self.plugged {
            return Err(Error::new(ENODEV));
        }
        context.publish(file, Direction::Read, Level::new(waiting), true);
        Ok(bytes.len())
    }
}

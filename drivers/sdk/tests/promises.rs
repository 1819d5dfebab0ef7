//! What a driver cannot get wrong: it forgets, lies, or speaks when it has nothing to say.

mod fake;

use abi::error::{EAGAIN, ENODEV, Error, Result};
use abi::flag::O_RDWR;
use driver_sdk::{
    Context, Control, Direction, Driver, FileId, Filters, Kind, Level, LevelFlags, Opening, Taken,
};
use fake::{Bench, Got};

/// Its files are unplugged by a `g`, all of them; a `w` publishes for all files that it ever knew, an `l` says that they are
/// gone, and nothing else does anything.
#[derive(Default)]
struct Careless {
    files: Vec<FileId>,
    closed: Vec<FileId>,
    reads: usize,
    /// Reads unplug their file and say that they wait.
    unplugs: bool,
    /// Reads say that something came, and that there is nothing.
    chatters: bool,
    /// Says of writes that so much was taken.
    claims: usize,
}

impl Driver for Careless {
    fn open(&mut self, context: &mut Context<'_>, file: FileId, _: &str, _: u64) -> Result<Opening> {
        // Too early: nobody hears it.
        context.publish(file, Direction::Read, Level::new(99), true);
        self.files.push(file);
        let opening = Opening::new(Kind::Device, Filters::READ | Filters::WRITE);
        Ok(opening.readable(Level::new(3)).writable(Level::new(7).with(LevelFlags::HANGUP)))
    }

    fn close(&mut self, _: &mut Context<'_>, file: FileId) {
        self.closed.push(file);
    }

    fn read(
        &mut self,
        context: &mut Context<'_>,
        file: FileId,
        _: &mut [u8],
        _: Option<u64>,
    ) -> Result<Taken> {
        self.reads += 1;
        if self.unplugs {
            context.retire(file, ENODEV);
        }
        if self.chatters {
            context.publish(file, Direction::Read, Level::new(0), true);
        }
        Err(Error::new(EAGAIN))
    }

    fn write(&mut self, context: &mut Context<'_>, _: FileId, bytes: &[u8], _: Option<u64>) -> Result<usize> {
        match bytes {
            b"l" => self.files.iter().for_each(|&file| {
                let gone = Level::new(2).with(LevelFlags::GONE);
                context.publish(file, Direction::Read, gone, true);
                context.publish_both(file, [(gone, true); 2]);
            }),
            b"g" => self.files.iter().for_each(|&file| context.retire(file, ENODEV)),
            b"w" => self.files.iter().for_each(|&file| {
                context.publish(file, Direction::Read, Level::new(1), true);
                context.publish_both(file, [(Level::new(1), true); 2]);
                context.post(file, 1);
                context.note(file, 1, 1);
                context.set_error(file, 5);
            }),
            _ => {}
        }
        Ok(bytes.len() + self.claims)
    }
}

fn bench(driver: Careless) -> (Bench<Careless>, FileId) {
    let mut bench = Bench::new(driver);
    let file = bench.open("/any", O_RDWR, 1).unwrap();
    (bench, file)
}

#[test]
fn a_file_begins_with_the_levels_that_it_was_opened_with() {
    let (mut bench, file) = bench(Careless::default());
    let source = bench.source(file);
    assert_eq!(source.read, Level::new(3));
    assert_eq!(source.write, Level::new(7).with(LevelFlags::HANGUP));
    assert_eq!((source.arrivals, source.changes), (2, 2), "each is news, and what came too early is none");
    assert_eq!(bench.link().at_last_reply[&file].read, Level::new(3), "before the reply");
    let other = bench.watch(file, 2).unwrap();
    assert_eq!(bench.made(other).read, Level::new(3));
}

#[test]
fn nobody_is_told_of_a_file_that_is_closed() {
    let (mut bench, file) = bench(Careless::default());
    bench.close(file);
    let next = bench.open("/any", O_RDWR, 1).unwrap();
    assert_eq!(next.index(), file.index(), "in the same place");
    bench.engine.link().made[0].changes = 0;
    let before = bench.source(next);
    bench.try_write(next, b"w");
    assert_eq!(bench.made(0).changes, 0);
    assert_eq!(bench.source(next).changes, before.changes + 2, "its own, and not the other's too");
}

#[test]
fn that_a_source_is_gone_is_not_for_a_driver_to_say() {
    let (mut bench, file) = bench(Careless::default());
    bench.try_write(file, b"l");
    assert_eq!((bench.source(file).read, bench.source(file).write), (Level::new(2), Level::new(2)));
}

#[test]
fn r57_who_waits_on_what_is_gone_is_told_and_the_driver_is_not_asked_again() {
    let (mut bench, file) = bench(Careless::default());
    let other = bench.open("/any", O_RDWR, 1).unwrap();
    let waiting = [bench.read(file, 1), bench.read(file, 1), bench.read(other, 1)];
    let asked = bench.engine.driver().reads;
    bench.try_write(file, b"g");
    for token in waiting {
        assert_eq!(bench.got(token), Some(Got::Errno(ENODEV)));
    }
    assert_eq!(bench.try_read(file, 1), Got::Errno(ENODEV));
    assert_eq!(bench.try_write(file, b"x"), Got::Errno(ENODEV));
    assert_eq!(bench.control(file, Control::Available), Err(Error::new(ENODEV)));
    assert_eq!(bench.watch(file, 2), Err(Error::new(ENODEV)));
    assert_eq!(bench.open_at(file, "more", O_RDWR, 1), Err(Error::new(ENODEV)));
    assert_eq!(bench.engine.driver().reads, asked);
    bench.let_go(file);
    assert_eq!(bench.engine.driver().closed, [file]);
    assert_eq!(bench.engine.shared().0, 0);
}

#[test]
fn r57_who_begins_to_wait_while_it_goes_does_not_wait_for_ever() {
    let (mut bench, file) = bench(Careless { unplugs: true, ..Careless::default() });
    let waiting = bench.read(file, 1);
    assert_eq!(bench.got(waiting), Some(Got::Errno(ENODEV)));
}

#[test]
fn who_says_that_something_came_and_that_there_is_nothing_is_not_asked_for_ever() {
    let (mut bench, file) = bench(Careless { chatters: true, ..Careless::default() });
    let waiting = [bench.read(file, 1), bench.read(file, 1)];
    assert_eq!(waiting.map(|token| bench.got(token)), [None, None]);
    bench.try_write(file, b"w");
    assert!(bench.engine.driver().reads < 10);
}

#[test]
fn no_more_is_taken_than_there_was() {
    let (mut bench, file) = bench(Careless { claims: 100, ..Careless::default() });
    assert_eq!(bench.try_write(file, b"four"), Got::Count(4));
    let waiting = bench.write(file, b"fourteen bytes");
    assert_eq!(bench.got(waiting), Some(Got::Count(14)));
}

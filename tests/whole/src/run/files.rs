//! Files and their drivers: what is made, published and gone.

use event_protocol::cell::Direction;
use event_protocol::descriptor::Kind;
use event_protocol::filter::Filters;
use event_protocol::level::{Level, LevelFlags};

use super::{Run, SHARDS};
use crate::rules::level::{File, Side};
use crate::script::PATHS;
use crate::world::Nature;

/// What is under each path.
fn nature(path: usize) -> (Kind, Filters, (u32, u32), bool) {
    let both = Filters::READ | Filters::WRITE;
    match path {
        0 => (Kind::Pipe, both, (1, 3), false),
        1 => (Kind::Device, both | Filters::EXCEPT, (1, 1), false),
        2 => (Kind::Device, both, (1, 1), true),
        3 => (Kind::File, both | Filters::VNODE, (1, 1), false),
        4 => (Kind::Device, both | Filters::EXCEPT, (1, 2), true),
        _ => (Kind::Pipe, both, (1, 3), false),
    }
}

pub(super) fn path_of(path: usize) -> String {
    format!("/file/{path}")
}

/// The driver of a path, among those of the program.
pub(super) fn driver_of(path: usize) -> usize {
    path % SHARDS as usize
}

pub(super) fn direction_of(at: usize) -> Direction {
    if at == 0 { Direction::Read } else { Direction::Write }
}

impl Run {
    pub(super) fn create(&mut self, path: usize) -> usize {
        let (kind, filters, low_water, shared) = nature(path);
        let driver = self.drivers[driver_of(path)].number;
        let number = self.world.create(&path_of(path), Nature { driver, kind, filters, low_water, shared });
        if kind == Kind::File {
            let level = Level::new(0).with(LevelFlags::SIGNED);
            self.world.publish(number, Direction::Read, level, 0, false);
        }
        self.numbers.push(number);
        self.rules.files.push(File::new(kind, filters, low_water));
        self.numbers.len() - 1
    }

    pub(super) fn driver_dies(&mut self, driver: usize) {
        self.world.driver_dies(self.drivers[driver].number);
        self.drivers[driver].number = self.world.attach(self.drivers[driver].shard);
        for path in (0..PATHS).filter(|&path| driver_of(path) == driver) {
            self.rules.gone(self.files[path]);
            self.files[path] = self.create(path);
        }
    }

    pub(super) fn publish(&mut self, path: usize, direction: Direction, side: Side, arrived: bool) {
        let file = self.files[path];
        let own = &mut self.rules.files[file];
        let except = own.filters.contains(Filters::EXCEPT) && direction == Direction::Read;
        let regular = own.kind == Kind::File;
        let amount =
            if regular && direction == Direction::Read { side.amount - 2 } else { side.amount.max(0) };
        let side = match regular {
            true => Side { amount, ..Side::default() },
            false => Side { amount, urgent: side.urgent && except, ..side },
        };
        let error = if regular { 0 } else { own.error };
        own.error = error;
        let at = usize::from(direction == Direction::Write);
        let before = core::mem::replace(&mut own.sides[at], side);
        let differs = regular && direction == Direction::Read && amount != before.amount;
        let ends = side.eof && !before.eof || side.hung_up && !before.hung_up || error != 0;
        let rose = amount > before.amount || differs || ends || side.urgent && !before.urgent;
        own.reasons[at] += u64::from(rose || arrived);
        let mut flags = LevelFlags::empty();
        flags.set(LevelFlags::EOF, side.eof);
        flags.set(LevelFlags::HANGUP, side.hung_up);
        flags.set(LevelFlags::EXCEPT, side.urgent);
        flags.set(LevelFlags::ERROR, error != 0);
        flags.set(LevelFlags::SIGNED, regular && direction == Direction::Read);
        let level = Level::new(amount).with(flags);
        // The rules first: they know no other time than now.
        if arrived {
            self.rules.arrived(file, direction);
        }
        self.world.publish(self.numbers[file], direction, level, error as u32, arrived);
    }
}

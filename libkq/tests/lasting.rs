//! Random lives of durable descriptors: drivers die between any two things that they do, and others go on with what was left, or do not.
//!
//! The model knows no cells: what came to a device since a note was told of it is news to the note. As soon as somebody has said so it is told,
//! once, while there is something to be read.

mod world;

use std::time::Duration;

use abi::error::{EAGAIN, EIO, EMFILE};
use abi::flag::{O_NONBLOCK, O_RDWR};
use event_protocol::descriptor::DURABLE;
use libkq::process::Process;
use libkq::{EventFlags, KEvent};
use proptest::prelude::*;
use proptest::sample::Index;
use world::lasting::{Death, Heir, Stop};
use world::{ENODEV, World};

const NOW: Option<Duration> = Some(Duration::ZERO);
/// The second one has a position.
const DEVICES: [&str; 2] = ["/lasting/a", "/lasting/p"];
const FILES: usize = 5;

#[derive(Clone, Debug)]
enum Step {
    Open {
        device: usize,
        full: bool,
    },
    Dup(Index),
    Close(Index),
    Arrive {
        device: usize,
        bytes: i64,
        stop: Option<(Index, bool)>,
    },
    Kill,
    DiesOver(Death),
    Hear,
    /// The next driver has no room for, or no device of, those of the mask; dies after so many.
    Next {
        cannot: u8,
        dies_after: Option<usize>,
    },
    GiveUp,
    Read {
        file: Index,
        most: usize,
    },
    Write(Index),
    /// One that waits until there is a driver, which is so while it waits.
    WaitAndRead {
        file: Index,
        cannot: u8,
    },
    Wait,
}

fn step() -> impl Strategy<Value = Step> {
    use Step::*;
    let index = any::<Index>;
    let device = || 0..DEVICES.len();
    let mask = || prop_oneof![4 => Just(0u8), 1 => any::<u8>()];
    let stop = prop::option::weighted(0.4, (index(), any::<bool>()));
    prop_oneof![
        3 => (device(), prop::bool::weighted(0.1)).prop_map(|(device, full)| Open { device, full }),
        1 => index().prop_map(Dup),
        1 => index().prop_map(Close),
        6 => (device(), 1..4i64, stop).prop_map(|(device, bytes, stop)| Arrive { device, bytes, stop }),
        1 => Just(Kill),
        2 => prop_oneof![Just(Death::Before), Just(Death::After)].prop_map(DiesOver),
        4 => Just(Hear),
        4 => (mask(), prop::option::weighted(0.3, 1..4usize))
            .prop_map(|(cannot, dies_after)| Next { cannot, dies_after }),
        1 => prop::bool::weighted(0.2).prop_map(|give_up| if give_up { GiveUp } else { Hear }),
        4 => (index(), 1..4usize).prop_map(|(file, most)| Read { file, most }),
        2 => index().prop_map(Write),
        2 => (index(), mask()).prop_map(|(file, cannot)| WaitAndRead { file, cannot }),
        6 => Just(Wait),
    ]
}

struct File {
    device: usize,
    /// Its place among the server's sources.
    cell: u32,
    numbers: Vec<i32>,
    /// The number that the note is on.
    noted: Option<i32>,
    /// News that somebody has said.
    news: bool,
    /// News that the shard finds when it hears of the death, and that the next driver finds.
    stored: bool,
    unsaid: bool,
    /// What the cell says.
    level: i64,
    away: bool,
    gone: bool,
    /// Whether the library has asked for its position.
    asked: bool,
}

struct Life {
    world: World,
    process: Process<World>,
    queue: i32,
    amounts: [i64; DEVICES.len()],
    files: Vec<File>,
    alive: bool,
    heard: bool,
    armed: Option<Death>,
}

fn pick(of: usize, index: Index) -> Option<usize> {
    (of > 0).then(|| index.index(of))
}

fn heir(cannot: u8, cell: u32) -> Heir {
    if cannot >> (cell % 8) & 1 != 0 { Heir::Cannot } else { Heir::GoesOn }
}

impl Life {
    fn new() -> Life {
        let world = World::new();
        let process = world.process();
        let queue = process.kqueue().unwrap();
        world.start_driver();
        let (amounts, files) = ([0; DEVICES.len()], Vec::new());
        Life { world, process, queue, amounts, files, alive: true, heard: true, armed: None }
    }

    fn open(&mut self, device: usize, full: bool) {
        if self.files.len() >= FILES {
            return;
        }
        self.world.refuse_opens(full);
        let opened = self.process.open(DEVICES[device], O_RDWR as u64 | O_NONBLOCK as u64 | DURABLE);
        let expected = match (full, self.alive) {
            (true, _) => Some(EMFILE),
            (_, false) => Some(ENODEV),
            _ => None,
        };
        assert_eq!(opened.as_ref().err().map(|error| error.errno), expected);
        let Ok(number) = opened else { return };
        self.note(number);
        let cell = (0..).find(|cell| self.files.iter().all(|file| file.cell != *cell)).unwrap();
        let level = self.amounts[device];
        let (numbers, noted) = (vec![number], Some(number));
        let (news, stored, unsaid) = (true, false, false);
        let (away, gone, asked) = (false, false, false);
        self.files.push(File {
            device,
            cell,
            numbers,
            noted,
            news,
            stored,
            unsaid,
            level,
            away,
            gone,
            asked,
        });
    }

    fn note(&self, number: i32) {
        let add = KEvent::read(number).add().clear();
        assert_eq!(self.process.kevent(self.queue, &[add], &mut [], NOW), Ok(0));
    }

    fn close(&mut self, at: usize, index: Index) {
        let file = &mut self.files[at];
        let number = file.numbers.remove(index.index(file.numbers.len()));
        self.process.close(number).unwrap();
        file.noted = file.noted.filter(|&noted| noted != number);
        if file.numbers.is_empty() {
            self.files.remove(at);
        }
    }

    fn arrive(&mut self, device: usize, bytes: i64, stop: Option<(Index, bool)>) {
        let is_served = |&at: &usize| self.files[at].device == device && !self.files[at].gone;
        let at: Vec<usize> = (0..self.files.len()).filter(is_served).collect();
        let stop = stop.and_then(|(index, stored)| Some(Stop { source: pick(at.len(), index)?, stored }));
        self.world.arrive(DEVICES[device], bytes, stop);
        self.amounts[device] += bytes;
        for (number, at) in at.into_iter().enumerate() {
            let file = &mut self.files[at];
            match stop {
                _ if !self.alive => file.unsaid = true,
                Some(stop) if number == stop.source => {
                    (file.stored, file.unsaid) = (file.stored || stop.stored, !stop.stored);
                    file.level = if stop.stored { self.amounts[device] } else { file.level };
                    self.dies();
                }
                _ => (file.news, file.level) = (true, self.amounts[device]),
            }
        }
    }

    fn dies(&mut self) {
        (self.alive, self.heard) = (false, false);
    }

    fn hear(&mut self) {
        if self.alive || self.heard {
            return;
        }
        self.world.hear_of_death();
        (self.heard, self.armed) = (true, None);
        for file in self.files.iter_mut().filter(|file| !file.gone) {
            file.news |= std::mem::take(&mut file.stored);
            (file.away, file.level) = (true, 0);
        }
    }

    fn next(&mut self, cannot: u8, dies_after: Option<usize>) {
        if self.alive || !self.heard {
            return;
        }
        let cells = self.left();
        let mut order = cells.iter().map(|&at| self.files[at].cell);
        self.world.next_driver(|_| heir(cannot, order.next().unwrap()), dies_after);
        self.restarted(cells, cannot, dies_after);
    }

    /// Those that wait for a driver, in the order of their cells.
    fn left(&self) -> Vec<usize> {
        let mut left: Vec<usize> =
            (0..self.files.len()).filter(|&at| self.files[at].away && !self.files[at].gone).collect();
        left.sort_by_key(|&at| self.files[at].cell);
        left
    }

    fn restarted(&mut self, left: Vec<usize>, cannot: u8, dies_after: Option<usize>) {
        self.alive = true;
        let mut claimed = 0;
        for &at in &left {
            let file = &mut self.files[at];
            if heir(cannot, file.cell) == Heir::Cannot {
                continue;
            }
            claimed += 1;
            if dies_after == Some(claimed) {
                return self.dies();
            }
            file.news |= std::mem::take(&mut file.unsaid);
            (file.away, file.level) = (false, self.amounts[file.device]);
        }
        self.end(left);
    }

    fn end(&mut self, left: Vec<usize>) {
        for at in left {
            let file = &mut self.files[at];
            if file.away {
                (file.away, file.gone, file.news) = (false, true, true);
            }
        }
    }

    fn give_up(&mut self) {
        if !self.alive && self.heard {
            self.world.end_orphans();
            self.end(self.left());
        }
    }

    /// What a read is told, by a driver that is there or not.
    fn expect_read(&mut self, at: usize, most: usize) -> Result<usize, i32> {
        let file = &mut self.files[at];
        if file.gone {
            return Err(ENODEV);
        }
        if !self.alive {
            return Err(EAGAIN);
        }
        let device = file.device;
        let asked = file.asked;
        file.asked |= self.armed.is_none();
        let death = self.armed.take();
        let took = if asked || death.is_none() { most.min(self.amounts[device] as usize) } else { 0 };
        if death != Some(Death::Before) {
            self.amounts[device] -= took as i64;
            let level = self.amounts[device];
            for file in self.files.iter_mut().filter(|file| file.device == device && !file.gone) {
                file.level = if took > 0 { level } else { file.level };
            }
        }
        if death.is_some() {
            self.dies();
            // It is asked again, unless it may have moved the position; and nobody is there.
            return Err(if asked && DEVICES[device].ends_with('p') { EIO } else { EAGAIN });
        }
        if took == 0 { Err(EAGAIN) } else { Ok(took) }
    }

    fn read(&mut self, at: usize, most: usize) {
        let expected = self.expect_read(at, most);
        let read = self.process.read(self.files[at].numbers[0], &mut vec![0; most]);
        assert_eq!(read.map(|read| read.count).map_err(|error| error.errno), expected);
    }

    fn write(&mut self, at: usize) {
        let expected = match () {
            () if self.files[at].gone => Err(ENODEV),
            () if !self.alive => Err(EAGAIN),
            () if self.armed.take().is_some() => {
                self.dies();
                Err(EIO)
            }
            () => Ok(1),
        };
        let written = self.process.write(self.files[at].numbers[0], b"x");
        assert_eq!(written.map_err(|error| error.errno), expected);
    }

    /// While it waits the server hears of the death, and there is a next driver.
    fn wait_and_read(&mut self, at: usize, cannot: u8) {
        if !self.alive && !self.files[at].gone {
            let unheard = !self.heard;
            if unheard {
                // In the model before the read: nobody looks in between.
                self.heard = true;
                self.armed = None;
                for file in self.files.iter_mut().filter(|file| !file.gone) {
                    file.news |= std::mem::take(&mut file.stored);
                    (file.away, file.level) = (true, 0);
                }
            }
            let left = self.left();
            let cells: Vec<u32> = left.iter().map(|&at| self.files[at].cell).collect();
            let world = self.world.clone();
            self.world.at_parking(move || {
                if unheard {
                    world.hear_of_death();
                }
                let mut order = cells.into_iter();
                world.next_driver(|_| heir(cannot, order.next().unwrap()), None);
            });
            self.restarted(left, cannot, None);
        }
        self.armed = None;
        self.world.dies_over_nothing();
        let number = self.files[at].numbers[0];
        self.process.set_nonblocking(number, false).unwrap();
        self.read(at, 2);
        self.process.set_nonblocking(number, true).unwrap();
    }

    fn wait(&mut self) {
        let mut events = [KEvent::default(); 2 * FILES];
        let count = self.process.kevent(self.queue, &[], &mut events, NOW).unwrap();
        let mut told: Vec<_> = events[..count]
            .iter()
            .map(|event| {
                let gone = event.flags.contains(EventFlags::EOF);
                (event.ident as i32, gone.then_some(event.fflags), (!gone).then_some(event.data))
            })
            .collect();
        told.sort_unstable();
        let mut expected = Vec::new();
        for file in &mut self.files {
            let is_told = file.news && (file.gone || file.level > 0);
            let Some(number) = file.noted.filter(|_| is_told) else { continue };
            let event = (number, file.gone.then_some(ENODEV as u32), (!file.gone).then_some(file.level));
            // Who looks may find a level that nobody was told of, with news from before it.
            if file.stored && !told.contains(&event) {
                continue;
            }
            file.news = false;
            expected.push(event);
            // R57: once.
            file.noted = file.noted.filter(|_| !file.gone);
        }
        expected.sort_unstable();
        assert_eq!(told, expected);
    }

    fn step(&mut self, step: Step) {
        let files = self.files.len();
        match step {
            Step::Open { device, full } => self.open(device, full),
            Step::Dup(index) => {
                if let Some(at) = pick(files, index) {
                    let file = &mut self.files[at];
                    file.numbers.push(self.process.dup(file.numbers[0]).unwrap());
                }
            }
            Step::Close(index) => {
                if let Some(at) = pick(files, index) {
                    self.close(at, index);
                }
            }
            Step::Arrive { device, bytes, stop } => self.arrive(device, bytes, stop),
            Step::Kill => {
                if self.alive {
                    self.world.kill_driver();
                    self.dies();
                }
            }
            Step::DiesOver(death) => {
                if self.alive {
                    self.world.dies_over(death);
                    self.armed = Some(death);
                }
            }
            Step::Hear => self.hear(),
            Step::Next { cannot, dies_after } => self.next(cannot, dies_after),
            Step::GiveUp => self.give_up(),
            Step::Read { file, most } => {
                if let Some(at) = pick(files, file) {
                    self.read(at, most);
                }
            }
            Step::Write(index) => {
                if let Some(at) = pick(files, index) {
                    self.write(at);
                }
            }
            Step::WaitAndRead { file, cannot } => {
                if let Some(at) = pick(files, file) {
                    self.wait_and_read(at, cannot);
                }
            }
            Step::Wait => self.wait(),
        }
        assert_eq!(self.world.has_driver(), self.alive);
        // One with the client and a duplicate with the server, and the driver's own moment.
        assert!(self.world.handles() <= 2 * self.files.len());
    }

    /// Everybody comes back; then what is news is told, and nothing is left when all is closed.
    fn ends(mut self) {
        self.hear();
        self.next(0, None);
        for device in 0..DEVICES.len() {
            let files = self.files.iter().filter(|file| file.device == device && !file.gone);
            assert!(files.into_iter().all(|file| !file.away && file.level == self.amounts[device]));
        }
        self.wait();
        self.wait();
        while let Some(file) = self.files.first() {
            for &number in &file.numbers {
                self.process.close(number).unwrap();
            }
            self.files.remove(0);
        }
        self.process.close(self.queue).unwrap();
        assert_eq!((self.world.handles(), self.world.files(), self.world.notes()), (0, 0, 0));
        assert_eq!(self.process.open_descriptors(), 0);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 3000, ..ProptestConfig::default() })]

    #[test]
    fn no_edge_is_lost_none_told_twice_and_no_descriptor_left(steps in prop::collection::vec(step(), 1..80)) {
        let mut life = Life::new();
        for step in steps {
            life.step(step);
        }
        life.ends();
    }
}

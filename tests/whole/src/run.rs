//! A program done by the world and by the rules, side by side.

mod acts;
mod answer;
mod files;
mod parked;

use std::sync::Arc;
use std::time::Duration;

use event_protocol::filter::Filters;
use libkq::process::Process;

use crate::rules::Rules;
use crate::rules::process::Process as Known;
use crate::script::{Act, PATHS, PROCESSES, Program, Step};
use crate::world::{Client, Counts, World};
use files::{direction_of, driver_of};
use parked::Parked;

/// Edge-triggered notes on sets tell a change of an inner note that the outer one was told of already. To be removed
/// when they do not.
const NESTED_EDGES: bool = false;

const NOW: Option<Duration> = Some(Duration::ZERO);
const SHARDS: u32 = 3;

/// A driver restarts in its shard; the first is the world's own.
struct Driver {
    shard: u32,
    number: usize,
}

/// A process and its number in the world.
struct Member {
    number: usize,
    process: Arc<Process<Client>>,
}

/// Both.
pub struct Run {
    world: World,
    rules: Rules,
    drivers: Vec<Driver>,
    members: Vec<Member>,
    /// The file of each path.
    files: Vec<usize>,
    /// Of the world, by number of the rules'.
    numbers: Vec<usize>,
    parked: Vec<Parked>,
}

impl Default for Run {
    fn default() -> Self {
        Run::new()
    }
}

impl Run {
    /// Files and processes, and nothing open.
    pub fn new() -> Run {
        let world = World::new(SHARDS);
        let drivers = (0..SHARDS).map(|shard| Driver { shard, number: world.attach(shard) }).collect();
        let mut run = Run {
            world,
            rules: Rules { now: 1_000_000, ..Rules::default() },
            drivers,
            members: Vec::new(),
            files: Vec::new(),
            numbers: Vec::new(),
            parked: Vec::new(),
        };
        for path in 0..PATHS {
            let file = run.create(path);
            run.files.push(file);
        }
        for process in 0..PROCESSES {
            let member = run.enter(process);
            run.members.push(member);
            run.rules.processes.push(Some(Known::default()));
        }
        run
    }

    fn enter(&self, process: usize) -> Member {
        let (number, process) = self.world.process(process as u32 % SHARDS);
        Member { number, process }
    }

    fn known(&mut self, process: usize) -> &mut Known {
        self.rules.processes[process].as_mut().expect("alive")
    }

    /// Does a step, and compares.
    pub fn step(&mut self, step: Step) {
        match step {
            Step::Process(process, act) => self.act(process, act),
            Step::Publish(path, direction, side, arrived) => self.publish(path, direction, side, arrived),
            Step::Error(path, errno) => {
                let file = self.files[path];
                self.rules.files[file].error = errno;
                for at in 0..2 {
                    let side = self.rules.files[file].sides[at];
                    self.publish(path, direction_of(at), side, false);
                }
            }
            Step::Note(path, bits) => {
                let file = self.files[path];
                if self.rules.files[file].filters.contains(Filters::VNODE) {
                    self.world.note(self.numbers[file], bits);
                    self.rules.note(file, bits);
                }
            }
            Step::Detach(path) => {
                let file = self.files[path];
                self.world.detach(self.numbers[file]);
                self.rules.gone(file);
                self.files[path] = self.create(path);
            }
            Step::DriverDies(path) => self.driver_dies(driver_of(path)),
            Step::Wait(ns) => {
                self.world.advance(ns);
                self.rules.pass(ns);
            }
            Step::Run => self.run(),
        }
    }

    fn die(&mut self, process: usize) {
        self.world.client_dies(self.members[process].number);
        self.rules.processes[process] = None;
        self.run();
        self.members[process] = self.enter(process);
        self.rules.processes[process] = Some(Known::default());
    }

    /// Threads that were woken run; nobody sleeps on what is there.
    fn run(&mut self) {
        for task in self.world.run() {
            let at = self.parked.iter().position(|parked| parked.is(task)).expect("known");
            let parked = self.parked.remove(at);
            parked.ended(&mut self.rules);
        }
        for parked in &self.parked {
            parked.must_sleep(&self.rules);
        }
    }

    /// Everything is closed or ends; nothing is left.
    pub fn finish(mut self) {
        self.run();
        for process in 0..PROCESSES {
            // Half of them leave without a word.
            if process % 2 == 1 {
                self.die(process);
            }
            let open: Vec<i32> = self.known(process).table.keys().copied().collect();
            for fd in open {
                self.act(process, Act::Close(fd));
            }
            assert_eq!(self.members[process].process.open_descriptors(), 0);
        }
        let counts = self.world.counts();
        assert_eq!((counts.notes, counts.knotes, counts.sources), (0, 0, 0), "all is closed: {counts:?}");
        self.world.advance(1 << 40);
        self.rules.pass(1 << 40);
        self.run();
        assert!(self.parked.is_empty(), "{:?} still sleeps", self.parked);
        for process in 0..PROCESSES {
            self.world.client_dies(self.members[process].number);
        }
        for driver in 0..self.drivers.len() {
            self.world.driver_dies(self.drivers[driver].number);
        }
        // The clock's.
        self.world.driver_dies(0);
        assert_eq!(self.world.counts(), Counts::default(), "a leak");
        assert_eq!(self.world.sessions(), 0);
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        self.world.give_up();
    }
}

/// Does a whole program.
pub fn run(program: Program) {
    let mut run = Run::new();
    for step in program.0 {
        run.step(step);
    }
    run.finish();
}

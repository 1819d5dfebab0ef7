//! A program done by the world and by the rules, side by side.

mod answer;
mod parked;

use std::sync::Arc;
use std::time::Duration;

use event_protocol::cell::Direction;
use event_protocol::descriptor::Kind;
use event_protocol::filter::Filters;
use event_protocol::level::{Level, LevelFlags};
use libkq::devpoll::PATH as DEV_POLL;
use libkq::process::Process;
use libkq::{EpollEvent, EpollFlags, EventFlags, Filter, KEvent, PollFd};

use crate::rules::Rules;
use crate::rules::level::{File, Side};
use crate::rules::process::{Process as Known, What};
use crate::script::{Act, PATHS, PROCESSES, Program, SetKind, Step};
use crate::world::{Client, Counts, Nature, World};
use answer::Answer;
use parked::{Parked, Resolved};

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

fn path_of(path: usize) -> String {
    format!("/file/{path}")
}

/// The driver of a path, among those of the program.
fn driver_of(path: usize) -> usize {
    path % SHARDS as usize
}

fn direction_of(at: usize) -> Direction {
    if at == 0 { Direction::Read } else { Direction::Write }
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

    fn create(&mut self, path: usize) -> usize {
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

    fn known(&mut self, process: usize) -> &mut Known {
        self.rules.processes[process].as_mut().expect("alive")
    }

    /// The number of the so manieth open set of this kind.
    fn nth_set(&self, process: usize, kind: Option<SetKind>, nth: usize) -> Option<i32> {
        let known = self.rules.processes[process].as_ref()?;
        let such = |&(_, &description): &(&i32, &u64)| {
            let own = match known.what(description) {
                What::File(_) => return false,
                What::Kqueue(_) => SetKind::Kqueue,
                What::Epoll(_) => SetKind::Epoll,
                What::DevPoll(_) => SetKind::DevPoll,
            };
            kind.is_none_or(|kind| kind == own)
        };
        let all: Vec<i32> = known.table.iter().filter(such).map(|(&fd, _)| fd).collect();
        (!all.is_empty()).then(|| all[nth % all.len()])
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

    fn driver_dies(&mut self, driver: usize) {
        self.world.driver_dies(self.drivers[driver].number);
        self.drivers[driver].number = self.world.attach(self.drivers[driver].shard);
        for path in (0..PATHS).filter(|&path| driver_of(path) == driver) {
            self.rules.gone(self.files[path]);
            self.files[path] = self.create(path);
        }
    }

    fn publish(&mut self, path: usize, direction: Direction, side: Side, arrived: bool) {
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
        own.sides[usize::from(direction == Direction::Write)] = side;
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

    fn act(&mut self, process: usize, act: Act) {
        if !matches!(act, Act::Look(_) | Act::Open(_) | Act::Dup(_) | Act::Dup2(..) | Act::Pass(_)) {
            self.adopt(process);
        }
        if matches!(act, Act::Open(_) | Act::Make(_) | Act::Dup(_) | Act::Dup2(..) | Act::Pass(_)) {
            self.before_a_number_is_open();
        }
        let real = self.members[process].process.clone();
        match act {
            Act::Open(path) => {
                let fd = real.open(&path_of(path), 0).unwrap();
                let what = What::File(self.files[path]);
                assert_eq!(fd, self.known(process).open(what), "the lowest free number");
            }
            Act::Make(kind) => self.make(process, kind),
            Act::Dup(fd) => {
                if self.would_be_adopted(process, fd, self.known_lowest(process)) {
                    return;
                }
                assert_eq!(real.dup(fd).ok(), self.known(process).dup(fd), "dup({fd})");
            }
            Act::Dup2(fd, to) => {
                if self.would_be_adopted(process, fd, to) {
                    return;
                }
                assert_eq!(real.dup2(fd, to).ok(), self.known(process).dup2(fd, to), "dup2({fd}, {to})");
                self.run();
            }
            Act::Close(fd) => {
                assert_eq!(real.close(fd).is_ok(), self.known(process).close(fd), "close({fd})");
                self.run();
            }
            Act::Pass(fd) => self.pass(process, fd),
            Act::Kevent(nth, changes, room) => {
                if let Some(kq) = self.nth_set(process, Some(SetKind::Kqueue), nth) {
                    self.kevent(process, kq, changes, room);
                }
            }
            Act::Control(nth, op, fd, flags, data) => {
                let Some(epfd) = self.nth_set(process, Some(SetKind::Epoll), nth) else { return };
                let nested = !NESTED_EDGES && self.is_set(process, fd);
                let flags = if nested { flags.difference(EpollFlags::ET) } else { flags };
                let event = EpollEvent::new(flags, data);
                let Rules { processes, files, .. } = &mut self.rules;
                let known = processes[process].as_mut().expect("alive");
                let expected = known.control(epfd, op, fd, event, files);
                let done = real.epoll_ctl(epfd, op, fd, event);
                answer::same(done, expected, &format!("epoll_ctl({epfd}, {op:?}, {fd}, {event:?})"));
            }
            Act::Write(nth, list) => self.write(process, nth, list),
            Act::IsPolled(nth, fd) => {
                let Some(set) = self.nth_set(process, Some(SetKind::DevPoll), nth) else { return };
                let known = self.known(process);
                let own = known.table[&set];
                let wanted = known.devpoll(own).entries.get(&fd).copied();
                assert_eq!(real.devpoll_is_polled(set, fd).ok().flatten(), wanted);
            }
            Act::Look(call) => {
                let Some(call) = parked::resolve(self, process, call) else { return };
                if !matches!(call, Resolved::DevPoll(..)) {
                    self.adopt(process);
                }
                let answer = Answer::of(&real, &call, NOW);
                answer::check(&mut self.rules, process, &call, answer);
            }
            Act::Park(call, timeout) => {
                if let Some(call) = parked::resolve(self, process, call) {
                    // What asks about no set may ask about nothing.
                    let timeout = if call.is_of_set() { timeout } else { timeout.or(Some(1000)) };
                    let parked = Parked::begin(self, process, call, timeout);
                    self.parked.push(parked);
                    // Its time begins when it calls.
                    self.run();
                }
            }
            Act::Attempt(signal) => {
                self.world.attempt(self.members[process].number, signal);
                self.rules.attempt(process, signal as usize);
            }
            Act::Die => self.die(process),
        }
    }

    /// Who was woken since a number is not open looks before it is.
    fn before_a_number_is_open(&mut self) {
        let sets = self.rules.processes.iter_mut().flatten().flat_map(Known::sets);
        if sets.into_iter().any(|what| matches!(what, What::DevPoll(set) if !set.stale.is_empty())) {
            self.run();
        }
    }

    /// Asks the /dev/poll sets that do not know yet that a number is open again.
    fn adopt(&mut self, process: usize) {
        for fd in self.known(process).stale() {
            let own = self.known(process).table[&fd];
            let call = Resolved::DevPoll(fd, own, 64);
            let answer = Answer::of(&self.members[process].process, &call, NOW);
            answer::check(&mut self.rules, process, &call, answer);
        }
    }

    fn die(&mut self, process: usize) {
        self.world.client_dies(self.members[process].number);
        self.rules.processes[process] = None;
        self.run();
        self.members[process] = self.enter(process);
        self.rules.processes[process] = Some(Known::default());
    }

    fn make(&mut self, process: usize, kind: SetKind) {
        if self.has_entry(process, self.known_lowest(process)) {
            return;
        }
        let real = &self.members[process].process;
        let (fd, what) = match kind {
            SetKind::Kqueue => (real.kqueue(), What::Kqueue(Default::default())),
            SetKind::Epoll => (real.epoll_create(0), What::Epoll(Default::default())),
            SetKind::DevPoll => (real.open(DEV_POLL, 0), What::DevPoll(Default::default())),
        };
        assert_eq!(fd.unwrap(), self.known(process).open(what));
    }

    fn known_lowest(&self, process: usize) -> i32 {
        self.rules.processes[process].as_ref().map_or(0, Known::lowest)
    }

    fn is_set(&self, process: usize, fd: i32) -> bool {
        let Some(known) = &self.rules.processes[process] else { return false };
        known.table.get(&fd).is_some_and(|&description| !matches!(known.what(description), What::File(_)))
    }

    /// Whether any /dev/poll set has an entry for a number.
    fn has_entry(&mut self, process: usize, fd: i32) -> bool {
        let sets = self.known(process).sets();
        sets.into_iter().any(|what| matches!(what, What::DevPoll(set) if set.entries.contains_key(&fd)))
    }

    /// A /dev/poll set adopts a number that is open again only when it is asked next. Until then nobody says that there is
    /// a ring, and who looks at it from around is told that the number is not open.
    fn would_be_adopted(&mut self, process: usize, fd: i32, to: i32) -> bool {
        if fd == to || !self.has_entry(process, to) {
            return false;
        }
        let watched = self.parked.iter().any(|parked| !parked.is_of_set());
        let known = self.known(process);
        let nested = |&description: &u64| match known.what(description) {
            What::DevPoll(set) => set.entries.contains_key(&to) && known.is_nested(description),
            _ => false,
        };
        watched || known.table.values().any(nested) || self.is_set(process, fd)
    }

    fn pass(&mut self, process: usize, fd: i32) {
        let Some(known) = &self.rules.processes[process] else { return };
        let Some(&description) = known.table.get(&fd) else { return };
        let &What::File(file) = known.what(description) else { return };
        if self.rules.files[file].gone {
            return;
        }
        let other = (process + 1) % PROCESSES;
        let to = &self.members[other].process;
        let received = to.platform().receive_file(self.numbers[file]).unwrap();
        assert_eq!(to.insert(received, 0).unwrap(), self.known(other).open(What::File(file)));
    }

    fn kevent(&mut self, process: usize, kq: i32, mut changes: Vec<KEvent>, room: usize) {
        for change in &mut changes {
            let on_set = change.filter == Filter::READ && self.is_set(process, change.ident as i32);
            if !NESTED_EDGES && on_set {
                change.flags.remove(EventFlags::CLEAR);
            }
        }
        let mut events = vec![KEvent::default(); room];
        let real = self.members[process].process.kevent(kq, &changes, &mut events, NOW);
        answer::kevent(&mut self.rules, process, kq, &changes, room, real.map(|count| &events[..count]));
    }

    fn write(&mut self, process: usize, nth: usize, list: Vec<(i32, libkq::Conditions)>) {
        let Some(fd) = self.nth_set(process, Some(SetKind::DevPoll), nth) else { return };
        let list: Vec<PollFd> = list.into_iter().map(|(fd, events)| PollFd::new(fd, events)).collect();
        let known = self.known(process);
        let own = known.table[&fd];
        let expected = known.devpoll_write(own, &list);
        let done = self.members[process].process.devpoll_write(fd, &list);
        answer::same(done, expected, &format!("write({fd}, {list:?})"));
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

    /// Everything is closed, in the order of `picks`; nothing is left.
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

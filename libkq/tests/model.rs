//! Random programs against a model that knows the rules and nothing of slots, rings and lists.

mod world;

use std::collections::BTreeMap;
use std::time::Duration;

use event_protocol::cell::Direction;
use event_protocol::level::{Level, LevelFlags};
use libkq::event::note;
use libkq::process::Process;
use libkq::{Error, EventFlags, Filter, KEvent};
use proptest::prelude::*;
use world::{EBADF, EINVAL, ENOENT, World};

const NOW: Option<Duration> = Some(Duration::ZERO);
const NAMES: [&str; 2] = ["a", "b"];
/// The number of the queue: the files have those below.
const QUEUE: usize = NAMES.len();

#[derive(Clone, Debug)]
enum Step {
    Change(KEvent),
    Publish {
        file: usize,
        direction: Direction,
        amount: i64,
        eof: bool,
        arrived: bool,
    },
    Pass(u64),
    Take(usize),
    /// Closes a file if it is open, otherwise opens it.
    Toggle(usize),
}

fn change() -> impl Strategy<Value = KEvent> {
    use EventFlags as F;
    let flag = |flag: F| prop_oneof![3 => Just(F::empty()), 1 => Just(flag)];
    let action = prop_oneof![5 => Just(F::ADD), 1 => Just(F::DELETE), 3 => Just(F::empty())];
    let switch = prop_oneof![4 => Just(F::empty()), 1 => Just(F::ENABLE), 1 => Just(F::DISABLE)];
    let sticky = (flag(F::ONESHOT), flag(F::CLEAR), flag(F::DISPATCH), flag(F::KEEPUDATA));
    let key = prop_oneof![
        (0..3usize, prop_oneof![Just(Filter::READ), Just(Filter::WRITE)]),
        (10..13usize, Just(Filter::USER)),
        (20..22usize, Just(Filter::TIMER)),
    ];
    (key, action, switch, sticky, 0..5i64, 0..8u32, any::<bool>(), 0..4usize).prop_map(
        |((ident, filter), action, switch, sticky, data, bits, some, udata)| {
            let flags = action | switch | sticky.0 | sticky.1 | sticky.2 | sticky.3;
            let fflags = match filter {
                Filter::USER if some => note::TRIGGER | note::FFOR | bits,
                Filter::USER => note::FFCOPY | bits,
                Filter::TIMER => note::NSECONDS,
                _ if some => note::LOWAT,
                _ => 0,
            };
            KEvent { ident, filter, flags, fflags, data, udata }
        },
    )
}

fn step() -> impl Strategy<Value = Step> {
    let direction = prop_oneof![Just(Direction::Read), Just(Direction::Write)];
    let publish = (0..2usize, direction, 0..5i64, prop::bool::weighted(0.1), any::<bool>());
    prop_oneof![
        6 => change().prop_map(Step::Change),
        5 => publish.prop_map(|(file, direction, amount, eof, arrived)| {
            Step::Publish { file, direction, amount, eof, arrived }
        }),
        2 => (0..6u64).prop_map(Step::Pass),
        4 => prop_oneof![3 => Just(64usize), 1 => 0..4usize].prop_map(Step::Take),
        1 => (0..2usize).prop_map(Step::Toggle),
    ]
}

#[derive(Clone, Copy, Default, Debug)]
struct Side {
    amount: i64,
    eof: bool,
    arrivals: i64,
}

#[derive(Clone, Debug)]
struct Note {
    flags: EventFlags,
    enabled: bool,
    udata: usize,
    low: i64,
    seen: i64,
    triggered: bool,
    bits: u32,
    data: i64,
    next: u64,
    period: Option<u64>,
    count: i64,
}

type Key = (usize, Filter);

#[derive(Default)]
struct Model {
    notes: BTreeMap<(usize, i16), Note>,
    /// The numbers of the open files and their two directions.
    files: BTreeMap<usize, (i32, [Side; 2])>,
    now: u64,
}

fn key(event: &KEvent) -> (usize, i16) {
    (event.ident, event.filter.0)
}

impl Model {
    fn side(&self, (ident, filter): Key) -> Option<Side> {
        let (_, sides) = self.files.values().find(|(fd, _)| *fd as usize == ident)?;
        Some(sides[usize::from(filter == Filter::WRITE)])
    }

    fn change(&mut self, change: &KEvent) -> Result<(), Error> {
        use EventFlags as F;
        let flags = change.flags;
        let error = |errno| Err(Error::new(errno));
        if flags.contains(F::ADD | F::KEEPUDATA) || flags.contains(F::ENABLE | F::DISABLE) {
            return error(EINVAL);
        }
        let (add, known) = (flags.contains(F::ADD), self.notes.contains_key(&key(change)));
        if !known && !add {
            return error(ENOENT);
        }
        if flags.contains(F::DELETE) {
            self.notes.remove(&key(change));
            return Ok(());
        }
        let on_file = [Filter::READ, Filter::WRITE].contains(&change.filter);
        if !known && on_file && self.side((change.ident, change.filter)).is_none() {
            // R38: a queue does not watch itself.
            return error(if change.ident == QUEUE { EINVAL } else { EBADF });
        }
        let arrivals = self.side((change.ident, change.filter)).unwrap_or_default().arrivals;
        let now = self.now;
        let note = self.notes.entry(key(change)).or_insert(Note {
            flags: F::empty(),
            enabled: true,
            udata: 0,
            low: 1,
            seen: arrivals - 1,
            triggered: false,
            bits: 0,
            data: 0,
            next: u64::MAX,
            period: None,
            count: 0,
        });
        if add {
            note.flags = flags & F::STICKY;
            if on_file {
                note.low = if change.fflags == note::LOWAT { change.data.max(1) } else { 1 };
            }
            if change.filter == Filter::TIMER {
                note.flags |= F::CLEAR;
                let period = change.data.max(1) as u64;
                (note.next, note.count) = (now + period, 0);
                note.period = (!flags.contains(F::ONESHOT)).then_some(period);
            }
        }
        if change.filter == Filter::USER {
            let given = change.fflags & note::FFLAGSMASK;
            note.bits =
                if change.fflags & note::FFCTRLMASK == note::FFOR { note.bits | given } else { given };
            note.triggered |= change.fflags & note::TRIGGER != 0;
            note.data = change.data;
        }
        if !flags.contains(F::KEEPUDATA) {
            note.udata = change.udata;
        }
        note.enabled = (note.enabled || flags.contains(F::ENABLE)) && !flags.contains(F::DISABLE);
        Ok(())
    }

    fn pass(&mut self, ns: u64) {
        self.now += ns;
        for note in self.notes.values_mut() {
            while note.next <= self.now {
                note.count += 1;
                note.next = note.period.map_or(u64::MAX, |period| note.next + period);
            }
        }
    }

    /// The event of a note, if it is true now.
    fn event(&self, key: (usize, i16), note: &Note) -> Option<KEvent> {
        if !note.enabled {
            return None;
        }
        let (ident, filter) = (key.0, Filter(key.1));
        let event = KEvent { ident, filter, flags: note.flags, fflags: 0, data: 0, udata: note.udata };
        match filter {
            Filter::USER => note.triggered.then_some(KEvent { fflags: note.bits, data: note.data, ..event }),
            Filter::TIMER => (note.count > 0).then_some(KEvent { data: note.count, ..event }),
            _ => {
                let side = self.side((ident, filter))?;
                let news = !note.flags.contains(EventFlags::CLEAR) || side.arrivals != note.seen;
                let mut event = KEvent { data: side.amount, ..event };
                if side.eof {
                    event.flags |= EventFlags::EOF;
                    if side.amount == 0 {
                        event.flags |= EventFlags::NODATA;
                    }
                }
                (news && (side.amount >= note.low || side.eof)).then_some(event)
            }
        }
    }

    fn expected(&self) -> Vec<KEvent> {
        self.notes.iter().filter_map(|(&key, note)| self.event(key, note)).collect()
    }

    fn delivered(&mut self, event: &KEvent) {
        let side = self.side((event.ident, event.filter));
        let note = self.notes.get_mut(&key(event)).unwrap();
        if note.flags.contains(EventFlags::CLEAR) {
            note.seen = side.unwrap_or_default().arrivals;
            (note.triggered, note.bits, note.data, note.count) = (false, 0, 0, 0);
        }
        if note.flags.contains(EventFlags::DISPATCH) {
            note.enabled = false;
        }
        if note.flags.contains(EventFlags::ONESHOT) {
            self.notes.remove(&key(event));
        }
    }
}

struct Run {
    world: World,
    process: Process<World>,
    kq: i32,
    model: Model,
}

impl Run {
    fn new() -> Run {
        let world = World::new();
        world.stop_clock();
        let process = world.process();
        let mut run = Run { world, process, kq: -1, model: Model::default() };
        run.toggle(0);
        run.toggle(1);
        run.kq = run.process.kqueue().unwrap();
        assert_eq!(run.kq as usize, QUEUE);
        run
    }

    fn toggle(&mut self, file: usize) {
        match self.model.files.remove(&file) {
            Some((fd, _)) => {
                self.process.close(fd).unwrap();
                let on_it = |ident, filter| ident == fd as usize && filter > Filter::TIMER.0;
                self.model.notes.retain(|&(ident, filter), _| !on_it(ident, filter));
            }
            None => {
                let fd = self.process.open(NAMES[file], 0).unwrap();
                self.model.files.insert(file, (fd, Default::default()));
            }
        }
    }

    fn publish(&mut self, file: usize, direction: Direction, amount: i64, eof: bool, arrived: bool) {
        let Some((_, sides)) = self.model.files.get_mut(&file) else { return };
        let side = &mut sides[usize::from(direction == Direction::Write)];
        *side = Side { amount, eof, arrivals: side.arrivals + i64::from(arrived) };
        let flags = if eof { LevelFlags::EOF } else { LevelFlags::empty() };
        self.world.publish(NAMES[file], direction, Level::new(amount).with(flags), arrived);
    }

    fn take(&mut self, room: usize) -> Result<(), TestCaseError> {
        let mut events = vec![KEvent::default(); room];
        let count = self.process.kevent(self.kq, &[], &mut events, NOW).unwrap();
        let expected = self.model.expected();
        // R14: what has no room stays; R12: nothing that is true is passed over.
        prop_assert_eq!(count, expected.len().min(room), "{:?} of {:?}", &events[..count], expected);
        for event in &events[..count] {
            prop_assert!(expected.contains(event), "{:?} is none of {:?}", event, expected);
        }
        for (at, event) in events[..count].iter().enumerate() {
            prop_assert!(
                !events[..at].iter().any(|other| key(other) == key(event)),
                "told twice: {:?}",
                event
            );
            self.model.delivered(event);
        }
        Ok(())
    }

    fn step(&mut self, step: Step) -> Result<(), TestCaseError> {
        match step {
            Step::Change(change) => {
                let result = self.process.kevent(self.kq, &[change], &mut [], NOW).map(drop);
                prop_assert_eq!(result, self.model.change(&change), "{:?}", change);
            }
            Step::Publish { file, direction, amount, eof, arrived } => {
                self.publish(file, direction, amount, eof, arrived);
            }
            Step::Pass(ns) => {
                self.world.advance(ns);
                self.model.pass(ns);
            }
            Step::Take(room) => self.take(room)?,
            Step::Toggle(file) => self.toggle(file),
        }
        Ok(())
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, ..ProptestConfig::default() })]

    #[test]
    fn a_queue_tells_what_the_rules_say(steps in prop::collection::vec(step(), 1..80)) {
        let mut run = Run::new();
        for step in steps {
            run.step(step)?;
        }
        run.take(64)?;
        // R57, R31: nothing is left of a closed queue and closed files.
        let Run { world, process, kq, model } = run;
        process.close(kq).unwrap();
        for (fd, _) in model.files.values() {
            process.close(*fd).unwrap();
        }
        prop_assert_eq!((world.notes(), world.files(), world.queues()), (0, 0, 0));
        prop_assert_eq!(process.open_descriptors(), 0);
    }
}

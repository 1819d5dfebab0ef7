//! The driver of the event, which measures.

use alloc::vec;
use core::sync::atomic::Ordering::Relaxed;

use abi::Rights;
use abi::hints::CpuHint;
use abi::message::WORDS;
use event_protocol::control::policy::Policy as Choice;
use event_protocol::descriptor::label;
use event_protocol::level::{Level, LevelFlags};
use guest_tests::failure::ensure;
use guest_tests::measure::{Clock, measure, tell_hundredths};
use guest_tests::shared::Shared;
use guest_tests::{Failure, Outcome, books, soon};
use rt::clock;
use rt::ipc::{Arrivals, Transfer, set_accept};
use rt::sys::{Endpoint, Object};

use super::row::{Policy, Row, WIDEST, word};
use crate::source::Source;

/// Measure the row that the page tells of, and end it: the sleepers see an end of file.
pub const ROW: u32 = 1;
/// Begin anew: there is nothing to read.
pub const LOWER: u32 = 2;
/// End.
pub const END: u32 = 3;

/// Looks in a row that find the other CPUs idle, each after they had their turn: an interrupt may be on its way to one.
const CALM: u32 = 50;

/// The process.
pub fn publisher(start: &rt::Start) -> Outcome {
    let missing = || Failure::new("handles are missing");
    let meeting: Endpoint = start.object("meeting").ok_or_else(missing)?;
    let shared = Shared::open(start.object("shared").ok_or_else(missing)?)?;
    let endpoint = Endpoint::create()?;
    let client = endpoint.with_badge(Rights::all(), 7)?;
    rt::ipc::call(&meeting, 1, [0; WORDS], 0, vec![Transfer::moved(client)], soon())?;
    let mut stand = Publisher { source: Source::for_all()?, shared, arrivals: 0 };
    loop {
        set_accept(1);
        let received = endpoint.recv(soon());
        set_accept(0);
        let received = received?;
        drop(Arrivals::of(received.tag));
        match received.tag.label() {
            label::OPEN => stand.source.opened(&endpoint, received.token)?,
            ROW => stand.row()?,
            LOWER => stand.source.publish(Level::new(0), false)?,
            END => {
                Endpoint::reply(received.token, received.message())?;
                return Ok(());
            }
            // A descriptor that is closed.
            _ => continue,
        }
        if received.tag.label() != label::OPEN {
            Endpoint::reply(received.token, received.message())?;
        }
    }
}

struct Publisher {
    source: Source,
    shared: Shared,
    arrivals: i64,
}

/// What all CPUs have done.
pub struct Counts {
    pub switches: u64,
    pub entries: u64,
    pub ipis: u64,
}

impl Counts {
    pub fn now() -> Counts {
        let hints = clock::hints();
        let cpus = &hints.cpus[..clock::cpu_count()];
        let sum = |figure: fn(&CpuHint) -> u64| cpus.iter().map(figure).sum();
        Counts {
            switches: sum(|cpu| cpu.switches.load(Relaxed)),
            entries: sum(|cpu| cpu.entries.load(Relaxed)),
            ipis: sum(|cpu| cpu.ipis.load(Relaxed)),
        }
    }

    pub fn since(&self, before: &Counts) -> Counts {
        Counts {
            switches: self.switches - before.switches,
            entries: self.entries - before.entries,
            ipis: self.ipis - before.ipis,
        }
    }
}

impl Publisher {
    fn row(&mut self) -> Outcome {
        let row = Row::load(&self.shared).ok_or(Failure::new("no row"))?;
        let (clock, alone) = (Clock::here(), clock::cpu_count() == 1);
        let wakes = books::sum(|stats| stats.wakes)?;
        let mut events = 0;
        self.calm();
        let before = Counts::now();
        let cost = measure(|| {
            events += 1;
            self.arrivals += 1;
            self.source.publish(Level::new(0), false)?;
            self.shared.set(word::EVENT, 1);
            let begin = clock.begin();
            self.source.publish(Level::new(self.arrivals), true)?;
            if alone {
                return Ok(clock.end().since(begin));
            }
            self.calm();
            Ok(clock.at(self.shared.get(word::TAKEN_AT)).since(begin))
        })?;
        let counts = Counts::now().since(&before);
        let wakes = books::sum(|stats| stats.wakes)? - wakes;
        self.source.publish(Level::new(self.arrivals).with(LevelFlags::EOF), true)?;
        let hundredths = |count: u64| (count * 100 + events / 2) / events;
        let taken = || (0..WIDEST).map(|me| self.shared.get(word::TAKEN + me));
        let (sum, most) = (taken().sum::<u64>(), taken().max().unwrap_or(0));
        ensure(sum == events, "each event is taken once")?;
        let name = row.name();
        rt::log!("{name} {} instructions", cost.typical);
        tell_hundredths(&name, "wakes", hundredths(wakes));
        tell_hundredths(&name, "switches", hundredths(counts.switches));
        tell_hundredths(&name, "entries", hundredths(counts.entries));
        tell_hundredths(&name, "ipis", hundredths(counts.ipis));
        tell_hundredths(&name, "top", (most * 10_000 + events / 2) / events);
        demand(row, wakes, most, events)
    }

    /// Waits until everybody else sleeps: on this CPU they do when this one runs.
    fn calm(&self) {
        let others = &clock::hints().cpus[1..clock::cpu_count()];
        let sleeps = |cpu: &CpuHint| cpu.idle.load(Relaxed) == 1 && cpu.queue_length.load(Relaxed) == 0;
        let mut looks = 0;
        while looks < CALM && !others.is_empty() {
            // Under emulation it is another CPU's turn.
            core::hint::spin_loop();
            let calm = self.shared.get(word::EVENT) == 0 && others.iter().all(sleeps);
            looks = if calm { looks + 1 } else { 0 };
        }
    }
}

/// Of who wants one, one is woken, and those whom the policy likes get about the same.
fn demand(row: Row, wakes: u64, most: u64, events: u64) -> Outcome {
    let Policy::Exclusive(choice) = row.policy else { return Ok(()) };
    if matches!(choice, Choice::All | Choice::OnePerCpu) {
        return Ok(());
    }
    ensure(wakes >= events && wakes * 100 <= events * 101, "each event wakes one")?;
    let cpus = clock::cpu_count() as u64;
    let among = match choice {
        Choice::RoundRobin => row.width,
        // Those on one CPU.
        _ => row.width.div_ceil(cpus),
    };
    ensure(most * 100 <= events * 100 / among + 5 * events, "all have their turn")
}

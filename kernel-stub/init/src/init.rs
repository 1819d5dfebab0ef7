//! The state of init, and what ends and time do to it.

use alloc::{collections::BTreeMap, string::String, vec::Vec};

use abi::{
    error::{ECHILD, ENODEV, Error},
    limits::FOREVER,
};
use init_protocol::{
    manifest::{Kind, Restart},
    request::{Counters, Event, Reply},
    status::{AGAIN, ExitStatus},
};

use crate::{
    System,
    backoff::{Failures, Verdict},
    check::{Program, Skipped},
    giving::Giving,
    observing::Observing,
    power::Power,
    processes::{INIT, Processes},
    services::Services,
    traces::Traces,
    waiting::{For, Waiting},
    watchdog::{HUNG, Hung, Watchdog},
};

/// Status of a machine whose essential program could not be started, or that has nothing to run.
pub const CANNOT_START: u8 = 125;
/// Who ends sooner has failed, whatever it says.
const SHORT_LIFE_MS: u64 = 100;
/// Status of a process that is ended because its parent has: 128 + `SIGKILL`, as a shell shows it.
pub const ENDED_WITH_PARENT: i64 = 137;

/// A program of the manifest.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) program: Program,
    pub(crate) state: State,
    pub(crate) failures: Failures,
    /// Bytes that its descendants use of `children_quota`.
    pub(crate) lent: u64,
    /// Live descendants.
    pub(crate) children: usize,
    /// Whether the log says already that there was no room for one.
    pub(crate) told_of_room: bool,
}

impl Entry {
    /// Whether it is a driver that may say itself that it is to be started again, and does not do that all the time.
    fn wants_again(&self, lived_ms: u64) -> bool {
        let may = self.program.entry.kind == Kind::Driver && self.program.entry.restart != Restart::Never;
        may && lived_ms >= SHORT_LIFE_MS
    }
}

/// How far a program is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum State {
    /// Not started yet: it waits for services.
    New,
    /// Process of this number.
    Alive(u32),
    /// Failed; started again at this time.
    Resting(u64),
    /// Ended for good.
    Over,
}

/// init.
#[derive(Debug)]
pub struct Init<S: System> {
    pub(crate) system: S,
    pub(crate) entries: Vec<Entry>,
    pub(crate) processes: Processes<S::Process>,
    pub(crate) services: Services<S::Handle>,
    pub(crate) waiting: Waiting,
    pub(crate) power: Power<S::Handle>,
    pub(crate) observing: Observing<S::Handle>,
    pub(crate) giving: Giving<S::Handle>,
    pub(crate) watchdog: Watchdog<S::Handle>,
    pub(crate) traces: Traces<S::Handle>,
    /// What programs keep for the next in their place.
    pub(crate) kept: BTreeMap<usize, S::Handle>,
    pub(crate) counters: Counters,
    /// Whether the manifest has nothing to run for.
    is_pointless: bool,
}

impl<S: System> Init<S> {
    /// init with what a manifest gave, nothing started.
    pub fn new(mut system: S, programs: Vec<Program>, skipped: &[Skipped]) -> Init<S> {
        for Skipped { index, name, why, .. } in skipped {
            system.log(format_args!("manifest entry {index} (\"{name}\") is skipped: {why}"));
        }
        let services = Services::new(&programs);
        let is_left = programs.iter().any(|program| program.entry.essential);
        let is_pointless = programs.is_empty() || !is_left && skipped.iter().any(|skipped| skipped.essential);
        let entry = |program| Entry {
            program,
            state: State::New,
            failures: Failures::default(),
            lent: 0,
            children: 0,
            told_of_room: false,
        };
        Init {
            system,
            entries: programs.into_iter().map(entry).collect(),
            processes: Processes::new(),
            services,
            waiting: Waiting::default(),
            power: Power::new(),
            observing: Observing::new(),
            giving: Giving::new(),
            watchdog: Watchdog::new(),
            traces: Traces::new(),
            kept: BTreeMap::new(),
            counters: Counters::default(),
            is_pointless,
        }
    }

    /// Starts what waits for nothing. Without the essential program that the manifest means to have, powers off.
    pub fn boot(&mut self) {
        if self.is_pointless {
            self.system.log(format_args!("the manifest has nothing to run for"));
            self.power.go(&mut self.system, CANNOT_START);
        }
        self.start_ready();
        self.settle();
    }

    /// Until when to wait for requests: [`FOREVER`] when nothing is due.
    pub fn deadline(&self) -> u64 {
        if let Some(off) = self.power.deadline() {
            return off;
        }
        let restarts = self.entries.iter().filter_map(|entry| match entry.state {
            State::Resting(until) => Some(until),
            _ => None,
        });
        restarts.chain(self.watchdog.deadline()).min().unwrap_or(FOREVER)
    }

    /// Does what is due. To be called after the [`deadline`](Init::deadline); too early is no harm.
    pub fn tick(&mut self) {
        self.look_after_loops();
        let now = self.system.now();
        for index in 0..self.entries.len() {
            if matches!(self.entries[index].state, State::Resting(until) if until <= now) {
                self.counters.restarted += 1;
                self.start(index);
            }
        }
        self.settle();
    }

    fn look_after_loops(&mut self) {
        let Init { system, processes, watchdog, counters, .. } = self;
        let doing = |system: &mut S, pid| Some(system.doing(processes.get(pid)?.alive()?));
        while let Some(Hung { pid, silent_ms, doing: what }) = watchdog.look(system, doing) {
            let Some(record) = processes.get(pid) else { continue };
            system.log(format_args!(
                "{} (pid {pid}) hangs: it was asked {silent_ms} ms ago and has not come round; {what}",
                record.name
            ));
            counters.hung += 1;
            if let Some(process) = record.alive() {
                system.kill(process, HUNG);
            }
        }
    }

    /// Processes whose [`exit_bits`](crate::system::Plan::exit_bits) are among these may have ended.
    pub fn ended(&mut self, bits: u64) {
        for pid in self.processes.alive_with(bits) {
            let process = self.processes.get(pid).and_then(|record| record.alive());
            if let Some(status) = process.and_then(|process| self.system.status(process)) {
                self.end(pid, status);
            }
        }
        self.settle();
    }

    /// What has been done so far, and what there is now.
    pub fn counters(&self) -> Counters {
        let (processes, waiting) = (self.processes.len() as u64, self.waiting.len() as u64);
        Counters { processes, waiting, ..self.counters }
    }

    /// Powers off when it is time to.
    pub(crate) fn settle(&mut self) {
        if let Some(status) = self.power.is_off(self.system.now()) {
            self.system.power_off(status);
        }
    }

    fn end(&mut self, pid: u32, status: ExitStatus) {
        self.counters.ended += 1;
        self.counters.faulted += u64::from(matches!(status, ExitStatus::Faulted { .. }));
        self.observing.forget(pid);
        self.giving.forget(pid);
        self.traces.forget(pid);
        let displaced = self.processes.end(pid, status);
        self.happened(Event::Ended { pid, status });
        if let Some(displaced) = displaced {
            self.happened(Event::Forgotten { pid: displaced });
        }
        self.services.withdraw(pid);
        self.waiting.forget(pid);
        self.power.forget(pid);
        self.watchdog.forget(pid);
        self.end_children(pid);
        let Some(record) = self.processes.get(pid) else { return };
        let (parent, program, cost, started) = (record.parent, record.program, record.cost, record.started);
        if matches!(status, ExitStatus::Faulted { .. }) && parent != INIT {
            self.system.log(format_args!("{} (pid {pid}) {status}", record.name));
        }
        let mut is_told = false;
        for (caller, token) in self.waiting.take(For::End(pid)) {
            let delivered = self.system.reply(token, Ok((Reply::Ended(status), None))).is_ok();
            is_told |= delivered && caller == parent;
        }
        is_told |= self.tell_parent(pid, parent, status);
        if parent == INIT {
            self.forget(pid);
            self.program_ended(program, pid, status, started);
            return;
        }
        let entry = &mut self.entries[program];
        entry.lent -= cost;
        entry.children -= 1;
        if is_told || self.processes.caller(u64::from(parent)).is_none() {
            self.forget(pid);
        }
    }

    /// Tells a parent that waits for this child, or for any. True when it got the answer.
    fn tell_parent(&mut self, pid: u32, parent: u32, status: ExitStatus) -> bool {
        for (which, reply) in [(pid, Reply::Ended(status)), (0, Reply::Child { pid, status })] {
            while let Some(token) = self.waiting.take_first(For::Child { parent, pid: which }) {
                if self.system.reply(token, Ok((reply.clone(), None))).is_ok() {
                    return true;
                }
            }
        }
        false
    }

    /// Says what an observer is told.
    pub(crate) fn happened(&mut self, event: Event) {
        self.observing.happened(&mut self.system, event);
    }

    /// An ended process's parent has been told of it, or nobody is there to be told. Whoever else waits for it as its
    /// parent waits in vain.
    pub(crate) fn forget(&mut self, pid: u32) {
        let Some(record) = self.processes.remove(pid) else { return };
        self.happened(Event::Forgotten { pid });
        for (_, token) in self.waiting.take(For::Child { parent: record.parent, pid }) {
            let _ = self.system.reply(token, Err(Error::new(ECHILD)));
        }
        if !self.has_children(record.parent, 0) {
            for (_, token) in self.waiting.take(For::Child { parent: record.parent, pid: 0 }) {
                let _ = self.system.reply(token, Err(Error::new(ECHILD)));
            }
        }
    }

    /// Whether `parent` has this child, or any for 0, that it has not been told the end of.
    pub(crate) fn has_children(&self, parent: u32, pid: u32) -> bool {
        self.processes.children(parent).iter().any(|&child| pid == 0 || child == pid)
    }

    /// A parent has ended: its live children are killed, its dead ones are of no interest to anybody.
    fn end_children(&mut self, parent: u32) {
        for child in self.processes.children(parent) {
            match self.processes.get(child).and_then(|record| record.alive()) {
                Some(process) => self.system.kill(process, ENDED_WITH_PARENT),
                None => self.forget(child),
            }
        }
    }

    fn program_ended(&mut self, index: usize, pid: u32, status: ExitStatus, started: u64) {
        let name = &self.entries[index].program.entry.name;
        if status.is_success() {
            self.system.log(format_args!("{name} (pid {pid}) {status}"));
            self.over(index, status.to_byte());
            return;
        }
        let now = self.system.now();
        let lived_ms = now.saturating_sub(started) / 1_000_000;
        self.system.log(format_args!("{name} (pid {pid}) {status}"));
        let entry = &mut self.entries[index];
        if status == ExitStatus::Exited(AGAIN) && entry.wants_again(lived_ms) {
            entry.state = State::Resting(now);
        } else {
            self.failed(index, lived_ms, status.to_byte());
        }
    }

    /// A program failed, or could not be started for a passing reason.
    pub(crate) fn failed(&mut self, index: usize, lived_ms: u64, status: u8) {
        let entry = &mut self.entries[index];
        let name = &entry.program.entry.name;
        match entry.failures.failed(entry.program.entry.restart, lived_ms) {
            Verdict::Restart { after_ms, count, limit } => {
                let until = self.system.now().saturating_add(u64::from(after_ms) * 1_000_000);
                entry.state = State::Resting(until);
                self.system.log(format_args!("{name} is restarted in {after_ms} ms ({count} of {limit})"));
            }
            Verdict::GiveUp => self.over(index, status),
        }
    }

    /// A program is not started again. Whoever waits for its services waits in vain.
    pub(crate) fn over(&mut self, index: usize, status: u8) {
        self.entries[index].state = State::Over;
        // Before anybody is told: what others hold for it in vain ends with this.
        self.kept.remove(&index);
        for service in self.services.of(index).collect::<Vec<_>>() {
            for (_, token) in self.waiting.take(For::Service(service)) {
                let _ = self.system.reply(token, Err(Error::new(ENODEV)));
            }
        }
        if self.entries[index].program.entry.essential {
            self.power.go(&mut self.system, status);
        }
        for other in 0..self.entries.len() {
            let entry = &self.entries[other];
            let is_mine =
                |name: &String| self.services.find(name).is_some_and(|s| self.services.provider(s) == index);
            if entry.state == State::New && entry.program.entry.after.iter().any(is_mine) {
                let (name, ended) = (&entry.program.entry.name, &self.entries[index].program.entry.name);
                self.system.log(format_args!("{name} is not started: it waits for {ended}, which has ended"));
                self.over(other, CANNOT_START);
            }
        }
    }
}

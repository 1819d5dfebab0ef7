//! What is measured, as the processes tell each other in a shared page.

use alloc::format;
use alloc::string::String;

use event_protocol::control::policy::Policy as Choice;
use guest_tests::shared::Shared;

/// Most sleepers.
pub const WIDEST: usize = 64;

/// Words of the shared page.
pub mod word {
    /// The crew; 0: there is nothing more to do.
    pub const CREW: usize = 0;
    /// The policy.
    pub const POLICY: usize = 1;
    /// Sleepers.
    pub const WIDTH: usize = 2;
    /// 1 while an event has not been taken.
    pub const EVENT: usize = 3;
    /// Ticks when the last one was.
    pub const TAKEN_AT: usize = 4;
    /// How many each sleeper took.
    pub const TAKEN: usize = 64;
}

/// The number of [`Policy::Plain`]: no other policy's.
const PLAIN: u64 = 255;

/// Who sleeps.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Crew {
    /// Processes with a thread and a queue each.
    Processes = 1,
    /// Threads of a process with a queue each.
    Threads = 2,
    /// Threads of a process with one queue.
    Queue = 3,
}

impl Crew {
    pub const ALL: [Crew; 3] = [Crew::Processes, Crew::Threads, Crew::Queue];

    pub const fn name(self) -> &'static str {
        match self {
            Crew::Processes => "processes",
            Crew::Threads => "threads",
            Crew::Queue => "queue",
        }
    }
}

/// Whom an event wakes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Policy {
    /// Without `EV_WAKEONE`.
    Plain,
    /// With it.
    Exclusive(Choice),
}

impl Policy {
    /// Those that make a difference for a crew: of one queue one thread is woken, whatever the policy of its note.
    pub fn of(crew: Crew) -> impl Iterator<Item = Policy> {
        let choices = Choice::ALL.into_iter().map(Policy::Exclusive);
        let fits = move |policy: &Policy| crew != Crew::Queue || *policy == Policy::Exclusive(Choice::Auto);
        [Policy::Plain].into_iter().chain(choices.filter(fits))
    }

    /// As in a figure's name.
    pub fn name(self) -> &'static str {
        match self {
            Policy::Plain => "plain",
            Policy::Exclusive(Choice::All) => "all",
            Policy::Exclusive(Choice::OneThisCpu) => "one_this_cpu",
            Policy::Exclusive(Choice::OneOtherCpu) => "one_other_cpu",
            Policy::Exclusive(Choice::OnePerCpu) => "one_per_cpu",
            Policy::Exclusive(Choice::RoundRobin) => "round_robin",
            Policy::Exclusive(Choice::Auto) => "auto",
        }
    }

    pub const fn number(self) -> u64 {
        match self {
            Policy::Plain => PLAIN,
            Policy::Exclusive(choice) => choice as u64,
        }
    }

    pub fn from_number(number: u64) -> Policy {
        u8::try_from(number).ok().and_then(Choice::from_number).map_or(Policy::Plain, Policy::Exclusive)
    }
}

/// A row.
#[derive(Clone, Copy, Debug)]
pub struct Row {
    pub crew: Crew,
    pub policy: Policy,
    pub width: u64,
}

impl Row {
    /// Its figure's name.
    pub fn name(&self) -> String {
        format!("wakeup_{}_{}_{}", self.crew.name(), self.policy.name(), self.width)
    }

    /// Tells the others.
    pub fn store(&self, shared: &Shared) {
        (0..WIDEST).for_each(|me| shared.set(word::TAKEN + me, 0));
        shared.set(word::POLICY, self.policy.number());
        shared.set(word::WIDTH, self.width);
        shared.set(word::CREW, self.crew as u64);
    }

    /// Tells the sleepers that there is none.
    pub fn none(shared: &Shared) {
        shared.set(word::CREW, 0);
    }

    /// What another process has told.
    pub fn load(shared: &Shared) -> Option<Row> {
        let number = shared.get(word::CREW);
        let crew = Crew::ALL.into_iter().find(|crew| *crew as u64 == number)?;
        let policy = Policy::from_number(shared.get(word::POLICY));
        Some(Row { crew, policy, width: shared.get(word::WIDTH) })
    }
}

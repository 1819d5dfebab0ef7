//! What a file has to say, and which conditions that makes true.

use event_protocol::cell::Direction;
use event_protocol::descriptor::Kind;
use event_protocol::filter::Filters;
use libkq::Conditions;

/// One direction of a file.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Side {
    /// Bytes to read, or room to write; of a regular file the distance to its end.
    pub amount: i64,
    /// No more will come, or nobody will take it.
    pub eof: bool,
    /// Both directions are finished.
    pub hung_up: bool,
    /// Urgent data waits.
    pub urgent: bool,
}

/// A file.
#[derive(Clone, Debug)]
pub struct File {
    /// What it is.
    pub kind: Kind,
    /// What it serves.
    pub filters: Filters,
    /// Low-water marks of reading and writing.
    pub low_water: (u32, u32),
    /// Reading and writing.
    pub sides: [Side; 2],
    /// A pending error.
    pub error: i32,
    /// It is no more (R57).
    pub gone: bool,
    /// How often there was reason to wake somebody, for reading and for writing.
    pub reasons: [u64; 2],
    /// Of these, how many there had been when a thread came that was woken for an exclusive note on it (R43).
    pub served: [u64; 2],
}

/// From which amount on a direction is ready; `None`: whatever the amount (R23).
pub type Mark = Option<i64>;

/// What must be told and what may be.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Told {
    /// At least this.
    pub must: Conditions,
    /// At most this.
    pub may: Conditions,
}

impl Told {
    /// Exactly this.
    pub fn exactly(told: Conditions) -> Told {
        Told { must: told, may: told }
    }

    /// Whether it is nothing.
    pub fn is_nothing(&self) -> bool {
        self.may.is_empty()
    }

    /// Whether an answer is right.
    pub fn allows(&self, answer: Conditions) -> bool {
        answer.contains(self.must) && self.may.contains(answer)
    }
}

impl File {
    /// One that was just made.
    pub fn new(kind: Kind, filters: Filters, low_water: (u32, u32)) -> File {
        let (sides, reasons, served) = ([Side::default(); 2], [0; 2], [0; 2]);
        File { kind, filters, low_water, sides, error: 0, gone: false, reasons, served }
    }

    /// A direction.
    pub fn side(&self, direction: Direction) -> &Side {
        &self.sides[usize::from(direction == Direction::Write)]
    }

    /// The mark that a direction has unless a note says otherwise.
    pub fn mark(&self, direction: Direction) -> Mark {
        let (read, write) = self.low_water;
        Some(i64::from(if direction == Direction::Read { read } else { write }))
    }

    /// R11, R18, R20, R21, R23, R24: whether a direction is ready.
    pub fn is_ready(&self, direction: Direction, mark: Mark) -> bool {
        let side = self.side(direction);
        let enough = match (self.kind, mark) {
            // R23: behind the end is ready too.
            (Kind::File, Some(_)) if direction == Direction::Read => side.amount != 0,
            (Kind::File, None) if direction == Direction::Read => true,
            (_, mark) => side.amount >= mark.unwrap_or(1),
        };
        enough || side.eof || self.error != 0 || self.gone
    }

    /// Whether urgent data waits, or never will.
    pub fn is_urgent(&self) -> bool {
        self.side(Direction::Read).urgent || self.gone
    }

    /// Whether it is finished, or failed: what is told unasked (R41).
    pub fn is_hung_up(&self) -> bool {
        self.sides.iter().any(|side| side.hung_up) || self.error != 0 || self.gone
    }

    /// What poll, epoll and /dev/poll tell who asks for `wanted` (R18, R20, R41).
    pub fn told(&self, wanted: Conditions) -> Told {
        let readable = self.is_ready(Direction::Read, self.mark(Direction::Read));
        let mut told = Conditions::empty();
        told.set(Conditions::READABLE, readable);
        told.set(Conditions::URGENT, self.is_urgent());
        told.set(Conditions::RDHUP, self.side(Direction::Read).eof || self.gone);
        told.set(Conditions::ERR, self.error != 0);
        // R18: not before what is left was read, to those who read.
        let left = self.side(Direction::Read).amount > 0 && wanted.intersects(Conditions::READABLE);
        let finished = self.sides.iter().any(|side| side.hung_up) && !left || self.gone;
        told.set(Conditions::HUP, finished);
        told.set(
            Conditions::WRITABLE,
            self.is_ready(Direction::Write, self.mark(Direction::Write)) && !finished,
        );
        let may = told & (wanted | Conditions::UNASKED);
        // R57 promises of what is gone the hang-up only: nobody knows what else it had.
        let must = if self.gone { Conditions::HUP } else { may };
        Told { must, may }
    }

    /// What select tells (R47): whether a direction would block.
    pub fn selected(&self, wanted: Conditions) -> Conditions {
        let mut told = Conditions::empty();
        told.set(Conditions::IN, self.is_ready(Direction::Read, self.mark(Direction::Read)));
        told.set(Conditions::OUT, self.is_ready(Direction::Write, self.mark(Direction::Write)));
        told.set(Conditions::PRI, self.is_urgent());
        told & wanted
    }

    /// R40: whether something that arrived in these directions concerns who asks for `wanted`.
    pub fn is_news(&self, wanted: Conditions, arrived: [bool; 2]) -> bool {
        let [read, write] = arrived;
        let reads = wanted.intersects(Conditions::READABLE)
            && self.is_ready(Direction::Read, self.mark(Direction::Read));
        let ends = wanted.intersects(Conditions::RDHUP) && self.is_ready(Direction::Read, Some(i64::MAX));
        let urgent = wanted.intersects(Conditions::URGENT) && self.is_urgent();
        let writes = wanted.intersects(Conditions::WRITABLE)
            && self.is_ready(Direction::Write, self.mark(Direction::Write));
        read && (reads || ends || urgent) || write && writes || (read || write) && self.is_hung_up()
    }
}

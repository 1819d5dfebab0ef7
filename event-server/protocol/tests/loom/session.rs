//! What the two sides share, and how all interleavings are tried.

use event_protocol::activation::{Entry, QueueHeader, activate, take};
use event_protocol::atomic::{AtomicU32, AtomicU64, Ordering};
use event_protocol::badge::SourceId;
use event_protocol::cell::{Cell, Direction};
use event_protocol::changed::{Changed, ChangedHeader, Publisher, Told};
use event_protocol::filter::Filters;
use event_protocol::level::Level;
use event_protocol::park::Waiter;
use event_protocol::ring::{Consumer, Producer, Ring, RingHeader};
use event_protocol::slot::{Control, Slot, Terms};

pub const SOURCE: SourceId = SourceId::new(0, 0, 1);

/// Preemptions that a long run of the tests adds to each model's bound.
pub fn deeper() -> usize {
    std::env::var("KQ_LOOM_DEEPER").map_or(0, |more| more.parse().unwrap())
}

pub fn check(preemptions: usize, test: impl Fn() + Sync + Send + 'static) {
    let mut model = loom::model::Builder::new();
    model.preemption_bound = Some(preemptions + deeper());
    model.check(test);
}

/// What a driver and its shard share.
pub struct Session {
    pub cell: Cell,
    pub header: ChangedHeader,
    pub entries: [AtomicU64; 2],
    pub doorbell: AtomicU32,
}

impl Session {
    pub fn new(interest: Filters) -> Session {
        let session = Session {
            cell: Cell::default(),
            header: ChangedHeader::default(),
            entries: [AtomicU64::new(0), AtomicU64::new(0)],
            doorbell: AtomicU32::new(0),
        };
        session.cell.begin(1);
        session.cell.set_interest(interest);
        session.changed().begin();
        session
    }

    pub fn changed(&self) -> Changed<'_> {
        Changed::new(&self.header, &self.entries).unwrap()
    }

    pub fn publish(&self, publisher: &mut Publisher, amount: i64, arrived: bool) {
        let level = Level::new(amount);
        let told = publisher.publish(self.changed(), &self.cell, SOURCE, Direction::Read, level, arrived);
        if told.unwrap() == Told::Ring {
            self.doorbell.fetch_or(1, Ordering::AcqRel);
        }
    }

    pub fn read_level(&self) -> i64 {
        self.cell.level(Direction::Read).amount
    }
}

/// What a shard and a client share: one queue with one note.
pub struct Queue {
    pub header: QueueHeader,
    pub ring_header: RingHeader,
    pub entries: [AtomicU64; 2],
    pub slots: [Slot; 1],
    pub waiters: [Waiter; 2],
}

pub const NOTE: Entry = Entry { slot: 0, generation: 1 };

impl Queue {
    pub fn new(cell: &Cell, control: Control) -> Queue {
        let queue = Queue {
            header: QueueHeader::default(),
            ring_header: RingHeader::default(),
            entries: [AtomicU64::new(0), AtomicU64::new(0)],
            slots: [Slot::default()],
            waiters: [Waiter::default(), Waiter::default()],
        };
        let terms = Terms { control, filters: Filters::READ, ..Terms::default() };
        queue.slots[0].begin(NOTE.generation, terms, cell);
        queue
    }

    pub fn ring(&self) -> Ring<'_> {
        Ring::new(&self.ring_header, &self.entries).unwrap()
    }

    /// The shard's look at a cell for one note. True when it put the note into the ring.
    pub fn look(&self, producer: &mut Producer, cell: &Cell, entry: Entry) -> bool {
        !self.slots[0].active(cell).is_empty()
            && activate(producer, self.ring(), &self.header, 0, &self.slots[0], entry).unwrap()
    }

    /// The client's: how often the note came out of the ring.
    pub fn drain(&self, consumer: &mut Consumer) -> usize {
        if self.header.take_pending() == 0 {
            return 0;
        }
        let mut found = 0;
        while take(consumer, self.ring(), &self.slots).unwrap().is_some() {
            found += 1;
        }
        found
    }
}

//! Every hand-off in every interleaving. Run with
//! `RUSTFLAGS="--cfg loom" cargo test -p event-protocol --release --test loom`.
#![cfg(loom)]

use event_protocol::activation::{Entry, QueueHeader, activate, take};
use event_protocol::badge::SourceId;
use event_protocol::cell::{Cell, Direction};
use event_protocol::changed::{Changed, ChangedHeader, Drain, Publisher, Told};
use event_protocol::filter::Filters;
use event_protocol::level::Level;
use event_protocol::park::{End, Waiter, choose};
use event_protocol::parked::Parked;
use event_protocol::ring::{Consumer, Producer, Ring, RingHeader};
use event_protocol::slot::{Control, Slot, Terms};
use loom::sync::Arc;
use loom::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use loom::thread;

const SOURCE: SourceId = SourceId::new(0, 0, 1);

/// Preemptions that a long run of the tests adds to each model's bound.
fn deeper() -> usize {
    std::env::var("KQ_LOOM_DEEPER").map_or(0, |more| more.parse().unwrap())
}

fn check(preemptions: usize, test: impl Fn() + Sync + Send + 'static) {
    let mut model = loom::model::Builder::new();
    model.preemption_bound = Some(preemptions + deeper());
    model.check(test);
}

/// What a driver and its shard share.
struct Session {
    cell: Cell,
    header: ChangedHeader,
    entries: [AtomicU64; 2],
    doorbell: AtomicU32,
}

impl Session {
    fn new(interest: Filters) -> Session {
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

    fn changed(&self) -> Changed<'_> {
        Changed::new(&self.header, &self.entries).unwrap()
    }

    fn publish(&self, publisher: &mut Publisher, amount: i64, arrived: bool) {
        let level = Level::new(amount);
        let told = publisher.publish(self.changed(), &self.cell, SOURCE, Direction::Read, level, arrived);
        if told.unwrap() == Told::Ring {
            self.doorbell.fetch_or(1, Ordering::AcqRel);
        }
    }

    fn read_level(&self) -> i64 {
        self.cell.level(Direction::Read).amount
    }
}

/// What a shard and a client share: one queue with one note.
struct Queue {
    header: QueueHeader,
    ring_header: RingHeader,
    entries: [AtomicU64; 2],
    slots: [Slot; 1],
    waiters: [Waiter; 2],
}

const NOTE: Entry = Entry { slot: 0, generation: 1 };

impl Queue {
    fn new(cell: &Cell, control: Control) -> Queue {
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

    fn ring(&self) -> Ring<'_> {
        Ring::new(&self.ring_header, &self.entries).unwrap()
    }

    /// The shard's look at a cell for one note. True when it put the note into the ring.
    fn look(&self, producer: &mut Producer, cell: &Cell, entry: Entry) -> bool {
        !self.slots[0].active(cell).is_empty()
            && activate(producer, self.ring(), &self.header, 0, &self.slots[0], entry).unwrap()
    }

    /// The client's: how often the note came out of the ring.
    fn drain(&self, consumer: &mut Consumer) -> usize {
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

#[test]
fn a_published_level_is_always_looked_at() {
    check(5, || {
        let session = Arc::new(Session::new(Filters::READ));
        let driver = {
            let session = session.clone();
            thread::spawn(move || {
                let mut publisher = Publisher::new();
                session.publish(&mut publisher, 1, true);
                session.publish(&mut publisher, 2, true);
            })
        };
        let (mut drain, mut seen) = (Drain::new(), 0);
        let mut run = |seen: &mut i64| {
            loop {
                while let Some(source) = drain.pop(session.changed()).unwrap() {
                    assert_eq!(source, SOURCE);
                    session.cell.begin_look();
                    *seen = session.read_level();
                }
                if drain.arm(session.changed()) {
                    break;
                }
            }
        };
        // The shard sleeps from the beginning: only the doorbell may wake it.
        for _ in 0..2 {
            if session.doorbell.swap(0, Ordering::AcqRel) == 1 {
                run(&mut seen);
            }
        }
        driver.join().unwrap();
        if session.doorbell.swap(0, Ordering::AcqRel) == 1 {
            run(&mut seen);
        }
        assert_eq!(seen, 2);
    });
}

#[test]
fn a_new_interest_sees_the_level_or_is_told() {
    check(4, || {
        let session = Arc::new(Session::new(Filters::empty()));
        let driver = {
            let session = session.clone();
            thread::spawn(move || session.publish(&mut Publisher::new(), 1, true))
        };
        session.cell.set_interest(Filters::READ);
        let seen = session.read_level() == 1;
        driver.join().unwrap();
        let told = Drain::new().pop(session.changed()).unwrap().is_some();
        assert!(seen || told);
        assert_eq!(told, session.doorbell.load(Ordering::Acquire) == 1);
    });
}

/// Driver, shard and a harvesting client: the note is never lost, never twice in ring or list.
fn activation_against_harvest(control: Control, later: &'static [i64]) {
    check(4, move || {
        let session = Arc::new(Session::new(Filters::READ));
        let queue = Arc::new(Queue::new(&session.cell, control));
        let driver = {
            let session = session.clone();
            thread::spawn(move || {
                let mut publisher = Publisher::new();
                session.publish(&mut publisher, 1, true);
                for &level in later {
                    session.publish(&mut publisher, level, level > 0);
                }
            })
        };
        let shard = {
            let (session, queue) = (session.clone(), queue.clone());
            thread::spawn(move || {
                let (mut drain, mut producer) = (Drain::new(), Producer::new());
                for _ in 0..2 {
                    while drain.pop(session.changed()).unwrap().is_some() {
                        session.cell.begin_look();
                        queue.look(&mut producer, &session.cell, NOTE);
                    }
                }
                (drain, producer)
            })
        };
        let mut consumer = Consumer::new();
        let slot = &queue.slots[0];
        let mut listed = queue.drain(&mut consumer);
        assert!(listed <= 1);
        if listed == 1 {
            let activity = session.cell.activity();
            let active = slot.active(&session.cell);
            if !active.is_empty() && control.contains(Control::EDGE) {
                slot.see_activity(activity, active);
                listed = usize::from(slot.settle(&session.cell));
            } else if active.is_empty() {
                listed = usize::from(slot.settle(&session.cell));
            }
        }
        driver.join().unwrap();
        let (mut drain, mut producer) = shard.join().unwrap();
        while drain.pop(session.changed()).unwrap().is_some() {
            session.cell.begin_look();
            queue.look(&mut producer, &session.cell, NOTE);
        }
        let listed = listed + queue.drain(&mut consumer);
        assert!(listed <= 1, "twice at once");
        if !slot.active(&session.cell).is_empty() {
            assert_eq!(listed, 1, "lost");
        }
        assert_eq!(slot.try_queue(), listed == 0, "the queued word says where the note is");
    });
}

#[test]
fn r12_a_level_note_is_not_lost_between_activation_and_harvest() {
    activation_against_harvest(Control::ENABLED, &[0, 2]);
}

#[test]
fn r15_an_edge_is_not_lost_between_activation_and_harvest() {
    activation_against_harvest(Control::ENABLED | Control::EDGE, &[2]);
}

#[test]
fn r15_an_edge_is_told_with_the_level_that_came_with_it() {
    check(3, || {
        let session = Arc::new(Session::new(Filters::READ));
        let queue = Arc::new(Queue::new(&session.cell, Control::ENABLED | Control::EDGE));
        let mut publisher = Publisher::new();
        session.publish(&mut publisher, 1, true);
        let driver = {
            let session = session.clone();
            thread::spawn(move || session.publish(&mut publisher, 2, true))
        };
        let harvest = {
            let (session, queue) = (session.clone(), queue.clone());
            thread::spawn(move || {
                let activity = session.cell.activity();
                let told = session.read_level();
                queue.slots[0].see_activity(activity, Filters::READ);
                told
            })
        };
        driver.join().unwrap();
        // It told the first arrival, or both.
        let told = harvest.join().unwrap();
        assert!(told == 2 || !queue.slots[0].active(&session.cell).is_empty(), "the second is never told");
    });
}

#[test]
fn r8_enabling_finds_the_level_or_the_shard_finds_it_enabled() {
    check(3, || {
        let session = Arc::new(Session::new(Filters::READ));
        let queue = Arc::new(Queue::new(&session.cell, Control::empty()));
        let shard = {
            let (session, queue) = (session.clone(), queue.clone());
            thread::spawn(move || {
                session.publish(&mut Publisher::new(), 1, true);
                let mut drain = Drain::new();
                assert!(drain.pop(session.changed()).unwrap().is_some());
                session.cell.begin_look();
                queue.look(&mut Producer::new(), &session.cell, NOTE)
            })
        };
        queue.slots[0].set_enabled(true);
        let own = queue.slots[0].requeue_if_active(&session.cell);
        let pushed = shard.join().unwrap();
        assert!(own ^ pushed, "exactly one queues it");
        assert_eq!(queue.drain(&mut Consumer::new()), usize::from(pushed));
    });
}

#[test]
fn a_parked_waiter_is_chosen_or_sees_the_activation() {
    check(4, || {
        let cell = Arc::new(Session::new(Filters::READ));
        let queue = Arc::new(Queue::new(&cell.cell, Control::ENABLED));
        cell.publish(&mut Publisher::new(), 1, true);
        let shard = {
            let (cell, queue) = (cell.clone(), queue.clone());
            thread::spawn(move || {
                assert!(queue.look(&mut Producer::new(), &cell.cell, NOTE));
                choose(queue.header.parked(), &queue.waiters, 0)
            })
        };
        queue.waiters[1].announce(queue.header.parked(), 1, 0);
        let seen = queue.header.looks_pending();
        let chosen = shard.join().unwrap();
        assert!(seen || chosen == Some(1), "lost wake-up");
        assert_eq!(queue.waiters[1].is_chosen(), chosen == Some(1));
        let end = queue.waiters[1].withdraw(queue.header.parked(), 1);
        assert_eq!(end == End::Chosen, chosen == Some(1));
        assert!(queue.header.parked().looks_empty());
    });
}

/// More waiters than the first word has bits: one comes while another goes.
#[test]
fn a_waiter_of_a_further_word_is_chosen_or_sees_the_activation() {
    const NUMBER: u32 = 64;
    check(3, || {
        let cell = Arc::new(Session::new(Filters::READ));
        let queue = Arc::new(Queue::new(&cell.cell, Control::ENABLED));
        cell.publish(&mut Publisher::new(), 1, true);
        queue.header.parked().add(NUMBER + 1);
        let leaver = {
            let queue = queue.clone();
            thread::spawn(move || queue.header.parked().remove(NUMBER + 1))
        };
        let shard = {
            let (cell, queue) = (cell.clone(), queue.clone());
            thread::spawn(move || {
                assert!(queue.look(&mut Producer::new(), &cell.cell, NOTE));
                queue.header.parked().find(0, |number| number == NUMBER && queue.waiters[1].try_choose())
            })
        };
        queue.waiters[1].announce(queue.header.parked(), NUMBER, 0);
        let seen = queue.header.looks_pending();
        let chosen = shard.join().unwrap();
        assert!(seen || chosen == Some(NUMBER), "lost wake-up");
        let end = queue.waiters[1].withdraw(queue.header.parked(), NUMBER);
        assert_eq!(end == End::Chosen, chosen == Some(NUMBER));
        leaver.join().unwrap();
        assert_eq!(queue.header.parked().count(), 0);
    });
}

/// Who sleeps on a set with a set in it puts its bit into both words, the inner ones first.
#[test]
fn r37_a_waiter_of_two_queues_is_chosen_by_the_inner_one_or_sees_its_activation() {
    check(4, || {
        let cell = Arc::new(Session::new(Filters::READ));
        let queue = Arc::new(Queue::new(&cell.cell, Control::ENABLED));
        let outer = Parked::default();
        cell.publish(&mut Publisher::new(), 1, true);
        let shard = {
            let (cell, queue) = (cell.clone(), queue.clone());
            thread::spawn(move || {
                assert!(queue.look(&mut Producer::new(), &cell.cell, NOTE));
                choose(queue.header.parked(), &queue.waiters, 0)
            })
        };
        queue.header.parked().add(1);
        queue.waiters[1].announce(&outer, 1, 0);
        let seen = queue.header.looks_pending();
        let chosen = shard.join().unwrap();
        assert!(seen || chosen == Some(1), "lost wake-up");
        let end = queue.waiters[1].withdraw(&outer, 1);
        queue.header.parked().remove(1);
        assert_eq!(end == End::Chosen, chosen == Some(1));
        assert!(outer.looks_empty() && queue.header.parked().looks_empty());
    });
}

/// A note that is true and queued already says nothing new to the ring: who waits for arrivals is chosen all the same.
#[test]
fn r37_an_arrival_at_a_queued_note_chooses_who_waits_for_it_or_is_seen() {
    check(4, || {
        let session = Arc::new(Session::new(Filters::READ));
        let queue = Arc::new(Queue::new(&session.cell, Control::ENABLED));
        let (mut publisher, mut drain, mut producer) = (Publisher::new(), Drain::new(), Producer::new());
        session.publish(&mut publisher, 1, true);
        assert!(drain.pop(session.changed()).unwrap().is_some());
        session.cell.begin_look();
        assert!(queue.look(&mut producer, &session.cell, NOTE));
        assert_eq!(queue.drain(&mut Consumer::new()), 1);
        queue.header.tell_every_arrival();
        let before = queue.slots[0].arrivals(&session.cell);
        let shard = {
            let (session, queue) = (session.clone(), queue.clone());
            thread::spawn(move || {
                session.publish(&mut publisher, 1, true);
                assert!(drain.pop(session.changed()).unwrap().is_some());
                session.cell.begin_look();
                assert!(queue.look(&mut producer, &session.cell, NOTE));
                choose(queue.header.parked(), &queue.waiters, 0)
            })
        };
        queue.waiters[1].announce(queue.header.parked(), 1, 0);
        let seen = queue.slots[0].arrivals(&session.cell) != before;
        let chosen = shard.join().unwrap();
        assert!(seen || chosen == Some(1), "an edge without a wake-up");
        let end = queue.waiters[1].withdraw(queue.header.parked(), 1);
        assert_eq!(end == End::Chosen, chosen == Some(1));
        assert_eq!(queue.drain(&mut Consumer::new()), 0, "queued once");
    });
}

#[test]
fn r44_a_waiter_that_times_out_is_won_exactly_once_and_hands_the_wake_on() {
    check(3, || {
        let shared = Arc::new((Parked::default(), [Waiter::default(), Waiter::default()]));
        for number in 0..2 {
            shared.1[number as usize].announce(&shared.0, number, 0);
        }
        let chooser = {
            let shared = shared.clone();
            thread::spawn(move || choose(&shared.0, &shared.1, 63))
        };
        // Waiter 0 times out at that moment.
        let end = shared.1[0].withdraw(&shared.0, 0);
        let handed = match end {
            End::Chosen => choose(&shared.0, &shared.1, 0),
            End::Withdrawn => None,
        };
        let chosen = chooser.join().unwrap();
        match end {
            End::Chosen => assert_eq!((chosen, handed), (Some(0), Some(1))),
            End::Withdrawn => assert_eq!(chosen, Some(1)),
        }
        assert!(shared.1[1].is_chosen() && !shared.1[0].is_chosen());
    });
}

#[test]
fn two_choosers_never_choose_one_waiter() {
    check(4, || {
        let shared = Arc::new((Parked::default(), [Waiter::default(), Waiter::default()]));
        for number in 0..2 {
            shared.1[number as usize].announce(&shared.0, number, 0);
        }
        let other = {
            let shared = shared.clone();
            thread::spawn(move || choose(&shared.0, &shared.1, 0))
        };
        let own = choose(&shared.0, &shared.1, 0);
        let other = other.join().unwrap();
        assert!(own.is_some() && other.is_some() && own != other);
    });
}

#[test]
fn r35_a_deleted_note_is_not_delivered_to_the_next_user_of_its_slot() {
    check(3, || {
        let session = Arc::new(Session::new(Filters::READ));
        let queue = Arc::new(Queue::new(&session.cell, Control::ENABLED));
        session.publish(&mut Publisher::new(), 1, true);
        let replied = Arc::new(AtomicU32::new(0));
        let shard = {
            let (session, queue, replied) = (session.clone(), queue.clone(), replied.clone());
            thread::spawn(move || {
                let mut producer = Producer::new();
                queue.look(&mut producer, &session.cell, NOTE);
                replied.store(1, Ordering::Release);
            })
        };
        let mut consumer = Consumer::new();
        let slot = &queue.slots[0];
        let before = queue.drain(&mut consumer);
        assert!(before <= 1);
        slot.retire();
        assert_eq!(queue.drain(&mut consumer), 0, "retired");
        shard.join().unwrap();
        assert_eq!(replied.load(Ordering::Acquire), 1);
        assert_eq!(queue.drain(&mut consumer), 0, "retired");
        let terms = Terms { control: Control::ENABLED, filters: Filters::READ, ..Terms::default() };
        slot.begin(2, terms, &session.cell);
        assert_eq!(queue.drain(&mut consumer), 0, "an entry of the deleted note");
        assert!(slot.try_queue(), "the new note begins idle");
    });
}

#[test]
fn a_ring_keeps_order_and_loses_nothing() {
    check(3, || {
        let shared = Arc::new((RingHeader::default(), [AtomicU64::new(0), AtomicU64::new(0)]));
        let producer = {
            let shared = shared.clone();
            thread::spawn(move || {
                let ring = Ring::new(&shared.0, &shared.1).unwrap();
                let mut producer = Producer::new();
                (1..=3).map_while(|value| producer.push(ring, value).ok().map(|()| value)).last()
            })
        };
        let ring = Ring::new(&shared.0, &shared.1).unwrap();
        let mut consumer = Consumer::new();
        let mut got: Vec<u64> = (0..2).filter_map(|_| consumer.pop(ring).unwrap()).collect();
        let pushed = producer.join().unwrap().unwrap();
        while let Some(value) = consumer.pop(ring).unwrap() {
            got.push(value);
        }
        assert_eq!(got, (1..=pushed).collect::<Vec<_>>());
    });
}

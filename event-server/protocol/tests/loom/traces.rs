//! A trace that two write and a third looks at.

use crate::session::check;
use event_protocol::trace::{Event, Trace};
use loom::sync::Arc;
use loom::thread;

fn add(trace: &Trace<1>, number: u64) {
    trace.record(number, Event::Request, number as u32, number);
}

/// One place for both: each writes over the other, and nobody finds words of two in an entry.
#[test]
fn an_entry_is_one_writers() {
    check(3, || {
        let trace = Arc::new(Trace::<1>::default());
        let writer = {
            let trace = trace.clone();
            thread::spawn(move || {
                add(&trace, 1);
                add(&trace, 2);
            })
        };
        let other = {
            let trace = trace.clone();
            thread::spawn(move || add(&trace, 3))
        };
        for entry in trace.entries() {
            assert_eq!((entry.ticks, u64::from(entry.detail)), (entry.value, entry.value));
        }
        writer.join().unwrap();
        other.join().unwrap();
        assert_eq!(trace.written(), 3);
        for entry in trace.entries() {
            assert_eq!((entry.ticks, u64::from(entry.detail)), (entry.value, entry.value));
        }
    });
}

/// A ring of one writer: a reader finds whole entries, of the latest places only.
#[test]
fn an_entry_is_whole_or_not_there() {
    check(3, || {
        let trace = Arc::new(Trace::<1>::default());
        let writer = {
            let trace = trace.clone();
            thread::spawn(move || {
                (1..=2).for_each(|at| trace.record_alone(at, Event::Request, at as u32, at))
            })
        };
        for entry in trace.entries() {
            let number = entry.number + 1;
            assert_eq!((entry.ticks, u64::from(entry.detail), entry.value), (number, number, number));
        }
        writer.join().unwrap();
        assert!(trace.entries().map(|entry| entry.value).eq([2]));
    });
}

/// Who has seen that something was done finds it in the trace.
#[test]
fn what_was_done_before_is_there() {
    check(3, || {
        let trace = Arc::new(Trace::<2>::default());
        let writer = {
            let trace = trace.clone();
            thread::spawn(move || trace.record(1, Event::Waits, 1, 1))
        };
        let seen = trace.entries().count();
        writer.join().unwrap();
        let after: Vec<u64> = trace.entries().map(|entry| entry.value).collect();
        assert!(seen <= 1);
        assert_eq!(after, [1]);
    });
}

//! A ring between two.

use crate::session::check;
use event_protocol::atomic::AtomicU64;
use event_protocol::ring::{Consumer, Producer, Ring, RingHeader};
use loom::sync::Arc;
use loom::thread;

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

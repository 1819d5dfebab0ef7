//! Setting a device up, and its queue: with a device that is honest, and with one that is not.

mod model;

use model::{Hardware, Memory, Side, connect};
use proptest::collection::vec;
use proptest::prelude::*;
use std::collections::BTreeMap;
use virtio::{Device, Fault, Queue, Segment, queue};

const SIZE: u16 = 8;
const ROOM: usize = 1024;

fn open(hardware: Hardware) -> (Side, Device<model::Wire>, Queue<Memory>) {
    let memory = Memory::new(queue::data(SIZE) + ROOM);
    let (hardware, device) = connect(hardware);
    let mut device = device.expect("it resets");
    device.negotiate(0).expect("it agrees");
    let queue = device.queue::<_, Fault>(0, SIZE, |size| {
        assert_eq!(size, SIZE);
        Ok(memory.clone())
    });
    device.start();
    (Side { hardware, memory }, device, queue.expect("it has one"))
}

fn plain() -> Hardware {
    Hardware::new(&[256], 0, &[1, 2, 3, 4, 5, 6, 7, 8])
}

fn part(offset: usize, length: u32, is_written: bool) -> Segment {
    Segment { offset: queue::data(SIZE) + offset, length, is_written }
}

#[test]
fn a_device_is_set_up_in_the_order_of_the_specification() {
    let (side, device, queue) = open(Hardware::new(&[256], 0b11, &[0x11, 0x22, 0, 0]));
    let hardware = side.hardware.borrow();
    assert_eq!(hardware.status, 1 | 2 | 4 | 8, "acknowledged, driver, features, driver ok");
    assert_eq!(hardware.accepted, 1 << 32, "nothing that nobody asked for");
    let registers = hardware.queues[0];
    assert_eq!((registers.size, registers.vector, hardware.config_vector), (SIZE, 0, 0));
    // 2.7: alignments of the three parts.
    assert_eq!((registers.descriptors % 16, registers.driver % 2, registers.device % 4), (0, 0, 0));
    assert_eq!((queue.size(), queue.room(), queue.in_flight()), (SIZE, 8, 0));
    assert_eq!(device.config::<u16, 2>([0, 2]), Ok([0x2211, 0]));
}

#[test]
fn what_changes_while_it_is_read_is_read_again() {
    let (side, device, _) = open(plain());
    side.hardware.borrow().changes.set(5);
    assert_eq!(device.config::<u32, 2>([0, 4]), Ok([0x0403_0201, 0x0807_0605]));
    device.configure(2, 0xeeff_u16).unwrap();
    assert_eq!(device.config::<u32, 1>([0]), Ok([0xeeff_0201]));
    side.hardware.borrow().changes.set(u32::MAX);
    assert_eq!(device.config::<u32, 2>([0, 4]), Err(Fault::BadStructure("device structure")));
}

#[test]
fn a_device_that_cannot_be_set_up_is_told_why() {
    let stuck = Hardware { is_stuck: true, ..plain() };
    assert_eq!(connect(stuck).1.err(), Some(Fault::NoReset));
    let (_, device) = connect(Hardware { refused: 1 << 32, ..plain() });
    assert_eq!(device.unwrap().negotiate(0), Err(Fault::Features));
    let mut old = plain();
    old.features = 0xffff;
    assert_eq!(connect(old).1.unwrap().negotiate(0xff), Err(Fault::Features), "one from before virtio 1");
    for sizes in [&[][..], &[0]] {
        let (_, device) = connect(Hardware::new(sizes, 0, &[]));
        let mut device = device.unwrap();
        let none = device.queue::<Memory, Fault>(0, SIZE, |_| panic!("no memory for no queue"));
        assert_eq!(none.err(), Some(Fault::NoQueue(0)));
    }
}

#[test]
fn a_chain_is_what_was_added() {
    let (side, device, mut queue) = open(plain());
    let chain = queue.add(&[part(0, 16, false), part(16, 100, true), part(200, 1, true)]).unwrap();
    device.notify(&queue);
    assert_eq!(side.hardware.borrow().notified, [0]);
    let data = queue::data(SIZE);
    let seen = side.take();
    assert_eq!(seen.len(), 1);
    assert_eq!(seen[0].head, chain);
    assert_eq!(seen[0].parts, [(data, 16, false), (data + 16, 100, true), (data + 200, 1, true)]);
    assert_eq!((queue.take(), queue.room()), (Ok(None), 5));
    side.used(u32::from(chain), 101);
    let used = queue.take().unwrap().unwrap();
    assert_eq!((used.chain, used.length, queue.room(), queue.in_flight()), (chain, 101, 8, 0));
}

#[test]
fn a_quiet_device_is_not_told() {
    let (side, device, mut queue) = open(plain());
    side.set_quiet(true);
    queue.add(&[part(0, 1, true)]).unwrap();
    device.notify(&queue);
    assert!(side.hardware.borrow().notified.is_empty());
}

#[test]
fn what_cannot_be_a_chain_is_not_added() {
    let (_, _, mut queue) = open(plain());
    let before_the_data = Segment { offset: queue::data(SIZE) - 1, length: 4, is_written: true };
    let beyond = part(ROOM - 4, 5, true);
    let around = Segment { offset: usize::MAX, length: 2, is_written: false };
    for segments in [
        &[][..],
        &[part(0, 0, true)],
        &[before_the_data],
        &[beyond],
        &[around],
        &[part(0, 1, true), part(8, 1, false)],
        &[part(0, 1, false); 9],
    ] {
        assert_eq!(queue.add(segments), None, "{segments:?}");
    }
    assert_eq!((queue.room(), queue.in_flight()), (8, 0));
}

#[test]
fn the_first_lie_is_the_last_word() {
    type Lie = fn(&Side, u16);
    let lies: [(Lie, Fault); 5] = [
        (|side, _| side.used(8, 0), Fault::NotGiven(8)),
        (|side, _| side.used(u32::MAX, 0), Fault::NotGiven(u32::MAX)),
        (|side, head| side.used(u32::from(head), 17), Fault::TooLong(17)),
        (|side, _| side.set_used(3), Fault::TooMuchUsed),
        (|side, _| side.set_used(u16::MAX), Fault::TooMuchUsed),
    ];
    for (lie, fault) in lies {
        let (side, _, mut queue) = open(plain());
        let chain = queue.add(&[part(0, 8, false), part(16, 16, true)]).unwrap();
        queue.add(&[part(64, 8, true)]).unwrap();
        lie(&side, chain);
        assert_eq!(queue.take(), Err(fault));
        side.used(u32::from(chain), 0);
        assert_eq!(queue.take(), Err(fault), "it is not believed any more");
        assert_eq!(queue.add(&[part(0, 1, true)]), None);
    }
    // A chain that is used twice.
    let (side, _, mut queue) = open(plain());
    let (chain, _other) = (queue.add(&[part(0, 8, true)]).unwrap(), queue.add(&[part(8, 8, true)]).unwrap());
    side.used(u32::from(chain), 8);
    side.used(u32::from(chain), 8);
    assert!(queue.take().unwrap().is_some());
    assert_eq!(queue.take(), Err(Fault::NotGiven(u32::from(chain))));
}

#[test]
fn a_device_that_needs_a_reset_says_so() {
    let (side, mut device, _) = open(plain());
    side.hardware.borrow().isr.set(2);
    assert_eq!(device.interrupted(), Ok(true));
    assert_eq!(device.interrupted(), Ok(false), "looking lowers the line");
    side.hardware.borrow_mut().status |= 64;
    assert_eq!(device.interrupted(), Err(Fault::NeedsReset));
}

proptest! {
    /// Chains of all lengths, used in any order, many times around the ring: each comes back once, as what it was.
    #[test]
    fn every_chain_comes_back_once(steps in vec((any::<bool>(), 1..5usize, any::<prop::sample::Index>()), 1..300)) {
        let (side, _, mut queue) = open(plain());
        let mut given = BTreeMap::new();
        for (add, parts, which) in steps {
            if add {
                let segments: Vec<Segment> = (0..parts).map(|at| part(at * 32, 32, at > 0)).collect();
                let used: usize = given.values().sum();
                match queue.add(&segments) {
                    Some(chain) => prop_assert!(given.insert(chain, parts).is_none()),
                    None => prop_assert!(used + parts > 8),
                }
                for chain in side.take() {
                    prop_assert_eq!(chain.parts.len(), parts);
                }
            } else if !given.is_empty() {
                let chain = *which.get(&given.keys().copied().collect::<Vec<_>>());
                let parts = given.remove(&chain).unwrap();
                let length = 32 * (parts as u32 - 1);
                side.used(u32::from(chain), length);
                let used = queue.take().unwrap().unwrap();
                prop_assert_eq!((used.chain, used.length), (chain, length));
            }
            prop_assert_eq!(usize::from(queue.in_flight()), given.len());
            prop_assert_eq!(queue.room() + given.values().sum::<usize>(), 8);
        }
    }

    /// Whatever a device writes anywhere in the memory: an answer or a fault, never more than was given.
    #[test]
    fn a_liar_harms_nobody(bytes in vec(any::<u8>(), queue::data(SIZE)), chains in 0..4usize, takes in 1..20usize) {
        let (side, _, mut queue) = open(plain());
        for at in 0..chains {
            queue.add(&[part(at * 64, 16, false), part(at * 64 + 16, 32, true)]).unwrap();
        }
        side.memory.0.borrow_mut()[..bytes.len()].copy_from_slice(&bytes);
        let mut back = 0;
        for _ in 0..takes {
            match queue.take() {
                Ok(Some(used)) => {
                    back += 1;
                    prop_assert!(used.length <= 32);
                }
                Ok(None) => {}
                Err(fault) => prop_assert_eq!(queue.take(), Err(fault)),
            }
        }
        prop_assert!(back <= chains);
    }
}

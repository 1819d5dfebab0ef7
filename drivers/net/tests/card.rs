//! The card over a model of its device.

#[path = "../../virtio/tests/model/mod.rs"]
mod model;

use driver_sdk::{Registers, SharedMemory};
use model::{Chain, Hardware, Memory, Side, Wire, connect};
use net::card::{BUFFER, BUFFERS, HEADER, Virtio, memory};
use net::port::Card;
use std::cell::RefCell;
use virtio::Fault;

const MAC: [u8; 6] = [0x52, 0x54, 0, 0x12, 0x34, 0x56];
/// The device has an address.
const HAS_MAC: u64 = 1 << 5;

struct Desk {
    card: Virtio<Wire, Memory>,
    /// The receiving queue, as the device sees it.
    side: Side,
    /// Memory of the sending queue.
    sent: Memory,
}

fn card(features: u64) -> abi::error::Result<Desk> {
    let (hardware, device) = connect(Hardware::new(&[256, 256], features, &MAC));
    let memories = RefCell::new(vec![]);
    let mut card = Virtio::new(device.expect("a device"), |size| {
        assert_eq!(size, memory(BUFFERS));
        memories.borrow_mut().push(Memory::new(size));
        Ok(memories.borrow().last().expect("the one").clone())
    })?;
    card.start();
    let [received, sent] = memories.into_inner().try_into().expect("two queues");
    Ok(Desk { card, side: Side { hardware, memory: received }, sent })
}

impl Desk {
    fn new() -> Desk {
        card(HAS_MAC).expect("a card")
    }

    /// The device fills a buffer with a header and a frame.
    fn give(&self, chain: &Chain, frame: &[u8]) {
        let [(place, length, true)] = chain.parts[..] else { panic!("one part, to be written") };
        assert_eq!(length as usize, BUFFER);
        self.side.memory.copy_in(place + HEADER, frame);
        self.side.used(u32::from(chain.head), (HEADER + frame.len()) as u32);
    }

    /// Where the device area of the sending queue is.
    fn used_area(&self) -> usize {
        let queues = &self.side.hardware.borrow().queues;
        (queues[1].device - queues[1].descriptors) as usize
    }
}

#[test]
fn frames_come_whole_and_their_buffers_go_back() {
    let mut desk = Desk::new();
    assert_eq!(desk.card.mac(), MAC);
    let chains = desk.side.take();
    assert_eq!(chains.len(), usize::from(BUFFERS));
    assert_eq!(desk.side.hardware.borrow().notified, [0], "once for all");
    assert_eq!(desk.card.receive(), None);
    desk.give(&chains[5], b"the first");
    desk.give(&chains[0], &[7; 1514]);
    // A header and nothing behind it, or not even that, is no frame.
    desk.give(&chains[1], b"");
    desk.side.used(u32::from(chains[2].head), 3);
    desk.give(&chains[3], b"the last");
    assert_eq!(desk.card.receive().as_deref(), Some(&b"the first"[..]));
    assert_eq!(desk.card.receive(), Some(vec![7; 1514]));
    assert_eq!(desk.card.receive().as_deref(), Some(&b"the last"[..]));
    assert_eq!((desk.card.receive(), desk.card.fault()), (None, None));
    desk.card.flush();
    assert_eq!(desk.side.take().len(), 5, "given again");
    assert_eq!(desk.side.hardware.borrow().notified, [0, 0]);
}

#[test]
fn frames_go_behind_a_header_as_long_as_there_is_room() {
    let mut desk = Desk::new();
    desk.card.send(b"a frame");
    let data = virtio::queue::data(BUFFERS);
    let sent = desk.sent.0.borrow().clone();
    let at = sent.windows(7).position(|seven| seven == b"a frame").expect("it is in the memory");
    assert!(at >= data + HEADER && sent[at - HEADER..at].iter().all(|&byte| byte == 0));
    assert_eq!((at - HEADER - data) % BUFFER, 0);
    (1..BUFFERS).for_each(|_| desk.card.send(b"another"));
    assert!(!desk.card.has_room());
    desk.card.send(b"lost");
    desk.card.flush();
    assert_eq!(desk.side.hardware.borrow().notified, [0, 1]);
    // The device has sent the first.
    let area = desk.used_area();
    let head: u16 = desk.sent.read(16 * usize::from(BUFFERS) + 4);
    desk.sent.write(area + 4, u32::from(head));
    desk.sent.write(area + 2, 1u16);
    desk.card.interrupted();
    assert!(desk.card.has_room() && desk.card.fault().is_none());
}

#[test]
fn a_card_that_lies_is_not_believed_any_more() {
    type Lie = fn(&Desk, &[Chain]);
    let lies: [(Lie, Fault); 5] = [
        (|desk, _| desk.side.used(77, 20), Fault::NotGiven(77)),
        (|desk, chains| desk.side.used(u32::from(chains[0].head), 2049), Fault::TooLong(2049)),
        (|desk, _| desk.side.set_used(65), Fault::TooMuchUsed),
        (|desk, _| desk.sent.write(desk.used_area() + 2, 1u16), Fault::TooMuchUsed),
        (|desk, _| desk.side.hardware.borrow_mut().status |= 64, Fault::NeedsReset),
    ];
    for (lie, fault) in lies {
        let mut desk = Desk::new();
        let chains = desk.side.take();
        lie(&desk, &chains);
        desk.card.interrupted();
        assert_eq!(desk.card.receive(), None);
        assert_eq!(desk.card.fault(), Some(fault));
    }
    assert!(card(0).is_err(), "a card without an address");
}

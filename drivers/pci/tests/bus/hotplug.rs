//! Functions that are plugged in, pulled out, and asked for.

use crate::board::{Act, Bench, OTHER, SLOT, SOURCE, refused};
use crate::space::Function;
use abi::error::{EBUSY, EIO, ENODEV, ENOSPC};
use abi::limits::FOREVER;
use pci::bus::{Bus, RESET_NS};
use pci::enumeration::{Found, Kind, enumerate};
use pci::fault::Fault;
use pci::hotplug::News;
use pci_protocol::{AWAITED, Address, State, Wanted};

/// Two ports, of which the first has a source in it.
fn sockets() -> Bench {
    Bench::with(|space| {
        space.functions.insert(Address::new(0, 1, 0), Function::port(3, 0xfe80_0000));
        space.functions.insert(Address::new(0, 2, 0), Function::port(4, 0xfec0_0000));
        space.functions.remove(&OTHER);
        space.functions.get_mut(&Address::new(0, 1, 0)).unwrap().set(SLOT, PRESENT);
        space.functions.get_mut(&Address::new(0, 2, 0)).unwrap().set(SLOT, POWER_OFF);
    })
}

/// Bits of a slot.
const BUTTON: u32 = 1 << 16;
const CHANGED: u32 = 1 << 19;
const PRESENT: u32 = 1 << 22;
const POWER_OFF: u32 = 1 << 10;
const PORT: Address = Address::new(0, 1, 0);
const EMPTY: Address = Address::new(0, 2, 0);
const MS: u64 = 1_000_000;

impl Bench {
    /// Something happens at a port, and it interrupts.
    fn happens(&mut self, port: Address, set: u32, clear: u32, now: u64) -> Vec<News> {
        self.board.space.borrow_mut().happens(port, set, clear);
        self.bus.interrupted(now);
        self.bus.news()
    }

    /// Something is put into the second port, or a port of this address.
    fn plug(&mut self, port: Address, at: Address, function: Function, now: u64) {
        self.board.space.borrow_mut().functions.insert(at, function);
        self.happens(port, PRESENT | CHANGED | BUTTON, 0, now);
    }

    fn pull(&mut self, port: Address, at: Address, now: u64) -> Vec<News> {
        self.board.space.borrow_mut().functions.remove(&at);
        self.happens(port, CHANGED, PRESENT, now)
    }

    fn expire(&mut self, now: u64) -> Vec<News> {
        self.bus.expired(now);
        self.bus.news()
    }

    fn has_power(&self, port: Address) -> bool {
        self.board.space.borrow().at(port).get(SLOT) & POWER_OFF == 0
    }

    fn told(&self) -> Vec<u32> {
        let acts = self.board.acts.borrow();
        acts.iter().filter_map(|act| if let Act::Told(who) = act { Some(*who) } else { None }).collect()
    }
}

fn wanted(skip: u32) -> Wanted {
    Wanted { vendor: 0x1af4, devices: vec![0x1005, 0x1044], skip }
}

/// A source as it is before anybody gave it addresses.
fn fresh() -> Function {
    Function::source(0).nowhere()
}

#[test]
fn what_is_asked_for_is_returned_by_its_owner_and_then_let_go() {
    let mut bench = sockets();
    let source = bench.source();
    bench.bus.watch(source.badge, 7).unwrap();
    bench.lend(source, 1).unwrap();
    assert_eq!(bench.happens(PORT, BUTTON, 0, 0), []);
    assert_eq!((bench.told(), bench.state(SOURCE)), (vec![7], State::Leaving));
    refused(bench.claim(2), ENODEV);
    assert!(
        bench.has_power(PORT) && bench.bus.config(source.badge).is_ok(),
        "it has time to put things in order"
    );
    bench.bus.closed(source.badge, 5);
    assert!(bench.has_power(PORT), "it is being reset");
    assert_eq!(bench.expire(5 + RESET_NS), [News::Left(SOURCE)]);
    assert!(!bench.has_power(PORT) && bench.board.acts.borrow().contains(&Act::Freed(1)));
    assert!(bench.bus.list(None).iter().all(|listed| listed.address != SOURCE));
    refused(bench.claim(2), ENODEV);
    refused(bench.bus.config(source.badge), ENODEV);
    // What stays in there stays without power, until it is pulled.
    bench.expire(100_000 * MS);
    assert!(!bench.has_power(PORT));
    bench.pull(PORT, SOURCE, 100_000 * MS);
    assert_eq!(bench.bus.deadline(), 101_000 * MS);
    bench.expire(101_000 * MS);
    assert_eq!(bench.bus.deadline(), FOREVER, "nothing is in it");
}

#[test]
fn what_nobody_has_is_let_go_at_once() {
    let mut bench = sockets();
    assert_eq!(bench.happens(PORT, BUTTON, 0, 0), [News::Left(SOURCE)]);
    assert!(!bench.has_power(PORT));
    // Pressed once more, it comes back.
    bench.happens(PORT, BUTTON, 0, 1);
    bench.expire(2000 * MS);
    assert!(matches!(bench.expire(3000 * MS)[..], [News::Came(Found { address: SOURCE, .. })]));
    bench.source();
}

#[test]
fn what_an_owner_keeps_loses_its_power_and_its_place_waits() {
    let mut bench = sockets();
    let source = bench.source();
    bench.happens(PORT, BUTTON, 0, 0);
    assert_eq!(bench.expire(10_000 * MS), [News::Kept(SOURCE), News::Left(SOURCE)]);
    assert!(!bench.has_power(PORT));
    bench.pull(PORT, SOURCE, 10_000 * MS);
    bench.plug(PORT, SOURCE, fresh(), 11_000 * MS);
    bench.expire(60_000 * MS);
    assert!(!bench.has_power(PORT), "its registers are still in somebody's memory");
    assert_eq!(bench.bus.deadline(), FOREVER);
    bench.bus.closed(source.badge, 60_000 * MS);
    bench.expire(60_100 * MS);
    assert!(bench.has_power(PORT));
    bench.expire(60_200 * MS);
    assert_ne!(bench.source().badge, source.badge);
}

#[test]
fn what_is_torn_out_is_told_and_nothing_of_it_is_believed() {
    let mut bench = sockets();
    let source = bench.source();
    bench.bus.watch(source.badge, 7).unwrap();
    bench.bus.interrupt(source.badge, 0, 0).unwrap();
    bench.lend(source, 1).unwrap();
    assert_eq!(bench.pull(PORT, SOURCE, 0), [News::Torn(SOURCE)]);
    assert_eq!(bench.told(), [7]);
    assert!(!bench.has_power(PORT));
    refused(bench.bus.config(source.badge), ENODEV);
    // Whoever watches it later hears of it all the same.
    bench.bus.watch(source.badge, 8).unwrap();
    assert_eq!(bench.told(), [7, 8]);
    bench.bus.closed(source.badge, 0);
    bench.expire(RESET_NS);
    assert!(bench.board.acts.borrow().contains(&Act::Freed(1)));
    // In the middle of an unplugging, too.
    bench.plug(PORT, SOURCE, fresh(), 2000 * MS);
    bench.expire(2100 * MS);
    let source = bench.source();
    bench.happens(PORT, BUTTON, 0, 3000 * MS);
    assert_eq!(bench.pull(PORT, SOURCE, 3000 * MS), [News::Torn(SOURCE)]);
    bench.bus.closed(source.badge, 3000 * MS);
    bench.expire(3100 * MS);
    // And by another that was in it before anybody looked.
    bench.plug(PORT, SOURCE, fresh(), 5000 * MS);
    bench.expire(5100 * MS);
    bench.source();
    assert_eq!(bench.happens(PORT, CHANGED, 0, 6000 * MS), [News::Torn(SOURCE)]);
    assert_eq!(bench.state(SOURCE), State::Leaving);
}

#[test]
fn what_is_plugged_in_gets_addresses_and_who_waits_is_told() {
    let mut bench = sockets();
    let badge = bench.bus.await_function(wanted(3), 9).unwrap();
    let other = bench.bus.await_function(wanted(3), 10).unwrap();
    bench.bus.closed(other, 0);
    bench.bus.expired(0);
    assert_eq!(bench.told(), []);
    bench.plug(EMPTY, OTHER, fresh(), 0);
    assert!(bench.has_power(EMPTY));
    assert_eq!(bench.bus.deadline(), 100 * MS);
    bench.bus.expired(100 * MS);
    let news = bench.bus.news();
    let [News::Came(Found { address: OTHER, kind: Ok(Kind::Device(device)), .. })] = news[..] else {
        panic!("{news:?}")
    };
    assert_eq!(bench.told(), [9], "once, and not who gave up");
    assert_ne!(badge, other);
    // In the windows of its port, on pages of their own.
    let (table, registers) = (device.bars[1].unwrap(), device.bars[4].unwrap());
    assert_eq!((registers.base, table.base), (0xfec0_0000, 0xfec0_4000));
    let space = bench.board.space.borrow().at(OTHER).clone();
    assert_eq!((space.get(0x20), space.get(0x24), space.get(0x14)), (0xfec0_0004, 0, 0xfec0_4000));
    // And again after a reset.
    let claimed = bench.claim(3).unwrap().unwrap();
    bench.bus.closed(claimed.badge, 200 * MS);
    bench.bus.expired(300 * MS);
    assert_eq!(bench.board.space.borrow().at(OTHER).get(0x14), 0xfec0_4000);
}

/// A port interrupts when the first event is there, and not for those that come before all are cleared.
#[test]
fn what_happens_while_a_port_is_looked_at_is_seen() {
    let mut bench = sockets();
    let source = bench.source();
    bench.bus.watch(source.badge, 7).unwrap();
    // Its button is pressed, and it is taken out.
    *bench.board.meanwhile.borrow_mut() = Some((PORT, CHANGED, PRESENT));
    assert_eq!(bench.happens(PORT, BUTTON, 0, 0), [News::Torn(SOURCE)]);
    assert_eq!(bench.told(), [7]);
    bench.bus.closed(source.badge, 0);
    bench.expire(RESET_NS);
    assert_eq!(bench.bus.deadline(), 1000 * MS, "until it may have power again");
    bench.expire(1000 * MS);
    // Somebody puts it in half, and then wholly.
    bench.board.space.borrow_mut().functions.insert(SOURCE, fresh());
    *bench.board.meanwhile.borrow_mut() = Some((PORT, CHANGED | PRESENT, 0));
    bench.happens(PORT, CHANGED, 0, 2000 * MS);
    assert!(matches!(bench.expire(2100 * MS)[..], [News::Came(Found { address: SOURCE, .. })]));
    bench.source();
}

#[test]
fn names_go_by_places_that_stay() {
    let mut bench = sockets();
    bench.plug(EMPTY, OTHER, fresh(), 0);
    bench.expire(100 * MS);
    assert_eq!(bench.claim(3).unwrap().unwrap().address, OTHER);
    bench.pull(PORT, SOURCE, 1000 * MS);
    refused(bench.claim(2), ENODEV);
    refused(bench.claim(3), EBUSY);
    // Another kind in the place of one that has gone does not take its number.
    let mut another = fresh();
    another.set(0, 0x1041_1af4);
    bench.plug(PORT, SOURCE, another, 3000 * MS);
    bench.expire(3100 * MS);
    refused(bench.claim(2), ENODEV);
    let card = Wanted { vendor: 0x1af4, devices: vec![0x1041], skip: 0 };
    assert_eq!(bench.bus.claim(&card).unwrap().unwrap().address, SOURCE);
    assert_eq!(bench.bus.list(None).iter().filter(|listed| listed.address == SOURCE).count(), 1);
}

#[test]
fn what_makes_no_sense_hurts_nobody() {
    let mut bench = sockets();
    // Too large for the window.
    let large = fresh().wide_bar(4, 0, 1 << 30);
    bench.plug(EMPTY, OTHER, large, 0);
    let news = bench.expire(100 * MS);
    assert!(matches!(news[..], [News::Came(Found { kind: Err(Fault::NoRoom(4)), .. })]), "{news:?}");
    refused(bench.claim(3), EIO);
    assert!(news[0].to_string().contains("no addresses left"));
    bench.pull(EMPTY, OTHER, 200 * MS);
    // Says that something is there, and nobody answers.
    bench.happens(EMPTY, PRESENT | CHANGED, 0, 2000 * MS);
    let mut news = Vec::new();
    (21..40).for_each(|tenth| news.extend(bench.expire(tenth * 100 * MS)));
    assert_eq!(news, [News::Mute(EMPTY)]);
    assert!(!bench.has_power(EMPTY));
    // A button that is pressed all the time.
    for at in 0..100 {
        bench.happens(EMPTY, BUTTON | CHANGED, PRESENT, 5000 * MS + at);
    }
    assert_eq!(bench.bus.news(), []);
    bench.source();
    // The port itself is gone.
    bench.board.space.borrow_mut().functions.remove(&PORT);
    bench.bus.interrupted(9000 * MS);
    assert_eq!(bench.bus.news(), [News::Torn(SOURCE)]);
}

#[test]
fn a_new_bus_finds_what_is_plugged_in() {
    let mut bench = sockets();
    bench.plug(EMPTY, OTHER, fresh(), 0);
    // The old one dies between power and addresses.
    let found = enumerate(&mut *bench.board.space.borrow_mut(), 255);
    let mut bus = Bus::new(bench.board.clone(), found, 50 * MS);
    refused(bus.claim(&wanted(3)), ENODEV);
    bus.expired(150 * MS);
    bus.expired(300 * MS);
    assert_eq!(bus.claim(&wanted(3)).unwrap().unwrap().address, OTHER);
    assert_eq!(bus.claim(&wanted(2)).unwrap().unwrap().address, SOURCE);
}

#[test]
fn ports_interrupt_by_messages_and_waiters_have_a_limit() {
    let mut bench = sockets();
    assert_eq!(bench.bus.listen(1), [Ok(1), Ok(2)]);
    assert!(bench.board.acts.borrow().contains(&Act::Register(0xfe20_0000, 0xfee0_1000)));
    assert_eq!(bench.command(PORT) & 6, 6, "a port that may not write sends no message");
    let enabled = bench.board.space.borrow().at(PORT).get(SLOT) & 0x29;
    assert_eq!(enabled, 0x29, "button, presence, interrupts");
    (0..AWAITED as u32).for_each(|who| _ = bench.bus.await_function(wanted(5), who).unwrap());
    refused(bench.bus.await_function(wanted(5), 0), ENOSPC);
}

#[test]
fn what_is_swapped_before_it_answers_has_its_own_time() {
    let mut bench = sockets();
    bench.plug(EMPTY, OTHER, fresh(), 0);
    let mut another = fresh();
    another.set(0, 0x1041_1af4);
    bench.board.space.borrow_mut().functions.insert(OTHER, another);
    bench.happens(EMPTY, CHANGED, 0, 90 * MS);
    assert!(!bench.has_power(EMPTY));
    assert_eq!(bench.expire(100 * MS), [], "its power has been on for 10 ms");
    assert_eq!(bench.bus.deadline(), 1090 * MS);
    assert_eq!(bench.expire(1090 * MS), []);
    assert!(bench.has_power(EMPTY));
    let news = bench.expire(1190 * MS);
    assert!(matches!(news[..], [News::Came(Found { address: OTHER, .. })]), "{news:?}");
    let card = Wanted { vendor: 0x1af4, devices: vec![0x1041], skip: 0 };
    assert_eq!(bench.bus.claim(&card).unwrap().unwrap().address, OTHER);
}

/// The list is full of what is gone: the bus lives on, and what is there keeps its name.
#[test]
fn any_number_of_kinds_come_and_go() {
    let mut bench = sockets();
    let mut now = 0;
    let mut held = None;
    for kind in 0..1500u32 {
        let mut card = fresh();
        card.set(0, 0x2000_1af4 + (kind << 16));
        now += 2000 * MS;
        bench.plug(EMPTY, OTHER, card, now);
        now += 100 * MS;
        let news = bench.expire(now);
        assert!(matches!(news[..], [News::Came(_)]), "{kind}: {news:?}");
        let card = Wanted { vendor: 0x1af4, devices: vec![0x2000 + kind as u16], skip: 0 };
        let claimed = bench.bus.claim(&card).unwrap().unwrap();
        assert!(held.replace(claimed.badge) != Some(claimed.badge), "a badge is one claim's");
        bench.pull(EMPTY, OTHER, now);
        bench.bus.closed(claimed.badge, now);
        now += 2000 * MS;
        bench.expire(now);
        refused(bench.bus.config(claimed.badge), ENODEV);
    }
    assert_eq!(bench.source().address, SOURCE);
    assert!(bench.bus.list(None).len() < 10);
}

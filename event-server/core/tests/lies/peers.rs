//! Clients and drivers that lie are ended alone.

use std::sync::atomic::AtomicU64;

use abi::error::{ENODEV, ENOTCONN};
use event_protocol::badge::{Badge, SourceId};
use event_protocol::cell::{Cell, Direction};
use event_protocol::changed::{Changed, ChangedHeader, Publisher};
use event_protocol::fault::Fault;
use event_protocol::filter::Filters;
use event_protocol::level::{Level, LevelFlags};
use event_protocol::parked::NO_WAITER;
use event_protocol::shared::Region;
use proptest::prelude::*;
use shard_host::{Liar, Memory};

use crate::world::{SLOTS, World, add};

#[test]
fn a_client_that_never_consumes_and_clears_its_words_is_ended_alone() {
    let mut world = World::new();
    let (liar, mut honest, mut driver) = (world.client(), world.client(), world.driver());
    let (source, cell) = world.shared_source(&driver);
    for client in [&liar, &honest] {
        world.shard.adopt(client.session.id(), Badge::Source(source), &mut world.kernel).unwrap();
        world.add(client, source, &cell, 0).unwrap();
    }
    for round in 0..200 {
        // The liar says that its note is idle though it has not taken it out of the ring.
        let _ = liar.slot(0).settle(&Cell::default());
        world.publish(&mut driver, source, &cell, 1);
        if round == 0 {
            assert_eq!(honest.take(), Some(0));
            assert!(world.kernel.lies.is_empty());
        }
    }
    let fault = Fault::RingFull { capacity: SLOTS };
    assert_eq!(world.kernel.lies, [(Liar::Client(liar.session.id()), fault)]);
    assert!(liar.session.is_ended() && !honest.session.is_ended());
    assert_eq!(world.change(&liar, add(source, 0, 1, Filters::READ)), Err(ENOTCONN));
    // The other one is still served.
    assert!(!honest.slot(0).settle(&Cell::default()));
    world.publish(&mut driver, source, &cell, 1);
    assert_eq!(honest.take(), Some(0));
}

#[test]
fn a_driver_that_speaks_for_another_is_ended_and_its_sources_with_it() {
    let mut world = World::new();
    let (mut client, mut liar, honest) = (world.client(), world.driver(), world.driver());
    let (theirs, other_cell) = world.shared_source(&honest);
    let (own, cell) = world.shared_source(&liar);
    for (slot, source, cell) in [(0, own, &cell), (1, theirs, &other_cell)] {
        world.shard.adopt(client.session.id(), Badge::Source(source), &mut world.kernel).unwrap();
        world.add(&client, source, cell, slot).unwrap();
    }
    let false_cell = Cell::default();
    false_cell.begin(1);
    false_cell.set_interest(Filters::READ);
    world.publish(&mut liar, theirs, &false_cell, 1);
    assert_eq!(world.kernel.lies, [(Liar::Driver(liar.id), Fault::Reference(theirs.0))]);
    // R57: the liar's own note fires with the end, the other's is untouched.
    assert_eq!((client.take(), client.take()), (Some(0), None));
    let level = cell.level(Direction::Read);
    assert!(level.flags.contains(LevelFlags::EOF | LevelFlags::GONE));
    assert_eq!(cell.error(), ENODEV as u32);
    assert!(other_cell.level(Direction::Read).flags.is_empty());
    let made = world.shard.create_source(liar.id, Filters::READ, None, (1, 1), &mut world.kernel);
    assert_eq!(made.map_err(|error| error.errno), Err(ENOTCONN));
}

/// Writes into a driver's ring memory by way of views of other kinds, as a hostile driver can: the published tail, the
/// published head, or the first two entries.
fn poke(region: &Region<Memory>, at: usize, word: u64, source: SourceId) {
    let header = region.queue_header().unwrap();
    match at % 6 {
        0 => {
            header.take_pending();
            header.put_back_pending(word as u32);
        }
        1 => {
            header.take_pending();
            header.put_back_pending(word as u32 % 32);
        }
        2 => {
            let parked = header.parked();
            let bits = (0..NO_WAITER).map(|number| (number, word & 1 << number != 0));
            bits.for_each(|(number, set)| if set { parked.add(number) } else { parked.remove(number) });
        }
        kind => {
            let (other, entries) = (ChangedHeader::default(), [AtomicU64::new(0)]);
            let entry = Level::unpack(if kind == 3 { word } else { source.0 });
            let direction = if kind == 5 { Direction::Write } else { Direction::Read };
            let cell = region.cell(3).unwrap();
            let changed = Changed::new(&other, &entries).unwrap();
            let _ = Publisher::new().publish(changed, cell, source, direction, entry, false).unwrap();
        }
    }
}

proptest! {
    /// Whatever a driver writes into its ring memory, the shard ends its work, and the session when it was a lie.
    #[test]
    fn any_ring_memory_is_survived(words in prop::collection::vec((0usize..64, any::<u64>()), 1..40)) {
        let mut world = World::new();
        let driver = world.driver();
        let (source, _) = world.shared_source(&driver);
        let region = Region::new(driver.memory.clone());
        for (at, word) in words {
            poke(&region, at, word, source);
            let unfinished = world.shard.doorbell(1 << driver.id.index(), &mut world.kernel);
            prop_assert!(unfinished == 0 || unfinished == 1 << driver.id.index());
        }
        let ended = world.kernel.lies.len() as u64;
        prop_assert_eq!(world.shard.stats().drivers, 1 - ended);
    }
}

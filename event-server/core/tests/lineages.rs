//! Lineages that follow one another in one place.

use std::sync::Arc;

use abi::error::ENODEV;
use event_core::account::{Account, Budget};
use event_core::shard::Shard;
use event_protocol::changed::memory_size;
use event_protocol::filter::Filters;
use event_protocol::level::LevelFlags;
use event_protocol::shared::{Owned, Region};
use init_protocol::caller::Caller;
use shard_host::{Kernel, Memory};

/// What was durable by a lineage that is over is not the next one's, though that has its place.
#[test]
fn r57_a_source_does_not_outlive_its_driver_by_a_lineage_that_is_not_its_own() {
    let (mut shard, mut kernel): (Shard<Memory>, Kernel) = (Shard::new(0), Kernel::default());
    let memory = Arc::new(Owned::new(memory_size(64).unwrap()));
    let account = Arc::new(Account::new(Caller { pid: 7, provider: true }, Arc::new(Budget::new(u64::MAX))));
    let driver = shard.attach(account, Default::default(), memory, Filters::READ, 64).unwrap();
    let first = shard.bequeath(driver).unwrap();
    let made = shard.create_durable(driver, Filters::READ, None, (1, 1), vec![], &mut kernel).unwrap();
    let cell = Arc::new(Region::new(kernel.pages[&made.handle].clone())).keep_cell(made.cell).unwrap();
    shard.lineage_closed(first, &mut kernel);
    let second = shard.bequeath(driver).unwrap();
    assert_eq!(first.index(), second.index());
    shard.driver_closed(driver, &mut kernel);
    let level = cell.level(event_protocol::cell::Direction::Read);
    assert!(level.flags.contains(LevelFlags::GONE) && cell.error() == ENODEV as u32);
    assert_eq!(shard.stats().orphans, 0);
}

//! A source that nobody can watch any more.

use std::sync::Arc;

use event_core::account::{Account, Budget};
use event_core::shard::Shard;
use event_protocol::changed::memory_size;
use event_protocol::filter::Filters;
use event_protocol::shared::{Owned, Region};
use init_protocol::caller::Caller;
use shard_host::{Kernel, Memory};

const CELLS: u32 = 64;

#[test]
fn the_cell_says_that_the_last_watch_handle_is_closed_until_it_is_used_again() {
    let (mut shard, mut kernel): (Shard<Memory>, Kernel) = (Shard::new(0), Kernel::default());
    let memory = Arc::new(Owned::new(memory_size(CELLS).unwrap()));
    let account = Arc::new(Account::new(Caller { pid: 7, provider: false }, Arc::new(Budget::new(u64::MAX))));
    let driver = shard.attach(account, Default::default(), memory, Filters::READ, CELLS).unwrap();
    let mut make = |shard: &mut Shard<Memory>| {
        let made = shard.create_source(driver, Filters::READ, None, (1, 1), &mut kernel).unwrap();
        let page = Arc::new(Region::new(kernel.pages[&made.handle].clone()));
        (made.source, page.keep_cell(made.cell).unwrap())
    };
    let ((first, cell), (_other, others)) = (make(&mut shard), make(&mut shard));
    assert!(!cell.is_abandoned());
    shard.watch_closed(first, &mut kernel);
    assert!(cell.is_abandoned() && !others.is_abandoned());
    assert_eq!(cell.interest(), Filters::empty());
    cell.begin(7);
    assert!(!cell.is_abandoned());
}

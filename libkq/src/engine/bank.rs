//! One bank of a queue: note slots and activation rings in one memory object.

use alloc::sync::Arc;
use alloc::vec::Vec;

use event_protocol::activation::{self, BankLayout};
use event_protocol::fault::Fault;
use event_protocol::ring::Consumer;
use event_protocol::shared::{Kept, Mapped, Region};
use event_protocol::slot::Slot;

/// A bank as its client sees it.
#[derive(Debug)]
pub struct Bank<M> {
    region: Arc<Region<M>>,
    layout: BankLayout,
    /// Number of the queue's first note that lives here.
    base: u32,
    rings: Vec<Consumer>,
}

impl<M: Mapped> Bank<M> {
    /// A fresh bank; a fault when the memory does not hold it.
    pub fn new(region: Arc<Region<M>>, layout: BankLayout, base: u32) -> Result<Bank<M>, Fault> {
        region.queue_header()?;
        region.slots(layout)?;
        let rings = (0..layout.shards()).map(|_| Consumer::new()).collect();
        Ok(Bank { region, layout, base, rings })
    }

    /// Number of its first note.
    pub fn base(&self) -> u32 {
        self.base
    }

    /// Number of the note after its last.
    pub fn end(&self) -> u32 {
        self.base + self.layout.slots()
    }

    /// Shards that have a ring here.
    pub fn shards(&self) -> u32 {
        self.layout.shards()
    }

    /// A slot by its place in the bank.
    pub fn slot(&self, slot: u32) -> Result<Kept<M, Slot>, Fault> {
        self.region.keep_slot(self.layout, slot)
    }

    /// Takes every activation of one shard, giving the numbers of the notes.
    pub fn drain(&mut self, shard: u32, mut note: impl FnMut(u32)) -> Result<(), Fault> {
        let Some(consumer) = self.rings.get_mut(shard as usize) else {
            return Err(Fault::Reference(u64::from(shard)));
        };
        let ring = self.region.ring(self.layout, shard)?;
        let slots = self.region.slots(self.layout)?;
        // No more than a ring holds: a server that pushes for ever does not keep us here.
        for _ in 0..ring.capacity() {
            match activation::take(consumer, ring, slots)? {
                Some((slot, _)) => note(self.base + slot),
                None => return Ok(()),
            }
        }
        Ok(())
    }
}

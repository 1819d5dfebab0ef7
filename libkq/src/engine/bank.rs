//! One bank of a queue: note slots and activation rings in one memory object.

use alloc::sync::Arc;
use alloc::vec::Vec;

use event_protocol::activation::{self, BankLayout};
use event_protocol::fault::Fault;
use event_protocol::ring::Consumer;
use event_protocol::shared::{Kept, KeptRing, Mapped, Region};
use event_protocol::slot::Slot;

/// A bank as its client sees it.
#[derive(Debug)]
pub struct Bank<M> {
    region: Arc<Region<M>>,
    layout: BankLayout,
    /// Number of the queue's first note that lives here.
    base: u32,
    slots: Kept<M, [Slot]>,
    /// One from each shard.
    rings: Vec<(KeptRing<M>, Consumer)>,
}

impl<M: Mapped> Bank<M> {
    /// A fresh bank; a fault when the memory does not hold it.
    pub fn new(region: Arc<Region<M>>, layout: BankLayout, base: u32) -> Result<Bank<M>, Fault> {
        let slots = region.keep_slots(layout)?;
        let ring = |shard| Ok((region.keep_ring(layout, shard)?, Consumer::new()));
        let rings = (0..layout.shards()).map(ring).collect::<Result<_, Fault>>()?;
        Ok(Bank { region, layout, base, slots, rings })
    }

    /// Number of its first note.
    pub fn base(&self) -> u32 {
        self.base
    }

    /// Number of the note after its last.
    pub fn end(&self) -> u32 {
        self.base + self.layout.slots()
    }

    /// A slot by its place in the bank.
    pub fn slot(&self, slot: u32) -> Result<Kept<M, Slot>, Fault> {
        self.region.keep_slot(self.layout, slot)
    }

    /// Takes every activation of the shards of the mask, giving the numbers of the notes.
    #[inline(always)]
    pub fn drain(&mut self, shards: u32, mut note: impl FnMut(u32)) -> Result<(), Fault> {
        let mut rest = shards;
        while rest != 0 {
            let shard = rest.trailing_zeros();
            rest &= rest - 1;
            let Some((ring, consumer)) = self.rings.get_mut(shard as usize) else { return Ok(()) };
            let ring = ring.get();
            // No more than a ring holds: a server that pushes for ever does not keep us here.
            for _ in 0..ring.capacity() {
                match activation::take(consumer, ring, &self.slots)? {
                    Some((slot, _)) => note(self.base + slot),
                    None => break,
                }
            }
        }
        Ok(())
    }
}

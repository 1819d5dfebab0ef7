//! What must be true whenever nothing is going on, and at the end.

use std::collections::BTreeSet;

use init_protocol::caller::Caller;

use crate::world::{DRIVERS, World, drain, expected, notification};

impl World {
    /// With every doorbell answered: what should be active is in a ready list, once, and who could be woken was.
    pub fn check(&mut self) {
        self.doorbell();
        assert!(self.kernel.lies.is_empty(), "nobody lied: {:?}", self.kernel.lies);
        self.check_sources();
        let audit = self.shard.audit();
        assert_eq!((audit.fault, audit.adrift), (None, 0));
        for (number, member) in self.clients.iter_mut().enumerate() {
            let Some(member) = member else { continue };
            let words = member.memory.waiters().unwrap();
            for (&on, queue) in &mut member.queues {
                let before: BTreeSet<u32> = queue.ready.iter().copied().collect();
                drain(queue);
                for (slot, note) in &queue.notes {
                    if expected(note, &self.sources[note.source]) {
                        assert!(queue.ready.contains(slot), "lost: slot {slot}");
                    }
                }
                let fresh = queue.ready.iter().filter(|slot| !before.contains(slot)).count();
                let parked: Vec<u32> =
                    member.parked.iter().filter(|(_, queue)| **queue == on).map(|(&w, _)| w).collect();
                let chosen: Vec<u32> =
                    parked.iter().copied().filter(|&w| words[w as usize].is_chosen()).collect();
                if fresh > 0 && !parked.is_empty() {
                    assert!(!chosen.is_empty(), "activated, and nobody woken");
                }
                for waiter in chosen {
                    let handle = notification(number, waiter);
                    assert!(self.kernel.signalled.contains(&handle), "chosen and not signalled");
                }
            }
        }
    }

    /// Everybody goes; nothing may be left.
    pub fn end(mut self) {
        for client in 0..self.clients.len() {
            self.client_dies(client);
        }
        for driver in 0..self.drivers.len() {
            self.driver_dies(driver);
        }
        for lineage in 0..self.lineages.len() {
            self.lineage_closes(lineage);
        }
        self.check_sources();
        for source in 0..self.sources.len() {
            self.close_watch(source);
        }
        let stats = self.shard.stats();
        let left = [stats.clients, stats.drivers, stats.sources, stats.pages, stats.knotes, stats.notes];
        assert_eq!((left, stats.queues), ([0; 6], 0), "leak");
        assert!(self.kernel.pages.is_empty() && self.kernel.descriptors.is_empty());
        assert!(self.directory.is_empty());
        let drivers = Caller { pid: DRIVERS, provider: true };
        assert_eq!(self.directory.account(drivers).used(), 0, "all that was paid has come back");
    }
}

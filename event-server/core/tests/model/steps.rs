//! What may happen to the world.

use event_protocol::badge::Badge;
use event_protocol::control::limits::MAX_DRIVERS_OF_PROCESS;
use proptest::prelude::*;
use proptest::sample::Index;

use crate::world::{QUEUES, WAITERS, World};

#[derive(Clone, Debug)]
pub enum Step {
    Attach,
    Open,
    Create { driver: Index, client: Option<Index>, durable: bool },
    Bequeath { driver: Index },
    Follow { lineage: Index },
    Claim { driver: Index, source: Index, amount: Option<u8> },
    Settle { driver: Index },
    LineageCloses { lineage: Index },
    Reopen { client: Index, source: Index },
    Adopt { client: Index, source: Index },
    Release { client: Index, source: Index },
    Publish { source: Index, amount: u8, arrived: bool },
    Add { client: Index, queue: u32, source: Index, slot: u32, edge: bool },
    Delete { client: Index, queue: u32, slot: u32 },
    Enable { client: Index, queue: u32, slot: u32, enabled: bool },
    Harvest { client: Index, queue: u32 },
    Park { client: Index, queue: u32, waiter: u32 },
    CloseQueue { client: Index, queue: u32 },
    Destroy { source: Index },
    CloseWatch { source: Index },
    DriverDies { driver: Index },
    DiesOver { source: Index, amount: u8, arrived: bool },
    ClientDies { client: Index },
    Doorbell,
}

pub fn steps() -> impl Strategy<Value = Step> {
    use Step::*;
    let index = any::<Index>;
    prop_oneof![
        1 => Just(Attach),
        1 => Just(Open),
        3 => (index(), any::<Option<Index>>(), any::<bool>())
            .prop_map(|(driver, client, durable)| Create { driver, client, durable }),
        2 => index().prop_map(|driver| Bequeath { driver }),
        3 => index().prop_map(|lineage| Follow { lineage }),
        4 => (index(), index(), prop::option::weighted(0.8, 0u8..3))
            .prop_map(|(driver, source, amount)| Claim { driver, source, amount }),
        1 => index().prop_map(|driver| Settle { driver }),
        1 => index().prop_map(|lineage| LineageCloses { lineage }),
        2 => (index(), index()).prop_map(|(client, source)| Reopen { client, source }),
        4 => (index(), index()).prop_map(|(client, source)| Adopt { client, source }),
        1 => (index(), index()).prop_map(|(client, source)| Release { client, source }),
        12 => (index(), 0u8..3, any::<bool>())
            .prop_map(|(source, amount, arrived)| Publish { source, amount, arrived }),
        8 => (index(), 0..QUEUES, index(), 0u32..6, any::<bool>())
            .prop_map(|(client, queue, source, slot, edge)| Add { client, queue, source, slot, edge }),
        2 => (index(), 0..QUEUES, 0u32..6).prop_map(|(client, queue, slot)| Delete { client, queue, slot }),
        2 => (index(), 0..QUEUES, 0u32..6, any::<bool>())
            .prop_map(|(client, queue, slot, enabled)| Enable { client, queue, slot, enabled }),
        6 => (index(), 0..QUEUES).prop_map(|(client, queue)| Harvest { client, queue }),
        4 => (index(), 0..QUEUES, 0..WAITERS).prop_map(|(client, queue, waiter)| Park { client, queue, waiter }),
        1 => (index(), 0..QUEUES).prop_map(|(client, queue)| CloseQueue { client, queue }),
        1 => index().prop_map(|source| Destroy { source }),
        1 => index().prop_map(|source| CloseWatch { source }),
        1 => index().prop_map(|driver| DriverDies { driver }),
        2 => (index(), 0u8..3, any::<bool>())
            .prop_map(|(source, amount, arrived)| DiesOver { source, amount, arrived }),
        1 => index().prop_map(|client| ClientDies { client }),
        12 => Just(Doorbell),
    ]
}

fn pick<T>(of: &[T], index: Index) -> Option<usize> {
    (!of.is_empty()).then(|| index.index(of.len()))
}

impl World {
    pub fn step(&mut self, step: Step) {
        match step {
            Step::Attach if self.drivers.len() < MAX_DRIVERS_OF_PROCESS => self.attach(),
            Step::Open if self.clients.len() < 4 => self.open(),
            Step::Attach | Step::Open => {}
            Step::Create { driver, client, durable } => {
                let client = client.and_then(|client| pick(&self.clients, client));
                if let Some(driver) = pick(&self.drivers, driver) {
                    self.create(driver, client, durable);
                }
            }
            Step::Bequeath { driver } => {
                if let Some(driver) = pick(&self.drivers, driver) {
                    self.bequeath(driver);
                }
            }
            Step::Follow { lineage } => {
                let alive = self.drivers.iter().flatten().count();
                if let Some(lineage) = pick(&self.lineages, lineage)
                    && alive < MAX_DRIVERS_OF_PROCESS
                {
                    self.follow(lineage);
                }
            }
            Step::Claim { driver, source, amount } => {
                if let (Some(driver), Some(source)) =
                    (pick(&self.drivers, driver), pick(&self.sources, source))
                {
                    self.claim(driver, source, amount.map(i64::from));
                }
            }
            Step::Settle { driver } => {
                if let Some(driver) = pick(&self.drivers, driver) {
                    self.settle(driver);
                }
            }
            Step::LineageCloses { lineage } => {
                if let Some(lineage) = pick(&self.lineages, lineage) {
                    self.lineage_closes(lineage);
                }
            }
            Step::Reopen { client, source } => {
                if let (Some(client), Some(source)) =
                    (pick(&self.clients, client), pick(&self.sources, source))
                {
                    self.reopen(client, source);
                }
            }
            Step::Adopt { client, source } => {
                let (Some(client), Some(source)) = (pick(&self.clients, client), pick(&self.sources, source))
                else {
                    return;
                };
                let (Some(member), found) = (&self.clients[client], &mut self.sources[source]) else {
                    return;
                };
                if !found.watched {
                    return;
                }
                let adopted = self.shard.adopt(member.id, Badge::Source(found.id), &mut self.kernel);
                let allowed = found.owner.is_none_or(|owner| owner == client);
                assert_eq!(adopted.is_ok(), allowed);
                if allowed {
                    found.adopters.insert(client);
                }
            }
            Step::Release { client, source } => {
                let (Some(client), Some(source)) = (pick(&self.clients, client), pick(&self.sources, source))
                else {
                    return;
                };
                let Some(member) = &self.clients[client] else { return };
                self.shard.release(member.id, self.sources[source].id, &mut self.kernel).unwrap();
                self.sources[source].adopters.remove(&client);
                self.forget_notes(source, Some(client));
            }
            Step::Publish { source, amount, arrived } => {
                if let Some(source) = pick(&self.sources, source) {
                    self.publish(source, i64::from(amount), arrived);
                }
            }
            Step::Add { client, queue, source, slot, edge } => {
                if let (Some(client), Some(source)) =
                    (pick(&self.clients, client), pick(&self.sources, source))
                {
                    self.add(client, queue, source, slot, edge);
                }
            }
            Step::Delete { client, queue, slot } => {
                if let Some(client) = pick(&self.clients, client) {
                    self.delete(client, queue, slot);
                }
            }
            Step::Enable { client, queue, slot, enabled } => {
                if let Some(client) = pick(&self.clients, client) {
                    self.enable(client, queue, slot, enabled);
                }
            }
            Step::Harvest { client, queue } => {
                if let Some(client) = pick(&self.clients, client) {
                    self.harvest(client, queue);
                }
            }
            Step::Park { client, queue, waiter } => {
                if let Some(client) = pick(&self.clients, client) {
                    self.park(client, queue, waiter);
                }
            }
            Step::CloseQueue { client, queue } => {
                if let Some(client) = pick(&self.clients, client) {
                    self.close_queue(client, queue);
                }
            }
            Step::Destroy { source } => {
                let Some(source) = pick(&self.sources, source) else { return };
                let Some(driver) = self.sources[source].driver else { return };
                let id = self.drivers[driver].as_ref().unwrap().id;
                self.shard.destroy_source(id, self.sources[source].id, 0, &mut self.kernel).unwrap();
                self.end_source(source);
            }
            Step::CloseWatch { source } => {
                if let Some(source) = pick(&self.sources, source) {
                    self.close_watch(source);
                }
            }
            Step::DriverDies { driver } => {
                if let Some(driver) = pick(&self.drivers, driver) {
                    self.driver_dies(driver);
                }
            }
            Step::DiesOver { source, amount, arrived } => {
                if let Some(source) = pick(&self.sources, source) {
                    self.dies_over(source, i64::from(amount), arrived);
                }
            }
            Step::ClientDies { client } => {
                if let Some(client) = pick(&self.clients, client) {
                    self.client_dies(client);
                }
            }
            Step::Doorbell => self.doorbell(),
        }
    }
}

//! Drivers that follow one another, and what they leave to the next.

use abi::error::{EAGAIN, EBUSY, EEXIST, ENODEV, ENOENT};
use event_protocol::cell::Direction;
use event_protocol::level::Level;

use crate::world::{CELLS, Lineage, World};

impl World {
    pub fn bequeath(&mut self, number: usize) {
        let Some(driver) = &mut self.drivers[number] else { return };
        match self.shard.bequeath(driver.id) {
            Ok(id) => {
                assert!(driver.lineage.is_none());
                driver.lineage = Some(self.lineages.len());
                self.lineages.push(Lineage { id, driver: Some(number), closed: false });
            }
            Err(error) => assert_eq!((error.errno, driver.lineage.is_some()), (EEXIST, true)),
        }
    }

    /// A new driver is the next of a lineage, if none of it lives and the handle has not been closed.
    pub fn follow(&mut self, lineage: usize) {
        self.attach();
        let number = self.drivers.len() - 1;
        let (driver, next) = (self.drivers[number].as_mut().unwrap(), &mut self.lineages[lineage]);
        let followed = self.shard.follow(driver.id, next.id).map_err(|error| error.errno);
        assert_eq!(followed.is_ok(), !next.closed && next.driver.is_none());
        match followed {
            Ok(()) => (driver.lineage, next.driver) = (Some(lineage), Some(number)),
            Err(EBUSY) => assert!(!next.closed),
            Err(_) => assert!(next.closed),
        }
    }

    /// The driver sees what was left to it, and goes on with one of them, with so much to read, unless it does not come to say so.
    pub fn claim(&mut self, number: usize, source: usize, amount: Option<i64>) {
        let Some(driver) = &self.drivers[number] else { return };
        let (id, lineage) = (driver.id, driver.lineage);
        let left = |at: &usize| self.sources[*at].away.is_some() && self.sources[*at].durable == lineage;
        let mine: Vec<_> =
            (0..self.sources.len()).filter(left).map(|at| self.sources[at].id.index()).collect();
        let mut told = Vec::new();
        while let Ok(some) = self.shard.orphans(id, told.last().map(|&last| last as u32)) {
            if some.is_empty() {
                break;
            }
            assert!(some.iter().all(|orphan| orphan.kept == [7; 9]));
            for orphan in &some {
                let told = self.sources.iter().find(|source| source.id == orphan.source).unwrap().away;
                assert_eq!(Level::unpack(orphan.levels[0]), Level::new(told.unwrap()));
            }
            told.extend(some.iter().map(|orphan| orphan.source.index()));
        }
        let mut sorted = mine.clone();
        sorted.sort_unstable();
        assert_eq!(told, if lineage.is_some() { sorted } else { Vec::new() });
        let found = &mut self.sources[source];
        let live = |driver| self.drivers.get(driver).is_some_and(Option::is_some);
        assert!(found.driver.is_none_or(live));
        let descriptor = self.kernel.descriptor();
        let claimed = self.shard.claim(id, found.id, descriptor, &mut self.kernel);
        let allowed = lineage.is_some() && found.away.is_some() && found.durable == lineage;
        let Ok(claimed) = claimed else {
            let used = self.sources.iter().filter(|source| source.driver == Some(number)).count();
            assert!(!allowed || used >= CELLS as usize);
            assert!(!self.kernel.descriptors.contains(&descriptor), "what nobody gets is closed");
            return;
        };
        assert!(allowed);
        assert_eq!((claimed.source, claimed.page, claimed.cell), (found.id, found.page, found.cell.1));
        let before = found.away.take().unwrap();
        (found.driver, found.descriptor) = (Some(number), Some(descriptor));
        found.unsaid = Some(before);
        if let Some(amount) = amount {
            self.publish(source, amount, amount > before);
        }
    }

    /// The driver of a source dies when it has stored a level, and told nobody.
    pub fn dies_over(&mut self, source: usize, amount: i64, arrived: bool) {
        let found = &mut self.sources[source];
        let Some(driver) = found.driver.filter(|&driver| self.drivers[driver].is_some()) else { return };
        found.cell.0.cell(found.cell.1).unwrap().set_level(Direction::Read, Level::new(amount), arrived);
        (found.amount, found.unsaid) = (amount, None);
        found.arrivals += u32::from(arrived);
        self.driver_dies(driver);
    }

    /// What the driver in this place has not claimed has ended.
    pub fn settled(&mut self, number: usize) {
        let Some(lineage) = self.drivers[number].as_ref().and_then(|driver| driver.lineage) else { return };
        for source in 0..self.sources.len() {
            if self.sources[source].away.is_some() && self.sources[source].durable == Some(lineage) {
                self.end_source(source);
            }
        }
    }

    pub fn settle(&mut self, number: usize) {
        if let Some(driver) = &self.drivers[number] {
            self.shard.settled(driver.id, &mut self.kernel).unwrap();
            self.settled(number);
        }
    }

    /// Nobody will go on with what this lineage leaves.
    pub fn lineage_closes(&mut self, number: usize) {
        let lineage = &mut self.lineages[number];
        if std::mem::replace(&mut lineage.closed, true) {
            return;
        }
        let driver = lineage.driver.take();
        self.shard.lineage_closed(lineage.id, &mut self.kernel);
        if let Some(driver) = driver.and_then(|driver| self.drivers[driver].as_mut()) {
            driver.lineage = None;
        }
        for source in 0..self.sources.len() {
            if self.sources[source].durable != Some(number) {
                continue;
            }
            match self.sources[source].away {
                Some(_) => self.end_source(source),
                None => self.sources[source].durable = None,
            }
        }
    }

    /// The client asks for the descriptor to go on with.
    pub fn reopen(&mut self, client: usize, source: usize) {
        let Some(member) = &self.clients[client] else { return };
        let found = &self.sources[source];
        let got = self.shard.reopen(member.id, found.id).map_err(|error| error.errno);
        let expected = match () {
            () if !found.adopters.contains(&client) => Err(ENOENT),
            () if found.away.is_some() => Err(EAGAIN),
            () if found.driver.is_none() => Err(ENODEV),
            () => found.descriptor.ok_or(ENOENT),
        };
        assert_eq!(got, expected);
        if let Ok(descriptor) = got {
            assert!(self.kernel.descriptors.contains(&descriptor), "there is something to be duplicated");
        }
    }

    /// What is true of sources at any time.
    pub fn check_sources(&self) {
        let mut sessions = std::collections::BTreeMap::new();
        for source in self.sources.iter().filter(|source| source.watched || source.driver.is_some()) {
            let cell = source.cell.0.cell(source.cell.1).unwrap();
            assert_eq!(cell.generation(), source.id.generation(), "it is its own cell");
            assert_eq!(cell.is_away(), source.away.or(source.unsaid).is_some());
            if let Some(driver) = source.driver {
                let of = *sessions.entry(source.page).or_insert((driver, source.owner));
                assert_eq!(of, (driver, source.owner), "a page is of one session and one client");
            }
        }
        let away = self.sources.iter().filter(|source| source.away.is_some()).count();
        assert_eq!(self.shard.stats().orphans, away as u64);
    }
}

//! A driver, a client and their events, which are none of a case's affair and go on whatever it does.

use abi::error::Result;
use abi::flag::{O_NONBLOCK, O_RDWR};
use guest_tests::Outcome;
use guest_tests::failure::{ensure, equal};
use libkq::machine::Machine;
use libkq::{Descriptor, process};

use crate::step::{INTERFACES, Interface};
use crate::way::{Told, Way};

/// Sources that it has.
pub const SOURCES: u64 = 1;

/// A file of the driver `template`, which gives back what is written to it, and a set of each interface that watches it.
pub struct Bystander {
    file: Descriptor,
    ways: [Way<'static, Machine>; INTERFACES.len()],
    events: u64,
}

impl Bystander {
    /// One that has seen an event by each interface.
    pub fn new() -> Outcome<Bystander> {
        let file = Descriptor::open("/dev/template", O_RDWR | O_NONBLOCK)?;
        let way = |interface| -> Result<Way<'static, Machine>> {
            let way = Way::new(process(), interface)?;
            way.add(file.number()).map(|()| way)
        };
        let [kevent, select, poll, epoll, devpoll] = INTERFACES;
        let ways = [way(kevent)?, way(select)?, way(poll)?, way(epoll)?, way(devpoll)?];
        let mut bystander = Bystander { file, ways, events: 0 };
        bystander.ways.iter().try_for_each(|way| way.rest(bystander.file.number()))?;
        INTERFACES.into_iter().try_for_each(|interface| bystander.exchange(interface))?;
        Ok(bystander)
    }

    /// One event from the driver, by this interface.
    pub fn exchange(&mut self, interface: Interface) -> Outcome {
        let (way, number) = (&self.ways[interface as usize], self.file.number());
        equal(way.again(number)?, None)?;
        self.events += 1;
        let sent = self.events.to_le_bytes();
        self.file.write_all(&sent)?;
        ensure(way.wait(number)? != Told::Gone, "the driver is there")?;
        let mut got = [0; 8];
        equal(self.file.read(&mut got)?, got.len())?;
        equal(got, sent)
    }

    /// So many were exchanged.
    pub fn events(&self) -> u64 {
        self.events
    }
}

//! A service that knows a family.

use init_protocol::request::Event;
use init_protocol::status::ExitStatus;
use process::service::{Opened, Service};
use process_protocol::{Record, Request, note};

pub const ALL: u32 = note::EXIT | note::FORK | note::EXEC | note::TRACK;

/// The file that the tests' program watches with.
pub const STREAM: u32 = 100;

/// Its own signals.
pub const OWN: u32 = 200;

pub const ME: u32 = 10;

pub fn born(pid: u32, parent: u32, family: u32) -> Event {
    Event::Born { pid, parent, family, operator: false }
}

pub fn ended(pid: u32, code: i64) -> Event {
    Event::Ended { pid, status: ExitStatus::Exited(code) }
}

pub fn record(pid: u32, what: u32, data: i64) -> Record {
    Record { pid, what, data }
}

/// Family 1: 10, its children 11 and 12. Family 2: 20. An operator: 30.
pub fn service() -> Service<u32> {
    let mut service = Service::new();
    for event in [born(10, 1, 1), born(11, 10, 1), born(12, 10, 1), born(20, 1, 2)] {
        service.happened(&event);
    }
    service.happened(&Event::Born { pid: 30, parent: 1, family: 3, operator: true });
    service.open(STREAM, ME, Opened::Stream).unwrap();
    service.open(OWN, ME, Opened::Own).unwrap();
    service.effects();
    service
}

pub fn watch(service: &mut Service<u32>, pid: u32, what: u32) -> Result<(), i32> {
    service.ask(STREAM, &Request::Watch { pid, what }).map(drop).map_err(|error| error.errno)
}

pub fn read(service: &mut Service<u32>) -> Vec<Record> {
    service.take(STREAM, usize::MAX).unwrap()
}

pub fn kill(service: &mut Service<u32>, pid: u32, signal: u8) -> Result<(), i32> {
    service.ask(OWN, &Request::Kill { pid, signal }).map(drop).map_err(|error| error.errno)
}

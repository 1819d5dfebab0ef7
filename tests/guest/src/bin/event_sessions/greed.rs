//! What one process can take of the event server (R55): the others have theirs.

use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;
use core::time::Duration;

use abi::error::{EBADMSG, Error, Result};
use event_protocol::changed::memory_size;
use event_protocol::control::{VERSION, driver, label, lobby};
use event_protocol::filter::Filters;
use event_protocol::park::SESSION_SIZE;
use guest_tests::child::{Role, ends_well};
use guest_tests::failure::{ensure, equal};
use guest_tests::ledger::Ledger;
use guest_tests::{Outcome, soon};
use libkq::{Descriptor, KEvent, Queue};
use rt::ipc::{Transfer, call_postcard};
use rt::sys::{Endpoint, Memory};

use crate::PROGRAM;
use crate::peers::{Driver, lobby, shards};

/// Another process needs what every process needs.
pub fn others_work() -> Outcome {
    ends_well(&Role::new(PROGRAM, "works").spawn(Vec::new())?)
}

/// What it does.
pub fn works() -> Outcome {
    let (queue, (reader, writer)) = (Queue::new()?, Descriptor::pipe()?);
    queue.apply(&[KEvent::timer(1).every(Duration::from_millis(1)), KEvent::read(reader.number()).add()])?;
    writer.write_all(b"x")?;
    ensure(!queue.wait(&mut [KEvent::default(); 2], None)?.is_empty(), "an event")
}

/// A driver of the other process's, as one that is started again.
pub fn attaches() -> Outcome {
    Driver::new(0).map(drop).map_err(Into::into)
}

/// All lobbies, again and again.
pub fn asks() -> Outcome {
    for shard in (0..shards()?).cycle().take(20) {
        lobby(shard)?;
    }
    Ok(())
}

/// Those that the server made for a process are closed when it has ended.
pub fn lobbies() -> Outcome {
    let child = || -> Outcome { ends_well(&Role::new(PROGRAM, "asks").spawn(Vec::new())?) };
    child()?;
    let ledger = Ledger::open()?;
    for _ in 0..3 {
        child()?;
    }
    ledger.balance()
}

fn open_session(lobby: &Endpoint) -> Result<[Endpoint; 2]> {
    let send = vec![Transfer::moved(Memory::create(SESSION_SIZE)?)];
    let (_, mut handles): (lobby::Reply, _) =
        call_postcard(lobby, label::LOBBY, &lobby::Request::OpenSession, send, soon())?;
    Ok([handles.object(0)?, handles.object(1)?])
}

pub fn sessions() -> Outcome {
    let (lobby, _) = lobby(0)?;
    let mut held = Vec::new();
    let error = loop {
        match open_session(&lobby) {
            Ok(session) => held.push(session),
            Err(error) => break error,
        }
    };
    rt::log!("{} sessions: {error}", held.len());
    others_work()
}

pub fn drivers() -> Outcome {
    let mut held = Vec::new();
    let error = loop {
        match Driver::new(0) {
            Ok(driver) => held.push(driver),
            Err(error) => break error,
        }
    };
    rt::log!("{} drivers: {error}", held.len());
    ends_well(&Role::new(PROGRAM, "attaches").spawn(Vec::new())?)
}

/// Sources for sharing have pages of the server's own.
pub fn shared_sources() -> Outcome {
    const CELLS: u32 = 1 << 16;
    let (lobby, _) = lobby(0)?;
    let send = vec![Transfer::moved(Memory::create(memory_size(CELLS).unwrap_or(0))?)];
    let request = lobby::Request::Attach {
        version: VERSION,
        name: String::from("greedy"),
        filters: Filters::READ,
        cells: CELLS,
    };
    let (reply, mut handles): (lobby::Reply, _) =
        call_postcard(&lobby, label::LOBBY, &request, send, soon())?;
    ensure(matches!(reply, lobby::Reply::Attached { .. }), "attached")?;
    let session: Endpoint = handles.object(0)?;
    let create = || -> Result<()> {
        let request =
            driver::Request::CreateSource { filters: Filters::READ, shared: true, low_water: (1, 1) };
        match call_postcard(&session, label::DRIVER, &request, Vec::new(), soon())?.0 {
            driver::Reply::Created { .. } => Ok(()),
            _ => Err(Error::new(EBADMSG)),
        }
    };
    let mut count = 0;
    let error = loop {
        match create() {
            Ok(()) => count += 1,
            Err(error) => break error,
        }
    };
    rt::log!("{count} sources: {error}");
    for _ in 0..3 {
        others_work()?;
    }
    equal(count > 0, true)
}

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
use guest_tests::{Failure, Outcome, PATIENCE, soon};
use libkq::{Descriptor, KEvent, Queue};
use rt::ipc::{Transfer, call_postcard};
use rt::sys::{Endpoint, Memory, Notification};
use rt::{clock, init};

use crate::PROGRAM;
use guest_tests::peers::{Driver, lobby, shards};

/// Processes that take all that they get.
const GREEDY: usize = 4;
/// What they say it with.
const READY: &str = "ready";

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

/// Makes sources for sharing, which have pages of the server's own, until the server makes no more. What it has then is for
/// the caller to keep.
fn take_all() -> Outcome<(Endpoint, usize)> {
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
    Ok((session, count))
}

pub fn shared_sources() -> Outcome {
    let (_session, count) = take_all()?;
    for _ in 0..3 {
        others_work()?;
    }
    equal(count > 0, true)
}

/// Takes all that it gets, says so, and keeps it until it is killed.
pub fn takes() -> Outcome {
    let ready: Notification = rt::start::start().object(READY).ok_or(Failure::new("nobody to tell"))?;
    let taken = take_all();
    ready.signal(1)?;
    let _kept = taken?;
    loop {
        rt::thread::sleep(1_000_000_000);
    }
}

/// Neither does a process take with its children what it may not have itself.
pub fn families() -> Outcome {
    let ready = Notification::create()?;
    let mut children = Vec::new();
    for _ in 0..GREEDY {
        children.push(Role::new(PROGRAM, "takes").spawn(vec![(READY, Transfer::copy(&ready))])?);
        ready.wait(clock::after(5 * PATIENCE))?;
    }
    let others = (0..3).try_for_each(|_| others_work());
    for child in children {
        init::kill(child.pid, 9)?;
        init::wait_until(child.pid, soon())?;
    }
    others
}

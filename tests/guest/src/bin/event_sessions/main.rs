//! What the event server promises on the machine to clients and drivers that know its protocol, or do not: every shard
//! serves, the dead leave nothing, liars end alone, nonsense is answered.
#![no_std]
#![no_main]
#![deny(unsafe_code)]

extern crate alloc;

mod greed;

use alloc::vec;
use alloc::vec::Vec;

use abi::Rights;
use abi::error::{
    EACCES, EBADF, EBADMSG, EEXIST, EINVAL, ENODEV, ENOENT, ENOTCONN, EPERM, EPROTONOSUPPORT, ETIMEDOUT,
    Error,
};
use abi::message::WORDS;
use abi::{Message, Tag};
use event_protocol::cell::Direction;
use event_protocol::control::{VERSION, client, driver, label, lobby};
use event_protocol::level::{Level, LevelFlags};
use event_protocol::park::SESSION_SIZE;
use event_protocol::slot::Slot;
use guest_tests::child::{self, Role};
use guest_tests::failure::{ensure, equal, refused, refused_with};
use guest_tests::ledger::Ledger;
use guest_tests::peers::{Client, Driver, SLOTS, Source, ask, living, lobby, shards, show, stats};
use guest_tests::random::Random;
use guest_tests::{Failure, Outcome, Suite, a_moment, soon};
use rt::ipc::{Transfer, call_postcard, write_bytes};
use rt::sys::{Endpoint, Memory, Notification, Object};

const PROGRAM: &str = env!("CARGO_BIN_NAME");

rt::entry!(main);

fn main(start: &rt::Start) -> i32 {
    if let Some(status) = child::played(start, play) {
        return status;
    }
    let mut suite = Suite::new(start);
    let seed = Random::seed(start.arg(2));
    suite.table(&[
        ("every_shard_activates_and_wakes", every_shard),
        ("sessions_that_end_leave_nothing", sessions_end),
        ("r57_a_driver_that_ends_fires_its_notes_once", a_driver_ends),
        ("a_destroyed_source_fires_its_notes_once", a_source_is_destroyed),
        ("the_dead_leave_nothing", the_dead),
        ("a_ticket_is_no_session", a_ticket_is_no_session),
        ("a_watch_handle_is_known_or_refused", a_watch_handle),
        ("a_session_handle_of_each_shard_comes_once", a_session_handle_of_each_shard),
        ("a_private_source_is_its_clients_alone", a_private_source),
        ("wrong_memory_is_refused", wrong_memory),
        ("a_driver_of_another_version_is_refused", a_driver_of_another_version),
        ("a_driver_that_lies_is_ended", a_lying_driver),
        ("a_client_that_lies_is_ended", a_lying_client),
    ]);
    suite.test("nonsense_is_answered_and_harms_nobody", || nonsense(seed));
    suite.table(&[
        ("r55_sessions_of_one_process_leave_others_theirs", greed::sessions),
        ("r55_drivers_of_one_process_leave_others_their_places", greed::drivers),
        ("r55_lobbies_go_with_their_process", greed::lobbies),
        ("r55_pages_for_sharing_leave_others_the_servers_memory", greed::shared_sources),
        ("r55_many_processes_leave_others_the_servers_memory", greed::families),
    ]);
    suite.finish()
}

/// One event from a driver to a parked waiter.
fn one_event(client: &mut Client, driver: &mut Driver, source: &Source) -> Outcome {
    driver.publish(source, 1)?;
    client.park()?;
    equal(client.take(source.id.shard())?, Some(0))?;
    driver.publish(source, 0)?;
    ensure(!client.slot(0)?.settle(&source.cell), "the level fell")
}

fn every_shard() -> Outcome {
    for shard in 0..shards()? {
        let (mut client, mut driver) = (Client::new()?, Driver::new(shard)?);
        let source = driver.create(Some(&client.ticket))?;
        equal(source.id.shard(), shard)?;
        client.watch(&source, 0)?;
        for _ in 0..200 {
            one_event(&mut client, &mut driver, &source)?;
        }
        // Published before the note: it finds the level.
        let second = driver.create(None)?;
        driver.publish(&second, 5)?;
        client.watch(&second, 1)?;
        equal(client.take(shard)?, Some(1))?;
    }
    Ok(())
}

fn a_life() -> Outcome {
    let shard = shards()? - 1;
    let (mut client, mut driver) = (Client::new()?, Driver::new(shard)?);
    let sources = [driver.create(None)?, driver.create(Some(&client.ticket))?];
    for (slot, source) in sources.iter().enumerate() {
        client.watch(source, slot as u32)?;
        driver.publish(source, 1)?;
    }
    Ok(())
}

fn a_driver_of_another_version() -> Outcome {
    let before = living(0)?;
    for version in [0, VERSION - 1, VERSION + 1, u32::MAX] {
        refused(Driver::of_version(version, 0).map(drop), EPROTONOSUPPORT)?;
    }
    settled(0, before)
}

/// Waits until a shard has again what it had.
fn settled(shard: u32, before: [u64; 7]) -> Outcome {
    let deadline = soon();
    while living(shard)? != before {
        ensure(rt::clock::now_ns() < deadline, "the shard forgets the dead")?;
        a_moment();
    }
    Ok(())
}

fn sessions_end() -> Outcome {
    let shard = shards()? - 1;
    let before = living(shard)?;
    for _ in 0..20 {
        a_life()?;
    }
    settled(shard, before)?;
    let ledger = Ledger::open()?;
    for _ in 0..100 {
        a_life()?;
    }
    settled(shard, before)?;
    ledger.balance()
}

fn ended_once(client: &mut Client, source: &Source, errno: i32) -> Outcome {
    client.park()?;
    let shard = source.id.shard();
    equal((client.take(shard)?, client.take(shard)?), (Some(0), None))?;
    let level: Level = source.cell.level(Direction::Read);
    ensure(level.flags.contains(LevelFlags::EOF | LevelFlags::GONE), "the end shows in the cell")?;
    equal(source.cell.error(), errno as u32)?;
    refused(client.add(source.id, 1), ENODEV)
}

fn a_driver_ends() -> Outcome {
    for shard in 0..shards()? {
        let (mut client, driver) = (Client::new()?, Driver::new(shard)?);
        let source = driver.create(Some(&client.ticket))?;
        client.watch(&source, 0)?;
        drop(driver);
        ended_once(&mut client, &source, ENODEV)?;
    }
    Ok(())
}

fn a_source_is_destroyed() -> Outcome {
    let (mut client, driver) = (Client::new()?, Driver::new(0)?);
    let source = driver.create(Some(&client.ticket))?;
    client.watch(&source, 0)?;
    let request = driver::Request::DestroySource { source: source.id, errno: 0 };
    let _: (driver::Reply, _) = call_postcard(&driver.session, label::DRIVER, &request, Vec::new(), soon())?;
    ended_once(&mut client, &source, 0)
}

fn play(role: &str) -> Outcome {
    match role {
        "lives" => loop {
            a_life()?;
        },
        "works" => greed::works(),
        "takes" => greed::takes(),
        "attaches" => greed::attaches(),
        "asks" => greed::asks(),
        _ => Err(Failure::new("no such part")),
    }
}

fn the_dead() -> Outcome {
    let all: Vec<u32> = (0..shards()?).collect();
    let before: Vec<_> = all.iter().map(|&shard| living(shard)).collect::<Result<_, Error>>()?;
    for n in 0..15 {
        let child = Role::new(PROGRAM, "lives").quota(32 << 20).spawn(Vec::new())?;
        rt::thread::sleep(4_000_000 + n * 1_700_000);
        rt::init::kill(child.pid, 9)?;
        rt::init::wait_until(child.pid, soon())?;
    }
    all.iter().zip(before).try_for_each(|(&shard, before)| settled(shard, before))
}

fn a_ticket_is_no_session() -> Outcome {
    let client = Client::new()?;
    refused(ask(&client.ticket, &client::Request::Stats, Vec::new()), EACCES)?;
    refused(show(&client.ticket, &Driver::new(0)?.create(None)?.watch).map(drop), EACCES)?;
    // A session handle is no ticket either.
    refused(Driver::new(0)?.create(Some(&client.session)).map(drop), EACCES)
}

/// What a client has from a driver may be anything; the server knows its own.
fn a_watch_handle() -> Outcome {
    let (mut client, other, driver) = (Client::new()?, Client::new()?, Driver::new(0)?);
    let source = driver.create(None)?;
    // It is to be shown, not called.
    let request = client::Request::Adopt;
    refused(ask(&source.watch, &request, vec![Transfer::copy_with(&client.session, Rights::WRITE)]), EACCES)?;
    refused(ask(&client.session, &request, Vec::new()).map(drop), EINVAL)?;
    let strange = Endpoint::create()?;
    let badged = strange.with_badge(Rights::all(), source.id.0)?;
    for endpoint in [&strange, &badged] {
        refused(show(&client.session, endpoint).map(drop), EINVAL)?;
    }
    refused(show(&client.session, &Notification::create()?).map(drop), EINVAL)?;
    refused(show(&client.session, &Memory::create(4096)?).map(drop), EINVAL)?;
    let (lobby, shards) = lobby(0)?;
    // Who has it is it: it goes no further.
    refused(show(&client.session, &lobby).map(drop), EPERM)?;
    for endpoint in [&client.session, &other.session, &other.ticket, &driver.session] {
        refused(show(&client.session, endpoint).map(drop), EBADF)?;
    }
    let met = (1..shards).map(|shard| client.meet(shard)).collect::<Result<Vec<_>, _>>()?;
    for (shard, session) in (1..).zip(&met) {
        let there = Driver::new(shard)?.create(None)?;
        refused(show(&client.session, &there.watch).map(drop), ENOENT)?;
        refused(show(session, &source.watch).map(drop), ENOENT)?;
    }
    client.watch(&source, 0).map(drop)?;
    // The stranger heard of none of it but that the badge is gone.
    drop(badged);
    let heard = strange.recv(soon())?;
    equal(heard.closed(), Some(source.id.0))?;
    refused(strange.recv(0).map(drop), ETIMEDOUT)
}

/// The handle of each shard comes once, from the server, and each of them is the session.
fn a_session_handle_of_each_shard() -> Outcome {
    let shards = shards()?;
    for last in 1..shards {
        let before = living(last)?;
        let (client, driver) = (Client::new()?, Driver::new(last)?);
        refused(client.meet(0).map(drop), EEXIST)?;
        refused(client.meet(shards).map(drop), EINVAL)?;
        let source = driver.create(None)?;
        let met = client.meet(last)?;
        refused(client.meet(last).map(drop), EEXIST)?;
        show(&met, &source.watch).map(drop)?;
        drop(met);
        // Heard before what is asked of that shard next.
        equal(living(last)?[0], before[0])?;
        refused(ask(&client.session, &client::Request::CloseQueue { queue: 0 }, Vec::new()), ENOTCONN)?;
        drop((client, driver, source));
        settled(last, before)?;
    }
    Ok(())
}

fn a_private_source() -> Outcome {
    let (client, mut stranger, driver) = (Client::new()?, Client::new()?, Driver::new(0)?);
    let source = driver.create(Some(&client.ticket))?;
    refused(stranger.adopt(&source).map(drop), EACCES)?;
    refused(stranger.add(source.id, 0), ENOENT)
}

fn wrong_memory() -> Outcome {
    let (lobby, _) = lobby(0)?;
    let open = |send| -> Result<(lobby::Reply, _), Error> {
        call_postcard(&lobby, label::LOBBY, &lobby::Request::OpenSession, send, soon())
    };
    let ledger = Ledger::open()?;
    refused(open(Vec::new()).map(drop), EINVAL)?;
    refused(open(vec![Transfer::moved(Memory::create(SESSION_SIZE * 2)?)]).map(drop), EINVAL)?;
    refused(open(vec![Transfer::moved(Memory::create(4096)?)]).map(drop), EINVAL)?;
    refused(open(vec![Transfer::moved(Notification::create()?)]).map(drop), EINVAL)?;
    let memory = Memory::create(SESSION_SIZE)?;
    let readable = Transfer::copy_with(&memory, Rights::READ.union(Rights::TRANSFER));
    ensure(open(vec![readable]).is_err(), "memory that cannot be written is of no use")?;
    drop(memory);
    ledger.balance()
}

fn a_lying_driver() -> Outcome {
    let (mut client, driver, mut honest) = (Client::new()?, Driver::new(0)?, Driver::new(0)?);
    let lies = stats(0)?.lies;
    let (source, other) = (driver.create(None)?, honest.create(None)?);
    client.watch(&source, 0)?;
    // The tail of its ring, by way of a view of another kind.
    driver.ring.queue_header().map_err(Error::from)?.put_back_pending(0x1234_5678);
    driver.ring_doorbell()?;
    ended_once(&mut client, &source, ENODEV)?;
    equal(stats(0)?.lies, lies + 1)?;
    refused_with(driver.create(None).map(drop), &[ENOTCONN])?;
    let mut client = Client::new()?;
    client.watch(&other, 0)?;
    one_event(&mut client, &mut honest, &other)
}

fn a_lying_client() -> Outcome {
    let (mut liar, mut honest, mut driver) = (Client::new()?, Client::new()?, Driver::new(0)?);
    let lies = stats(0)?.lies;
    let source = driver.create(None)?;
    liar.watch(&source, 0)?;
    honest.watch(&source, 0)?;
    let idle = driver.create(None)?;
    let lying: &Slot = &*liar.slot(0)?;
    for _ in 0..3 * SLOTS {
        // Not taken out of the ring, and said to be.
        let _ = lying.settle(&idle.cell);
        driver.publish(&source, 1)?;
        // A call that the shard answers after what it heard before.
        living(0)?;
    }
    equal(stats(0)?.lies, lies + 1)?;
    refused(ask(&liar.session, &client::Request::CloseQueue { queue: 0 }, Vec::new()), ENOTCONN)?;
    equal(honest.take(0)?, Some(0))?;
    driver.publish(&source, 0)?;
    honest.bank.queue_header().map_err(Error::from)?.take_pending();
    let _ = honest.slot(0)?.settle(&source.cell);
    one_event(&mut honest, &mut driver, &source)
}

fn nonsense(seed: u64) -> Outcome {
    let mut random = Random::new(seed);
    let before = living(0)?;
    let lies = stats(0)?.lies;
    {
        let (client, driver) = (Client::new()?, Driver::new(0)?);
        let source = driver.create(None)?;
        let (lobby, _) = lobby(0)?;
        let ends: [&Endpoint; 5] = [&lobby, &client.session, &client.ticket, &source.watch, &driver.session];
        for _ in 0..5000 {
            let own = [label::LOBBY, label::CLIENT, label::DRIVER];
            let label = match random.below(4) {
                0 => random.below(1 << 31) as u32,
                _ => *random.pick(&own),
            };
            let length = *random.pick(&[0, 1, 2, 3, 8, 30, 300, 3968]);
            let bytes: Vec<u8> = (0..length).map(|_| *random.pick(&[0, 0, 1, 2, 5, 128, 255])).collect();
            write_bytes(&bytes)?;
            let words = [random.draw(), random.draw(), 0, u64::MAX];
            let message = Message { tag: Tag::new(label, length, 0), words };
            // Some are requests that happen to be right.
            ends[random.below(5) as usize].call(message, soon())?;
        }
        let strange = Message { tag: Tag::words(7), words: [0; WORDS] };
        equal(lobby.call(strange, soon())?.words[0], EBADF as u64)?;
        let empty = Message { tag: Tag::words(label::LOBBY), words: [0; WORDS] };
        equal(lobby.call(empty, soon())?.words[0], EBADMSG as u64)?;
    }
    settled(0, before)?;
    equal(stats(0)?.lies, lies)?;
    every_shard()
}

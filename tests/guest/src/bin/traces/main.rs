//! What servers, drivers and clients did last is looked at while they work, and while they hang. Runs with the manifest `traces`,
//! whose driver is this program too.
#![no_std]
#![no_main]
#![forbid(unsafe_code)]

extern crate alloc;

mod knot;

use abi::error::{EINVAL, ENODEV, ENOENT, EPERM, ESRCH};
use alloc::format;
use alloc::vec::Vec;
use event_protocol::control::{self, SERVICE};
use event_protocol::descriptor::label;
use guest_tests::bereavement::open_again;
use guest_tests::child::{self, Role};
use guest_tests::failure::{Failure, ensure, equal, refused};
use guest_tests::ledger::Ledger;
use guest_tests::{Outcome, Suite, a_moment, books, operator, soon};
use init_protocol::status::ExitStatus;
use libkq::Descriptor;
use libkq::flag::O_RDWR;
use libkq::trace::{Entry, Event, Look, Writer};
use rt::init::{self, Child};

const PROGRAM: &str = env!("CARGO_BIN_NAME");

rt::entry!(main);

fn main(start: &rt::Start) -> i32 {
    match child::role(start) {
        Some("driver") => return knot::run(start),
        Some("client") => return child::status("client", client()),
        Some("stranger") => return child::status("stranger", stranger(start)),
        Some("asker") => return child::status("asker", asker(start)),
        _ => {}
    }
    let mut suite = Suite::new(start);
    suite.test("each_shard_shows_what_it_was_just_asked", each_shard_shows_what_it_was_just_asked);
    suite.test("a_driver_shows_what_it_was_just_asked", a_driver_shows_what_it_was_just_asked);
    suite.test("a_client_shows_what_it_asked_until_it_ends", a_client_shows_what_it_asked_until_it_ends);
    suite.test("a_driver_that_spins_is_looked_at", || a_driver_that_hangs_is_looked_at(knot::SPIN));
    suite.test("a_driver_that_calls_for_ever_is_looked_at", || a_driver_that_hangs_is_looked_at(knot::CALL));
    suite.test("only_operators_and_ancestors_look", only_operators_and_ancestors_look);
    suite.test("who_looks_leaves_nothing", who_looks_leaves_nothing);
    suite.finish()
}

/// The process of a program of the manifest.
fn pid_of(name: &str) -> Outcome<u32> {
    Ok(operator::find(name)?.ok_or(Failure::new("no such process"))?.pid)
}

/// Those from this number on.
fn since(look: &Look, number: u64) -> Vec<Entry> {
    look.entries().filter(|entry| entry.number >= number).collect()
}

/// Waits until a trace has this.
fn until(look: &Look, found: impl Fn(&Entry) -> bool) -> Outcome {
    let deadline = soon();
    while !look.entries().any(|entry| found(&entry)) {
        ensure(rt::clock::now_ns() < deadline, "it is in the trace in time")?;
        a_moment();
    }
    Ok(())
}

/// Waits until a process has a trace.
fn trace_of(pid: u32) -> Outcome<Look> {
    let deadline = soon();
    loop {
        match Look::at(pid, 0) {
            Err(error) if error.errno == ENOENT && rt::clock::now_ns() < deadline => a_moment(),
            look => return Ok(look?),
        }
    }
}

fn each_shard_shows_what_it_was_just_asked() -> Outcome {
    let pid = pid_of(SERVICE)?;
    let shards = rt::clock::cpu_count() as u32;
    let looks = (0..shards).map(|shard| Look::at(pid, shard)).collect::<Result<Vec<Look>, _>>()?;
    refused(Look::at(pid, shards), ENOENT)?;
    let before: Vec<u64> = looks.iter().map(Look::written).collect();
    // Each is asked for its figures.
    books::notes()?;
    for (look, before) in looks.iter().zip(before) {
        equal(look.writer(), Some(Writer::Shard))?;
        let asked = |entry: &Entry| (entry.event, entry.detail) == (Event::Request, control::label::LOBBY);
        ensure(since(look, before).iter().any(asked), "the request is in the trace")?;
    }
    Ok(())
}

fn a_driver_shows_what_it_was_just_asked() -> Outcome {
    let look = Look::at(pid_of(knot::NAME)?, 0)?;
    equal(look.writer(), Some(Writer::Driver))?;
    let before = look.written();
    let file = Descriptor::open(knot::PATH, O_RDWR)?;
    file.write_all(knot::NOTHING)?;
    refused(file.write_all(b"nonsense"), EINVAL)?;
    let entries = since(&look, before);
    let told: Vec<(Event, u32)> = entries.iter().map(|entry| (entry.event, entry.detail)).collect();
    equal(
        told,
        [
            (Event::Request, label::OPEN),
            (Event::Request, label::WRITE),
            (Event::Request, label::WRITE),
            (Event::Refused, EINVAL as u32),
        ]
        .to_vec(),
    )?;
    let file_of = |at: usize| entries[at].value;
    equal((file_of(1), file_of(2)), (file_of(2), file_of(3)))?;
    ensure(entries.is_sorted_by_key(|entry| entry.ticks), "time goes on")?;
    drop(file);
    until(&look, |entry| entry.event == Event::Closed && entry.value == file_of(1))
}

/// Opens what is there and what is not, and does nothing more.
fn client() -> Outcome {
    let _file = Descriptor::open(knot::PATH, O_RDWR)?;
    refused(Descriptor::open("/dev/knot/none", O_RDWR), ENOENT)?;
    loop {
        a_moment();
    }
}

fn a_client_shows_what_it_asked_until_it_ends() -> Outcome {
    let child = Role::new(PROGRAM, "client").spawn(Vec::new())?;
    let look = trace_of(child.pid)?;
    until(&look, |entry| entry.event == Event::Opened && entry.detail == ENOENT as u32)?;
    let told: Vec<Event> = look.entries().map(|entry| entry.event).collect();
    equal(told, [Event::Begun, Event::Opened, Event::Opened].to_vec())?;
    equal(look.writer(), Some(Writer::Client))?;
    refused(Look::at(child.pid, 1), ENOENT)?;
    init::kill(child.pid, 9)?;
    child::ends_as(&child, ExitStatus::Exited(9))?;
    refused(Look::at(child.pid, 0), ESRCH)?;
    // Who looked before goes on.
    equal(look.written(), 3)
}

/// Has the driver do something, and is told when it dies over it.
fn asker(start: &rt::Start) -> Outcome {
    let file = Descriptor::open(knot::PATH, O_RDWR)?;
    refused(file.write_all(start.arg(3).as_bytes()), ENODEV)
}

fn a_driver_that_hangs_is_looked_at(how: &[u8]) -> Outcome {
    drop(open_again(knot::PATH, O_RDWR)?);
    let pid = pid_of(knot::NAME)?;
    let early = Look::at(pid, 0)?;
    let before = early.written();
    let how = core::str::from_utf8(how).map_err(|_| Failure::new("no text"))?;
    let child = Role::new(PROGRAM, "asker").argument(how).spawn(Vec::new())?;
    let writes = |entry: &Entry| (entry.event, entry.detail) == (Event::Request, label::WRITE);
    until(&early, |entry| entry.number >= before && writes(entry))?;
    // It hears nobody now; who begins to look finds the same.
    let look = Look::at(pid, 0)?;
    for _ in 0..3 {
        a_moment();
        ensure(look.entries().last().is_some_and(|last| writes(&last)), "that is the last that it heard")?;
    }
    operator::kill(knot::NAME)?;
    child::ends_well(&child)?;
    drop(open_again(knot::PATH, O_RDWR)?);
    refused(Look::at(pid, 0), ESRCH)?;
    let next = Look::at(pid_of(knot::NAME)?, 0)?;
    ensure(!next.entries().any(|entry| writes(&entry)), "the next begins anew")
}

/// Is no operator: it may look at nobody but its children.
fn stranger(start: &rt::Start) -> Outcome {
    for at in 3..6 {
        let pid = start.arg(at).parse().map_err(|_| Failure::new(format!("argument {at}")))?;
        refused(Look::at(pid, 0), EPERM)?;
    }
    refused(Look::at(u32::MAX, 0), ESRCH)?;
    looked_at_and_ended()
}

fn looked_at_and_ended() -> Outcome {
    let child: Child = Role::new(PROGRAM, "client").quota(1 << 20).spawn(Vec::new())?;
    until(&trace_of(child.pid)?, |entry| entry.event == Event::Opened && entry.detail != 0)?;
    init::kill(child.pid, 9)?;
    child::ends_as(&child, ExitStatus::Exited(9))
}

fn only_operators_and_ancestors_look() -> Outcome {
    let [event, driver, own] = [pid_of(SERVICE)?, pid_of(knot::NAME)?, pid_of(PROGRAM)?];
    let stranger = Role::new(PROGRAM, "stranger").argument(event).argument(driver).argument(own);
    child::ends_well(&stranger.spawn(Vec::new())?)
}

fn who_looks_leaves_nothing() -> Outcome {
    let round = || -> Outcome {
        looked_at_and_ended()?;
        // An early end of either side: the mapping is the last that knows of the page.
        let look = {
            let child = Role::new(PROGRAM, "client").spawn(Vec::new())?;
            let look = trace_of(child.pid)?;
            init::kill(child.pid, 9)?;
            child::ends_as(&child, ExitStatus::Exited(9))?;
            look
        };
        ensure(look.written() <= 3, "it can still be read")
    };
    (0..4).try_for_each(|_| round())?;
    let ledger = Ledger::open()?;
    (0..12).try_for_each(|_| round())?;
    ledger.balance()
}

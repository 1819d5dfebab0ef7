//! Many threads on shared sources through all five interfaces, with adds, deletes, closes and numbers that are used again,
//! at random. Each record and each promised event is accounted for. Runs with the manifest `soak`; arguments: a filter of
//! tests, milliseconds, the seed.
#![no_std]
#![no_main]
#![forbid(unsafe_code)]

extern crate alloc;

mod arena;
mod beginning;
mod books;
mod churn;
mod consumer;
mod crowd;
mod field;
mod peer;
mod producer;
mod record;
mod sets;
mod shared;
mod token;

use guest_tests::child::{self, Role};
use guest_tests::random::Random;
use guest_tests::{Failure, Outcome, Suite};
use init_protocol::status::ExitStatus;
use rt::init;

const PROGRAM: &str = env!("CARGO_BIN_NAME");
/// Threads of a soak.
const THREADS: u64 = 64;
/// Milliseconds unless the second argument says otherwise.
const DURATION: u64 = 8000;

rt::entry!(main);

fn main(start: &rt::Start) -> i32 {
    let number = |index| start.arg(index).parse().unwrap_or(0);
    let play = |role: &str| match role {
        "beginner" => beginning::run(),
        "peer" => peer::run(number(3) as i32, number(4)),
        _ => arena::run(number(3) as usize, number(4) * 1_000_000, number(5)),
    };
    if let Some(status) = child::played(start, play) {
        return status;
    }
    let duration = start.arg(2).parse().unwrap_or(DURATION);
    let seed = Random::seed(start.arg(3));
    let mut suite = Suite::new(start);
    // What it makes init, drivers and the kernel keep is there when the books are opened.
    suite.test("a_short_soak_loses_nothing", || soak(THREADS, 300, seed));
    suite.test("a_soak_loses_duplicates_and_invents_nothing", || soak_and_look(duration, seed));
    suite.test("many_threads_of_a_fresh_process_meet_the_server", beginning::many_threads_begin);
    suite.test("r36_each_of_many_waiting_threads_is_woken", crowd::each_of_many_is_woken);
    suite.finish()
}

/// Another process soaks. It says itself what it finds.
fn soak(threads: u64, milliseconds: u64, seed: u64) -> Outcome {
    let role = Role::new(PROGRAM, "arena").argument(threads).argument(milliseconds).argument(seed);
    let arena = role.quota(128 << 20).spawn(alloc::vec::Vec::new())?;
    match init::wait(arena.pid)? {
        ExitStatus::Exited(0) => Ok(()),
        other => Err(Failure::new(alloc::format!("the arena {other}"))),
    }
}

/// And leaves nothing behind.
fn soak_and_look(milliseconds: u64, seed: u64) -> Outcome {
    // Looking at the server's books has it keep lobbies for this process, as long as that lives.
    let living = books::living()?;
    let objects = books::objects()?;
    soak(THREADS, milliseconds, seed)?;
    books::are_equal(living)?;
    books::nothing_more(objects)
}

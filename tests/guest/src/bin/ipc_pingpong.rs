//! Many round trips between threads and processes, on one CPU and across CPUs; each is checked.
#![no_std]
#![no_main]
#![forbid(unsafe_code)]

extern crate alloc;

use abi::Rights;
use alloc::vec;
use alloc::vec::Vec;
use guest_tests::child::{self, Role};
use guest_tests::failure::equal;
use guest_tests::{Outcome, Suite, echo};
use rt::clock;
use rt::ipc::Transfer;
use rt::sys::{Endpoint, Object};
use rt::thread::{self, Builder};

const PROGRAM: &str = env!("CARGO_BIN_NAME");
/// Round trips of words.
const WORDS: u64 = 100_000;
/// Round trips of bytes.
const BYTES: u64 = 10_000;
/// Round trips of handles.
const HANDLES: u64 = 5_000;

rt::entry!(main);

fn main(start: &rt::Start) -> i32 {
    if child::role(start).is_some() {
        return match foreign_client(start) {
            Ok(()) => 0,
            Err(failure) => {
                rt::log!("{PROGRAM} client: {failure}");
                1
            }
        };
    }
    let mut suite = Suite::new(start);
    suite.test("words_on_one_cpu", || between_threads(1, 1, Load::Words));
    suite.test("bytes_on_one_cpu", || between_threads(1, 1, Load::Bytes));
    suite.test("handles_on_one_cpu", || between_threads(1, 1, Load::Handles));
    suite.test("words_between_processes_on_one_cpu", || between_processes(1, 1, Load::Words));
    suite.test("bytes_between_processes_on_one_cpu", || between_processes(1, 1, Load::Bytes));
    suite.test("handles_between_processes_on_one_cpu", || between_processes(1, 1, Load::Handles));
    if clock::cpu_count() > 1 {
        suite.test("words_across_cpus", || between_threads(1, 2, Load::Words));
        suite.test("bytes_across_cpus", || between_threads(1, 2, Load::Bytes));
        suite.test("handles_across_cpus", || between_threads(1, 2, Load::Handles));
        suite.test("words_between_processes_across_cpus", || between_processes(1, 2, Load::Words));
        suite.test("bytes_between_processes_across_cpus", || between_processes(1, 2, Load::Bytes));
        suite.test("handles_between_processes_across_cpus", || between_processes(1, 2, Load::Handles));
    }
    suite.test("many_clients_of_one_server", many_clients_of_one_server);
    suite.finish()
}

/// What goes back and forth.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Load {
    Words,
    Bytes,
    Handles,
}

const LOADS: [Load; 3] = [Load::Words, Load::Bytes, Load::Handles];

fn play(client: &Endpoint, badge: u64, load: Load) -> Outcome<u64> {
    match load {
        Load::Words => (0..WORDS).try_for_each(|i| echo::words(client, badge, i)).map(|()| WORDS),
        Load::Bytes => {
            (0..BYTES).try_for_each(|i| echo::bytes(client, badge, i, (i * 37 % 3969) as usize))?;
            Ok(BYTES)
        }
        Load::Handles => (0..HANDLES).try_for_each(|i| echo::handle(client, badge, i)).map(|()| HANDLES),
    }
}

fn between_threads(server_cpu: u64, client_cpu: u64, load: Load) -> Outcome {
    let (server, client) = echo::start(11, server_cpu)?;
    let player = Builder::new().cpus(client_cpu).spawn(move || play(&client, 11, load))?;
    let played = player.join()??;
    equal(server.join()??, played)
}

fn between_processes(server_cpu: u64, client_cpu: u64, load: Load) -> Outcome {
    let endpoint = Endpoint::create()?;
    let client = endpoint.with_badge(Rights::all(), 23)?;
    let server = Builder::new().cpus(server_cpu).spawn(move || echo::serve(&endpoint))?;
    let role = Role::new(PROGRAM, "client").argument(load as usize).on(client_cpu);
    let child = role.spawn(vec![("server", Transfer::moved(client))])?;
    child::ends_well(&child)?;
    let played = match load {
        Load::Words => WORDS,
        Load::Bytes => BYTES,
        Load::Handles => HANDLES,
    };
    equal(server.join()??, played)
}

fn foreign_client(start: &rt::Start) -> Outcome {
    let load = start.arg(3).parse::<usize>().ok().and_then(|index| LOADS.get(index).copied());
    let (Some(load), Some(client)) = (load, start.object::<Endpoint>("server")) else {
        return Err(guest_tests::Failure::new("started with bad arguments"));
    };
    play(&client, 23, load).map(drop)
}

fn many_clients_of_one_server() -> Outcome {
    const CLIENTS: u64 = 12;
    const ROUNDS: u64 = 1000;
    let endpoint = Endpoint::create()?;
    // The server goes on until every client is gone, so it counts the closes itself.
    let clients = (1..=CLIENTS)
        .map(|badge| endpoint.with_badge(Rights::all(), badge))
        .collect::<abi::error::Result<Vec<_>>>()?;
    let server = thread::spawn(move || -> Outcome<u64> {
        let mut served = 0;
        for _ in 0..CLIENTS {
            served += echo::serve(&endpoint)?;
        }
        Ok(served)
    })?;
    let cpus = clock::cpu_count() as u64;
    let players = clients
        .into_iter()
        .zip(1..)
        .map(|(client, badge)| {
            Builder::new()
                .cpus(1 << (badge % cpus))
                .spawn(move || (0..ROUNDS).try_for_each(|i| echo::words(&client, badge, i)))
        })
        .collect::<abi::error::Result<Vec<_>>>()?;
    for player in players {
        player.join()??;
    }
    equal(server.join()??, CLIENTS * ROUNDS)
}

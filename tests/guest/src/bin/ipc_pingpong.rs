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
/// Round trips on one CPU.
const NEAR: Rounds = Rounds { words: 100_000, bytes: 10_000, handles: 5_000 };
/// Round trips across CPUs: under emulation each one waits for the host to schedule a thread, twice.
const FAR: Rounds = Rounds { words: 1_000, bytes: 300, handles: 200 };

/// How many round trips.
#[derive(Clone, Copy, Debug)]
struct Rounds {
    words: u64,
    bytes: u64,
    handles: u64,
}

impl Rounds {
    fn between(one_cpu: u64, other_cpu: u64) -> Rounds {
        if one_cpu == other_cpu { NEAR } else { FAR }
    }

    fn of(self, load: Load) -> u64 {
        match load {
            Load::Words => self.words,
            Load::Bytes => self.bytes,
            Load::Handles => self.handles,
        }
    }
}

rt::entry!(main);

fn main(start: &rt::Start) -> i32 {
    if let Some(status) = child::played(start, |_| foreign_client(start)) {
        return status;
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

fn play(client: &Endpoint, badge: u64, load: Load, rounds: u64) -> Outcome {
    (0..rounds).try_for_each(|i| match load {
        Load::Words => echo::words(client, badge, i),
        Load::Bytes => echo::bytes(client, badge, i, (i * 37 % 3969) as usize),
        Load::Handles => echo::handle(client, badge, i),
    })
}

fn between_threads(server_cpu: u64, client_cpu: u64, load: Load) -> Outcome {
    let rounds = Rounds::between(server_cpu, client_cpu).of(load);
    let (server, client) = echo::start(11, server_cpu)?;
    let player = Builder::new().cpus(client_cpu).spawn(move || play(&client, 11, load, rounds))?;
    player.join()??;
    equal(server.join()??, rounds)
}

fn between_processes(server_cpu: u64, client_cpu: u64, load: Load) -> Outcome {
    let rounds = Rounds::between(server_cpu, client_cpu).of(load);
    let endpoint = Endpoint::create()?;
    let client = endpoint.with_badge(Rights::all(), 23)?;
    let server = Builder::new().cpus(server_cpu).spawn(move || echo::serve(&endpoint))?;
    let role = Role::new(PROGRAM, "client").argument(load as usize).argument(rounds).on(client_cpu);
    let child = role.spawn(vec![("server", Transfer::moved(client))])?;
    child::ends_well(&child)?;
    equal(server.join()??, rounds)
}

fn foreign_client(start: &rt::Start) -> Outcome {
    let load = start.arg(3).parse::<usize>().ok().and_then(|index| LOADS.get(index).copied());
    let rounds = start.arg(4).parse().ok();
    let (Some(load), Some(rounds), Some(client)) = (load, rounds, start.object::<Endpoint>("server")) else {
        return Err(guest_tests::Failure::new("started with bad arguments"));
    };
    play(&client, 23, load, rounds)
}

fn many_clients_of_one_server() -> Outcome {
    const CLIENTS: u64 = 12;
    const ROUNDS: u64 = 200;
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

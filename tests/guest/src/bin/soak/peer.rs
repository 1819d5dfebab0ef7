//! Another process that watches and reads what this one writes, and passes it on.

use alloc::vec::Vec;
use core::time::Duration;

use abi::error::{EAGAIN, Error, Result};
use guest_tests::child::ROLE;
use guest_tests::random::Random;
use guest_tests::{Failure, Outcome};
use init_protocol::status::ExitStatus;
use libkq::process_calls::{Child, Command};
use libkq::{Conditions, PollFd};
use rt::thread::{Builder, JoinHandle};

use crate::record::RECORD;
use crate::sets::{self, Mode};

/// The first number that a peer has been given: what it reads, then where it writes that, for each relay.
const FIRST: i32 = 8;

/// Starts it with these ends, which are closed here.
pub fn start(program: &str, seed: u64, relays: &[(i32, i32)]) -> Result<Child> {
    let file = alloc::format!("bin/{program}");
    let mut command = Command::new(&file).argument(ROLE).argument("peer").argument(relays.len());
    command = command.argument(seed).quota(16 << 20);
    for (number, fd) in (FIRST..).zip(relays.iter().flat_map(|&(from, to)| [from, to])) {
        command = command.inherit(fd, number)?;
    }
    let child = command.spawn()?;
    for &(from, to) in relays {
        libkq::close(from).and(libkq::close(to))?;
    }
    Ok(child)
}

/// It ends when nobody can write to it any more.
pub fn end(child: &Child) -> Outcome {
    match rt::init::wait(child.pid() as u32)? {
        ExitStatus::Exited(0) => Ok(()),
        other => Err(Failure::new(alloc::format!("the peer {other}"))),
    }
}

/// The peer.
pub fn run(relays: i32, seed: u64) -> Outcome {
    let mut threads: Vec<JoinHandle<Outcome>> = Vec::new();
    for relay in 0..relays {
        let (from, to) = (FIRST + 2 * relay, FIRST + 2 * relay + 1);
        let random = Random::new(seed ^ relay as u64);
        threads.push(Builder::new().name("relay").spawn(move || pass_on(random, from, to))?);
    }
    threads.into_iter().try_for_each(|thread| thread.join()?)
}

/// Sets of all interfaces one after the other, each for some waits without a timeout.
fn pass_on(mut random: Random, from: i32, to: i32) -> Outcome {
    loop {
        let set = sets::any(&mut random)?;
        set.add(from, Mode::Level, 0)?;
        for _ in 0..1 + random.below(30) {
            // In a nest the inner set may have nothing any more.
            if set.wait(1, None)?.is_empty() {
                continue;
            }
            let mut record = [0; 4 * RECORD];
            match libkq::read(from, &mut record) {
                Ok(0) => return Ok(()),
                Ok(count) => write(to, &record[..count])?,
                Err(error) if error.errno == EAGAIN => return Err(Failure::new("told of nothing")),
                Err(error) => return Err(error.into()),
            }
        }
    }
}

fn write(to: i32, mut bytes: &[u8]) -> Outcome {
    while !bytes.is_empty() {
        match libkq::write(to, &bytes[..RECORD]) {
            Ok(RECORD) => bytes = &bytes[RECORD..],
            Err(Error { errno: EAGAIN }) => {
                libkq::poll(&mut [PollFd::new(to, Conditions::OUT)], None::<Duration>, None)?;
            }
            Ok(count) => return Err(Failure::new(alloc::format!("{count} bytes of a record were taken"))),
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

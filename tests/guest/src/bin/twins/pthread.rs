//! The twin of `pthread.c`.

use alloc::sync::Arc;
use alloc::vec::Vec;

use libkq::Result;
use rt::sync::{Condvar, Mutex, OnceLock};
use rt::thread::JoinHandle;

const THREADS: i64 = 4;
const ROUNDS: usize = 1000;

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    cond: Condvar,
    once: OnceLock<()>,
}

#[derive(Default)]
struct State {
    sum: i64,
    turn: i64,
    initialised: i64,
    destroyed: i64,
}

/// What a key's destructor does.
struct Own<'a>(&'a Shared, i64);

impl Drop for Own<'_> {
    fn drop(&mut self) {
        self.0.state.lock().destroyed += self.1;
    }
}

fn count(shared: &Shared, number: i64) -> i64 {
    shared.once.get_or_init(|| shared.state.lock().initialised += 1);
    let _own = Own(shared, number);
    for _ in 0..ROUNDS {
        shared.state.lock().sum += number;
    }
    let mut state = shared.state.lock();
    shared.cond.wait_while(&mut state, |state| state.turn != number);
    rt::log!("thread {number} has errno {number}");
    state.turn += 1;
    shared.cond.notify_all();
    number
}

pub fn run() -> Result<()> {
    let shared = Arc::new(Shared::default());
    let spawn = |number| {
        let shared = shared.clone();
        rt::thread::spawn(move || count(&shared, number))
    };
    let threads: Vec<JoinHandle<i64>> = (1..=THREADS).map(spawn).collect::<Result<_>>()?;
    {
        let mut state = shared.state.lock();
        state.turn = 1;
        shared.cond.notify_all();
        shared.cond.wait_while(&mut state, |state| state.turn <= THREADS);
    }
    for thread in threads {
        rt::log!("joined 0, result {}", thread.join()?);
    }
    let mut state = shared.state.lock();
    let State { sum, initialised, destroyed, .. } = *state;
    rt::log!("sum {sum}, initialised {initialised}, destroyed {destroyed}, errno 77");
    let locked = shared.state.try_lock().is_none();
    let late = !shared.cond.wait_until(&mut state, 0);
    rt::log!("locked {}, late {}", i32::from(locked), i32::from(late));
    rt::log!("itself 1");
    Ok(())
}

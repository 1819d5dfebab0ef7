//! Interleavings of signals and waits. `RUSTFLAGS="--cfg loom" cargo test -p process-protocol --release --test loom`
#![cfg(loom)]

use loom::sync::Arc;
use loom::sync::atomic::{AtomicBool, Ordering};
use loom::thread;
use process_protocol::SignalSet;
use process_protocol::handoff::{Gate, Pending};
use process_protocol::signal::{SIGUSR1, SIGUSR2};

struct Shared {
    pending: Pending,
    gate: Gate,
    interrupted: AtomicBool,
}

fn shared(mask: SignalSet) -> Arc<Shared> {
    let pending = Pending::new();
    Arc::new(Shared { pending, gate: Gate::new(mask), interrupted: AtomicBool::new(false) })
}

fn bring(shared: &Shared, signal: u8) {
    shared.pending.post(SignalSet::of(signal));
    if shared.gate.is_open_to(SignalSet::of(signal)) {
        shared.interrupted.store(true, Ordering::Release);
    }
}

/// R49: a wait that begins while a signal comes either sees it before it sleeps or is interrupted.
#[test]
fn r49_no_signal_is_slept_through() {
    loom::model(|| {
        let shared = shared(SignalSet::EMPTY);
        let other = shared.clone();
        let bringer = thread::spawn(move || bring(&other, SIGUSR1));
        shared.gate.begin_wait(None);
        let seen = !shared.pending.get().without(shared.gate.mask()).is_empty();
        bringer.join().unwrap();
        // It sleeps for ever, unless:
        assert!(seen || shared.interrupted.load(Ordering::Acquire));
    });
}

/// R49: the same when only the mask of the call lets it through, and nothing happens when that blocks it.
#[test]
fn r49_the_mask_of_the_call_decides() {
    loom::model(|| {
        let shared = shared(SignalSet::of(SIGUSR1));
        let other = shared.clone();
        let bringer = thread::spawn(move || {
            bring(&other, SIGUSR1);
            bring(&other, SIGUSR2);
        });
        let before = shared.gate.begin_wait(Some(SignalSet::of(SIGUSR2)));
        assert_eq!(before, SignalSet::of(SIGUSR1));
        let seen = shared.pending.get().without(shared.gate.mask());
        bringer.join().unwrap();
        assert!(seen.contains(SIGUSR1) || shared.interrupted.load(Ordering::Acquire));
        assert!(!seen.contains(SIGUSR2));
    });
}

/// One signal, two threads that look: one handler runs.
#[test]
fn a_signal_is_taken_once() {
    loom::model(|| {
        let shared = shared(SignalSet::EMPTY);
        shared.pending.post(SignalSet::of(SIGUSR1));
        let other = shared.clone();
        let all = SignalSet(u64::MAX);
        let first = thread::spawn(move || u32::from(other.pending.take(all).is_some()));
        let second = u32::from(shared.pending.take(all).is_some());
        assert_eq!(first.join().unwrap() + second, 1);
    });
}

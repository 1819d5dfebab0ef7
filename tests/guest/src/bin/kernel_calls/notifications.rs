//! Notifications: words of bits, waiting, binding, exit watches.

use core::sync::atomic::{AtomicU64, Ordering};

use abi::Rights;
use abi::error::{EBUSY, EINVAL, ETIMEDOUT};
use abi::message::LABEL_NOTIFICATION;
use abi::{Message, Tag};
use alloc::sync::Arc;
use guest_tests::failure::{ensure, equal, refused};
use guest_tests::ledger::Ledger;
use guest_tests::mini::{self, Plan};
use guest_tests::{Outcome, a_moment, soon};
use rt::clock;
use rt::sys::{Endpoint, Notification, Object};
use rt::thread;

use crate::Test;

pub const TESTS: &[Test] = &[
    ("bits_are_ored_and_taken_at_once", bits_are_ored_and_taken_at_once),
    ("a_badge_masks_what_a_handle_signals", a_badge_masks_what_a_handle_signals),
    ("no_bits_to_signal_is_einval", no_bits_to_signal_is_einval),
    ("a_wait_ends_by_a_signal", a_wait_ends_by_a_signal),
    ("a_signal_wakes_one_waiter", a_signal_wakes_one_waiter),
    ("a_wait_never_ends_early", a_wait_never_ends_early),
    ("binding_is_one_to_one", binding_is_one_to_one),
    ("a_receive_hears_the_bound_notification", a_receive_hears_the_bound_notification),
    ("a_blocked_receive_is_woken_by_the_bound_notification", a_blocked_receive_is_woken),
    ("signal_and_wait_on_a_notification", signal_and_wait_on_a_notification),
    ("signal_and_wait_on_an_endpoint", signal_and_wait_on_an_endpoint),
    ("signal_and_wait_does_nothing_when_refused", signal_and_wait_does_nothing_when_refused),
    ("an_exit_watch_fires_once", an_exit_watch_fires_once),
    ("an_exit_watch_on_a_dead_one_fires_at_once", an_exit_watch_on_a_dead_one_fires_at_once),
    ("an_exit_watch_goes_with_its_notification", an_exit_watch_goes_with_its_notification),
];

fn bits_are_ored_and_taken_at_once() -> Outcome {
    let word = Notification::create()?;
    equal(word.poll()?, 0)?;
    word.signal(1)?;
    word.signal(1 << 63)?;
    word.signal(1)?;
    equal(word.poll()?, 1 << 63 | 1)?;
    equal(word.poll()?, 0)?;
    word.signal(u64::MAX)?;
    equal(word.wait(soon())?, u64::MAX)?;
    refused(word.wait(0), ETIMEDOUT)
}

fn a_badge_masks_what_a_handle_signals() -> Outcome {
    let word = Notification::create()?;
    let badged = word.with_badge(Rights::all(), 0b0110)?;
    badged.signal(u64::MAX)?;
    equal(word.poll()?, 0b0110)?;
    badged.signal(0b0011)?;
    equal(word.poll()?, 0b0010)?;
    refused(badged.signal(0b1001), EINVAL)?;
    equal(word.poll()?, 0)
}

fn no_bits_to_signal_is_einval() -> Outcome {
    let word = Notification::create()?;
    refused(word.signal(0), EINVAL)
}

fn a_wait_ends_by_a_signal() -> Outcome {
    let word = Arc::new(Notification::create()?);
    let waited = word.clone();
    let waiter = thread::spawn(move || waited.wait(soon()))?;
    a_moment();
    word.signal(0b1010)?;
    equal(waiter.join()??, 0b1010)?;
    equal(word.poll()?, 0)
}

fn a_signal_wakes_one_waiter() -> Outcome {
    let word = Arc::new(Notification::create()?);
    let sum = Arc::new(AtomicU64::new(0));
    let mut waiters = alloc::vec::Vec::new();
    for _ in 0..4 {
        let (word, sum) = (word.clone(), sum.clone());
        waiters.push(thread::spawn(move || {
            let bits = word.wait(soon());
            sum.fetch_add(bits.unwrap_or(0), Ordering::Relaxed);
            bits.is_ok()
        })?);
    }
    a_moment();
    // Each bit is taken by somebody exactly once, though two signals may meet in one word.
    let mut sent = 0;
    for bit in 0..60 {
        word.signal(1 << bit)?;
        sent += 1u128 << bit;
        a_moment();
        if waiters.iter().all(|waiter| waiter.is_finished()) {
            break;
        }
    }
    // Whoever is late still gets a signal of its own.
    let deadline = soon();
    for bit in 60..64 {
        let finished = || waiters.iter().filter(|waiter| waiter.is_finished()).count();
        let before = finished();
        if before == waiters.len() {
            break;
        }
        word.signal(1 << bit)?;
        sent += 1u128 << bit;
        while finished() == before {
            ensure(clock::now_ns() < deadline, "a signal wakes a waiter")?;
            a_moment();
        }
    }
    for waiter in waiters {
        ensure(waiter.join()?, "a waiter was woken")?;
    }
    equal(u128::from(sum.load(Ordering::Relaxed)) + u128::from(word.poll()?), sent)
}

fn a_wait_never_ends_early() -> Outcome {
    let word = Notification::create()?;
    for wait in [0, 1, 1000, 50_000, 1_000_000, 7_000_000] {
        let deadline = clock::after(wait);
        refused(word.wait(deadline), ETIMEDOUT)?;
        ensure(clock::now_ns() >= deadline, "the deadline has passed when the wait ends")?;
    }
    // A deadline that has passed looks, and takes what is there.
    word.signal(4)?;
    equal(word.wait(1)?, 4)
}

fn binding_is_one_to_one() -> Outcome {
    thread::spawn(|| {
        let (first, second) = (Notification::create()?, Notification::create()?);
        first.bind(None)?;
        refused(second.bind(None), EBUSY)?;
        let other = thread::Builder::new().spawn_suspended(|| ())?;
        refused(first.bind(Some(other.thread())), EBUSY)?;
        second.bind(Some(other.thread()))?;
        other.start()?;
        other.join()?;
        // A dead thread is bound to nothing.
        let third = thread::Builder::new().spawn_suspended(|| ())?;
        second.bind(Some(third.thread()))?;
        third.start()?;
        Ok(third.join()?)
    })?
    .join()?
}

fn a_receive_hears_the_bound_notification() -> Outcome {
    thread::spawn(|| {
        let (endpoint, word) = (Endpoint::create()?, Notification::create()?);
        word.bind(None)?;
        word.signal(0b11)?;
        word.signal(0b100)?;
        let received = endpoint.recv(soon())?;
        equal(received.tag.label(), LABEL_NOTIFICATION)?;
        equal(received.words[0], 0b111)?;
        refused(endpoint.recv(0), ETIMEDOUT)?;
        // What a bound notification holds can be taken directly as well.
        word.signal(8)?;
        equal(word.poll()?, 8)?;
        refused(endpoint.recv(0), ETIMEDOUT)
    })?
    .join()?
}

fn a_blocked_receive_is_woken() -> Outcome {
    let word = Arc::new(Notification::create()?);
    let bound = word.clone();
    let receiver = thread::spawn(move || {
        let endpoint = Endpoint::create()?;
        bound.bind(None)?;
        endpoint.recv(soon())
    })?;
    a_moment();
    word.signal(0x55)?;
    let received = receiver.join()??;
    equal(received.notification(), Some(0x55))?;
    equal(word.poll()?, 0)
}

fn signal_and_wait_on_a_notification() -> Outcome {
    let (ping, pong) = (Arc::new(Notification::create()?), Arc::new(Notification::create()?));
    let (ping_there, pong_there) = (ping.clone(), pong.clone());
    let other = thread::spawn(move || {
        let mut sum = ping_there.wait(soon())?;
        for _ in 0..99 {
            sum += pong_there.signal_and_wait(2, &ping_there, soon())?;
        }
        pong_there.signal(2)?;
        Ok::<u64, abi::error::Error>(sum)
    })?;
    for _ in 0..100 {
        equal(ping.signal_and_wait(1, &pong, soon())?, 2)?;
    }
    equal(other.join()??, 100)?;
    // The same word on both sides: the wait finds what the signal put there.
    equal(ping.signal_and_wait(0x10, &ping, soon())?, 0x10)?;
    refused(ping.signal_and_wait(1, &pong, 0), ETIMEDOUT)?;
    equal(ping.poll()?, 1)
}

fn signal_and_wait_on_an_endpoint() -> Outcome {
    let ready = Arc::new(Notification::create()?);
    let endpoint = Endpoint::create()?;
    let client = endpoint.with_badge(Rights::WRITE, 99)?;
    let told = ready.clone();
    let caller = thread::spawn(move || {
        told.wait(soon())?;
        client.call(Message { tag: Tag::words(5), words: [1, 2, 3, 4] }, soon())
    })?;
    let received = ready.signal_and_recv(1, &endpoint, soon())?;
    equal((received.tag, received.badge, received.words), (Tag::words(5), 99, [1, 2, 3, 4]))?;
    Endpoint::reply(received.token, Message { tag: Tag::words(6), words: [5, 6, 7, 8] })?;
    equal(caller.join()??.words, [5, 6, 7, 8])?;
    let last = endpoint.recv(soon())?;
    equal(last.closed(), Some(99))?;
    refused(ready.signal_and_recv(1, &endpoint, 0), ETIMEDOUT)?;
    equal(ready.poll()?, 1)
}

fn signal_and_wait_does_nothing_when_refused() -> Outcome {
    let word = Notification::create()?;
    let unreadable = Notification::create()?.restricted(Rights::WRITE)?;
    refused(word.signal_and_wait(1, &unreadable, soon()), abi::error::EPERM)?;
    equal(word.poll()?, 0)?;
    let gone = Notification::create()?;
    let number = gone.handle();
    drop(gone);
    let gone = Notification::from_handle(number);
    refused(word.signal_and_wait(1, &gone, soon()), abi::error::EBADF)?;
    equal(word.poll()?, 0)
}

fn an_exit_watch_fires_once() -> Outcome {
    let word = Notification::create()?;
    let child = Plan::new(mini::spins()).start()?;
    word.watch_exit(&child.process, 0b01)?;
    word.watch_exit(&child.thread, 0b10)?;
    refused(word.wait(clock::after(guest_tests::A_MOMENT)), ETIMEDOUT)?;
    child.process.kill(9)?;
    let mut seen = 0;
    while seen != 0b11 {
        let bits = word.wait(soon())?;
        equal(seen & bits, 0)?;
        seen |= bits;
    }
    refused(word.wait(clock::after(guest_tests::A_MOMENT)), ETIMEDOUT)?;
    equal(child.process.status()?.code, 9)
}

fn an_exit_watch_on_a_dead_one_fires_at_once() -> Outcome {
    let child = Plan::new(mini::exits()).words(&[4]).start()?;
    equal(child.ended()?.code, 4)?;
    let word = Notification::create()?;
    word.watch_exit(&child.process, 1)?;
    word.watch_exit(&child.thread, 2)?;
    equal(word.poll()?, 3)?;
    refused(word.watch_exit(&child.process, 0), EINVAL)
}

/// Whoever is watched may live for ever.
fn an_exit_watch_goes_with_its_notification() -> Outcome {
    let never = Notification::create()?;
    let child = Plan::new(mini::waits()).handles(&[never.handle()]).start()?;
    let ledger = Ledger::open()?;
    for _ in 0..100 {
        let word = Notification::create()?;
        word.watch_exit(&child.process, 1)?;
        word.watch_exit(&child.thread, 2)?;
    }
    ledger.balance()?;
    child.process.kill(0)?;
    equal(child.ended()?.code, 0)
}

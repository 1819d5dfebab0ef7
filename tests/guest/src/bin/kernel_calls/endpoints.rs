//! Calls and replies in words and bytes.

use abi::error::{EFAULT, EINVAL, EPERM, ESRCH, ETIMEDOUT};
use abi::message::{LABEL_KERNEL, MAX_BYTES};
use abi::{Message, Rights, Tag};
use alloc::sync::Arc;
use alloc::vec::Vec;
use guest_tests::failure::{ensure, equal, refused, refused_with};
use guest_tests::{Outcome, a_moment, soon};
use rt::clock;
use rt::ipc;
use rt::sys::{Endpoint, Object};
use rt::thread::{self, JoinHandle};

use crate::Test;

pub const TESTS: &[Test] = &[
    ("words_go_there_and_back", words_go_there_and_back),
    ("bytes_of_every_length_go_there_and_back", bytes_of_every_length_go_there_and_back),
    ("a_bad_tag_is_einval", a_bad_tag_is_einval),
    ("callers_are_taken_in_order", callers_are_taken_in_order),
    ("a_call_nobody_takes_times_out_and_is_withdrawn", a_call_nobody_takes_times_out),
    ("a_reply_after_the_deadline_is_esrch", a_reply_after_the_deadline_is_esrch),
    ("a_second_reply_is_esrch", a_second_reply_is_esrch),
    ("a_made_up_token_is_esrch", a_made_up_token_is_esrch),
    ("a_reply_to_a_dead_caller_is_esrch", a_reply_to_a_dead_caller_is_esrch),
    ("reply_recv_answers_and_hears", reply_recv_answers_and_hears),
    ("reply_recv_drops_a_reply_nobody_waits_for", reply_recv_drops_a_reply_nobody_waits_for),
    ("a_reply_may_come_from_another_thread", a_reply_may_come_from_another_thread),
    ("replies_may_come_out_of_order", replies_may_come_out_of_order),
    ("a_receive_never_ends_early", a_receive_never_ends_early),
    ("bytes_without_a_buffer_are_an_error", bytes_without_a_buffer_are_an_error),
];

/// A thread that answers each message with label + 1, the words plus the badge, and the bytes turned around, until its
/// endpoint's last client is gone.
pub fn echo(endpoint: Endpoint) -> abi::error::Result<JoinHandle<u64>> {
    thread::spawn(move || {
        let mut served = 0;
        let mut next = endpoint.recv(soon());
        while let Ok(received) = next {
            if received.closed().is_some() {
                break;
            }
            served += 1;
            let bytes = received.tag.bytes();
            ipc::with_bytes_mut(bytes, <[u8]>::reverse);
            let words = received.words.map(|word| word.wrapping_add(received.badge));
            let tag = Tag::new(received.tag.label().wrapping_add(1) & 0xffff, bytes, 0);
            next = endpoint.reply_recv(received.token, Message { tag, words }, soon());
        }
        served
    })
}

/// A server as [`echo`] and a client's handle with a badge.
pub fn echo_pair(badge: u64) -> abi::error::Result<(JoinHandle<u64>, Endpoint)> {
    let endpoint = Endpoint::create()?;
    let client = endpoint.with_badge(Rights::all(), badge)?;
    Ok((echo(endpoint)?, client))
}

fn words(label: u32, words: [u64; 4]) -> Message {
    Message { tag: Tag::words(label), words }
}

fn words_go_there_and_back() -> Outcome {
    let (server, client) = echo_pair(1000)?;
    for i in 0..100 {
        let reply = client.call(words(i, [0, 1, u64::MAX, i.into()]), soon())?;
        equal(reply, words(i + 1, [1000, 1001, 999, 1000 + u64::from(i)]))?;
    }
    drop(client);
    equal(server.join()?, 100)
}

fn bytes_of_every_length_go_there_and_back() -> Outcome {
    let (server, client) = echo_pair(1)?;
    for length in [0, 1, 2, 7, 8, 63, 64, 1000, MAX_BYTES - 1, MAX_BYTES] {
        let sent: Vec<u8> = (0..length).map(|i| (i * 7 + length) as u8).collect();
        ipc::write_bytes(&sent)?;
        let reply = client.call(Message { tag: Tag::new(9, length, 0), words: [0; 4] }, soon())?;
        equal(reply.tag, Tag::new(10, length, 0))?;
        ipc::with_bytes(length, |bytes| {
            ensure(bytes.iter().eq(sent.iter().rev()), "the bytes came back the other way round")
        })?;
    }
    drop(client);
    server.join()?;
    Ok(())
}

fn a_bad_tag_is_einval() -> Outcome {
    let endpoint = Endpoint::create()?;
    let bad = [
        Tag::words(LABEL_KERNEL),
        Tag::words(u32::MAX),
        Tag::new(1, MAX_BYTES + 1, 0),
        Tag::new(1, 0xfff, 0),
        Tag::new(1, 0, 5),
        Tag::new(1, 0, 15),
        Tag(1 << 48),
        Tag(u64::MAX),
    ];
    for tag in bad {
        refused(endpoint.call(Message { tag, words: [0; 4] }, 0), EINVAL)?;
        refused_with(Endpoint::reply(1, Message { tag, words: [0; 4] }), &[EINVAL, ESRCH])?;
    }
    Ok(())
}

fn callers_are_taken_in_order() -> Outcome {
    // On one CPU, a caller of a higher priority has got into its call when starting it returns: the order is certain.
    let own = rt::block::current().priority();
    let receiver = thread::Builder::new().cpus(1).priority(own - 1).spawn(move || -> Outcome {
        let endpoint = Endpoint::create()?;
        let mut callers = Vec::new();
        for badge in 1..=5u64 {
            let client = endpoint.with_badge(Rights::WRITE, badge)?;
            let caller = move || client.call(words(1, [badge; 4]), soon());
            callers.push(thread::Builder::new().cpus(1).priority(own).spawn(caller)?);
        }
        for badge in 1..=5 {
            let received = loop {
                let received = endpoint.recv(soon())?;
                // A caller that has its answer closes its handle.
                if received.closed().is_none() {
                    break received;
                }
            };
            equal((received.badge, received.words), (badge, [badge; 4]))?;
            Endpoint::reply(received.token, words(2, [badge * 2; 4]))?;
        }
        for (index, caller) in callers.into_iter().enumerate() {
            equal(caller.join()??.words, [(index as u64 + 1) * 2; 4])?;
        }
        Ok(())
    })?;
    receiver.join()?
}

fn a_call_nobody_takes_times_out() -> Outcome {
    let endpoint = Endpoint::create()?;
    for wait in [0, 1, 100_000, 4_000_000] {
        let deadline = clock::after(wait);
        refused(endpoint.call(words(1, [0; 4]), deadline), ETIMEDOUT)?;
        ensure(clock::now_ns() >= deadline, "a call never times out early")?;
        refused(endpoint.recv(0), ETIMEDOUT)?;
    }
    refused(endpoint.call(words(1, [0; 4]), 0), ETIMEDOUT)
}

fn a_reply_after_the_deadline_is_esrch() -> Outcome {
    let endpoint = Endpoint::create()?;
    for doublings in 0.. {
        let client = endpoint.duplicate()?;
        let caller = thread::spawn(move || {
            let late = client.call(words(1, [0; 4]), clock::after(3_000_000 << doublings));
            // The late reply is discarded: the next call gets its own.
            (late, client.call(words(2, [0; 4]), soon()))
        })?;
        let received = endpoint.recv(soon())?;
        let was_taken = received.tag.label() == 1;
        // A call that ended before it was taken leaves no trace: once more, with more time.
        let second = if was_taken { endpoint.recv(soon())? } else { received };
        if was_taken {
            refused(Endpoint::reply(received.token, words(0xbad, [1; 4])), ESRCH)?;
        }
        Endpoint::reply(second.token, words(3, [2; 4]))?;
        let (late, next) = caller.join()?;
        refused(late, ETIMEDOUT)?;
        equal(next?, words(3, [2; 4]))?;
        if was_taken {
            break;
        }
    }
    Ok(())
}

fn a_second_reply_is_esrch() -> Outcome {
    let endpoint = Endpoint::create()?;
    let client = endpoint.duplicate()?;
    let caller = thread::spawn(move || client.call(words(1, [0; 4]), soon()))?;
    let received = endpoint.recv(soon())?;
    Endpoint::reply(received.token, words(2, [7; 4]))?;
    refused(Endpoint::reply(received.token, words(2, [8; 4])), ESRCH)?;
    equal(caller.join()??.words, [7; 4])?;
    refused(Endpoint::reply(received.token, words(2, [9; 4])), ESRCH)
}

fn a_made_up_token_is_esrch() -> Outcome {
    let endpoint = Endpoint::create()?;
    let client = endpoint.duplicate()?;
    let caller = thread::spawn(move || client.call(words(1, [0; 4]), soon()))?;
    let received = endpoint.recv(soon())?;
    for token in [0, 1, u64::MAX, received.token ^ 1 << 40, received.token + (1 << 16), !received.token] {
        refused(Endpoint::reply(token, words(2, [0xbad; 4])), ESRCH)?;
    }
    Endpoint::reply(received.token, words(2, [1; 4]))?;
    equal(caller.join()??.words, [1; 4])
}

fn a_reply_to_a_dead_caller_is_esrch() -> Outcome {
    let endpoint = Endpoint::create()?;
    let client = endpoint.duplicate()?;
    let caller = thread::spawn(move || client.call(words(1, [0; 4]), soon()).is_ok())?;
    let received = endpoint.recv(soon())?;
    caller.thread().kill()?;
    refused(caller.join(), abi::error::EPIPE)?;
    refused(Endpoint::reply(received.token, words(2, [0; 4])), ESRCH)
}

fn reply_recv_answers_and_hears() -> Outcome {
    let endpoint = Endpoint::create()?;
    let (first, second) = (endpoint.duplicate()?, endpoint.duplicate()?);
    let first = thread::spawn(move || first.call(words(1, [1; 4]), soon()))?;
    let received = endpoint.recv(soon())?;
    let second = thread::spawn(move || second.call(words(1, [2; 4]), soon()))?;
    a_moment();
    let next = endpoint.reply_recv(received.token, words(2, [10; 4]), soon())?;
    equal(next.words, [2; 4])?;
    equal(first.join()??.words, [10; 4])?;
    refused(endpoint.reply_recv(next.token, words(2, [20; 4]), 0), ETIMEDOUT)?;
    equal(second.join()??.words, [20; 4])
}

fn reply_recv_drops_a_reply_nobody_waits_for() -> Outcome {
    let endpoint = Endpoint::create()?;
    let client = endpoint.duplicate()?;
    let caller = thread::spawn(move || client.call(words(1, [3; 4]), soon()))?;
    let received = endpoint.reply_recv(12345, words(2, [0; 4]), soon())?;
    equal(received.words, [3; 4])?;
    Endpoint::reply(received.token, words(2, [4; 4]))?;
    equal(caller.join()??.words, [4; 4])
}

fn a_reply_may_come_from_another_thread() -> Outcome {
    let endpoint = Endpoint::create()?;
    let client = endpoint.duplicate()?;
    let caller = thread::spawn(move || client.call(words(1, [0; 4]), soon()))?;
    let token = endpoint.recv(soon())?.token;
    thread::spawn(move || Endpoint::reply(token, words(2, [5; 4])))?.join()??;
    equal(caller.join()??.words, [5; 4])
}

fn replies_may_come_out_of_order() -> Outcome {
    let endpoint = Arc::new(Endpoint::create()?);
    let callers = (0..6u64)
        .map(|i| {
            let client = endpoint.duplicate()?;
            thread::spawn(move || client.call(words(1, [i; 4]), soon()))
        })
        .collect::<abi::error::Result<Vec<_>>>()?;
    let mut waiting = Vec::new();
    for _ in 0..6 {
        let received = endpoint.recv(soon())?;
        waiting.push((received.token, received.words[0]));
    }
    for (token, i) in waiting.into_iter().rev() {
        Endpoint::reply(token, words(2, [i * i; 4]))?;
    }
    for (i, caller) in callers.into_iter().enumerate() {
        equal(caller.join()??.words, [(i * i) as u64; 4])?;
    }
    Ok(())
}

fn a_receive_never_ends_early() -> Outcome {
    let endpoint = Endpoint::create()?;
    for wait in [0, 1, 200_000, 5_000_000] {
        let deadline = clock::after(wait);
        refused(endpoint.recv(deadline), ETIMEDOUT)?;
        ensure(clock::now_ns() >= deadline, "a receive never times out early")?;
    }
    refused(endpoint.duplicate()?.recv(0), EPERM)
}

fn bytes_without_a_buffer_are_an_error() -> Outcome {
    use guest_tests::mini::Plan;
    // A thread whose IPC buffer is no mapped page cannot be made, or cannot send bytes: never a fault of the kernel.
    let child = Plan::new(guest_tests::mini::spins()).create()?;
    use abi::thread::ThreadOptions;
    for buffer in [8, 0x1234_5000, 0xffff_8000_0000_0000, guest_tests::mini::CODE as u64] {
        let made = guest_tests::thread_in(&child.process, buffer, ThreadOptions::new(1));
        refused_with(made, &[EFAULT, EINVAL, EPERM])?;
    }
    Ok(())
}

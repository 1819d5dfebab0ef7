//! Handles in messages.

use abi::error::{EBADF, EINVAL, EMFILE, EMSGSIZE, ENOBUFS, ENOMEM, EPERM, EPIPE, ETIMEDOUT};
use abi::{Handle, Message, Rights, Tag, TransferSlot};
use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;
use guest_tests::failure::{ensure, equal, refused, refused_with};
use guest_tests::mini::{self, Plan};
use guest_tests::{Outcome, a_moment, soon};
use rt::ipc::{self, Arrived, Transfer};
use rt::sys::{self, Endpoint, Memory, Notification, Object};
use rt::thread::{self, JoinHandle};

use crate::Test;

pub const TESTS: &[Test] = &[
    ("a_copied_handle_arrives", a_copied_handle_arrives),
    ("a_moved_handle_leaves", a_moved_handle_leaves),
    ("rights_shrink_on_the_way", rights_shrink_on_the_way),
    ("a_handle_to_the_owner_arrives_as_its_badge", a_handle_to_the_owner_arrives_as_its_badge),
    ("handles_travel_back_in_a_reply", handles_travel_back_in_a_reply),
    ("more_handles_than_accepted_are_emsgsize", more_handles_than_accepted_are_emsgsize),
    ("a_reply_with_too_many_handles_can_be_repaired", a_reply_with_too_many_handles_can_be_repaired),
    ("handles_arrive_all_or_none", handles_arrive_all_or_none),
    ("a_malformed_slot_is_an_error", a_malformed_slot_is_an_error),
    ("transfer_and_duplicate_rights_are_needed", transfer_and_duplicate_rights_are_needed),
    ("the_right_to_receive_can_be_moved", the_right_to_receive_can_be_moved),
    ("who_waits_where_the_right_to_receive_has_left_gets_epipe", who_waits_where_the_right_has_left),
    ("a_reply_that_moves_its_own_endpoint_away_receives_no_more", a_reply_that_moves_its_own_endpoint),
    ("a_receiver_that_cannot_pay_is_enobufs_to_its_sender", a_receiver_that_cannot_pay),
    ("a_caller_that_cannot_pay_for_the_answer_goes_on_waiting", a_caller_that_cannot_pay),
];

/// What a receiver does with the handles of one message: it answers with how they arrived, and closes them.
fn taker(endpoint: Endpoint, accept: u32) -> abi::error::Result<JoinHandle<Outcome<Vec<Arrived>>>> {
    thread::spawn(move || {
        ipc::set_accept(accept);
        let received = endpoint.recv(soon())?;
        let mut arrivals = ipc::Arrivals::of(received.tag);
        let arrived = (0..4).filter_map(|index| arrivals.take(index)).collect();
        Endpoint::reply(received.token, Message { tag: Tag::words(2), words: [0; 4] })?;
        Ok(arrived)
    })
}

/// A receiver in the same process would get everything unwrapped that it owns; a plain notification is not.
fn send(client: &Endpoint, transfers: Vec<Transfer>) -> abi::error::Result<()> {
    ipc::call(client, 1, [0; 4], 0, transfers, soon()).map(drop)
}

fn pair(accept: u32) -> Outcome<(JoinHandle<Outcome<Vec<Arrived>>>, Endpoint)> {
    let endpoint = Endpoint::create()?;
    let client = endpoint.duplicate()?;
    Ok((taker(endpoint, accept)?, client))
}

fn handle_of(arrived: &Arrived) -> Outcome<(Handle, Rights)> {
    match arrived {
        Arrived::Handle(handle, rights) => Ok((handle.handle(), *rights)),
        Arrived::Badge(_) => Err(guest_tests::Failure::new("a badge arrived instead of a handle")),
    }
}

fn a_copied_handle_arrives() -> Outcome {
    let (server, client) = pair(4)?;
    let word = Notification::create()?;
    send(&client, vec![Transfer::copy(&word)])?;
    let arrived = server.join()??;
    equal(arrived.len(), 1)?;
    let (handle, _) = handle_of(&arrived[0])?;
    ensure(handle != word.handle(), "it is another handle")?;
    sys::signal(handle, 0x77)?;
    equal(word.poll()?, 0x77)
}

fn a_moved_handle_leaves() -> Outcome {
    let (server, client) = pair(4)?;
    let word = Notification::create()?;
    let kept = word.duplicate()?;
    let number = word.handle();
    send(&client, vec![Transfer::moved(word)])?;
    refused(sys::info(number), EBADF)?;
    let arrived = server.join()??;
    sys::signal(handle_of(&arrived[0])?.0, 1)?;
    equal(kept.poll()?, 1)
}

fn rights_shrink_on_the_way() -> Outcome {
    let (server, client) = pair(4)?;
    let memory = Memory::create(4096)?;
    send(&client, vec![Transfer::copy_with(&memory, Rights::READ | Rights::TRANSFER | Rights::CONTROL)])?;
    let arrived = server.join()??;
    let (handle, told) = handle_of(&arrived[0])?;
    equal(told, Rights::READ | Rights::TRANSFER)?;
    equal(Rights::from_bits_truncate(sys::info(handle)?.rights), told)
}

fn a_handle_to_the_owner_arrives_as_its_badge() -> Outcome {
    let endpoint = Endpoint::create()?;
    let badged = endpoint.with_badge(Rights::all(), 0x1234_5678_9abc)?;
    let plain = endpoint.duplicate()?;
    let foreign = Notification::create()?;
    let client = endpoint.duplicate()?;
    let server = taker(endpoint, 4)?;
    send(&client, vec![Transfer::copy(&badged), Transfer::copy(&foreign), Transfer::copy(&plain)])?;
    let arrived = server.join()??;
    equal(arrived.len(), 3)?;
    ensure(matches!(arrived[0], Arrived::Badge(0x1234_5678_9abc)), "the badge arrived")?;
    handle_of(&arrived[1])?;
    ensure(matches!(arrived[2], Arrived::Badge(0)), "an unbadged one arrives as badge 0")
}

fn handles_travel_back_in_a_reply() -> Outcome {
    let endpoint = Endpoint::create()?;
    let client = endpoint.duplicate()?;
    let server = thread::spawn(move || {
        let received = endpoint.recv(soon())?;
        let (one, two) = (Notification::create()?, Memory::create(8192)?);
        let reply = ipc::Reply::ok(2).handle(Transfer::moved(one)).handle(Transfer::copy(&two));
        reply.send(received.token)
    })?;
    let (_, mut arrivals) = ipc::call(&client, 1, [0; 4], 0, Vec::new(), soon())?;
    server.join()??;
    arrivals.object::<Notification>(0)?.signal(1)?;
    equal(arrivals.object::<Memory>(1)?.size()?, 8192)?;
    ensure(arrivals.is_empty(), "two arrived")
}

fn more_handles_than_accepted_are_emsgsize() -> Outcome {
    let (server, client) = pair(1)?;
    let word = Notification::create()?;
    refused(send(&client, vec![Transfer::copy(&word), Transfer::copy(&word)]), EMSGSIZE)?;
    // The receiver was not disturbed: it takes the next message.
    send(&client, vec![Transfer::copy(&word)])?;
    equal(server.join()??.len(), 1)
}

fn a_reply_with_too_many_handles_can_be_repaired() -> Outcome {
    let endpoint = Endpoint::create()?;
    let client = endpoint.duplicate()?;
    let caller = thread::spawn(move || {
        ipc::set_accept(0);
        client.call(Message { tag: Tag::words(1), words: [0; 4] }, soon())
    })?;
    let received = endpoint.recv(soon())?;
    let word = Notification::create()?;
    let slot = TransferSlot { handle: word.handle(), rights: u32::MAX, ..TransferSlot::EMPTY };
    ipc::set_slot(0, slot);
    refused(Endpoint::reply(received.token, Message { tag: Tag::new(2, 0, 1), words: [0; 4] }), EMSGSIZE)?;
    // It waits still, and hears the next one.
    Endpoint::reply(received.token, Message { tag: Tag::words(3), words: [9; 4] })?;
    equal(caller.join()??.words, [9; 4])
}

fn handles_arrive_all_or_none() -> Outcome {
    let (server, client) = pair(4)?;
    let (first, second) = (Notification::create()?, Notification::create()?);
    let good = |n: &Notification| TransferSlot {
        handle: n.handle(),
        rights: u32::MAX,
        flags: TransferSlot::MOVE,
        ..TransferSlot::EMPTY
    };
    ipc::set_slot(0, good(&first));
    ipc::set_slot(1, good(&second));
    ipc::set_slot(2, TransferSlot { handle: Handle(u64::MAX), ..good(&first) });
    let three = Message { tag: Tag::new(1, 0, 3), words: [0; 4] };
    refused(client.call(three, soon()), EBADF)?;
    // Nothing was moved.
    first.signal(1)?;
    second.signal(1)?;
    send(&client, Vec::new())?;
    equal(server.join()??.len(), 0)
}

fn a_malformed_slot_is_an_error() -> Outcome {
    let (server, client) = pair(4)?;
    let word = Notification::create()?;
    let slot = |flags| TransferSlot { handle: word.handle(), rights: u32::MAX, flags, ..TransferSlot::EMPTY };
    let one = Message { tag: Tag::new(1, 0, 1), words: [0; 4] };
    for flags in [2, 0x8000, u16::MAX] {
        ipc::set_slot(0, slot(flags));
        refused(client.call(one, soon()), EINVAL)?;
    }
    // The same handle moved twice.
    ipc::set_slot(0, slot(TransferSlot::MOVE));
    ipc::set_slot(1, slot(TransferSlot::MOVE));
    refused(client.call(Message { tag: Tag::new(1, 0, 2), words: [0; 4] }, soon()), EINVAL)?;
    word.signal(1)?;
    send(&client, Vec::new())?;
    server.join()?.map(drop)
}

fn transfer_and_duplicate_rights_are_needed() -> Outcome {
    let (server, client) = pair(4)?;
    let word = Notification::create()?;
    let stuck = word.restricted(Rights::all() - Rights::TRANSFER)?;
    refused(send(&client, vec![Transfer::copy(&stuck)]), EPERM)?;
    let single = word.restricted(Rights::all() - Rights::DUPLICATE)?;
    refused(send(&client, vec![Transfer::copy(&single)]), EPERM)?;
    send(&client, vec![Transfer::moved(single)])?;
    equal(server.join()??.len(), 1)
}

fn the_right_to_receive_can_be_moved() -> Outcome {
    let (server, client) = pair(4)?;
    let service = Endpoint::create()?;
    let its_client = service.duplicate()?;
    // To the same process: other handles to its own endpoint are unwrapped, but this one would then be lost.
    send(&client, vec![Transfer::moved(service)])?;
    let arrived = server.join()??;
    equal(arrived.len(), 1)?;
    let call = its_client.call(Message { tag: Tag::words(1), words: [0; 4] }, 0);
    refused(call, abi::error::ETIMEDOUT)?;
    drop(arrived);
    let call = its_client.call(Message { tag: Tag::words(1), words: [0; 4] }, 0);
    refused(call, abi::error::EPIPE)
}

/// Instructions that call the endpoint in word 0, which may answer with a handle, and go on with these. They find the IPC
/// buffer in `rbx`.
macro_rules! after_a_call {
    ($($line:expr),+ $(,)? ; $($name:ident = const $value:expr),* $(,)?) => {
        guest_tests::instructions!(
            "mov ebx, {ipc}",
            "mov dword ptr [rbx + {accept}], 4",
            "mov rdi, [rdi]",
            "mov esi, 0x10000",
            "mov r12, -1",
            "mov eax, {call}",
            "syscall",
            $($line),+ ;
            ipc = const mini::IPC,
            accept = const core::mem::offset_of!(abi::IpcBuffer, accept),
            call = const abi::number::SYS_CALL,
            $($name = const $value),*
        )
    };
}

/// Instructions that call the endpoint in word 0, receive once on the endpoint that arrives in the reply, answer with the
/// words they got, and wait for ever.
fn takes_over() -> &'static [u8] {
    after_a_call!(
        "mov rdi, [rbx]",
        "mov r12, -1",
        "mov eax, {recv}",
        "syscall",
        "mov rdi, rsi",
        "mov rsi, rax",
        "mov eax, {reply}",
        "syscall",
        "2: mov rdi, [rbx]",
        "mov eax, {recv}",
        "syscall",
        "jmp 2b";
        recv = const abi::number::SYS_RECV,
        reply = const abi::number::SYS_REPLY,
    )
}

/// Instructions that call the endpoint in word 0, and answer each message on the endpoint that arrives in the reply with
/// the words they got.
fn serves() -> &'static [u8] {
    after_a_call!(
        "mov r15, [rbx]",
        "2: mov rdi, r15",
        "mov r12, -1",
        "mov eax, {recv}",
        "syscall",
        "mov rdi, rsi",
        "mov esi, 0x10000",
        "mov eax, {reply}",
        "syscall",
        "jmp 2b";
        recv = const abi::number::SYS_RECV,
        reply = const abi::number::SYS_REPLY,
    )
}

/// Instructions that call the endpoint in word 0 and end the process with the first word of the reply as its status.
fn asks() -> &'static [u8] {
    after_a_call!(
        "mov rsi, rdx",
        "xor edi, edi",
        "mov eax, {kill}",
        "syscall";
        kill = const abi::number::SYS_PROCESS_KILL,
    )
}

/// An endpoint that only `child` calls, its call, and the child.
fn heir(code: &[u8]) -> Outcome<(Endpoint, rt::sys::Received, mini::Mini)> {
    let will = Endpoint::create()?;
    let child = Plan::new(code).handles(&[will.handle()]).start()?;
    let asked = will.recv(soon())?;
    Ok((will, asked, child))
}

/// The next message parts with the endpoint.
fn part_with(endpoint: &Endpoint) -> Message {
    let flags = TransferSlot::MOVE;
    let slot = TransferSlot { handle: endpoint.handle(), rights: u32::MAX, flags, ..TransferSlot::EMPTY };
    ipc::set_slot(0, slot);
    Message { tag: Tag::new(2, 0, 1), words: [0; 4] }
}

fn who_waits_where_the_right_has_left() -> Outcome {
    let (_will, asked, child) = heir(takes_over())?;
    let service = Arc::new(Endpoint::create()?);
    let client = service.duplicate()?;
    let waiters = (0..2)
        .map(|_| {
            let service = service.clone();
            thread::spawn(move || service.recv(soon()))
        })
        .collect::<abi::error::Result<Vec<_>>>()?;
    a_moment();
    Endpoint::reply(asked.token, part_with(&service))?;
    // It is the new owner who answers, though others waited there before.
    let answer = client.call(Message { tag: Tag::words(5), words: [1, 2, 3, 4] }, soon());
    for waiter in waiters {
        // One that was late for its wait has no handle any more.
        refused_with(waiter.join()?, &[EPIPE, EBADF])?;
    }
    child.process.kill(0)?;
    child.ended()?;
    equal(answer?.words, [1, 2, 3, 4])
}

fn a_reply_that_moves_its_own_endpoint() -> Outcome {
    let (_will, asked, child) = heir(takes_over())?;
    let service = Endpoint::create()?;
    let client = service.duplicate()?;
    refused(service.reply_recv(asked.token, part_with(&service), soon()), EBADF)?;
    let answer = client.call(Message { tag: Tag::words(5), words: [1, 2, 3, 4] }, soon());
    child.process.kill(0)?;
    child.ended()?;
    equal(answer?.words, [1, 2, 3, 4])
}

/// Fills the handle table of a process to the end of its quota.
fn use_up(child: &mini::Mini) -> Outcome {
    let word = Notification::create()?;
    loop {
        match child.process.grant(word.handle(), Rights::all()) {
            Ok(_) => {}
            Err(error) => return refused_with(Err::<(), _>(error), &[ENOMEM, EMFILE]),
        }
    }
}

fn a_receiver_that_cannot_pay() -> Outcome {
    let (_will, asked, child) = heir(serves())?;
    let service = Endpoint::create()?;
    let client = Arc::new(service.duplicate()?);
    Endpoint::reply(asked.token, part_with(&service))?;
    use_up(&child)?;
    let plain = Message { tag: Tag::words(5), words: [1, 2, 3, 4] };
    for queued in [false, true] {
        // It waits already, or finds the caller in the queue.
        if queued {
            child.thread.suspend()?;
        }
        a_moment();
        let word = Notification::create()?;
        let (number, caller) = (word.handle(), client.clone());
        let gift = move || {
            let slot = TransferSlot {
                handle: number,
                rights: u32::MAX,
                flags: TransferSlot::MOVE,
                ..TransferSlot::EMPTY
            };
            ipc::set_slot(0, slot);
            caller.call(Message { tag: Tag::new(1, 0, 1), words: [0; 4] }, soon())
        };
        let sender = thread::spawn(gift)?;
        a_moment();
        if queued {
            child.thread.start()?;
        }
        refused(sender.join()?, ENOBUFS)?;
        // Nothing has left, and nobody else is hurt: who brings nothing is served.
        word.signal(1)?;
        equal(word.poll()?, 1)?;
        equal(client.call(plain, soon())?.words, plain.words)?;
    }
    child.process.kill(0)?;
    child.ended()?;
    Ok(())
}

fn a_caller_that_cannot_pay() -> Outcome {
    let (_will, asked, child) = heir(asks())?;
    use_up(&child)?;
    let gift = Endpoint::create()?;
    refused(Endpoint::reply(asked.token, part_with(&gift)), ENOBUFS)?;
    let client = gift.duplicate()?;
    // It was not parted with.
    refused(client.call(Message { tag: Tag::words(1), words: [0; 4] }, 0), ETIMEDOUT)?;
    // As a server of the run-time's answers: the caller is told that it is its own quota.
    let reply = ipc::Reply::ok(2).handle(Transfer::moved(gift));
    reply.send(asked.token)?;
    equal(child.ended()?.code, i64::from(ENOMEM))
}

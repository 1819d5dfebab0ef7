//! What the others notice when somebody goes: closed handles, dead callers, dead servers.

use abi::error::{EPIPE, ESRCH, ETIMEDOUT, Error};
use abi::limits::FOREVER;
use abi::message::LABEL_CLOSED;
use abi::number::{SYS_CALL, SYS_ENDPOINT_CREATE, SYS_PROCESS_KILL, SYS_RECV};
use abi::{Message, Rights, Tag};
use alloc::vec::Vec;
use guest_tests::failure::{equal, refused};
use guest_tests::mini::{self, IPC, Plan};
use guest_tests::{Outcome, a_moment, soon};
use rt::ipc;
use rt::sys::{Endpoint, Object};
use rt::thread;

use crate::Test;

pub const TESTS: &[Test] = &[
    ("the_owner_is_told_of_the_last_close", the_owner_is_told_of_the_last_close),
    ("closes_are_told_in_order", closes_are_told_in_order),
    ("a_blocked_receive_hears_a_close", a_blocked_receive_hears_a_close),
    ("the_owner_is_told_when_the_holder_dies", the_owner_is_told_when_the_holder_dies),
    ("an_unbadged_close_is_not_told", an_unbadged_close_is_not_told),
    ("a_call_to_a_closed_endpoint_is_epipe", a_call_to_a_closed_endpoint_is_epipe),
    ("a_waiting_caller_gets_epipe_when_the_endpoint_closes", a_waiting_caller_gets_epipe),
    ("a_server_that_dies_before_it_took_the_message_is_epipe", a_server_dies_before),
    ("a_server_that_dies_after_it_took_the_message_is_epipe", a_server_dies_after),
    ("a_killed_caller_leaves_the_queue", a_killed_caller_leaves_the_queue),
    ("a_killed_callers_token_is_dead", a_killed_callers_token_is_dead),
];

fn nothing() -> Message {
    Message { tag: Tag::words(1), words: [0; 4] }
}

fn the_owner_is_told_of_the_last_close() -> Outcome {
    let endpoint = Endpoint::create()?;
    let first = endpoint.with_badge(Rights::all(), 42)?;
    let second = first.duplicate()?;
    drop(first);
    refused(endpoint.recv(0), ETIMEDOUT)?;
    drop(second);
    let received = endpoint.recv(soon())?;
    equal((received.tag.label(), received.badge), (LABEL_CLOSED, 42))?;
    refused(endpoint.recv(0), ETIMEDOUT)
}

fn closes_are_told_in_order() -> Outcome {
    let endpoint = Endpoint::create()?;
    let clients = (1..=50)
        .map(|badge| endpoint.with_badge(Rights::all(), badge))
        .collect::<abi::error::Result<Vec<_>>>()?;
    drop(clients);
    for badge in 1..=50 {
        equal(endpoint.recv(soon())?.closed(), Some(badge))?;
    }
    refused(endpoint.recv(0), ETIMEDOUT)
}

fn a_blocked_receive_hears_a_close() -> Outcome {
    let endpoint = Endpoint::create()?;
    let client = endpoint.with_badge(Rights::all(), 5)?;
    let server = thread::spawn(move || endpoint.recv(soon()))?;
    a_moment();
    drop(client);
    equal(server.join()??.closed(), Some(5))
}

fn the_owner_is_told_when_the_holder_dies() -> Outcome {
    let endpoint = Endpoint::create()?;
    let client = endpoint.with_badge(Rights::all(), 77)?;
    let child = Plan::new(mini::spins()).create()?;
    child.process.grant(client.handle(), Rights::all())?;
    drop(client);
    refused(endpoint.recv(0), ETIMEDOUT)?;
    child.thread.start()?;
    child.process.kill(0)?;
    equal(endpoint.recv(soon())?.closed(), Some(77))
}

fn an_unbadged_close_is_not_told() -> Outcome {
    let endpoint = Endpoint::create()?;
    drop(endpoint.duplicate()?);
    refused(endpoint.recv(rt::clock::after(guest_tests::A_MOMENT)), ETIMEDOUT)
}

fn a_call_to_a_closed_endpoint_is_epipe() -> Outcome {
    let endpoint = Endpoint::create()?;
    let client = endpoint.duplicate()?;
    let badged = endpoint.with_badge(Rights::all(), 3)?;
    drop(endpoint);
    refused(client.call(nothing(), soon()), EPIPE)?;
    refused(badged.call(nothing(), soon()), EPIPE)?;
    refused(client.call(nothing(), 0), EPIPE)
}

fn a_waiting_caller_gets_epipe() -> Outcome {
    let endpoint = Endpoint::create()?;
    let callers = (0..3)
        .map(|_| {
            let client = endpoint.duplicate()?;
            thread::spawn(move || client.call(nothing(), soon()))
        })
        .collect::<abi::error::Result<Vec<_>>>()?;
    a_moment();
    drop(endpoint);
    for caller in callers {
        refused(caller.join()?, EPIPE)?;
    }
    Ok(())
}

/// Instructions of a server: it makes an endpoint, gives a duplicate of it to the endpoint in word 0 in a call, then, when
/// word 1 is not 0, takes one message; it says in word 2 that it has come so far, and waits until word 3 is not 0 to end
/// itself.
fn server() -> &'static [u8] {
    guest_tests::instructions!(
        "mov rbx, rdi",
        "mov eax, {create}",
        "syscall",
        "mov r14, rax",
        // The first transfer slot: handle, badge, rights, flags.
        "mov ecx, {ipc}",
        "mov [rcx], r14",
        "mov qword ptr [rcx + 8], 0",
        "mov dword ptr [rcx + 16], -1",
        "mov dword ptr [rcx + 20], 0",
        "mov rdi, [rbx]",
        "mov esi, 0x11000",
        "mov r12, {forever}",
        "mov eax, {call}",
        "syscall",
        "cmp qword ptr [rbx + 8], 0",
        "je 2f",
        "mov rdi, r14",
        "mov r12, {forever}",
        "mov eax, {recv}",
        "syscall",
        "2:",
        "mov qword ptr [rbx + 16], 1",
        "3: pause",
        "cmp qword ptr [rbx + 24], 0",
        "je 3b",
        "xor edi, edi",
        "xor esi, esi",
        "mov eax, {kill}",
        "syscall";
        create = const SYS_ENDPOINT_CREATE,
        call = const SYS_CALL,
        recv = const SYS_RECV,
        kill = const SYS_PROCESS_KILL,
        ipc = const IPC,
        forever = const FOREVER as i64,
    )
}

fn foreign_server(takes: u64) -> Outcome<(mini::Mini, Endpoint)> {
    let meeting = Endpoint::create()?;
    let invitation = meeting.duplicate()?;
    let child = Plan::new(server()).handles(&[invitation.handle()]).words(&[takes, 0, 0]).start()?;
    ipc::set_accept(1);
    let received = meeting.recv(soon());
    ipc::set_accept(0);
    let received = received?;
    let endpoint = ipc::Arrivals::of(received.tag).object(0)?;
    Endpoint::reply(received.token, nothing())?;
    Ok((child, endpoint))
}

fn a_server_dies_before() -> Outcome {
    let (child, endpoint) = foreign_server(0)?;
    child.wait_word(2)?;
    let caller = thread::spawn(move || (endpoint.call(nothing(), soon()), endpoint.call(nothing(), soon())))?;
    a_moment();
    child.set(3, 1);
    equal(child.ended()?.code, 0)?;
    let (first, second) = caller.join()?;
    refused(first, EPIPE)?;
    refused(second, EPIPE)
}

fn a_server_dies_after() -> Outcome {
    let (child, endpoint) = foreign_server(1)?;
    let caller = thread::spawn(move || (endpoint.call(nothing(), soon()), endpoint.call(nothing(), soon())))?;
    child.wait_word(2)?;
    child.process.kill(6)?;
    equal(child.ended()?.code, 6)?;
    let (first, second) = caller.join()?;
    refused(first, EPIPE)?;
    refused(second, EPIPE)
}

fn a_killed_caller_leaves_the_queue() -> Outcome {
    let endpoint = Endpoint::create()?;
    let client = endpoint.with_badge(Rights::all(), 9)?;
    let child = Plan::new(mini::calls()).handles(&[client.handle()]).words(&[11]).start()?;
    drop(client);
    a_moment();
    child.process.kill(0)?;
    child.ended()?;
    // Only the close of its handle is left of it.
    equal(endpoint.recv(soon())?.closed(), Some(9))?;
    refused(endpoint.recv(0), ETIMEDOUT)
}

fn a_killed_callers_token_is_dead() -> Outcome {
    let endpoint = Endpoint::create()?;
    let client = endpoint.with_badge(Rights::all(), 8)?;
    let child = Plan::new(mini::calls()).handles(&[client.handle()]).words(&[13]).start()?;
    drop(client);
    let received = endpoint.recv(soon())?;
    equal((received.badge, received.words[0]), (8, 13))?;
    child.process.kill(0)?;
    child.ended()?;
    equal(Endpoint::reply(received.token, nothing()), Err(Error::new(ESRCH)))?;
    equal(endpoint.recv(soon())?.closed(), Some(8))
}

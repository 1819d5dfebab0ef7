//! Calls and their answers.

use crate::world::{World, errno};
use abi::error::{EPIPE, ESRCH};
use kernel_core::endpoint::Received;
use kernel_core::thread::{Outcome, Wait};

#[test]
fn a_waiting_receiver_gets_the_message_and_its_token_answers_once() {
    let mut w = World::new();
    let (server, client) = (w.process(), w.process());
    let (receiver, caller) = (w.thread(server), w.thread(client));
    let (_, endpoint) = w.endpoint(server);
    assert_eq!(w.objects.receive(receiver, server, endpoint).unwrap(), Received::Blocked);
    assert_eq!(w.objects.receiver(endpoint).unwrap(), Some(receiver));
    let token = w.objects.call(caller, endpoint).unwrap().unwrap().1;
    assert_eq!(w.objects.threads.at(receiver).unwrap().wait, Wait::Not);
    assert_eq!(w.objects.reply_target(server, token).unwrap(), caller);
    assert_eq!(errno(w.objects.reply_target(client, token)), ESRCH, "only the server may answer");
    w.objects.end_wait(caller);
    assert_eq!(errno(w.objects.reply_target(server, token)), ESRCH, "a token answers once");
}

#[test]
fn callers_are_served_in_order_with_their_badges() {
    let mut w = World::new();
    let (server, client) = (w.process(), w.process());
    let receiver = w.thread(server);
    let (_, endpoint) = w.endpoint(server);
    let callers: Vec<u32> = (0..5).map(|_| w.thread(client)).collect();
    for (badge, &caller) in callers.iter().enumerate() {
        assert_eq!(w.objects.receiver(endpoint).unwrap(), None);
        w.objects.queue_call(caller, endpoint, badge as u64);
    }
    w.objects.cancel_wait(callers[2]);
    for badge in [0, 1, 3, 4] {
        match w.objects.receive(receiver, server, endpoint).unwrap() {
            Received::Message { caller, badge: seen, token } => {
                assert_eq!((caller, seen), (callers[badge], badge as u64));
                assert_eq!(w.objects.reply_target(server, token).unwrap(), caller);
            }
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn a_token_dies_with_its_call() {
    let mut w = World::new();
    let (server, client) = (w.process(), w.process());
    let (receiver, caller) = (w.thread(server), w.thread(client));
    let (_, endpoint) = w.endpoint(server);
    let call = |w: &mut World| {
        assert_eq!(w.objects.receive(receiver, server, endpoint).unwrap(), Received::Blocked);
        w.objects.call(caller, endpoint).unwrap().unwrap().1
    };
    let timed_out = call(&mut w);
    w.objects.cancel_wait(caller);
    let second = call(&mut w);
    assert_eq!(
        errno(w.objects.reply_target(server, timed_out)),
        ESRCH,
        "a late reply must not answer the next call"
    );
    assert_eq!(w.objects.reply_target(server, second).unwrap(), caller);
    w.objects.end_thread(caller);
    assert_eq!(errno(w.objects.reply_target(server, second)), ESRCH);
}

#[test]
fn callers_get_epipe_when_the_server_dies_before_and_after_it_took_the_message() {
    let mut w = World::new();
    let (server, client) = (w.process(), w.process());
    let receiver = w.thread(server);
    let (taken, queued) = (w.thread(client), w.thread(client));
    let (_, endpoint) = w.endpoint(server);
    w.objects.queue_call(taken, endpoint, 0);
    assert!(matches!(w.objects.receive(receiver, server, endpoint), Ok(Received::Message { .. })));
    w.objects.queue_call(queued, endpoint, 0);
    w.end(server);
    let mut woken = w.woken();
    woken.sort_by_key(|(thread, _)| *thread);
    assert_eq!(woken, [(taken, Outcome::Error(EPIPE)), (queued, Outcome::Error(EPIPE))]);
    assert_eq!(errno(w.objects.receiver(endpoint)), EPIPE);
}

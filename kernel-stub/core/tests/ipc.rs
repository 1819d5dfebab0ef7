//! Messages, notifications, handles: each rule by name.

use abi::{
    Handle, Rights, TransferSlot,
    error::{EBADF, EBUSY, EINVAL, EMSGSIZE, ENOBUFS, ENOMEM, EPERM, EPIPE, ESRCH},
    limits::cost,
};
use kernel_core::{
    Objects,
    arena::Id,
    endpoint::{Endpoint, Received},
    notification::Notification,
    object::{Garbage, Object},
    process::Process,
    quota::Account,
    thread::{Outcome, Thread, Wait},
};

struct World {
    objects: Objects,
}

impl World {
    fn new() -> World {
        World { objects: Objects::new() }
    }

    fn process(&mut self) -> Id<Process> {
        self.process_with(1 << 20)
    }

    fn process_with(&mut self, quota: u64) -> Id<Process> {
        self.objects.create_process(Account::root(quota), 1, 63, None).unwrap()
    }

    fn thread(&mut self, process: Id<Process>) -> u32 {
        self.objects.create_thread(process, 0).unwrap().index()
    }

    fn endpoint(&mut self, process: Id<Process>) -> (Handle, Id<Endpoint>) {
        let handle = self.objects.create_endpoint(process).unwrap();
        match self.objects.lookup(process, handle).unwrap().object {
            Object::Endpoint { id, .. } => (handle, id),
            other => panic!("{other:?}"),
        }
    }

    fn notification(&mut self, process: Id<Process>) -> (Handle, Id<Notification>) {
        let handle = self.objects.create_notification(process).unwrap();
        match self.objects.lookup(process, handle).unwrap().object {
            Object::Notification { id, .. } => (handle, id),
            other => panic!("{other:?}"),
        }
    }

    fn transfer(
        &mut self,
        from: Id<Process>,
        to: Id<Process>,
        slots: &mut [TransferSlot],
        accept: usize,
    ) -> abi::error::Result<()> {
        let moved = self.objects.transfer(from, to, slots, accept)?;
        self.objects.let_go(moved);
        Ok(())
    }

    fn woken(&mut self) -> Vec<(u32, Outcome)> {
        std::iter::from_fn(|| self.objects.next_woken()).collect()
    }

    fn end(&mut self, process: Id<Process>) {
        let own = |id: &Id<Thread>| {
            self.objects.threads.get(*id).is_some_and(|thread| thread.process == process && !thread.dead)
        };
        let threads: Vec<_> = self.objects.threads.ids().filter(own).collect();
        let had_none = threads.is_empty();
        for thread in threads {
            self.objects.end_thread(thread.index());
        }
        if had_none {
            self.objects.begin_closing(process);
        }
        while !self.objects.close_some(process, 3) {}
        self.objects.finish_process(process);
    }
}

fn errno<T: std::fmt::Debug>(result: abi::error::Result<T>) -> i32 {
    result.unwrap_err().errno
}

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

#[test]
fn the_bound_notification_is_heard_by_a_receive_and_first() {
    let mut w = World::new();
    let (server, client) = (w.process(), w.process());
    let (receiver, caller) = (w.thread(server), w.thread(client));
    let (_, endpoint) = w.endpoint(server);
    let (_, bell) = w.notification(server);
    w.objects.bind_notification(bell, receiver).unwrap();
    assert_eq!(errno(w.objects.bind_notification(bell, caller)), EBUSY);
    w.objects.queue_call(caller, endpoint, 7);
    assert_eq!(w.objects.signal(bell, 0b101), None);
    assert_eq!(w.objects.signal(bell, 0b010), None);
    assert_eq!(w.objects.receive(receiver, server, endpoint).unwrap(), Received::Notification(0b111));
    assert!(matches!(w.objects.receive(receiver, server, endpoint), Ok(Received::Message { badge: 7, .. })));
    assert_eq!(w.objects.receive(receiver, server, endpoint).unwrap(), Received::Blocked);
    assert_eq!(w.objects.signal(bell, 8), Some((receiver, Outcome::NotificationMessage(8))));
    assert_eq!(w.objects.receiver(endpoint).unwrap(), None, "it left the endpoint's queue");
    assert_eq!(w.objects.poll_notification(bell), 0);
}

#[test]
fn bits_are_ored_and_taken_once_and_waiters_served_in_order() {
    let mut w = World::new();
    let process = w.process();
    let (first, second) = (w.thread(process), w.thread(process));
    let (_, bell) = w.notification(process);
    w.objects.signal(bell, 1);
    w.objects.signal(bell, 4);
    assert_eq!(w.objects.wait_notification(first, bell).unwrap(), Some(5));
    assert_eq!(w.objects.wait_notification(first, bell).unwrap(), None);
    assert_eq!(w.objects.wait_notification(second, bell).unwrap(), None);
    assert_eq!(w.objects.signal(bell, 2), Some((first, Outcome::Bits(2))));
    assert_eq!(w.objects.signal(bell, 8), Some((second, Outcome::Bits(8))));
    assert_eq!(w.objects.poll_notification(bell), 0);
}

#[test]
fn a_badge_is_minted_once_by_the_owner_and_masks_a_notification() {
    let mut w = World::new();
    let process = w.process();
    let (endpoint, _) = w.endpoint(process);
    let badged = w.objects.duplicate(process, endpoint, Rights::all(), 9).unwrap();
    assert_eq!(errno(w.objects.duplicate(process, badged, Rights::all(), 10)), EPERM);
    let entry = w.objects.lookup(process, badged).unwrap();
    assert!(matches!(entry.object, Object::Endpoint { badge: 9, .. }));
    assert!(!entry.rights.intersects(Rights::RECEIVE | Rights::MINT));
    let (bell, _) = w.notification(process);
    let masked = w.objects.duplicate(process, bell, Rights::WRITE, 2).unwrap();
    let entry = w.objects.lookup(process, masked).unwrap();
    assert!(matches!(entry.object, Object::Notification { mask: 2, .. }));
    assert_eq!(entry.rights, Rights::WRITE);
    assert_eq!(errno(w.objects.duplicate(process, masked, Rights::all(), 0)), EPERM, "no right to duplicate");
}

#[test]
fn the_owner_is_told_when_the_last_handle_with_a_badge_is_closed() {
    let mut w = World::new();
    let (server, client) = (w.process(), w.process());
    let receiver = w.thread(server);
    let (handle, endpoint) = w.endpoint(server);
    let badged = w.objects.duplicate(server, handle, Rights::all(), 42).unwrap();
    let granted = w.objects.grant(server, badged, client, Rights::all()).unwrap();
    let again = w.objects.duplicate(client, granted, Rights::all(), 0).unwrap();
    w.objects.close(server, badged).unwrap();
    w.objects.close(client, granted).unwrap();
    assert_eq!(w.objects.receive(receiver, server, endpoint).unwrap(), Received::Blocked);
    w.objects.close(client, again).unwrap();
    assert_eq!(w.woken(), [(receiver, Outcome::ClosedMessage(42))]);
    // And when nobody receives at that moment, it is told later, death included.
    let badged = w.objects.duplicate(server, handle, Rights::all(), 43).unwrap();
    w.objects.grant(server, badged, client, Rights::all()).unwrap();
    w.objects.close(server, badged).unwrap();
    w.end(client);
    assert_eq!(w.objects.receive(receiver, server, endpoint).unwrap(), Received::Closed(43));
    assert_eq!(w.objects.badges.len(), 0);
}

fn slot(handle: Handle, flags: u16) -> TransferSlot {
    TransferSlot { handle, rights: Rights::all().bits(), flags, ..TransferSlot::EMPTY }
}

#[test]
fn a_handle_to_the_receivers_own_endpoint_arrives_as_its_badge() {
    let mut w = World::new();
    let (server, client) = (w.process(), w.process());
    let (handle, _) = w.endpoint(server);
    let badged = w.objects.duplicate(server, handle, Rights::all(), 77).unwrap();
    let mut slots = [slot(badged, TransferSlot::MOVE)];
    w.transfer(server, client, &mut slots, 4).unwrap();
    assert_eq!(slots[0].arrived, TransferSlot::ARRIVED_HANDLE);
    assert_eq!(errno(w.objects.lookup(server, badged)), EBADF, "it was moved");
    let before = w.objects.processes.get(server).unwrap().handles.len();
    let mut back = [slot(slots[0].handle, 0)];
    w.transfer(client, server, &mut back, 4).unwrap();
    assert_eq!((back[0].arrived, back[0].badge), (TransferSlot::ARRIVED_BADGE, 77));
    assert_eq!(w.objects.processes.get(server).unwrap().handles.len(), before);
}

#[test]
fn a_transfer_moves_all_handles_or_none() {
    let mut w = World::new();
    let (from, to) = (w.process(), w.process_with(0));
    let (a, _) = w.notification(from);
    let count = w.objects.handle_count;
    let mut slots = [slot(a, 0)];
    assert_eq!(errno(w.transfer(from, to, &mut slots, 4)), ENOBUFS, "the receiver cannot pay");
    let to = w.process();
    assert_eq!(errno(w.transfer(from, to, &mut slots, 0)), EMSGSIZE, "the receiver accepts none");
    let mut two = [slot(a, TransferSlot::MOVE), slot(Handle::new(60, 1), 0)];
    assert_eq!(errno(w.transfer(from, to, &mut two, 4)), EBADF);
    let mut twice = [slot(a, TransferSlot::MOVE), slot(a, TransferSlot::MOVE)];
    assert_eq!(errno(w.transfer(from, to, &mut twice, 4)), EINVAL);
    assert!(w.objects.lookup(from, a).is_ok());
    assert!(w.objects.processes.get(to).unwrap().handles.is_empty());
    assert_eq!(w.objects.handle_count, count);
}

#[test]
fn the_receive_right_travels_by_move_and_the_owner_follows() {
    let mut w = World::new();
    let (first, second) = (w.process(), w.process());
    let b = w.thread(second);
    let (handle, endpoint) = w.endpoint(first);
    let keep = w.objects.duplicate(first, handle, Rights::all(), 5).unwrap();
    let mut copy = [slot(handle, 0)];
    w.transfer(first, second, &mut copy, 4).unwrap();
    assert!(!w.objects.lookup(second, copy[0].handle).unwrap().rights.contains(Rights::RECEIVE));
    let mut moved = [slot(handle, TransferSlot::MOVE)];
    w.transfer(first, second, &mut moved, 4).unwrap();
    assert_eq!(errno(w.objects.lookup(first, handle)), EBADF);
    assert_eq!(w.objects.receive(b, second, endpoint).unwrap(), Received::Blocked);
    // Its badges prove nothing to the new owner: the old one minted what it liked.
    let mut kept = [slot(keep, 0)];
    w.transfer(first, second, &mut kept, 4).unwrap();
    assert_eq!((kept[0].arrived, kept[0].badge), (TransferSlot::ARRIVED_HANDLE, 0));
    // Back where it was made they do again.
    let mut back = [slot(moved[0].handle, TransferSlot::MOVE)];
    w.transfer(second, first, &mut back, 4).unwrap();
    let mut shown = [slot(kept[0].handle, 0)];
    w.transfer(second, first, &mut shown, 4).unwrap();
    assert_eq!((shown[0].arrived, shown[0].badge), (TransferSlot::ARRIVED_BADGE, 5));
}

#[test]
fn threads_that_wait_where_the_receive_right_has_left_are_turned_away() {
    let mut w = World::new();
    let (first, second) = (w.process(), w.process());
    let (a, b, new) = (w.thread(first), w.thread(first), w.thread(second));
    let caller = w.thread(first);
    let (handle, endpoint) = w.endpoint(first);
    for receiver in [a, b] {
        assert_eq!(w.objects.receive(receiver, first, endpoint).unwrap(), Received::Blocked);
    }
    let mut own = [slot(handle, TransferSlot::MOVE)];
    w.transfer(first, first, &mut own, 4).unwrap();
    assert_eq!(w.woken(), [], "the right stays in the process");
    let mut moved = [slot(own[0].handle, TransferSlot::MOVE)];
    w.transfer(first, second, &mut moved, 4).unwrap();
    assert_eq!(w.woken(), [(a, Outcome::Error(EPIPE)), (b, Outcome::Error(EPIPE))]);
    assert_eq!(w.objects.receive(new, second, endpoint).unwrap(), Received::Blocked);
    assert_eq!(w.objects.call(caller, endpoint).unwrap().unwrap().0, new, "the new owner takes what comes");
}

#[test]
fn a_message_that_moves_the_last_handle_of_a_badge_reaches_its_receiver_before_the_notice() {
    let mut w = World::new();
    let (server, client) = (w.process(), w.process());
    let (first, second) = (w.thread(server), w.thread(server));
    let caller = w.thread(client);
    let (handle, endpoint) = w.endpoint(server);
    let badged = w.objects.duplicate(server, handle, Rights::all(), 6).unwrap();
    let granted = w.objects.grant(server, badged, client, Rights::all()).unwrap();
    w.objects.close(server, badged).unwrap();
    for receiver in [first, second] {
        assert_eq!(w.objects.receive(receiver, server, endpoint).unwrap(), Received::Blocked);
    }
    let mut slots = [slot(granted, TransferSlot::MOVE)];
    let moved = w.objects.transfer(client, server, &mut slots, 4).unwrap();
    assert_eq!(w.objects.call(caller, endpoint).unwrap().unwrap().0, first);
    w.objects.let_go(moved);
    assert_eq!(w.woken(), [(second, Outcome::ClosedMessage(6))]);
}

#[test]
fn a_stale_handle_is_recognised_after_its_slot_is_in_use_again() {
    let mut w = World::new();
    let process = w.process();
    let (old, _) = w.notification(process);
    w.objects.close(process, old).unwrap();
    let (new, _) = w.notification(process);
    assert_eq!(old.index(), new.index());
    assert_eq!(errno(w.objects.lookup(process, old)), EBADF);
    assert_eq!(errno(w.objects.close(process, old)), EBADF);
}

#[test]
fn an_exit_watch_fires_once_also_when_already_dead() {
    let mut w = World::new();
    let (watcher, target) = (w.process(), w.process());
    w.thread(target);
    let (_, bell) = w.notification(watcher);
    let object = Object::Process(target);
    w.objects.retain(object);
    w.objects.watch(watcher, object, bell, 1).unwrap();
    assert_eq!(w.objects.poll_notification(bell), 0);
    w.end(target);
    assert_eq!(w.objects.poll_notification(bell), 1);
    w.objects.watch(watcher, object, bell, 2).unwrap();
    assert_eq!(w.objects.poll_notification(bell), 2);
    assert!(w.objects.watches.is_empty());
    w.objects.release(object);
    assert!(w.objects.processes.get(target).is_none());
}

#[test]
fn a_watch_goes_with_its_notification() {
    let mut w = World::new();
    let target = w.process();
    w.thread(target);
    let object = Object::Process(target);
    w.objects.retain(object);
    let account = Account::root(1 << 20);
    let watcher = w.objects.create_process(account.clone(), 1, 63, None).unwrap();
    // The table of handles stays.
    let (first, _) = w.notification(watcher);
    w.objects.close(watcher, first).unwrap();
    let used = account.used();
    let bells: Vec<_> = (0..4).map(|_| w.notification(watcher)).collect();
    // Two of each, in one list after the other.
    for bits in [1, 2] {
        bells.iter().for_each(|&(_, bell)| w.objects.watch(watcher, object, bell, bits).unwrap());
    }
    assert_eq!(w.objects.watches.len(), 8);
    for gone in [1, 3, 0] {
        w.objects.close(watcher, bells[gone].0).unwrap();
    }
    assert_eq!((w.objects.watches.len(), w.objects.notifications.len()), (2, 1));
    w.end(target);
    assert_eq!(w.objects.poll_notification(bells[2].1), 3, "the one that is left hears");
    w.objects.close(watcher, bells[2].0).unwrap();
    assert!(w.objects.watches.is_empty() && w.objects.notifications.is_empty());
    assert_eq!(account.used(), used, "nothing is paid for any more");
}

#[test]
fn a_process_that_nothing_can_start_is_abandoned() {
    let mut w = World::new();
    let abandoned = |w: &World| w.objects.garbage.iter().any(|item| matches!(item, Garbage::Abandoned(_)));
    let process = w.process();
    let thread = w.objects.create_thread(process, 0).unwrap();
    for object in [Object::Process(process), Object::Thread(thread)] {
        w.objects.retain(object);
    }
    w.objects.release(Object::Process(process));
    assert!(!abandoned(&w), "its thread can be started");
    w.objects.release(Object::Thread(thread));
    assert!(abandoned(&w));
    let mut w = World::new();
    let running = w.process();
    let thread = w.thread(running);
    w.objects.threads.at_mut(thread).unwrap().parked = false;
    w.objects.retain(Object::Process(running));
    w.objects.release(Object::Process(running));
    assert!(!abandoned(&w), "it runs on without handles");
}

#[test]
fn processes_that_hold_only_each_other_end_with_who_made_them() {
    let mut w = World::new();
    let (creator, stranger) = (w.process(), w.process());
    w.thread(creator);
    w.objects.retain(Object::Process(creator));
    let made = |w: &mut World| {
        let charge = w.objects.charge(creator, 1).unwrap();
        let account = Account::root(1 << 20);
        let process = w.objects.create_process(account, 1, 63, Some((creator, charge))).unwrap();
        let object = Object::Process(process);
        (process, w.objects.insert_handle(creator, object, object.all_rights()).unwrap())
    };
    let ((one, to_one), (other, to_other)) = (made(&mut w), made(&mut w));
    let (running, to_running) = made(&mut w);
    let thread = w.thread(running);
    assert!(w.objects.resume(thread));
    w.objects.grant(creator, to_one, other, Rights::all()).unwrap();
    w.objects.grant(creator, to_other, one, Rights::all()).unwrap();
    for handle in [to_one, to_other, to_running] {
        w.objects.close(creator, handle).unwrap();
    }
    let abandoned = |w: &World| -> Vec<Id<Process>> {
        let process = |item: &Garbage| if let Garbage::Abandoned(id) = item { Some(*id) } else { None };
        w.objects.garbage.iter().filter_map(process).collect()
    };
    w.end(stranger);
    assert_eq!(abandoned(&w), []);
    w.end(creator);
    assert_eq!(abandoned(&w), [one, other], "and not the one that runs");
}

#[test]
fn a_process_that_was_started_outlives_its_creator_though_it_is_suspended() {
    let mut w = World::new();
    let (creator, other) = (w.process(), w.process());
    w.thread(creator);
    w.objects.retain(Object::Process(creator));
    let made = |w: &mut World| {
        let charge = w.objects.charge(creator, 1).unwrap();
        let account = Account::root(1 << 20);
        let process = w.objects.create_process(account, 1, 63, Some((creator, charge))).unwrap();
        w.objects.retain(Object::Process(process));
        (process, w.thread(process))
    };
    let ((_, suspended), (half, first)) = (made(&mut w), made(&mut w));
    assert!(w.objects.resume(suspended));
    // As the kernel leaves a thread that is suspended and off its CPU.
    let thread = w.objects.threads.at_mut(suspended).unwrap();
    (thread.suspended, thread.parked) = (true, true);
    // The thread that was started has ended, and the next one waits for its start.
    w.thread(half);
    assert!(w.objects.resume(first));
    assert!(!w.objects.end_thread(first));
    w.end(creator);
    w.end(other);
    let abandoned = w.objects.garbage.iter().any(|item| matches!(item, Garbage::Abandoned(_)));
    assert!(!abandoned, "somebody has handles, and may go on with them");
}

#[test]
fn nothing_is_left_when_everybody_has_ended() {
    let mut w = World::new();
    let account = Account::root(1 << 20);
    let server = w.objects.create_process(account.clone(), 1, 63, None).unwrap();
    let client = w.objects.create_process(account.clone(), 1, 63, None).unwrap();
    let (receiver, caller) = (w.thread(server), w.thread(client));
    let (handle, endpoint) = w.endpoint(server);
    let badged = w.objects.duplicate(server, handle, Rights::all(), 1).unwrap();
    w.objects.grant(server, badged, client, Rights::all()).unwrap();
    let (_, bell) = w.notification(server);
    w.objects.bind_notification(bell, receiver).unwrap();
    w.objects.queue_call(caller, endpoint, 1);
    assert!(account.used() >= 2 * cost::THREAD);
    w.end(client);
    w.end(server);
    w.woken();
    let o = &w.objects;
    assert_eq!((o.threads.len(), o.processes.len(), o.endpoints.len()), (0, 0, 0));
    assert_eq!((o.badges.len(), o.notifications.len(), o.handle_count), (0, 0, 0));
    assert_eq!(account.used(), 0);
}

#[test]
fn futex_wakes_in_order_only_waiters_of_that_word_and_space() {
    let mut w = World::new();
    let (a, b) = (w.process(), w.process());
    let threads: Vec<u32> = (0..3).map(|_| w.thread(a)).collect();
    let foreign = w.thread(b);
    w.objects.wait_futex(foreign, b, 0x1000);
    for &thread in &threads {
        w.objects.wait_futex(thread, a, 0x1000);
    }
    assert_eq!(w.objects.wake_futex(a, 0x2000, 9), 0);
    assert_eq!(w.objects.wake_futex(a, 0x1000, 2), 2);
    assert_eq!(w.woken(), [(threads[0], Outcome::Success), (threads[1], Outcome::Success)]);
    assert_eq!(w.objects.wake_futex(a, 0x1000, 9), 1);
    assert_eq!(w.objects.threads.at(foreign).unwrap().wait, Wait::Futex { address: 0x1000 });
}

#[test]
fn a_childs_quota_comes_out_of_its_parents_and_goes_back() {
    let root = Account::root(1000);
    let child = Account::child(&root, 600).unwrap();
    assert_eq!(Account::child(&root, 500).err().unwrap().errno, ENOMEM);
    let charge = child.charge(600).unwrap();
    assert_eq!(child.charge(1).err().unwrap().errno, ENOMEM);
    assert_eq!(child.charge(u64::MAX).err().unwrap().errno, ENOMEM, "no overflow");
    drop(child);
    assert_eq!(root.used(), 600, "something charged to the child lives on");
    drop(charge);
    assert_eq!(root.used(), 0);
}

#[test]
fn a_dying_thread_without_handles_stays_until_it_has_left_its_cpu() {
    let mut w = World::new();
    let (watcher, process) = (w.process(), w.process());
    let index = w.thread(process);
    let id = w.objects.threads.id_at(index).unwrap();
    let object = Object::Thread(id);
    let handle = w.objects.insert_handle(watcher, object, Rights::all()).unwrap();
    // Killed while it runs on another CPU: its end is decided, and comes when that CPU looks.
    w.objects.threads.at_mut(index).unwrap().dead = true;
    let (_, word) = w.notification(watcher);
    w.objects.watch(watcher, object, word, 1).unwrap();
    assert_eq!(w.objects.poll_notification(word), 0, "who waits for its end would free a stack in use");
    w.objects.close(watcher, handle).unwrap();
    assert!(w.objects.threads.get(id).is_some());
    assert!(w.objects.end_thread(index), "it was the last one of its process");
    assert_eq!(w.objects.poll_notification(word), 1);
    assert!(w.objects.threads.get(id).is_none());
}

//! What ends with what.

use crate::world::World;
use abi::Rights;
use abi::error::ENOMEM;
use abi::limits::cost;
use kernel_core::arena::Id;
use kernel_core::object::{Garbage, Object};
use kernel_core::process::Process;
use kernel_core::quota::Account;

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

/// A process that another has made.
fn child(w: &mut World, creator: Id<Process>) -> Id<Process> {
    let charge = w.objects.charge(creator, 1).unwrap();
    w.objects.create_process(Account::root(1 << 20), 1, 63, Some((creator, charge))).unwrap()
}

#[test]
fn processes_that_hold_only_each_other_end_with_who_made_them() {
    let mut w = World::new();
    let (creator, stranger) = (w.process(), w.process());
    w.thread(creator);
    w.objects.retain(Object::Process(creator));
    let made = |w: &mut World| {
        let process = child(w, creator);
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
        let process = child(w, creator);
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

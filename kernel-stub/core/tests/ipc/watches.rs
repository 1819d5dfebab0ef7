//! Watches of processes, and waits for words.

use crate::world::World;
use kernel_core::object::Object;
use kernel_core::quota::Account;
use kernel_core::thread::{Outcome, Wait};

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

//! Bits, badges, and notices of what is closed.

use crate::world::{World, errno};
use abi::Rights;
use abi::error::{EBUSY, EPERM};
use kernel_core::endpoint::Received;
use kernel_core::object::Object;
use kernel_core::thread::Outcome;

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

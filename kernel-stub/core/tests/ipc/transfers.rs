//! Handles on their way.

use crate::world::{World, errno};
use abi::error::{EBADF, EINVAL, EMSGSIZE, ENOBUFS, EPIPE};
use abi::{Handle, Rights, TransferSlot};
use kernel_core::endpoint::Received;
use kernel_core::thread::Outcome;

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

//! The rules of kevent, each by its number, on one thread.

mod world;

use std::time::Duration;

use event_protocol::cell::Direction;
use event_protocol::level::{Level, LevelFlags};
use libkq::event::note;
use libkq::process::Process;
use libkq::{Error, EventFlags, Filter, KEvent};
use world::{EBADF, EINVAL, ENODEV, ENOENT, World};

const NOW: Option<Duration> = Some(Duration::ZERO);
const SECOND: u64 = 1_000_000_000;

/// A process with one queue and one file.
struct Setting {
    world: World,
    process: Process<World>,
    kq: i32,
    fd: i32,
}

fn setting() -> Setting {
    let world = World::new();
    let process = world.process();
    let kq = process.kqueue().unwrap();
    let fd = process.open("a", 0).unwrap();
    Setting { world, process, kq, fd }
}

impl Setting {
    fn change(&self, changes: &[KEvent]) {
        assert_eq!(self.process.kevent(self.kq, changes, &mut [], NOW), Ok(0));
    }

    fn refused(&self, change: KEvent, errno: i32) {
        assert_eq!(self.process.kevent(self.kq, &[change], &mut [], NOW), Err(Error::new(errno)));
    }

    /// All that is ready now, up to `room`.
    fn take(&self, room: usize) -> Vec<KEvent> {
        let mut events = vec![KEvent::default(); room];
        let count = self.process.kevent(self.kq, &[], &mut events, NOW).unwrap();
        events.truncate(count);
        events
    }

    fn take_one(&self) -> KEvent {
        let events = self.take(8);
        assert_eq!(events.len(), 1, "{events:?}");
        events[0]
    }

    fn nothing(&self) {
        assert_eq!(self.take(8), []);
    }
}

#[test]
fn r1_changes_are_applied_before_events_are_read() {
    let s = setting();
    s.world.readable("a", 3);
    let mut events = [KEvent::default(); 2];
    let changes = [KEvent::read(s.fd).add().udata(5), KEvent::user(1).add().trigger()];
    assert_eq!(s.process.kevent(s.kq, &changes, &mut events, NOW), Ok(2));
    let read = events.iter().find(|event| event.filter == Filter::READ).unwrap();
    assert_eq!((read.ident, read.data, read.udata), (s.fd as usize, 3, 5));
}

#[test]
fn r2_a_failed_change_is_an_error_event_and_the_rest_goes_on() {
    let s = setting();
    s.world.readable("a", 1);
    let mut events = [KEvent::default(); 4];
    let changes = [KEvent::read(99).add().udata(7), KEvent::read(s.fd).add(), KEvent::user(3).delete()];
    assert_eq!(s.process.kevent(s.kq, &changes, &mut events, None), Ok(2));
    assert_eq!(events[0].flags, EventFlags::ERROR);
    assert_eq!((events[0].ident, events[0].data, events[0].udata), (99, i64::from(EBADF), 7));
    assert_eq!(events[0].error(), Some(Error::new(EBADF)));
    assert_eq!((events[1].ident, events[1].data), (3, i64::from(ENOENT)));
    // The good one was made, and nothing was drained by that call.
    assert_eq!(s.take_one().data, 1);
}

#[test]
fn r2_without_room_the_call_fails_and_later_changes_are_not_made() {
    let s = setting();
    let mut events = [KEvent::default(); 1];
    let changes = [KEvent::read(98).add(), KEvent::read(99).add(), KEvent::user(1).add().trigger()];
    assert_eq!(s.process.kevent(s.kq, &changes, &mut events, NOW), Err(Error::new(EBADF)));
    s.nothing();
    let changes = [KEvent::user(1).add().trigger(), KEvent::read(99).add(), KEvent::user(2).add().trigger()];
    assert_eq!(s.process.kevent(s.kq, &changes, &mut [], NOW), Err(Error::new(EBADF)));
    assert_eq!(s.take_one().ident, 1);
}

#[test]
fn r3_receipt_answers_and_drains_nothing() {
    let s = setting();
    s.change(&[KEvent::user(1).add().clear().trigger()]);
    let mut events = [KEvent::default(); 4];
    let changes = [KEvent::user(2).add().receipt(), KEvent::user(3).add()];
    assert_eq!(s.process.kevent(s.kq, &changes, &mut events, None), Ok(1));
    assert_eq!((events[0].ident, events[0].flags, events[0].data), (2, EventFlags::ERROR, 0));
    assert_eq!(events[0].error(), None);
    assert_eq!(s.take_one().ident, 1);
}

#[test]
fn r4_no_room_for_events_returns_at_once() {
    let s = setting();
    s.change(&[KEvent::user(1).add().trigger()]);
    assert_eq!(s.process.kevent(s.kq, &[], &mut [], None), Ok(0));
    assert_eq!(s.take_one().ident, 1);
    let mut list = [KEvent::default(); 1];
    assert_eq!(s.process.kevent_in_place(s.kq, &mut list, 2, 1, NOW), Err(Error::new(EINVAL)));
    assert_eq!(s.process.kevent_in_place(s.kq, &mut list, 0, 2, NOW), Err(Error::new(EINVAL)));
}

#[test]
fn r5_one_array_for_both_lists() {
    let s = setting();
    let mut list = [
        KEvent::user(1).add().trigger(),
        KEvent::read(99).add(),
        KEvent::user(2).add().trigger(),
        KEvent::user(77).delete(),
    ];
    assert_eq!(s.process.kevent_in_place(s.kq, &mut list, 4, 4, NOW), Ok(2));
    assert_eq!((list[0].ident, list[0].data), (99, i64::from(EBADF)));
    assert_eq!((list[1].ident, list[1].data), (77, i64::from(ENOENT)));
    assert_eq!(s.take(8).len(), 2, "the change after the answers was read intact");
}

#[test]
fn r6_add_again_modifies_and_keeps_the_activation() {
    let s = setting();
    s.world.readable("a", 4);
    s.change(&[KEvent::read(s.fd).add().clear().udata(1)]);
    s.change(&[KEvent::read(s.fd).add().clear().udata(2)]);
    assert_eq!(s.world.notes(), 1);
    let event = s.take_one();
    assert_eq!((event.udata, event.data), (2, 4));
    s.nothing();
}

#[test]
fn r6_fflags_are_replaced_and_not_ored() {
    let s = setting();
    s.world.readable("a", 4);
    s.change(&[KEvent::read(s.fd).add().low_water(10)]);
    s.nothing();
    s.change(&[KEvent::read(s.fd).add()]);
    assert_eq!(s.take_one().data, 4);
}

#[test]
fn r7_add_again_leaves_a_disabled_note_disabled() {
    let s = setting();
    s.world.readable("a", 4);
    s.change(&[KEvent::read(s.fd).add().disable()]);
    s.change(&[KEvent::read(s.fd).add()]);
    s.nothing();
    s.change(&[KEvent::read(s.fd).add().enable()]);
    assert_eq!(s.take_one().data, 4);
}

#[test]
fn r8_an_activation_waits_while_disabled() {
    let s = setting();
    s.change(&[KEvent::read(s.fd).add().clear(), KEvent::user(1).add().clear()]);
    s.change(&[KEvent::read(s.fd).disable(), KEvent::user(1).disable()]);
    s.world.readable("a", 4);
    s.change(&[KEvent::user(1).trigger()]);
    s.nothing();
    s.change(&[KEvent::read(s.fd).enable(), KEvent::user(1).enable()]);
    assert_eq!(s.take(8).len(), 2);
}

#[test]
fn r8_nothing_is_delivered_on_enable_that_is_no_longer_true() {
    let s = setting();
    s.change(&[KEvent::read(s.fd).add()]);
    s.world.readable("a", 4);
    s.change(&[KEvent::read(s.fd).disable()]);
    s.world.drained_to("a", 0);
    s.change(&[KEvent::read(s.fd).enable()]);
    s.nothing();
}

#[test]
fn r9_added_disabled_never_fires() {
    let s = setting();
    s.world.readable("a", 4);
    s.change(&[KEvent::read(s.fd).add().disable(), KEvent::user(1).add().disable().trigger()]);
    s.change(&[KEvent::timer(1).every(Duration::from_millis(1)).disable()]);
    s.world.advance(SECOND);
    s.nothing();
    s.world.readable("a", 5);
    s.nothing();
}

#[test]
fn r10_oneshot_is_deleted_after_delivery_and_not_after_evaluation() {
    let s = setting();
    s.world.readable("a", 4);
    s.change(&[KEvent::read(s.fd).add().oneshot()]);
    // Activated, but no longer true when it is looked at: it must live on.
    s.world.drained_to("a", 0);
    s.nothing();
    s.world.readable("a", 2);
    assert_eq!(s.take_one().data, 2);
    s.world.readable("a", 3);
    s.nothing();
    s.refused(KEvent::read(s.fd).delete(), ENOENT);
    s.refused(KEvent::read(s.fd).enable(), ENOENT);
}

#[test]
fn r10_oneshot_of_every_filter_is_gone_after_delivery() {
    let s = setting();
    s.world.writable("a", 9);
    s.change(&[
        KEvent::write(s.fd).add().oneshot(),
        KEvent::user(1).add().oneshot().trigger(),
        KEvent::timer(2).after(Duration::from_secs(1)),
    ]);
    s.world.advance(SECOND);
    assert_eq!(s.take(8).len(), 3);
    s.world.writable("a", 10);
    s.world.advance(SECOND);
    s.nothing();
    for change in [KEvent::write(s.fd), KEvent::user(1), KEvent::timer(2)] {
        s.refused(change.delete(), ENOENT);
    }
}

#[test]
fn r10_oneshot_can_be_added_again_and_again() {
    let s = setting();
    for round in 1..100 {
        s.world.readable("a", round);
        let change = [KEvent::read(s.fd).add().oneshot().udata(round as usize)];
        let mut events = [KEvent::default(); 2];
        assert_eq!(s.process.kevent(s.kq, &change, &mut events, NOW), Ok(1));
        assert_eq!((events[0].data, events[0].udata), (round, round as usize));
        s.nothing();
    }
    assert!(s.world.notes() <= 1);
}

#[test]
fn r11_what_is_no_longer_true_is_dropped() {
    let s = setting();
    s.world.readable("a", 4);
    s.change(&[KEvent::read(s.fd).add()]);
    s.world.drained_to("a", 0);
    s.nothing();
    s.world.readable("a", 1);
    assert_eq!(s.take_one().data, 1);
}

#[test]
fn r12_a_level_note_is_there_for_every_call() {
    let s = setting();
    s.world.readable("a", 4);
    s.change(&[KEvent::read(s.fd).add()]);
    for _ in 0..10 {
        assert_eq!(s.take_one().data, 4);
    }
}

#[test]
fn r12_level_notes_take_turns() {
    let s = setting();
    let fds: Vec<i32> = ["b", "c", "d"].iter().map(|path| s.process.open(path, 0).unwrap()).collect();
    for (fd, name) in fds.iter().zip(["b", "c", "d"]) {
        s.world.readable(name, 1);
        s.change(&[KEvent::read(*fd).add()]);
    }
    let seen: Vec<usize> = (0..6).map(|_| s.take(1)[0].ident).collect();
    assert_eq!(seen[..3], seen[3..]);
    let mut first: Vec<i32> = seen[..3].iter().map(|&ident| ident as i32).collect();
    first.sort_unstable();
    assert_eq!(first, fds);
}

#[test]
fn a_note_is_told_once_in_a_call() {
    let s = setting();
    s.world.readable("a", 1);
    s.world.writable("a", 1);
    s.change(&[KEvent::read(s.fd).add(), KEvent::write(s.fd).add(), KEvent::user(1).add().trigger()]);
    assert_eq!(s.take(100).len(), 3);
}

#[test]
fn r14_no_event_lost_when_slots_run_out() {
    let s = setting();
    s.world.readable("a", 1);
    s.world.writable("a", 2);
    s.change(&[KEvent::read(s.fd).add().clear(), KEvent::write(s.fd).add().clear()]);
    let (first, second) = (s.take(1)[0], s.take(1)[0]);
    assert_ne!(first.filter, second.filter);
    s.nothing();
}

#[test]
fn r15_an_edge_is_reported_once_and_the_next_one_again() {
    let s = setting();
    s.world.readable("a", 3);
    s.change(&[KEvent::read(s.fd).add().clear()]);
    assert_eq!(s.take_one().data, 3);
    s.nothing();
    // The same amount, but something came.
    s.world.readable("a", 3);
    assert_eq!(s.take_one().data, 3);
    // Less than before is no arrival.
    s.world.drained_to("a", 2);
    s.nothing();
}

#[test]
fn r15_clear_forgets_bits_and_data_of_a_user_event() {
    let s = setting();
    s.change(&[KEvent::user(1).add().clear()]);
    let trigger = KEvent { fflags: note::TRIGGER | note::FFOR | 1, data: 5, ..KEvent::user(1) };
    s.change(&[trigger]);
    let event = s.take_one();
    assert_eq!((event.fflags, event.data), (1, 5));
    s.change(&[KEvent { fflags: note::TRIGGER | note::FFOR | 2, data: 0, ..trigger }]);
    let event = s.take_one();
    assert_eq!((event.fflags, event.data), (2, 0));
}

#[test]
fn r16_dispatch_disables_and_enable_rearms() {
    let s = setting();
    s.world.readable("a", 3);
    s.change(&[KEvent::read(s.fd).add().dispatch()]);
    assert_eq!(s.take_one().data, 3);
    s.nothing();
    s.world.readable("a", 4);
    s.nothing();
    for _ in 0..3 {
        s.change(&[KEvent::read(s.fd).enable()]);
        assert_eq!(s.take_one().data, 4);
        s.nothing();
    }
}

#[test]
fn r16_dispatch_survives_trigger_and_enable() {
    let s = setting();
    s.change(&[KEvent::user(1).add().dispatch()]);
    for _ in 0..3 {
        s.change(&[KEvent::user(1).enable().trigger()]);
        let event = s.take_one();
        assert!(event.flags.contains(EventFlags::DISPATCH));
        s.nothing();
        s.change(&[KEvent::user(1).trigger()]);
        s.nothing();
    }
}

#[test]
fn r17_clear_does_not_override_dispatch() {
    let s = setting();
    s.world.readable("a", 3);
    s.change(&[KEvent::read(s.fd).add().clear().dispatch()]);
    s.take_one();
    s.world.readable("a", 4);
    s.nothing();
    s.change(&[KEvent::read(s.fd).enable()]);
    assert_eq!(s.take_one().data, 4);
    s.change(&[KEvent::read(s.fd).enable()]);
    s.nothing();
}

#[test]
fn r18_end_of_file_with_bytes_unread() {
    let s = setting();
    s.change(&[KEvent::read(s.fd).add()]);
    s.world.set_error("a", 104);
    s.world.publish("a", Direction::Read, Level::new(5).with(LevelFlags::EOF), true);
    let event = s.take_one();
    assert!(event.is_eof() && !event.flags.contains(EventFlags::NODATA));
    assert_eq!((event.data, event.fflags), (5, 104));
    s.world.publish("a", Direction::Read, Level::new(0).with(LevelFlags::EOF), false);
    let event = s.take_one();
    assert!(event.is_eof() && event.flags.contains(EventFlags::NODATA));
    assert_eq!(event.data, 0);
}

#[test]
fn r19_end_of_file_clears_when_a_writer_comes() {
    let s = setting();
    s.change(&[KEvent::read(s.fd).add()]);
    s.world.publish("a", Direction::Read, Level::new(0).with(LevelFlags::EOF), true);
    assert!(s.take_one().is_eof());
    s.world.drained_to("a", 0);
    s.nothing();
    s.world.readable("a", 2);
    assert!(!s.take_one().is_eof());
}

#[test]
fn r24_low_water_is_the_notes() {
    let s = setting();
    let other = s.process.kqueue().unwrap();
    s.change(&[KEvent::read(s.fd).add().low_water(8)]);
    assert_eq!(s.process.kevent(other, &[KEvent::read(s.fd).add().low_water(2)], &mut [], NOW), Ok(0));
    s.world.readable("a", 4);
    s.nothing();
    let mut events = [KEvent::default(); 2];
    assert_eq!(s.process.kevent(other, &[], &mut events, NOW), Ok(1));
    s.world.readable("a", 8);
    assert_eq!(s.take_one().data, 8);
}

#[test]
fn r25_a_timer_counts_since_the_last_harvest() {
    let s = setting();
    s.change(&[KEvent::timer(9).every(Duration::from_secs(1)).udata(3)]);
    s.world.advance(3 * SECOND + 1);
    let event = s.take_one();
    assert_eq!((event.ident, event.data, event.udata), (9, 3, 3));
    s.nothing();
    // No drift: the fourth is one second after the third, not after the harvest.
    s.world.advance(SECOND - 1);
    assert_eq!(s.take_one().data, 1);
}

#[test]
fn r25_adding_a_timer_again_restarts_it_and_drops_what_was_counted() {
    let s = setting();
    s.change(&[KEvent::timer(9).every(Duration::from_secs(1))]);
    s.world.advance(5 * SECOND);
    s.change(&[KEvent::timer(9).every(Duration::from_secs(2))]);
    s.nothing();
    s.world.advance(2 * SECOND - 1);
    s.nothing();
    s.world.advance(1);
    assert_eq!(s.take_one().data, 1);
    assert_eq!(s.world.files(), 2, "the same timer is used again");
}

#[test]
fn what_comes_between_the_first_look_and_the_sleep_is_seen() {
    let s = setting();
    s.change(&[KEvent::read(s.fd).add()]);
    // Nobody is parked yet, so nobody is signalled: only the look after the announcement can find it.
    s.world.readable_at_parking("a", 4);
    let mut events = [KEvent::default(); 1];
    assert_eq!(s.process.kevent(s.kq, &[], &mut events, None), Ok(1));
    assert_eq!(events[0].data, 4);
}

#[test]
fn r25_the_old_schedule_does_not_run_on_into_the_new_one() {
    let s = setting();
    s.change(&[KEvent::timer(9).every(Duration::from_secs(1))]);
    s.world.arm_late(3 * SECOND);
    s.change(&[KEvent::timer(9).every(Duration::from_secs(10))]);
    s.nothing();
    s.world.advance(10 * SECOND);
    assert_eq!(s.take_one().data, 1);
}

#[test]
fn r25_a_waiter_is_woken_by_a_timer() {
    let s = setting();
    let mut events = [KEvent::default(); 4];
    let change = [KEvent::timer(1).every(Duration::from_secs(1))];
    assert_eq!(s.process.kevent(s.kq, &change, &mut events, None), Ok(1));
    assert_eq!(events[0].data, 1);
}

#[test]
fn r26_periods_out_of_the_ordinary() {
    let s = setting();
    let timer = |data, fflags| KEvent { data, fflags, ..KEvent::timer(1).add() };
    s.refused(timer(-1, 0), EINVAL);
    s.refused(timer(1, note::SECONDS | note::USECONDS), EINVAL);
    s.change(&[timer(i64::MAX, note::SECONDS)]);
    s.world.advance(1 << 40);
    s.nothing();
    // Zero is one unit.
    s.change(&[timer(0, note::SECONDS).oneshot()]);
    s.world.advance(SECOND - 1);
    s.nothing();
    s.world.advance(1);
    s.take_one();
    // An absolute time in the past fires now.
    s.change(&[timer(0, note::ABSTIME | note::NSECONDS)]);
    assert_eq!(s.take_one().data, 1);
    s.world.advance(SECOND);
    s.nothing();
}

#[test]
fn r27_triggers_merge_and_each_queue_has_its_own() {
    let s = setting();
    let other = s.process.kqueue().unwrap();
    assert_eq!(s.process.kevent(other, &[KEvent::user(1).add()], &mut [], NOW), Ok(0));
    s.change(&[KEvent::user(1).add().clear()]);
    let trigger = |bits| KEvent { fflags: note::TRIGGER | note::FFOR | bits, ..KEvent::user(1) };
    s.change(&[trigger(1), trigger(4), trigger(0x0300_0000)]);
    let event = s.take_one();
    assert_eq!(event.fflags, 5);
    let mut events = [KEvent::default(); 1];
    assert_eq!(s.process.kevent(other, &[], &mut events, NOW), Ok(0));
}

#[test]
fn r31_close_removes_notes_before_the_number_is_used_again() {
    let s = setting();
    s.world.readable("a", 1);
    s.change(&[KEvent::read(s.fd).add(), KEvent::write(s.fd).add()]);
    s.process.close(s.fd).unwrap();
    assert_eq!((s.world.notes(), s.world.files()), (0, 0));
    s.nothing();
    let again = s.process.open("b", 0).unwrap();
    assert_eq!(again, s.fd);
    s.world.readable("b", 1);
    s.nothing();
    s.refused(KEvent::read(again).delete(), ENOENT);
}

#[test]
fn r31_dup2_over_a_number_removes_its_notes_and_keeps_those_of_others() {
    let s = setting();
    let twin = s.process.dup(s.fd).unwrap();
    s.change(&[KEvent::read(s.fd).add(), KEvent::read(twin).add()]);
    let other = s.process.open("b", 0).unwrap();
    assert_eq!(s.process.dup2(other, s.fd), Ok(s.fd));
    s.world.readable("a", 1);
    s.world.readable("b", 1);
    assert_eq!(s.take_one().ident, twin as usize);
    assert_eq!(s.world.files(), 2, "the duplicate keeps the file open");
    s.process.close(twin).unwrap();
    assert_eq!(s.world.files(), 1);
    // Over itself nothing happens.
    s.change(&[KEvent::read(other).add()]);
    assert_eq!(s.process.dup2(other, other), Ok(other));
    assert_eq!(s.take_one().ident, other as usize);
    assert_eq!(s.process.dup2(77, other), Err(Error::new(EBADF)));
}

#[test]
fn r31_in_every_queue() {
    let s = setting();
    let queues: Vec<i32> = (0..3).map(|_| s.process.kqueue().unwrap()).collect();
    for &kq in &queues {
        s.process.kevent(kq, &[KEvent::read(s.fd).add()], &mut [], NOW).unwrap();
    }
    s.world.readable("a", 1);
    s.process.close(s.fd).unwrap();
    for &kq in &queues {
        assert_eq!(s.process.kevent(kq, &[], &mut [KEvent::default(); 1], NOW), Ok(0));
    }
    assert_eq!(s.world.notes(), 0);
}

#[test]
fn r34_a_closed_queue_is_no_queue() {
    let s = setting();
    s.change(&[KEvent::read(s.fd).add(), KEvent::timer(1).every(Duration::from_secs(1))]);
    let twin = s.process.dup(s.kq).unwrap();
    s.process.close(s.kq).unwrap();
    assert_eq!(s.process.kevent(twin, &[], &mut [KEvent::default(); 1], NOW), Ok(0), "a duplicate keeps it");
    s.process.close(twin).unwrap();
    for kq in [s.kq, twin] {
        let result = s.process.kevent(kq, &[], &mut [KEvent::default(); 1], NOW);
        assert_eq!(result, Err(Error::new(EBADF)));
    }
    assert_eq!((s.world.queues(), s.world.notes(), s.world.files()), (0, 0, 1));
}

#[test]
fn r35_after_delete_nothing_is_delivered() {
    let s = setting();
    s.world.readable("a", 1);
    s.change(&[KEvent::read(s.fd).add().udata(1), KEvent::user(1).add().trigger()]);
    s.change(&[KEvent::read(s.fd).delete(), KEvent::user(1).delete()]);
    s.nothing();
    // What the ring held of the old note is not taken for the new one.
    s.change(&[KEvent::read(s.fd).add().clear().udata(2)]);
    assert_eq!(s.take_one().udata, 2);
    s.nothing();
}

#[test]
fn r38_a_queue_cannot_watch_itself() {
    let s = setting();
    s.refused(KEvent::read(s.kq).add(), EINVAL);
}

#[test]
fn r48_a_timeout_is_never_early_and_huge_ones_do_not_overflow() {
    let s = setting();
    let before = libkq::platform::Platform::now(&s.world);
    let mut events = [KEvent::default(); 1];
    assert_eq!(s.process.kevent(s.kq, &[], &mut events, Some(Duration::from_nanos(1500))), Ok(0));
    assert!(libkq::platform::Platform::now(&s.world) >= before + 1500);
    s.change(&[KEvent::timer(1).after(Duration::from_secs(1))]);
    assert_eq!(s.process.kevent(s.kq, &[], &mut events, Some(Duration::MAX)), Ok(1));
}

#[test]
fn r53_two_queues_are_independent() {
    let s = setting();
    let other = s.process.kqueue().unwrap();
    s.change(&[KEvent::read(s.fd).add().clear().udata(1)]);
    s.process.kevent(other, &[KEvent::read(s.fd).add().oneshot().udata(2)], &mut [], NOW).unwrap();
    s.world.readable("a", 1);
    assert_eq!(s.take_one().udata, 1);
    let mut events = [KEvent::default(); 2];
    assert_eq!(s.process.kevent(other, &[], &mut events, NOW), Ok(1));
    assert_eq!(events[0].udata, 2);
}

#[test]
fn r54_events_carry_the_sticky_flags_and_not_the_actions() {
    let s = setting();
    s.world.readable("a", 1);
    let sticky = EventFlags::CLEAR | EventFlags::DISPATCH | EventFlags::WAKEONE;
    s.change(&[KEvent::read(s.fd).add().enable().with(sticky)]);
    assert_eq!(s.take_one().flags, sticky);
    s.change(&[KEvent::user(1).add().oneshot().trigger()]);
    assert_eq!(s.take_one().flags, EventFlags::ONESHOT);
}

#[test]
fn r55_more_notes_than_the_first_memory_holds() {
    let s = setting();
    for ident in 0..3000 {
        s.change(&[KEvent::user(ident).add().trigger()]);
    }
    assert_eq!(s.take(5000).len(), 3000);
    s.change(&[KEvent::read(s.fd).add()]);
    s.world.readable("a", 1);
    assert_eq!(s.take(5000).len(), 3001);
}

#[test]
fn r55_a_note_that_the_server_refuses_leaves_nothing() {
    let s = setting();
    s.world.fail_next(abi::error::ENOMEM);
    s.refused(KEvent::read(s.fd).add(), abi::error::ENOMEM);
    s.refused(KEvent::read(s.fd).delete(), ENOENT);
    s.world.fail_next(abi::error::ENOMEM);
    s.refused(KEvent::timer(1).every(Duration::from_secs(1)), abi::error::ENOMEM);
    assert_eq!((s.world.notes(), s.world.files()), (0, 1));
    s.world.readable("a", 1);
    s.change(&[KEvent::read(s.fd).add()]);
    assert_eq!(s.take_one().data, 1);
}

#[test]
fn r57_a_dead_driver_is_told_once_and_nothing_can_be_added() {
    let s = setting();
    s.change(&[KEvent::read(s.fd).add(), KEvent::write(s.fd).add().oneshot()]);
    s.change(&[KEvent::timer(1).every(Duration::from_secs(1))]);
    s.world.driver_dies("a");
    s.world.driver_dies("timer");
    let events = s.take(8);
    assert_eq!(events.len(), 3);
    for event in events {
        assert!(event.is_eof(), "{event:?}");
        assert_eq!(event.fflags, ENODEV as u32);
    }
    s.nothing();
    s.refused(KEvent::read(s.fd).add(), ENODEV);
    s.refused(KEvent::write(s.fd).add(), ENODEV);
    s.change(&[KEvent::read(s.fd).enable()]);
    s.nothing();
    s.change(&[KEvent::read(s.fd).delete(), KEvent::timer(1).delete()]);
    s.process.close(s.fd).unwrap();
    assert_eq!((s.world.notes(), s.world.files()), (0, 0));
}

#[test]
fn r59_a_million_arrivals_are_one_note() {
    let s = setting();
    s.change(&[KEvent::read(s.fd).add().clear()]);
    for bytes in 0..1_000_000 {
        s.world.readable("a", bytes + 1);
    }
    assert_eq!(s.take_one().data, 1_000_000);
    s.nothing();
}

#[test]
fn a_dead_server_is_an_error_and_not_a_hang() {
    let s = setting();
    s.change(&[KEvent::read(s.fd).add()]);
    s.world.server_dies();
    s.refused(KEvent::write(s.fd).add(), abi::error::ENOTCONN);
    let result = s.process.kevent(s.kq, &[], &mut [KEvent::default(); 1], None);
    assert_eq!(result, Err(Error::new(abi::error::ENOTCONN)));
}

#[test]
fn contradictions_and_unknown_filters_are_refused() {
    let s = setting();
    s.refused(KEvent::user(1).add().delete(), EINVAL);
    s.refused(KEvent::user(1).add().enable().disable(), EINVAL);
    s.refused(KEvent::user(1).add().with(EventFlags::KEEPUDATA), EINVAL);
    s.refused(KEvent::new(0, Filter(-100)).add(), EINVAL);
    s.refused(KEvent::new(0, Filter(1)).add(), EINVAL);
    s.refused(KEvent::new(s.fd as usize, Filter::EXCEPT).add(), EINVAL);
    s.refused(KEvent::new(usize::MAX, Filter::READ).add(), EBADF);
    assert_eq!(s.process.kevent(s.fd, &[], &mut [], NOW), Err(Error::new(EBADF)));
}

#[test]
fn udata_is_kept_where_asked() {
    let s = setting();
    s.change(&[KEvent::user(1).add().udata(5)]);
    s.change(&[KEvent::user(1).trigger().with(EventFlags::KEEPUDATA)]);
    assert_eq!(s.take_one().udata, 5);
    s.change(&[KEvent::user(1).trigger().udata(6)]);
    assert_eq!(s.take_one().udata, 6);
}

#[test]
fn looking_sends_no_message() {
    let s = setting();
    s.change(&[KEvent::read(s.fd).add(), KEvent::user(1).add().clear()]);
    let before = s.world.messages();
    s.nothing();
    s.world.readable("a", 1);
    s.change(&[KEvent::user(1).trigger(), KEvent::read(s.fd).disable(), KEvent::read(s.fd).enable()]);
    assert_eq!(s.take(8).len(), 2);
    assert_eq!(s.world.messages(), before);
}

#[test]
fn a_change_list_is_one_message() {
    let s = setting();
    let files: Vec<i32> = (0..40).map(|n| s.process.open(&format!("f{n}"), 0).unwrap()).collect();
    // Files are made known to the session when they are first watched.
    let change: Vec<KEvent> = files.iter().map(|&fd| KEvent::read(fd).add()).collect();
    s.change(&change);
    for read in &files {
        s.change(&[KEvent::read(*read).delete()]);
    }
    let before = s.world.messages();
    s.change(&change);
    assert_eq!(s.world.messages() - before, 1);
    assert_eq!(s.world.notes(), 40);
    s.world.readable("f7", 3);
    assert_eq!(s.take_one().ident, files[7] as usize);
}

#[test]
fn r2_a_failure_in_the_middle_of_a_list_stops_it_when_there_is_no_room() {
    let s = setting();
    let other = s.process.open("b", 0).unwrap();
    s.world.fail_next(abi::error::ENOMEM);
    let changes = [KEvent::read(s.fd).add(), KEvent::read(other).add()];
    assert_eq!(s.process.kevent(s.kq, &changes, &mut [], NOW), Err(Error::new(abi::error::ENOMEM)));
    assert_eq!(s.world.notes(), 0);
    s.refused(KEvent::read(other).delete(), ENOENT);
    // The same with room: the second is made.
    s.world.fail_next(abi::error::ENOMEM);
    let mut events = [KEvent::default(); 2];
    assert_eq!(s.process.kevent(s.kq, &changes, &mut events, NOW), Ok(1));
    assert_eq!((events[0].ident, events[0].data), (s.fd as usize, i64::from(abi::error::ENOMEM)));
    s.change(&[KEvent::read(other).delete()]);
    assert_eq!(s.world.notes(), 0);
}

#[test]
fn r2_answers_come_in_the_order_of_the_changes() {
    let s = setting();
    let mut events = [KEvent::default(); 8];
    let changes = [
        KEvent::read(s.fd).add().receipt().udata(1),
        KEvent::write(s.fd).add().udata(2),
        KEvent::read(99).add().udata(3),
        KEvent::read(s.fd).add().receipt().udata(4),
        KEvent::user(1).delete().udata(5),
    ];
    assert_eq!(s.process.kevent(s.kq, &changes, &mut events, NOW), Ok(4));
    let answers: Vec<_> = events[..4].iter().map(|event| (event.udata, event.data as i32)).collect();
    assert_eq!(answers, [(1, 0), (3, EBADF), (4, 0), (5, ENOENT)]);
}

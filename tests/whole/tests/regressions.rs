//! What random programs have found, made small.

use event_protocol::cell::Direction;
use libkq::event::note;
use libkq::{Conditions, EpollFlags, EpollOp, EventFlags, KEvent};
use whole::rules::level::Side;
use whole::run::run;
use whole::script::{Act, Call, Program, SetKind, Step};

const IN: Conditions = Conditions::IN;
/// Paths: a pipe, a device with urgent data, a device, a regular file.
const PIPE: usize = 0;
const URGENT: usize = 1;
const DEVICE: usize = 2;
const REGULAR: usize = 3;

/// The only process does these.
fn acts(acts: impl IntoIterator<Item = Act>) -> Vec<Step> {
    acts.into_iter().map(|act| Step::Process(0, act)).collect()
}

fn level(path: usize, amount: i64) -> Step {
    Step::Publish(path, Direction::Read, Side { amount, ..Side::default() }, true)
}

fn does(parts: impl IntoIterator<Item = Vec<Step>>) {
    run(Program(parts.into_iter().flatten().collect()));
}

fn vnode(fd: usize, flags: EventFlags, bits: u32) -> KEvent {
    KEvent { flags, fflags: bits, ..KEvent::new(fd, libkq::Filter::VNODE) }
}

#[test]
fn r13_waiters_of_a_set_whose_one_shot_on_a_ready_set_is_over_do_not_wake_each_other_for_ever() {
    let (inner, outer) = (Call::Set(0, 8), Call::Set(1, 8));
    does([
        acts([
            Act::Open(URGENT),
            Act::Make(SetKind::Kqueue),
            Act::Make(SetKind::Epoll),
            Act::Kevent(0, vec![KEvent::read(0).add()], 0),
            Act::Control(0, EpollOp::Add, 1, EpollFlags::IN | EpollFlags::ONESHOT, 7),
        ]),
        vec![level(URGENT, 1)],
        acts([Act::Look(outer.clone()), Act::Park(outer.clone(), None), Act::Park(outer, None)]),
        vec![level(URGENT, 0)],
        acts([Act::Look(inner)]),
        vec![level(URGENT, 1), Step::Run],
    ]);
}

#[test]
fn r13_what_is_handed_on_to_one_who_waits_on_a_set_around_and_has_no_use_for_it_is_not_lost() {
    let (inner, outer) = (Call::Set(0, 8), Call::Set(1, 8));
    does([
        acts([
            Act::Open(URGENT),
            Act::Make(SetKind::Kqueue),
            Act::Make(SetKind::Epoll),
            Act::Park(inner.clone(), None),
            Act::Park(inner, None),
            Act::Park(outer, None),
            // The third looks again when it has its turn, and is the one that is chosen next.
            Act::Control(0, EpollOp::Add, 1, EpollFlags::OUT, 0),
            Act::Kevent(0, vec![KEvent::user(0).add().trigger()], 0),
        ]),
        vec![Step::Run],
    ]);
}

#[test]
fn r47_select_for_what_a_file_never_has_sleeps_though_the_file_is_hung_up() {
    let hung_up = Side { eof: true, hung_up: true, ..Side::default() };
    does([
        acts([Act::Open(PIPE)]),
        vec![Step::Publish(PIPE, Direction::Read, hung_up, true)],
        acts([Act::Park(Call::Select(vec![(0, Conditions::PRI)]), Some(5))]),
        vec![Step::Wait(4), Step::Run, Step::Wait(1), Step::Run],
    ]);
}

#[test]
fn r57_select_for_what_a_file_never_has_wakes_when_the_driver_dies() {
    does([
        acts([Act::Open(PIPE), Act::Park(Call::Select(vec![(0, Conditions::PRI)]), Some(5))]),
        vec![Step::DriverDies(PIPE), Step::Run],
    ]);
}

#[test]
fn dev_poll_adopts_a_number_that_is_another_file_under_a_sleeper() {
    does([
        acts([
            Act::Open(URGENT),
            Act::Open(DEVICE),
            Act::Make(SetKind::DevPoll),
            Act::Write(0, vec![(0, IN)]),
            Act::Park(Call::Set(0, 8), None),
            Act::Dup2(1, 0),
        ]),
        vec![level(DEVICE, 1), Step::Run],
    ]);
}

#[test]
fn what_happened_to_a_file_before_a_note_was_added_is_not_told_to_it() {
    does([
        acts([
            Act::Open(REGULAR),
            Act::Make(SetKind::Kqueue),
            // The file has a source from here on.
            Act::Kevent(0, vec![KEvent::write(0).add()], 0),
        ]),
        vec![Step::Note(REGULAR, note::DELETE | note::WRITE)],
        acts([Act::Kevent(0, vec![vnode(0, EventFlags::ADD, note::DELETE)], 0)]),
        vec![Step::Note(REGULAR, note::WRITE)],
        acts([Act::Look(Call::Set(0, 8))]),
    ]);
}

#[test]
fn r15_what_happened_to_a_file_is_told_again_after_dispatch_since_nothing_cleared_it() {
    does([
        acts([
            Act::Open(REGULAR),
            Act::Make(SetKind::Kqueue),
            Act::Kevent(0, vec![vnode(0, EventFlags::ADD | EventFlags::DISPATCH, note::WRITE)], 0),
        ]),
        vec![Step::Note(REGULAR, note::WRITE)],
        acts([
            Act::Look(Call::Set(0, 8)),
            Act::Look(Call::Set(0, 8)),
            Act::Kevent(0, vec![vnode(0, EventFlags::ENABLE, 0)], 8),
        ]),
    ]);
}

#[test]
fn r6_the_terms_of_a_note_on_a_set_are_checked_again() {
    does([acts([
        Act::Make(SetKind::Kqueue),
        Act::Make(SetKind::Kqueue),
        Act::Kevent(0, vec![KEvent::read(1).add()], 0),
        Act::Kevent(0, vec![KEvent { fflags: note::LOWAT, ..KEvent::read(1).add() }], 0),
    ])]);
}

#[test]
fn r45_a_number_that_is_open_again_is_its_entrys_before_anybody_asks_the_set() {
    let poll = Call::Poll(vec![(3, IN)]);
    does([
        acts([
            Act::Open(PIPE),
            Act::Make(SetKind::DevPoll),
            Act::Open(PIPE),
            Act::Open(PIPE),
            Act::Write(0, vec![(5, IN)]),
            Act::Open(PIPE),
            Act::Park(poll, None),
            // The number of the entry.
            Act::Open(PIPE),
            // Now the set is asked by who waits, and nobody has asked it before.
            Act::Dup2(1, 3),
        ]),
        vec![level(PIPE, 1), Step::Run],
    ]);
}

#[test]
fn r21_a_one_shot_note_that_was_told_is_a_new_one_when_it_is_added_to_a_pipe_without_readers() {
    let end = Side { eof: true, hung_up: true, ..Side::default() };
    does([
        acts([
            Act::Open(PIPE),
            Act::Make(SetKind::Kqueue),
            Act::Kevent(0, vec![KEvent::write(0).add().oneshot()], 0),
        ]),
        vec![Step::Publish(PIPE, Direction::Write, end, false)],
        acts([Act::Look(Call::Set(0, 8)), Act::Kevent(0, vec![KEvent::write(0).add()], 0)]),
    ]);
}

#[test]
fn r50_a_sleeper_in_a_set_sees_an_exclusive_item_that_is_true_when_it_is_added() {
    let up = Side { eof: true, hung_up: true, ..Side::default() };
    for exclusive in [EpollFlags::empty(), EpollFlags::EXCLUSIVE] {
        does([
            acts([Act::Make(SetKind::Epoll)]),
            vec![Step::Publish(DEVICE, Direction::Write, up, false)],
            acts([
                Act::Park(Call::Set(0, 32), None),
                Act::Park(Call::Set(0, 32), None),
                Act::Open(DEVICE),
                Act::Control(0, EpollOp::Add, 1, EpollFlags::IN | exclusive, 0),
            ]),
        ]);
    }
}

#[test]
fn r43_a_note_that_is_exclusive_no_longer_wakes_who_has_slept_since_before() {
    let read = |flags| KEvent { flags, ..KEvent::read(1) };
    does([
        acts([
            Act::Make(SetKind::Kqueue),
            Act::Park(Call::Set(0, 32), None),
            Act::Open(PIPE),
            Act::Kevent(0, vec![read(EventFlags::ADD | EventFlags::WAKEONE)], 0),
            // Nobody looks at the queue after that.
            Act::Kevent(0, vec![read(EventFlags::ADD)], 0),
        ]),
        vec![level(PIPE, 1), Step::Run],
    ]);
}

#[test]
fn r16_a_note_that_begins_anew_and_is_exclusive_no_longer_is_told_of_what_is_there() {
    let read = |flags| KEvent { flags, ..KEvent::read(0) };
    does([
        acts([Act::Open(REGULAR), Act::Make(SetKind::Kqueue)]),
        vec![level(REGULAR, 3)],
        acts([
            Act::Kevent(0, vec![read(EventFlags::ADD | EventFlags::ONESHOT | EventFlags::WAKEONE)], 0),
            Act::Look(Call::Set(0, 32)),
            Act::Kevent(0, vec![read(EventFlags::ADD)], 32),
        ]),
    ]);
}

#[test]
fn r43_a_level_that_fell_unheard_and_rose_to_less_wakes_one_who_sleeps_for_an_exclusive_note() {
    let rises = |amount| Step::Publish(DEVICE, Direction::Read, Side { amount, ..Side::default() }, false);
    for risen in [1, 2, 3] {
        does([
            vec![rises(2)],
            acts([
                Act::Open(DEVICE),
                Act::Make(SetKind::Kqueue),
                Act::Kevent(0, vec![KEvent::read(0).add().with(EventFlags::WAKEONE)], 0),
            ]),
            vec![rises(0)],
            acts([Act::Park(Call::Set(0, 32), None)]),
            vec![rises(risen), Step::Run],
        ]);
    }
}

#[test]
fn r57_the_end_of_what_is_gone_is_told_once_whatever_is_done_to_an_exclusive_note() {
    let read = |flags| KEvent { flags, ..KEvent::read(0) };
    for own in [EventFlags::empty(), EventFlags::WAKEONE] {
        does([
            acts([
                Act::Open(URGENT),
                Act::Make(SetKind::Kqueue),
                Act::Kevent(0, vec![read(EventFlags::ADD.union(own))], 0),
            ]),
            vec![Step::Detach(URGENT)],
            acts([
                Act::Look(Call::Set(0, 32)),
                Act::Kevent(0, vec![read(EventFlags::empty())], 0),
                Act::Look(Call::Set(0, 32)),
            ]),
        ]);
    }
}

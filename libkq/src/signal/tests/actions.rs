//! Actions, masks and handlers.

use core::sync::atomic::Ordering;
use std::sync::Arc;
use std::vec::Vec;

use abi::error::{EINVAL, ENODEV, Error};

use super::imagined::{Process, RAN, THREAD, USR1, mask, note, process, ran, send};
use crate::signal::state::How;
use crate::signal::*;

#[test]
fn actions_are_for_signals_that_can_be_caught() {
    let (process, _) = process();
    for signal in [0, -1, 65, i32::MAX, i32::from(SIGKILL), i32::from(SIGSTOP)] {
        assert_eq!(process.action(signal, Some(Action::ignore())), Err(Error::new(EINVAL)), "{signal}");
    }
    assert_eq!(process.action(i32::from(SIGKILL), None), Ok(Action::by_default()));
    assert_eq!(process.action(USR1, Some(Action::handler(note))), Ok(Action::by_default()));
    assert_eq!(process.action(USR1, None), Ok(Action::handler(note)));
}

#[test]
fn a_handler_runs_once_at_the_next_call() {
    let (process, world) = process();
    process.action(USR1, Some(Action::handler(note))).unwrap();
    send(&process, &world, SIGUSR1);
    send(&process, &world, SIGUSR1);
    assert_eq!(ran(), [], "nothing runs before a call");
    process.deliver();
    process.deliver();
    assert_eq!(ran(), [USR1]);
    assert_eq!(*world.ended.lock(), []);
}

#[test]
fn an_action_that_the_service_cannot_be_told_is_not_set() {
    let (process, world) = process();
    world.absent.store(1, Ordering::Relaxed);
    assert_eq!(process.action(USR1, Some(Action::handler(note))), Err(Error::new(ENODEV)));
    assert_eq!(process.action(USR1, None), Ok(Action::by_default()));
    assert_eq!(process.change_mask(Some((How::Block, mask(&[SIGTERM])))), Err(Error::new(ENODEV)));
    assert_eq!(process.change_mask(None), Ok(SignalMask::empty()));
}

#[test]
fn a_blocked_signal_waits_until_it_is_unblocked() {
    let (process, world) = process();
    process.action(USR1, Some(Action::handler(note))).unwrap();
    assert_eq!(process.change_mask(Some((How::Block, mask(&[SIGUSR1, SIGTERM])))), Ok(SignalMask::empty()));
    send(&process, &world, SIGUSR1);
    send(&process, &world, SIGTERM);
    process.deliver();
    assert_eq!((ran(), process.pending()), (Vec::new(), mask(&[SIGUSR1, SIGTERM])));
    assert_eq!(*world.ended.lock(), [], "its default action waits too");
    assert_eq!(process.change_mask(Some((How::Unblock, mask(&[SIGUSR1])))), Ok(mask(&[SIGUSR1, SIGTERM])));
    assert_eq!((ran(), process.pending()), ([USR1].to_vec(), mask(&[SIGTERM])));
    process.change_mask(Some((How::Set, SignalMask::empty()))).unwrap();
    assert_eq!(*world.ended.lock(), [SIGTERM]);
}

#[test]
fn what_cannot_be_blocked_is_not() {
    let (process, _) = process();
    process.change_mask(Some((How::Set, SignalMask::all()))).unwrap();
    let now = process.change_mask(None).unwrap();
    assert!(!now.contains(u32::from(SIGKILL)) && !now.contains(u32::from(SIGSTOP)) && now.contains(1));
}

#[test]
fn a_default_action_is_done_when_one_thread_lets_it_through() {
    let (process, world) = process();
    process.change_mask(Some((How::Block, mask(&[SIGTERM])))).unwrap();
    THREAD.set(2);
    process.change_mask(None).unwrap();
    send(&process, &world, SIGTERM);
    assert_eq!(*world.ended.lock(), [SIGTERM]);
    process.forget_thread(2);
    send(&process, &world, SIGTERM);
    assert_eq!(*world.ended.lock(), [SIGTERM], "the other one blocks it");
}

#[test]
fn an_ignored_signal_comes_to_nothing_and_one_that_was_pending_too() {
    let (process, world) = process();
    process.change_mask(Some((How::Block, mask(&[SIGUSR1])))).unwrap();
    process.action(USR1, Some(Action::handler(note))).unwrap();
    send(&process, &world, SIGUSR1);
    process.action(USR1, Some(Action::ignore())).unwrap();
    send(&process, &world, SIGUSR1);
    process.action(USR1, Some(Action::handler(note))).unwrap();
    process.change_mask(Some((How::Set, SignalMask::empty()))).unwrap();
    assert_eq!(ran(), []);
}

#[test]
fn a_blocked_sigchld_is_there_for_a_handler_that_comes_later() {
    let (process, world) = process();
    process.change_mask(Some((How::Block, mask(&[SIGCHLD])))).unwrap();
    send(&process, &world, SIGCHLD);
    process.action(i32::from(SIGCHLD), Some(Action::handler(note))).unwrap();
    process.change_mask(Some((How::Unblock, mask(&[SIGCHLD])))).unwrap();
    assert_eq!(ran(), [i32::from(SIGCHLD)]);
}

std::thread_local! {
    static SEEN: std::cell::RefCell<Option<Arc<Process>>> = const { std::cell::RefCell::new(None) };
    static MASKS: std::cell::RefCell<Vec<SignalMask>> = const { std::cell::RefCell::new(Vec::new()) };
}

/// A handler that sends itself its own signal, once, and looks at its mask.
fn nosy(signal: i32) {
    let process = SEEN.with_borrow(|process| process.clone()).unwrap();
    let first = RAN.with_borrow(|ran| !ran.contains(&signal));
    note(signal);
    MASKS.with_borrow_mut(|masks| masks.push(process.change_mask(None).unwrap()));
    if first {
        send(&process, process.outside(), signal as u8);
        process.deliver();
        note(-1);
    }
}

#[test]
fn a_handler_is_not_interrupted_by_its_own_signal_unless_it_says_so() {
    for (flags, expected) in
        [(ActionFlags::empty(), [USR1, -1, USR1]), (ActionFlags::NODEFER, [USR1, USR1, -1])]
    {
        let (process, world) = process();
        let process = Arc::new(process);
        SEEN.set(Some(process.clone()));
        MASKS.take();
        let action = Action::handler(nosy).blocking(mask(&[SIGUSR2])).with(flags);
        process.action(USR1, Some(action)).unwrap();
        send(&process, &world, SIGUSR1);
        process.deliver();
        assert_eq!(ran(), expected, "{flags:?}");
        let blocked = MASKS.take();
        assert!(blocked.iter().all(|mask| mask.contains(u32::from(SIGUSR2))));
        assert_eq!(blocked[0].contains(u32::from(SIGUSR1)), flags.is_empty());
        assert_eq!(process.change_mask(None), Ok(SignalMask::empty()), "as before");
    }
}

#[test]
fn resethand_is_the_default_action_from_the_handler_on() {
    let (process, world) = process();
    process.action(USR1, Some(Action::handler(note).with(ActionFlags::RESETHAND))).unwrap();
    send(&process, &world, SIGUSR1);
    process.deliver();
    assert_eq!(
        (ran(), process.action(USR1, None).unwrap().disposition),
        ([USR1].to_vec(), Disposition::Default)
    );
    send(&process, &world, SIGUSR1);
    assert_eq!(*world.ended.lock(), [SIGUSR1]);
}

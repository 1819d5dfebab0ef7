//! Calls that wait.

use core::sync::atomic::Ordering;
use std::vec::Vec;

use abi::error::{EINTR, Error};
use abi::limits::FOREVER;

use super::imagined::{THREAD, USR1, USR2, mask, note, process, ran, send};
use crate::interruption::Interruption;
use crate::signal::state::How;
use crate::signal::*;

#[test]
fn r49_a_pending_signal_that_the_calls_mask_lets_through_is_due_at_once() {
    let (process, world) = process();
    process.action(USR1, Some(Action::handler(note))).unwrap();
    process.change_mask(Some((How::Block, mask(&[SIGUSR1])))).unwrap();
    send(&process, &world, SIGUSR1);
    let before = process.enter(None);
    assert!(!process.is_due());
    process.leave(before);
    let before = process.enter(Some(SignalMask::empty()));
    assert!(process.is_due());
    assert_eq!(ran(), [], "it runs when the call is over");
    process.leave(before);
    assert_eq!((ran(), process.change_mask(None)), ([USR1].to_vec(), Ok(mask(&[SIGUSR1]))));
}

#[test]
fn r49_a_signal_that_the_calls_mask_blocks_comes_after_it() {
    let (process, world) = process();
    process.action(USR1, Some(Action::handler(note))).unwrap();
    let before = process.enter(Some(mask(&[SIGUSR1, SIGTERM])));
    send(&process, &world, SIGUSR1);
    send(&process, &world, SIGTERM);
    assert!(!process.is_due());
    assert_eq!((&*world.interrupted.lock(), &*world.ended.lock()), (&Vec::new(), &Vec::new()));
    process.leave(before);
    assert_eq!((ran(), &*world.ended.lock()), ([USR1].to_vec(), &[SIGTERM].to_vec()));
}

#[test]
fn one_waiting_thread_is_interrupted_for_each_signal() {
    let (process, world) = process();
    for signal in [USR1, USR2] {
        process.action(signal, Some(Action::handler(note))).unwrap();
    }
    // Thread 1 does not wait, 2 blocks USR1, 3 and 4 block nothing.
    process.change_mask(None).unwrap();
    THREAD.set(2);
    process.change_mask(Some((How::Block, mask(&[SIGUSR1])))).unwrap();
    process.enter(None);
    for thread in [3, 4] {
        THREAD.set(thread);
        process.enter(None);
    }
    send(&process, &world, SIGUSR1);
    assert_eq!(*world.interrupted.lock(), [3]);
    send(&process, &world, SIGUSR2);
    assert_eq!(*world.interrupted.lock(), [3, 2]);
}

#[test]
fn sleep_and_suspend_end_with_a_handler_or_with_their_time() {
    let (process, world) = process();
    process.action(USR1, Some(Action::handler(note))).unwrap();
    assert_eq!(process.sleep_until(50, None), Ok(()));
    assert_eq!(world.now.load(Ordering::Relaxed), 50);
    process.change_mask(Some((How::Block, mask(&[SIGUSR1])))).unwrap();
    send(&process, &world, SIGUSR1);
    assert_eq!(process.sleep_until(60, None), Ok(()), "blocked");
    assert_eq!(process.sleep_until(FOREVER, Some(SignalMask::empty())), Err(Error::new(EINTR)));
    assert_eq!((ran(), process.change_mask(None)), ([USR1].to_vec(), Ok(mask(&[SIGUSR1]))));
}

#[test]
fn the_end_of_a_child_makes_who_waits_look_again() {
    let (process, world) = process();
    process.told_of_children().unwrap();
    let mut looks = 0;
    let found = process.wait_for(FOREVER, None, || {
        looks += 1;
        if looks == 1 {
            send(&process, &world, SIGCHLD);
        }
        Ok((looks == 2).then_some(7))
    });
    assert_eq!((found, looks, ran()), (Ok(Some(7)), 2, Vec::new()));
}

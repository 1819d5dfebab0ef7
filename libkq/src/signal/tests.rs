//! Signals of an imagined process: the service is a mailbox, threads are numbers.

use core::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::cell::Cell;
use std::sync::Arc;
use std::vec::Vec;

use abi::error::{EINTR, EINVAL, ENODEV, ETIMEDOUT, Error, Result};
use abi::limits::FOREVER;
use process::mailbox::{Mailbox, Outcome};
use process_protocol::SignalSet;
use proptest::prelude::*;

use super::state::{How, Outside, Signals};
use super::*;
use crate::interruption::Interruption;
use crate::sync::Mutex;

std::thread_local! {
    /// The thread that a test is at the moment.
    static THREAD: Cell<u64> = const { Cell::new(1) };
    /// Signals that handlers ran for.
    static RAN: std::cell::RefCell<Vec<i32>> = const { std::cell::RefCell::new(Vec::new()) };
}

/// The service.
#[derive(Default)]
struct World {
    mailbox: Mutex<Mailbox>,
    /// Signals whose default action has ended the process.
    ended: Mutex<Vec<u8>>,
    interrupted: Mutex<Vec<u64>>,
    absent: AtomicU32,
    now: AtomicU64,
}

impl Outside for Arc<World> {
    fn thread(&self) -> u64 {
        THREAD.get()
    }

    fn interrupt(&self, thread: u64) {
        self.interrupted.lock().push(thread);
    }

    fn dispose(&self, ignored: SignalSet, told: SignalSet) -> Result<()> {
        if self.absent.load(Ordering::Relaxed) != 0 {
            return Err(Error::new(ENODEV));
        }
        self.mailbox.lock().dispose(ignored, told);
        Ok(())
    }

    fn take(&self) -> SignalSet {
        self.mailbox.lock().take()
    }

    fn by_default(&self, signal: u8) {
        if process::mailbox::by_default(signal) == Outcome::End {
            self.ended.lock().push(signal);
        }
    }

    /// Nobody comes: time passes.
    fn sleep(&self, word: &AtomicU32, seen: u32, deadline: u64) -> Result<()> {
        if word.load(Ordering::Acquire) != seen {
            return Ok(());
        }
        assert_ne!(deadline, FOREVER, "slept for ever");
        self.now.store(deadline, Ordering::Relaxed);
        Err(Error::new(ETIMEDOUT))
    }

    fn wake(&self, _: &AtomicU32) {}
}

type Process = Signals<Arc<World>>;

fn process() -> (Process, Arc<World>) {
    THREAD.set(1);
    RAN.take();
    let world = Arc::new(World::default());
    (Signals::new(world.clone()), world)
}

/// Somebody sends a signal, and the thread that waits for them hears of it.
fn send(process: &Process, world: &World, signal: u8) {
    match world.mailbox.lock().send(signal) {
        Outcome::End => world.ended.lock().push(signal),
        Outcome::Nothing | Outcome::Pending => {}
    }
    process.arrived();
}

fn note(signal: i32) {
    RAN.with_borrow_mut(|ran| ran.push(signal));
}

fn ran() -> Vec<i32> {
    RAN.take()
}

const USR1: i32 = SIGUSR1 as i32;
const USR2: i32 = SIGUSR2 as i32;

fn mask(signals: &[u8]) -> SignalMask {
    signals.iter().fold(SignalMask::empty(), |mask, &signal| mask.with(u32::from(signal)))
}

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

#[derive(Clone, Debug)]
enum Step {
    Send(u8),
    Action(u8, u8),
    Mask(u64, u8),
    Deliver(u64),
    Wait(u64, u8),
}

fn step() -> impl Strategy<Value = Step> {
    let signal = || prop_oneof![Just(SIGUSR1), Just(SIGTERM), Just(SIGCHLD)];
    prop_oneof![
        3 => signal().prop_map(Step::Send),
        2 => (signal(), 0u8..3).prop_map(|(signal, action)| Step::Action(signal, action)),
        2 => (1u64..3, 0u8..8).prop_map(|(thread, mask)| Step::Mask(thread, mask)),
        2 => (1u64..3).prop_map(Step::Deliver),
        2 => (1u64..3, 0u8..8).prop_map(|(thread, mask)| Step::Wait(thread, mask)),
    ]
}

const MODELLED: [u8; 3] = [SIGUSR1, SIGTERM, SIGCHLD];

fn chosen(bits: u8) -> SignalMask {
    let those: Vec<u8> = (0..3).filter(|bit| bits >> bit & 1 != 0).map(|bit| MODELLED[bit]).collect();
    mask(&those)
}

/// What POSIX says of a process with two threads, without any service: pending signals, actions, masks.
#[derive(Default)]
struct Model {
    pending: Vec<u8>,
    /// 0: default, 1: ignored, 2: handler.
    actions: [u8; 32],
    masks: [SignalMask; 3],
    ran: Vec<i32>,
    ended: Vec<u8>,
}

impl Model {
    fn acts(&self, signal: u8) -> bool {
        match self.actions[usize::from(signal)] {
            0 => signal != SIGCHLD,
            action => action == 2,
        }
    }

    fn blocked(&self, thread: usize, signal: u8) -> bool {
        self.masks[thread].contains(u32::from(signal))
    }

    fn send(&mut self, signal: u8) {
        let blockers = [1, 2].iter().filter(|&&thread| self.blocked(thread, signal)).count();
        match self.actions[usize::from(signal)] {
            1 => {}
            2 => self.pend(signal),
            _ if !self.acts(signal) && blockers == 0 => {}
            _ if self.acts(signal) && blockers < 2 => self.ended.push(signal),
            _ => self.pend(signal),
        }
    }

    fn pend(&mut self, signal: u8) {
        if !self.pending.contains(&signal) {
            self.pending.push(signal);
        }
    }

    fn deliver(&mut self, thread: usize) {
        self.pending.sort_unstable();
        let due: Vec<u8> =
            self.pending.iter().copied().filter(|&s| self.acts(s) && !self.blocked(thread, s)).collect();
        for signal in due {
            self.pending.retain(|&pending| pending != signal);
            match self.actions[usize::from(signal)] {
                2 => self.ran.push(i32::from(signal)),
                _ => self.ended.push(signal),
            }
        }
    }
}

proptest! {
    #[test]
    fn signals_do_what_the_model_does(steps in prop::collection::vec(step(), 0..60)) {
        let (process, world) = process();
        let mut model = Model::default();
        for thread in [2, 1] {
            THREAD.set(thread);
            process.change_mask(None).unwrap();
        }
        for step in steps {
            match step {
                Step::Send(signal) => {
                    send(&process, &world, signal);
                    model.send(signal);
                }
                Step::Action(signal, action) => {
                    let new = [Action::by_default(), Action::ignore(), Action::handler(note)][usize::from(action)];
                    process.action(i32::from(signal), Some(new)).unwrap();
                    model.actions[usize::from(signal)] = action;
                    if action == 1 {
                        model.pending.retain(|&pending| pending != signal);
                    }
                }
                Step::Mask(thread, bits) => {
                    THREAD.set(thread);
                    process.change_mask(Some((How::Set, chosen(bits)))).unwrap();
                    model.masks[thread as usize] = chosen(bits);
                    model.deliver(thread as usize);
                }
                Step::Deliver(thread) => {
                    THREAD.set(thread);
                    process.deliver();
                    model.deliver(thread as usize);
                }
                Step::Wait(thread, bits) => {
                    THREAD.set(thread);
                    let before = process.enter(Some(chosen(bits)));
                    let own = core::mem::replace(&mut model.masks[thread as usize], chosen(bits));
                    prop_assert_eq!(before, own);
                    let due = model.pending.iter().any(|&s| model.acts(s) && !model.blocked(thread as usize, s));
                    prop_assert_eq!(process.is_due(), due);
                    process.leave(before);
                    model.deliver(thread as usize);
                    model.masks[thread as usize] = own;
                    model.deliver(thread as usize);
                }
            }
            prop_assert_eq!(RAN.with_borrow(Clone::clone), &*model.ran);
            prop_assert_eq!(&*world.ended.lock(), &model.ended);
        }
    }
}

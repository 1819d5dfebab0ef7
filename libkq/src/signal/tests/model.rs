//! Signals against what is naively expected of them.

use std::vec::Vec;

use proptest::prelude::*;

use super::imagined::{RAN, THREAD, mask, note, process, send};
use crate::interruption::Interruption;
use crate::signal::state::How;
use crate::signal::*;

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

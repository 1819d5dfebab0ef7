//! What a signal does to its process.

use core::sync::atomic::Ordering;

use abi::error::{ECHILD, EINVAL, ENOSYS, ESRCH};
use guest_tests::failure::{equal, refused};
use guest_tests::suite::Test;
use guest_tests::{Outcome, a_moment};
use libkq::process_calls::{WaitFlags, WaitStatus, getpid, kill, waitpid};
use libkq::signal::{
    Action, How, SIGCHLD, SIGINT, SIGKILL, SIGPIPE, SIGSTOP, SIGTERM, SIGUSR1, SIGUSR2, SignalMask, raise,
    sigaction, sigmask, sigpending,
};

use crate::children::{said, start, wait};
use crate::handler::{CAUGHT, LAST, With, catch, caught, only};
use crate::{TERM, USR1, USR2};

pub const TESTS: &[Test] = &[
    ("a_handler_runs_in_raise", a_handler_runs_in_raise),
    ("bad_numbers_are_refused", bad_numbers_are_refused),
    ("a_blocked_signal_is_pending", a_blocked_signal_is_pending),
    ("default_actions_end_a_child", default_actions_end_a_child),
    ("an_ignored_signal_is_nothing", an_ignored_signal_is_nothing),
    ("a_child_catches_its_signal", a_child_catches_its_signal),
    ("a_blocked_default_action_waits", a_blocked_default_action_waits),
    ("resethand_and_broken_pipe", resethand_and_broken_pipe),
];

fn a_handler_runs_in_raise() -> Outcome {
    let _with = With::action(USR1, Action::handler(catch))?;
    for round in 1..=100 {
        raise(USR1)?;
        equal(CAUGHT.load(Ordering::SeqCst), round)?;
    }
    equal(LAST.load(Ordering::SeqCst), USR1 as u32)
}

fn bad_numbers_are_refused() -> Outcome {
    for signal in [-1, 65, 1000] {
        refused(kill(getpid(), signal), EINVAL)?;
        refused(sigaction(signal, None), EINVAL)?;
    }
    for signal in [SIGKILL, SIGSTOP] {
        refused(sigaction(i32::from(signal), Some(Action::ignore())), EINVAL)?;
    }
    refused(kill(getpid(), i32::from(SIGSTOP)), ENOSYS)?;
    for group in [0, -1, -7] {
        refused(kill(group, USR1), EINVAL)?;
    }
    refused(kill(1_000_000, USR1), ESRCH)?;
    kill(getpid(), 0)?;
    refused(waitpid(-1, WaitFlags::empty()), ECHILD)
}

fn a_blocked_signal_is_pending() -> Outcome {
    let _with = With::action(USR1, Action::handler(catch))?;
    equal(sigmask(Some((How::Block, only(USR1))))?, SignalMask::empty())?;
    raise(USR1)?;
    raise(USR1)?;
    equal((caught(), sigpending()), (0, only(USR1)))?;
    equal(sigmask(Some((How::Unblock, only(USR1))))?, only(USR1))?;
    equal((caught(), sigpending()), (1, SignalMask::empty()))
}

fn default_actions_end_a_child() -> Outcome {
    for signal in [SIGTERM, SIGKILL, SIGINT, SIGUSR1, SIGPIPE, 64] {
        let child = start("sleeps", "")?;
        child.kill(i32::from(SIGCHLD))?;
        child.kill(i32::from(signal))?;
        let status = wait(&child)?;
        equal((status.signal(), status.code()), (Some(signal), None))?;
        refused(child.kill(0), ESRCH)?;
    }
    let child = start("ends", "3")?;
    equal(wait(&child)?, WaitStatus(0x300))
}

fn an_ignored_signal_is_nothing() -> Outcome {
    let _with = With::action(USR1, Action::handler(catch))?;
    let child = start("ignores", "")?;
    said(1)?;
    child.kill(TERM)?;
    a_moment();
    equal(waitpid(child.pid(), WaitFlags::NOHANG)?, None)?;
    child.kill(i32::from(SIGKILL))?;
    equal(wait(&child)?, WaitStatus(9))
}

fn a_child_catches_its_signal() -> Outcome {
    let _with = With::action(USR1, Action::handler(catch))?;
    let child = start("catches", "")?;
    said(1)?;
    child.kill(TERM)?;
    equal(wait(&child)?, WaitStatus(0x700))
}

fn a_blocked_default_action_waits() -> Outcome {
    let _with = With::action(USR1, Action::handler(catch))?;
    let child = start("blocks", "")?;
    said(1)?;
    child.kill(TERM)?;
    said(2)?;
    equal(waitpid(child.pid(), WaitFlags::NOHANG)?, None)?;
    child.kill(USR2)?;
    equal(wait(&child)?, WaitStatus(TERM))
}

fn resethand_and_broken_pipe() -> Outcome {
    for (role, argument, status) in
        [("resets", "", i32::from(SIGUSR2)), ("breaks", "", i32::from(SIGPIPE)), ("breaks", "caught", 0x100)]
    {
        equal(wait(&start(role, argument)?)?, WaitStatus(status))?;
    }
    Ok(())
}

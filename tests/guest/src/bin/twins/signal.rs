//! The twin of `signal.c`.

use core::sync::atomic::{AtomicI32, Ordering::Relaxed};

use libkq::signal::{self, Action, Disposition, How, SIGKILL, SIGUSR1};
use libkq::{Result, SignalMask, process_calls};
use rt::abi::error::{EINTR, EINVAL, ESRCH, Error};

use crate::refused;

static SEEN: AtomicI32 = AtomicI32::new(0);

fn handler(signal: i32) {
    SEEN.store(SEEN.load(Relaxed) * 100 + signal, Relaxed);
}

pub fn run() -> Result<()> {
    let number = i32::from(SIGUSR1);
    let seen = || SEEN.load(Relaxed);
    let old = signal::sigaction(number, Some(Action::handler(handler)))?;
    rt::log!("sigaction 0, was default {}", i32::from(old.disposition == Disposition::Default));
    signal::raise(number)?;
    rt::log!("raise 0, seen {}", seen());
    let set = SignalMask::empty().with(SIGUSR1.into());
    let before = signal::sigmask(Some((How::Block, set)))?;
    rt::log!("block 0, before {}", before.0);
    process_calls::kill(process_calls::getpid(), number)?;
    let pending = signal::sigpending().contains(SIGUSR1.into());
    rt::log!("kill 0, seen {}, pending {}", seen(), i32::from(pending));
    let interrupted = libkq::poll(&mut [], None, Some(before)) == Err(Error::new(EINTR));
    rt::log!("ppoll -1 {}, seen {}", i32::from(interrupted), seen());
    let blocked = signal::sigmask(Some((How::Set, before)))?;
    rt::log!("unblock 0, was {:#x}", blocked.0);
    let old = signal::sigaction(number, Some(Action::ignore()))?;
    rt::log!("ignore 0, was ours {}", i32::from(old == Action::handler(handler)));
    signal::raise(number)?;
    rt::log!("seen {}", seen());
    refused("SIGKILL", signal::sigaction(SIGKILL.into(), Some(Action::ignore())), EINVAL);
    // What the types of Rust leave no room for.
    refused("no way", Err::<(), _>(Error::new(EINVAL)), EINVAL);
    refused("nobody", process_calls::kill(30_000, 0), ESRCH);
    Ok(())
}

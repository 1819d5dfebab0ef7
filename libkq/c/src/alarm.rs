//! `alarm(2)`: a thread that sleeps until it is time, and sends the process `SIGALRM`.

use core::ffi::c_uint;
use core::sync::atomic::AtomicU32;
use core::sync::atomic::Ordering::{Acquire, Release};

use abi::limits::FOREVER;
use libkq::SignalMask;
use libkq::process_calls;
use libkq::signal::{How, SIGALRM};
use rt::sync::Mutex;

const SECOND: u64 = 1_000_000_000;

struct Alarm {
    /// When it is due.
    at: Option<u64>,
    /// Whether the thread runs: from the first alarm on.
    runs: bool,
}

static ALARM: Mutex<Alarm> = Mutex::new(Alarm { at: None, runs: false });
/// Changes with each alarm.
static TURN: AtomicU32 = AtomicU32::new(0);

/// `alarm(2)`: how many seconds were left of the one before.
#[unsafe(no_mangle)]
extern "C" fn alarm(seconds: c_uint) -> c_uint {
    let now = rt::clock::now_ns();
    let mut alarm = ALARM.lock();
    let before = alarm.at.take();
    if seconds > 0 {
        alarm.at = Some(now.saturating_add(u64::from(seconds) * SECOND));
        alarm.runs = alarm.runs || rt::thread::Builder::new().name("alarm").spawn(watch).is_ok();
    }
    drop(alarm);
    TURN.fetch_add(1, Release);
    // Nobody waiting is as good.
    let _ = rt::sys::futex_wake(&TURN, 1);
    // One that is due in less than a second has not come yet.
    before.map_or(0, |at| at.saturating_sub(now).div_ceil(SECOND).max(1) as c_uint)
}

fn watch() {
    // It is for a thread of the program's.
    let _ = libkq::signal::sigmask(Some((How::Set, SignalMask::all())));
    loop {
        let turn = TURN.load(Acquire);
        let mut alarm = ALARM.lock();
        if alarm.at.take_if(|at| *at <= rt::clock::now_ns()).is_some() {
            drop(alarm);
            // Without the service there are no signals.
            let _ = process_calls::kill(process_calls::getpid(), i32::from(SIGALRM));
            continue;
        }
        let until = alarm.at.unwrap_or(FOREVER);
        drop(alarm);
        let _ = rt::sys::futex_wait(&TURN, turn, until);
    }
}

//! `signal.h` and `sys/wait.h`. Handlers run at the library's calls: see [`libkq::signal`].

use core::ffi::c_int;
use core::mem;

use abi::error::{EINVAL, ENOSYS, Error, Result};
use libkq::SignalMask;
use libkq::process_calls::{self, WaitFlags};
use libkq::signal::{Action, ActionFlags, Disposition, How};

use crate::answer::{answer, done, number};
use crate::given::{optional, put, value};

/// `SIG_DFL`, `SIG_IGN` and `SIG_ERR`.
const DEFAULT: usize = 0;
const IGNORE: usize = 1;
const ERROR: usize = usize::MAX;
/// `SA_SIGINFO`: there is nothing to tell such a handler.
const SIGINFO: u32 = 4;

/// `struct sigaction`.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
struct CAction {
    handler: usize,
    mask: SignalMask,
    flags: u32,
}

impl TryFrom<CAction> for Action {
    type Error = Error;

    fn try_from(given: CAction) -> Result<Action> {
        if given.flags & SIGINFO != 0 {
            return Err(Error::new(ENOSYS));
        }
        let disposition = match given.handler {
            DEFAULT => Disposition::Default,
            IGNORE => Disposition::Ignore,
            ERROR => return Err(Error::new(EINVAL)),
            // SAFETY: the C program says that it is such a function.
            handler => Disposition::Foreign(unsafe { mem::transmute::<usize, extern "C" fn(i32)>(handler) }),
        };
        let flags = ActionFlags::from_bits_truncate(given.flags);
        Ok(Action { disposition, mask: given.mask, flags })
    }
}

impl From<Action> for CAction {
    fn from(action: Action) -> CAction {
        let handler = match action.disposition {
            Disposition::Default => DEFAULT,
            Disposition::Ignore => IGNORE,
            Disposition::Foreign(handler) => handler as usize,
            // A handler of Rust code, which C code cannot call.
            Disposition::Handler(_) => ERROR,
        };
        CAction { handler, mask: action.mask, flags: action.flags.bits() }
    }
}

/// `sigaction(2)`.
#[unsafe(no_mangle)]
unsafe extern "C" fn sigaction(signal: c_int, new: *const CAction, old: *mut CAction) -> c_int {
    let change = || {
        // SAFETY: the C program's pointer.
        let new = unsafe { optional(new) }.map(Action::try_from).transpose()?;
        let before = libkq::signal::sigaction(signal, new)?;
        // SAFETY: as above.
        if old.is_null() { Ok(()) } else { unsafe { put(old, before.into()) } }
    };
    done(change())
}

/// `signal(2)`, with the BSD meaning: the handler stays.
#[unsafe(no_mangle)]
extern "C" fn signal(signal: c_int, handler: usize) -> usize {
    let new = CAction { handler, mask: SignalMask::empty(), flags: ActionFlags::RESTART.bits() };
    let before = new.try_into().and_then(|new| libkq::signal::sigaction(signal, Some(new)));
    match before {
        Ok(before) => CAction::from(before).handler,
        Err(error) => {
            crate::own::set_errno(error.errno);
            ERROR
        }
    }
}

unsafe fn change_mask(how: c_int, new: *const SignalMask, old: *mut SignalMask) -> Result<()> {
    // SAFETY: the C program's pointers.
    let change = match (unsafe { optional(new) }, how) {
        (None, _) => None,
        (Some(new), 0) => Some((How::Block, new)),
        (Some(new), 1) => Some((How::Unblock, new)),
        (Some(new), 2) => Some((How::Set, new)),
        _ => return Err(Error::new(EINVAL)),
    };
    let before = libkq::signal::sigmask(change)?;
    // SAFETY: as above.
    if old.is_null() { Ok(()) } else { unsafe { put(old, before) } }
}

/// `sigprocmask(2)`: the calling thread's, as `pthread_sigmask`.
#[unsafe(no_mangle)]
unsafe extern "C" fn sigprocmask(how: c_int, new: *const SignalMask, old: *mut SignalMask) -> c_int {
    // SAFETY: the C program's pointers.
    done(unsafe { change_mask(how, new, old) })
}

/// `pthread_sigmask(3)`.
#[unsafe(no_mangle)]
unsafe extern "C" fn pthread_sigmask(how: c_int, new: *const SignalMask, old: *mut SignalMask) -> c_int {
    // SAFETY: the C program's pointers.
    number(unsafe { change_mask(how, new, old) })
}

/// `sigpending(2)`.
#[unsafe(no_mangle)]
unsafe extern "C" fn sigpending(place: *mut SignalMask) -> c_int {
    // SAFETY: the C program's pointer.
    done(unsafe { put(place, libkq::signal::sigpending()) })
}

/// `sigsuspend(2)`.
#[unsafe(no_mangle)]
unsafe extern "C" fn sigsuspend(mask: *const SignalMask) -> c_int {
    // SAFETY: the C program's pointer.
    let mask = unsafe { value(mask) };
    done(mask.and_then(|mask| Err(libkq::signal::suspend(mask))))
}

/// `pause(2)`.
#[unsafe(no_mangle)]
extern "C" fn pause() -> c_int {
    done(libkq::signal::sigmask(None).and_then(|mask| Err(libkq::signal::suspend(mask))))
}

/// `raise(3)`.
#[unsafe(no_mangle)]
extern "C" fn raise(signal: c_int) -> c_int {
    done(libkq::signal::raise(signal))
}

/// `kill(2)`.
#[unsafe(no_mangle)]
extern "C" fn kill(pid: c_int, signal: c_int) -> c_int {
    done(process_calls::kill(pid, signal))
}

/// `getppid(2)`.
#[unsafe(no_mangle)]
extern "C" fn getppid() -> c_int {
    process_calls::getppid().unwrap_or(0)
}

/// `waitpid(2)`.
#[unsafe(no_mangle)]
unsafe extern "C" fn waitpid(pid: c_int, status: *mut c_int, flags: c_int) -> c_int {
    let wait = || {
        let flags = WaitFlags::from_bits(flags as u32).ok_or(Error::new(EINVAL))?;
        let Some((pid, ended)) = process_calls::waitpid(pid, flags)? else { return Ok(0) };
        if !status.is_null() {
            // SAFETY: the C program's pointer.
            unsafe { put(status, ended.0) }?;
        }
        Ok(pid)
    };
    answer(wait())
}

/// `wait(2)`.
#[unsafe(no_mangle)]
unsafe extern "C" fn wait(status: *mut c_int) -> c_int {
    // SAFETY: the C program's pointer.
    unsafe { waitpid(-1, status, 0) }
}

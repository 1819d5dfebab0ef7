//! Processes: starting them, waiting for them, signalling them.
//!
//! Who may: a process waits for its children; it signals and watches its own family, which is the program of the boot
//! manifest that it descends from and all that descend from that; an operator may signal and watch all.

mod command;

pub use command::{Child, Command, QUOTA};

use abi::error::{EINVAL, ESRCH, Error, Result};
use bitflags::bitflags;
use init_protocol::status::ExitStatus;

use crate::signal;

bitflags! {
    /// What [`waitpid`] waits for, with Linux's numbers.
    #[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
    pub struct WaitFlags: u32 {
        /// Do not wait: `WNOHANG`.
        const NOHANG = 1;
    }
}

/// How a process ended, as `wait(2)` has it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct WaitStatus(pub i32);

impl WaitStatus {
    /// The status that it gave, if it ended by itself: `WEXITSTATUS`.
    pub fn code(self) -> Option<u8> {
        (self.0 & 0x7f == 0).then_some((self.0 >> 8) as u8)
    }

    /// The signal that ended it, if one did: `WTERMSIG`.
    pub fn signal(self) -> Option<u8> {
        match self.0 & 0x7f {
            0 => None,
            signal => Some(signal as u8),
        }
    }

    /// Whether it ended by itself with status 0.
    pub fn is_success(self) -> bool {
        self.0 == 0
    }
}

impl From<ExitStatus> for WaitStatus {
    fn from(status: ExitStatus) -> WaitStatus {
        WaitStatus(status.to_wait())
    }
}

/// This process's number. `getpid(2)`.
pub fn getpid() -> i32 {
    rt::start::start().pid() as i32
}

/// Who started this process; 1 is init. `getppid(2)`.
pub fn getppid() -> Result<i32> {
    let own = rt::start::start().pid();
    let line = rt::init::list(own.saturating_sub(1))?.into_iter().next();
    line.filter(|line| line.pid == own).map(|line| line.parent as i32).ok_or(Error::new(ESRCH))
}

/// Ends this process. Of the status, the low 8 bits are told. `exit(3)`.
pub fn exit(status: i32) -> ! {
    rt::sys::exit(i64::from(status))
}

/// Waits for the end of a child: that one, or with -1 any. `None`: none has ended, and `NOHANG` was given. Each end is told
/// once. `ECHILD`: there is no such child; `EINTR`: a handler has run; `EINVAL`: a process group, of which there are none.
/// `waitpid(2)`.
pub fn waitpid(pid: i32, flags: WaitFlags) -> Result<Option<(i32, WaitStatus)>> {
    let which = match pid {
        -1 => 0,
        pid => u32::try_from(pid).ok().filter(|&pid| pid != 0).ok_or(Error::new(EINVAL))?,
    };
    let at_once = flags.contains(WaitFlags::NOHANG);
    let ended = match signal::signals_if_any() {
        // Nothing could interrupt it: init answers when it is time.
        None => rt::init::wait_child(which, at_once)?,
        Some(signals) => {
            let look = || {
                let ended = rt::init::wait_child(which, true)?;
                if ended.is_some() {
                    // The child's SIGCHLD comes before its status is told, not some time after.
                    signals.arrived();
                }
                Ok(ended)
            };
            if at_once {
                let ended = look()?;
                signals.deliver();
                ended
            } else {
                signals.told_of_children()?;
                signals.wait_for(abi::limits::FOREVER, None, look)?
            }
        }
    };
    Ok(ended.map(|(pid, status)| (pid as i32, WaitStatus::from(status))))
}

/// Sends a signal; 0 only asks whether it could be sent. `ESRCH`: no such process; `EPERM`: another family's; `EINVAL`: no
/// signal, or a process group, of which there are none; `ENOSYS`: `SIGSTOP`, since nothing stops processes. `kill(2)`.
pub fn kill(pid: i32, signal: i32) -> Result<()> {
    let invalid = |_| Error::new(EINVAL);
    let to = u32::try_from(pid).map_err(invalid)?;
    let number = u8::try_from(signal).map_err(invalid)?;
    if to == 0 {
        return Err(Error::new(EINVAL));
    }
    signal::signals().outside().kill(to, number)?;
    if pid == getpid() {
        let signals = signal::signals();
        signals.arrived();
        signals.deliver();
    }
    Ok(())
}

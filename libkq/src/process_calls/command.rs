//! Starting a program.

use alloc::string::{String, ToString};
use alloc::vec::Vec;

use abi::error::{Error, Result};
use rt::init::Spawn;
use rt::ipc::Transfer;

use super::{WaitFlags, WaitStatus, waitpid};

/// Bytes of quota unless the program is given more.
const QUOTA: u64 = 8 << 20;

/// A program that is to be started: `posix_spawn(3)`. It begins with every signal's action the default one and nothing
/// blocked.
#[derive(Debug)]
pub struct Command {
    spawn: Spawn,
    handles: Vec<Transfer>,
}

/// A program that was started. Dropping it leaves the program running, and its status to [`waitpid`].
#[derive(Debug)]
pub struct Child {
    pid: i32,
}

impl Command {
    /// A file of the boot archive, such as `bin/cat`.
    pub fn new(file: &str) -> Command {
        Command {
            spawn: Spawn {
                name: String::new(),
                file: file.to_string(),
                args: Vec::new(),
                env: Vec::new(),
                quota: QUOTA,
                priority: rt::block::current().priority(),
                cpus: 0,
                handles: Vec::new(),
            },
            handles: Vec::new(),
        }
    }

    /// One more argument.
    pub fn argument(mut self, value: impl ToString) -> Command {
        self.spawn.args.push(value.to_string());
        self
    }

    /// An environment variable.
    pub fn environment(mut self, name: &str, value: &str) -> Command {
        self.spawn.env.push((name.to_string(), value.to_string()));
        self
    }

    /// Its name, if it is not to be the file's.
    pub fn name(mut self, name: &str) -> Command {
        self.spawn.name = name.to_string();
        self
    }

    /// Bytes of quota, out of what this process's family may lend.
    pub fn quota(mut self, bytes: u64) -> Command {
        self.spawn.quota = bytes;
        self
    }

    /// Its priority, at most the family's.
    pub fn priority(mut self, priority: u8) -> Command {
        self.spawn.priority = priority;
        self
    }

    /// The CPUs of its first thread: bit n is CPU n; 0 is every CPU.
    pub fn cpus(mut self, mask: u64) -> Command {
        self.spawn.cpus = mask;
        self
    }

    /// A handle that it finds under this name.
    pub fn handle(mut self, name: &str, handle: Transfer) -> Command {
        self.spawn.handles.push(name.to_string());
        self.handles.push(handle);
        self
    }

    /// It has this process's descriptor `fd`, as `number`: the same open file. A message carries few handles: `EINVAL` of
    /// [`spawn`](Command::spawn) when there are more. `EBADF`: not open; `EINVAL`: a set, which does not travel (R33).
    pub fn inherit(self, fd: i32, number: i32) -> Result<Command> {
        let (name, handle) = crate::inheritance::give(fd, number)?;
        Ok(self.handle(&name, handle))
    }

    /// Starts it. `ENOENT`, `ENOEXEC`: no such file, no program; `EDQUOT`, `ENOMEM`: no room; `EPERM`: too high a priority.
    pub fn spawn(self) -> Result<Child> {
        let child = rt::init::spawn(self.spawn, self.handles)?;
        Ok(Child { pid: child.pid as i32 })
    }
}

impl Child {
    /// Its number.
    pub fn pid(&self) -> i32 {
        self.pid
    }

    /// Sends it a signal. `kill(2)`.
    pub fn kill(&self, signal: i32) -> Result<()> {
        super::kill(self.pid, signal)
    }

    /// Waits until it has ended. `waitpid(2)`.
    pub fn wait(&self) -> Result<WaitStatus> {
        let ended = waitpid(self.pid, WaitFlags::empty())?;
        ended.map(|(_, status)| status).ok_or(Error::new(abi::error::ECHILD))
    }
}

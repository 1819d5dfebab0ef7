//! Starting a program.

use alloc::string::{String, ToString};
use alloc::vec::Vec;

use abi::error::{Error, Result};
use rt::init::Spawn;
use rt::ipc::Transfer;

use crate::inheritance::Given;

use super::{WaitFlags, WaitStatus, waitpid};

/// Bytes of quota unless the program is given others.
pub const QUOTA: u64 = 8 << 20;

/// A program that is to be started: `posix_spawn(3)`. It begins with every signal's action the default one and nothing
/// blocked.
#[derive(Debug)]
pub struct Command {
    spawn: Spawn,
    handles: Vec<Transfer>,
    given: Given,
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
            given: Given::default(),
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

    /// Bytes of quota, out of what this process's family may lend. [`Command::spawn`] says `EINVAL` for less than 256 KiB, with which
    /// nothing could begin, and `EDQUOT` when the family has no more to lend.
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

    /// It has this process's descriptor `fd`, as `number`: the same open file, or, of an epoll set, a set with the same
    /// items, whose files come along with their numbers (R33, see [`inheritance`](crate::inheritance)). `EBADF`: not open;
    /// `EBUSY`: something else is inherited as that number; `EINVAL`: a kqueue or a /dev/poll set, which do not travel.
    pub fn inherit(mut self, fd: i32, number: i32) -> Result<Command> {
        self.given.give(fd, number)?;
        Ok(self)
    }

    /// It has all this, in the place of what was [inherited](Command::inherit) so far.
    pub fn given(mut self, given: Given) -> Command {
        self.given = given;
        self
    }

    /// Starts it. `ENOENT`, `ENOEXEC`: no such file, no program; `EDQUOT`, `ENOMEM`: no room; `EPERM`: too high a priority;
    /// `E2BIG`: more than some 60 open files, or sets with more than some 250 items.
    pub fn spawn(mut self) -> Result<Child> {
        let (given, data) = self.given.finish()?;
        for (name, handle) in given {
            self.spawn.handles.push(name);
            self.handles.push(handle);
        }
        let child = rt::init::spawn_with(self.spawn, self.handles, &data)?;
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

//! Child processes that never outlive the tool.

use std::{
    io,
    os::unix::process::{CommandExt, ExitStatusExt},
    process::{self, ChildStderr, ChildStdin, ChildStdout, Command, ExitStatus},
    thread,
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, getppid, kill_process_group, set_parent_process_death_signal};

use crate::failure::{Failure, Result};

/// A process in a group of its own, which is killed when this is dropped, and when the thread that started it ends for
/// whatever reason (`PR_SET_PDEATHSIG`).
#[derive(Debug)]
pub struct Child {
    process: process::Child,
    name: String,
    ended: Option<ExitStatus>,
}

/// How a process ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Ended {
    /// With this status.
    Exited(i32),
    /// By this signal.
    Killed(i32),
    /// Not: the time was over, and it has been killed with its whole group.
    TimedOut,
}

impl Child {
    /// Starts a process.
    pub fn start(command: &mut Command) -> Result<Child> {
        let name = command.get_program().to_string_lossy().into_owned();
        command.process_group(0);
        die_with_parent(command);
        let process = command.spawn().map_err(|error| {
            let remedy = match (error.kind(), name.contains("qemu")) {
                (io::ErrorKind::NotFound, true) => "install it: apt-get install qemu-system-x86",
                (io::ErrorKind::NotFound, false) => "install it, or put it on PATH",
                _ => "check that it is a program and may be run",
            };
            Failure::new(format!("start {name}"), error, remedy)
        })?;
        Ok(Child { process, name, ended: None })
    }

    /// Its standard input, once.
    pub fn take_stdin(&mut self) -> Result<ChildStdin> {
        self.process.stdin.take().ok_or_else(|| self.no_pipe("stdin"))
    }

    /// Its standard output, once.
    pub fn take_stdout(&mut self) -> Result<ChildStdout> {
        self.process.stdout.take().ok_or_else(|| self.no_pipe("stdout"))
    }

    /// Its standard error, once.
    pub fn take_stderr(&mut self) -> Result<ChildStderr> {
        self.process.stderr.take().ok_or_else(|| self.no_pipe("stderr"))
    }

    fn no_pipe(&self, stream: &str) -> Failure {
        Failure::new(
            format!("talk to {}", self.name),
            format!("its {stream} was not piped, or is in use"),
            "pipe it when the process is started",
        )
    }

    /// Waits for its end, at most so long.
    pub fn wait(&mut self, limit: Option<Duration>) -> Result<Ended> {
        let begin = Instant::now();
        let mut pause = Duration::from_millis(1);
        loop {
            let found = match self.ended {
                Some(status) => Ok(Some(status)),
                None => self.process.try_wait(),
            };
            match found {
                Ok(Some(status)) => {
                    self.ended = Some(status);
                    return Ok(match (status.code(), status.signal()) {
                        (Some(code), _) => Ended::Exited(code),
                        (None, signal) => Ended::Killed(signal.unwrap_or_default()),
                    });
                }
                Ok(None) if limit.is_some_and(|limit| begin.elapsed() >= limit) => {
                    self.kill();
                    return Ok(Ended::TimedOut);
                }
                Ok(None) => thread::sleep(pause),
                Err(error) => {
                    return Err(Failure::new(format!("wait for {}", self.name), error, "run it again"));
                }
            }
            pause = (pause * 2).min(Duration::from_millis(20));
        }
    }

    /// Kills it and everything it started in its group. It is gone when this returns.
    pub fn kill(&mut self) {
        if self.ended.is_some() {
            return;
        }
        if let Some(group) = Pid::from_raw(self.process.id().cast_signed()) {
            // Fails only when the group is empty: then there is nothing to kill.
            let _ = kill_process_group(group, Signal::KILL);
        }
        self.ended = self.process.wait().ok();
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        self.kill();
    }
}

#[expect(unsafe_code, reason = "the only way to run code in the child before it becomes the program")]
fn die_with_parent(command: &mut Command) {
    let parent = rustix::process::getpid();
    let prepare = move || {
        set_parent_process_death_signal(Some(Signal::KILL))?;
        // The tool may have died before the line above: then nobody would send the signal.
        if getppid() == Some(parent) { Ok(()) } else { Err(io::ErrorKind::BrokenPipe.into()) }
    };
    // SAFETY: between fork and exec only async-signal-safe calls are allowed: the closure makes two direct system calls
    // and neither allocates nor locks.
    unsafe { command.pre_exec(prepare) };
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sh(script: &str) -> Child {
        Child::start(Command::new("sh").args(["-c", script])).unwrap()
    }

    #[test]
    fn tells_statuses_and_signals() {
        assert_eq!(sh("exit 7").wait(None), Ok(Ended::Exited(7)));
        assert_eq!(sh("kill -TERM $$").wait(None), Ok(Ended::Killed(15)));
    }

    #[test]
    fn a_hang_ends_at_the_limit_with_all_it_started() {
        let begin = Instant::now();
        let mut child = sh("sleep 600 & echo $!; wait");
        assert_eq!(child.wait(Some(Duration::from_millis(200))), Ok(Ended::TimedOut));
        assert!(begin.elapsed() < Duration::from_secs(300));
    }

    #[test]
    fn a_missing_program_is_named() {
        let failure = Child::start(&mut Command::new("/nonexistent/qemu")).unwrap_err().to_string();
        assert!(failure.contains("start /nonexistent/qemu"), "{failure}");
        assert!(failure.contains("apt-get install"), "{failure}");
    }
}

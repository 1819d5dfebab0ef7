//! The serial line: bytes between the guest and the host.

use std::{
    collections::VecDeque,
    io::{self, IsTerminal, Read, Write},
    os::fd::{AsFd, BorrowedFd},
    process::{ChildStderr, ChildStdin, ChildStdout},
    time::{Duration, Instant},
};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    io::{Errno, ioctl_fionbio, read},
};

use super::{
    child::Child,
    dialogue::Dialogue,
    escape::{Escape, HELP, Key},
    signals::Signals,
    terminal::Raw,
    text::end_of_input,
};
use crate::failure::{Failure, Result};

/// Input that waits for the guest; more is not read before the guest has taken some.
const PENDING: usize = 4096;

/// Where the guest's input comes from.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Input {
    /// What the dialogue has, then nothing: no end of input.
    Script(Dialogue),
    /// The tool's standard input: a terminal gives every key, a pipe or file its bytes and an end of input (Ctrl-D).
    Host,
}

/// Receives what the guest says.
pub type Output<'a> = &'a mut dyn FnMut(&[u8]) -> io::Result<()>;

/// How a run's console is connected.
pub struct Console<'a> {
    /// Input.
    pub input: Input,
    /// Output.
    pub output: Output<'a>,
    /// Longest time.
    pub limit: Option<Duration>,
    /// Signals to end by.
    pub signals: Option<&'a Signals>,
}

/// Why the console's work is over.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Stop {
    /// QEMU closed it.
    Closed,
    /// The limit is reached.
    TimedOut,
    /// Ctrl-A X.
    Quit,
    /// The tool got a signal.
    Signal(i32),
    /// The output takes no more.
    OutputClosed,
}

/// What happened on the console.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Relayed {
    /// Why it is over.
    pub stop: Stop,
    /// Whether the guest said anything.
    pub output_seen: bool,
    /// What QEMU itself said (stderr).
    pub complaints: String,
}

impl Console<'_> {
    /// Copies bytes until it is over.
    pub fn relay(self, qemu: &mut Child) -> Result<Relayed> {
        let host = std::io::stdin();
        let interactive = self.input == Input::Host && host.is_terminal();
        let _raw = if interactive { Some(Raw::enter(&host)?) } else { None };
        if interactive {
            eprintln!("xtask: {HELP}");
        }
        let (dialogue, host_open) = match self.input {
            Input::Script(dialogue) => (dialogue, false),
            Input::Host => (Dialogue::default(), true),
        };
        let stdin = qemu.take_stdin()?;
        ioctl_fionbio(&stdin, true).map_err(|error| broken("prepare QEMU's input", error))?;
        let mut relay = Relay {
            output: self.output,
            stdin: Some(stdin),
            stdout: Some(qemu.take_stdout()?),
            stderr: Some(qemu.take_stderr()?),
            pending: VecDeque::new(),
            dialogue,
            last: None,
            host: host_open.then(|| host.as_fd()),
            escape: interactive.then(Escape::default),
            output_seen: false,
            complaints: String::new(),
            show_complaints: host_open,
        };
        let deadline = self.limit.map(|limit| Instant::now() + limit);
        let stop = loop {
            if let Some(signal) = self.signals.and_then(Signals::came) {
                break Stop::Signal(signal);
            }
            if deadline.is_some_and(|deadline| Instant::now() >= deadline) {
                break Stop::TimedOut;
            }
            if let Some(stop) = relay.step(deadline, self.signals)? {
                break stop;
            }
        };
        Ok(Relayed { stop, output_seen: relay.output_seen, complaints: relay.complaints })
    }
}

struct Relay<'a> {
    output: Output<'a>,
    stdin: Option<ChildStdin>,
    stdout: Option<ChildStdout>,
    stderr: Option<ChildStderr>,
    pending: VecDeque<u8>,
    dialogue: Dialogue,
    last: Option<u8>,
    host: Option<BorrowedFd<'a>>,
    escape: Option<Escape>,
    output_seen: bool,
    complaints: String,
    show_complaints: bool,
}

/// Whose turn it is when a file descriptor is ready.
#[derive(Clone, Copy)]
enum Turn {
    GuestSays,
    QemuComplains,
    HostTypes,
    GuestHears,
    Signal,
}

impl Relay<'_> {
    fn step(&mut self, deadline: Option<Instant>, signals: Option<&Signals>) -> Result<Option<Stop>> {
        let ready = self.wait(deadline, signals)?;
        for turn in ready {
            let stop = match turn {
                Turn::GuestSays => self.guest_says()?,
                Turn::QemuComplains => self.qemu_complains(),
                Turn::HostTypes => self.host_types()?,
                Turn::GuestHears => self.guest_hears(),
                Turn::Signal => None,
            };
            if stop.is_some() {
                return Ok(stop);
            }
        }
        Ok((self.stdout.is_none() && self.stderr.is_none()).then_some(Stop::Closed))
    }

    fn wait(&self, deadline: Option<Instant>, signals: Option<&Signals>) -> Result<Vec<Turn>> {
        let mut turns = Vec::with_capacity(5);
        let mut fds = Vec::with_capacity(5);
        let mut add = |turn, fd, flags| {
            turns.push(turn);
            fds.push(PollFd::from_borrowed_fd(fd, flags));
        };
        if let Some(stdout) = &self.stdout {
            add(Turn::GuestSays, stdout.as_fd(), PollFlags::IN);
        }
        if let Some(stderr) = &self.stderr {
            add(Turn::QemuComplains, stderr.as_fd(), PollFlags::IN);
        }
        if let Some(host) = self.host
            && self.pending.len() < PENDING
        {
            add(Turn::HostTypes, host, PollFlags::IN);
        }
        // A UART drops what it holds when a kernel sets it up. Kernels set it up before they say the first word, so what
        // is typed before that waits here.
        if let Some(stdin) = &self.stdin
            && self.output_seen
            && !self.pending.is_empty()
        {
            add(Turn::GuestHears, stdin.as_fd(), PollFlags::OUT);
        }
        if let Some(signals) = signals {
            add(Turn::Signal, signals.as_fd(), PollFlags::IN);
        }
        let timeout = deadline
            .and_then(|deadline| Timespec::try_from(deadline.saturating_duration_since(Instant::now())).ok());
        match poll(&mut fds, timeout.as_ref()) {
            Ok(_) => Ok(turns
                .into_iter()
                .zip(&fds)
                .filter(|(_, fd)| !fd.revents().is_empty())
                .map(|(turn, _)| turn)
                .collect()),
            Err(Errno::INTR) => Ok(Vec::new()),
            Err(error) => Err(broken("wait for the console", error)),
        }
    }

    fn guest_says(&mut self) -> Result<Option<Stop>> {
        let mut buffer = [0; 16384];
        let Some(stdout) = &mut self.stdout else { return Ok(None) };
        match stdout.read(&mut buffer) {
            Ok(0) => self.stdout = None,
            Ok(length) => {
                self.output_seen = true;
                self.pending.extend(self.dialogue.heard(&buffer[..length]));
                match (self.output)(&buffer[..length]) {
                    Ok(()) => {}
                    Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {
                        return Ok(Some(Stop::OutputClosed));
                    }
                    Err(error) => return Err(broken("pass on what the guest says", error)),
                }
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(broken("read what the guest says", error)),
        }
        Ok(None)
    }

    fn qemu_complains(&mut self) -> Option<Stop> {
        let mut buffer = [0; 4096];
        match self.stderr.as_mut()?.read(&mut buffer) {
            Ok(length @ 1..) => {
                let text = String::from_utf8_lossy(&buffer[..length]);
                if self.show_complaints {
                    eprint!("{text}");
                }
                self.complaints.push_str(&text);
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            _ => self.stderr = None,
        }
        None
    }

    fn host_types(&mut self) -> Result<Option<Stop>> {
        let mut buffer = [0; PENDING];
        let Some(host) = self.host else { return Ok(None) };
        // Not through std's stdin: its buffer would hide bytes from `poll`.
        let typed = match read(host, &mut buffer) {
            Ok(length) => &buffer[..length],
            Err(Errno::INTR | Errno::AGAIN) => return Ok(None),
            // A terminal that is gone.
            Err(Errno::IO) => &[],
            Err(error) => return Err(broken("read the standard input", error)),
        };
        if typed.is_empty() {
            self.host = None;
            self.pending.extend(end_of_input(self.last));
            return Ok(None);
        }
        self.last = typed.last().copied();
        let Some(escape) = &mut self.escape else {
            self.pending.extend(typed);
            return Ok(None);
        };
        for &byte in typed {
            match escape.take(byte) {
                Some(Key::Guest(byte)) => self.pending.push_back(byte),
                Some(Key::Quit) => return Ok(Some(Stop::Quit)),
                Some(Key::Help) => eprintln!("xtask: {HELP}"),
                None => {}
            }
        }
        Ok(None)
    }

    fn guest_hears(&mut self) -> Option<Stop> {
        let (front, _) = self.pending.as_slices();
        match self.stdin.as_mut()?.write(front) {
            Ok(length) => {
                self.pending.drain(..length);
            }
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => {}
            // QEMU is ending: its output tells the rest.
            Err(_) => {
                self.stdin = None;
                self.pending.clear();
            }
        }
        None
    }
}

fn broken(asked: &str, found: impl std::fmt::Display) -> Failure {
    Failure::new(asked, found, "run it again; if it stays, check that nothing else closes the tool's files")
}

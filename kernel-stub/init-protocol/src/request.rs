//! What can be asked of init on [`StartHeader::init`](abi::start::StartHeader::init).
//!
//! A request is a call with label [`LABEL`] and a [`Request`] in `postcard` in the IPC buffer. The answer has the same
//! label; word 0 is 0 and the bytes are a [`Reply`], or word 0 is an errno and there are no bytes. Words 1 to 3 are 0.
//! Handles travel in the transfer slots in the order that each request states. What cannot be read is `EBADMSG`, another
//! label `EINVAL`, a name that is too long `ENAMETOOLONG` ([`limits`](crate::limits)).

use alloc::{string::String, vec::Vec};

use serde::{Deserialize, Serialize};

use crate::status::ExitStatus;

/// Label of requests and replies: "INIT".
pub const LABEL: u32 = u32::from_be_bytes(*b"INIT");

/// A request.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Request {
    /// → [`Reply::Version`].
    Version,
    /// Offer a service. Slot 0: the endpoint to call, with `WRITE`, `DUPLICATE` and `TRANSFER` (clients never get more).
    /// `EPERM` unless the caller's manifest entry provides it; `EEXIST` while it is registered; `EINVAL` when slot 0 is
    /// no such endpoint. The name is free again when the provider's process ends. → [`Reply::Done`].
    ///
    /// With `MINT` besides, the service knows who calls: the badge of each client's handle is the
    /// [`Caller`](crate::caller::Caller), and it can be neither duplicated nor passed on.
    Register {
        /// Name of the service, such as `event` or `tty`.
        name: String,
    },
    /// Get a service: → [`Reply::Done`] with its endpoint in slot 0 (`WRITE`, `DUPLICATE`, `TRANSFER`). Waits until it is
    /// registered; `ENOENT` when nobody in the manifest provides it, `ENODEV` when its provider is dead for good.
    Connect {
        /// Name of the service.
        name: String,
    },
    /// Start a program: → [`Reply::Spawned`] with its process in slot 0 (`READ`, `CONTROL`, `DUPLICATE`, `TRANSFER`).
    /// `ENOENT`: no such file; `ENOEXEC`: not a program; `EDQUOT`: beyond what the caller's manifest entry allows
    /// its children; `ENOMEM`: its quota does not hold it.
    Spawn(Spawn),
    /// Keep handles and data for the next program that the caller starts, whether or not it can be started: a
    /// [`Spawn`](Request::Spawn) alone carries few. Slot n has the handle of name n. They come before those of the spawn.
    /// → [`Reply::Done`]. `E2BIG`: more than [`START_HANDLES`](crate::limits::START_HANDLES) or
    /// [`START_DATA`](crate::limits::START_DATA); what was kept stays.
    Give {
        /// What is kept already is dropped first.
        afresh: bool,
        /// Names that the program finds the handles under.
        names: Vec<String>,
        /// More of its data.
        data: Vec<u8>,
    },
    /// End a process: → [`Reply::Done`]. The caller is an ancestor of it or an operator, else `EPERM`; `ESRCH` when it
    /// has ended or never was.
    Kill {
        /// Which.
        pid: u32,
        /// The status that it ends with.
        status: i64,
    },
    /// Wait until a process has ended: → [`Reply::Ended`]. Same rights as [`Kill`](Request::Kill). The status is kept until
    /// the parent has been told it (then `ESRCH`), or the parent has ended, or many newer ones have ended.
    Wait {
        /// Which.
        pid: u32,
    },
    /// Get a process to watch: → [`Reply::Done`] with its process in slot 0 (`READ`, `DUPLICATE`,
    /// `TRANSFER`). Same rights as [`Kill`](Request::Kill); `ESRCH` when it has ended.
    OpenProcess {
        /// Which.
        pid: u32,
    },
    /// → [`Reply::Processes`]: up to [`LISTED`](crate::limits::LISTED) with a pid above `after`, in order of pid.
    List {
        /// The last pid of the answer before, 0 at first.
        after: u32,
    },
    /// Get a file of the boot archive: → [`Reply::File`] with a memory object in slot 0 (`READ`, `DUPLICATE`,
    /// `TRANSFER`). All who open the file share it. `ENOENT`: no such file.
    OpenFile {
        /// Path as in the archive, such as `bin/tty`.
        path: String,
    },
    /// Power off: no reply. `EPERM` unless the caller is essential or an operator.
    PowerOff {
        /// Exit status of the machine.
        status: u8,
    },
    /// Be told before the machine is powered off, to write out what is buffered: → [`Reply::Done`]. Slot 0: a
    /// notification with `WRITE` and, to say which bits, a badge; it is signalled once, and power stays on until
    /// [`Drained`](Request::Drained), the process's end, or [`DRAIN_MS`](crate::limits::DRAIN_MS). Servers and drivers
    /// only, else `EPERM`; a second one takes the place of the first.
    OnPowerOff,
    /// The answer to the signal of [`OnPowerOff`](Request::OnPowerOff): → [`Reply::Done`].
    Drained,
    /// What init has done since boot: → [`Reply::Counters`].
    Counters,
    /// Wait for the end of a child, of which the caller is told once: → [`Reply::Ended`] or, for any child,
    /// [`Reply::Child`]. `ECHILD`: the caller has no such child.
    WaitChild {
        /// Which, 0 for any.
        pid: u32,
        /// Do not wait: → [`Reply::Done`] when none has ended.
        at_once: bool,
    },
    /// Be told of every birth and end: → [`Reply::Done`]. Slot 0: a notification with `WRITE` and, to say which bits, a
    /// badge; it is signalled when something can be asked for with [`Happened`](Request::Happened), and before anybody is
    /// answered who could know of it from init. What there is now is told first, as births and ends. Operators only,
    /// else `EPERM`; there is one observer, and a new one takes the place of the old one.
    Observe,
    /// → [`Reply::Happened`]: the next events, oldest first, up to [`HAPPENED`](crate::limits::HAPPENED); none when there
    /// is no more. `EPERM`: the caller is no observer (any more).
    Happened,
    /// Keep a handle for the process that is started in the caller's place when the caller has failed: slot 0, with `DUPLICATE`
    /// and `TRANSFER`. That one finds it as [`KEPT`], and so do those after it; a second one takes its place. Closed when the
    /// program is not started again. `EPERM` unless the caller is a server or driver of the manifest itself that is started
    /// again when it fails. → [`Reply::Done`].
    Keep,
    /// Be watched, so as to be ended if it hangs: → [`Reply::Done`]. Slot 0: a notification with `WRITE` and, to say which bits, a
    /// badge; when it is signalled the program is to ask [`Alive`](Request::Alive) from its loop. `EPERM` unless the caller is the
    /// program of a manifest entry with `watchdog_ms` itself.
    Watched,
    /// The loop has come round: → [`Reply::Done`]. `EPERM`: the caller is not watched.
    Alive,
    /// Let others look at what the caller does. Slot 0: a memory object of one page with `READ`, `DUPLICATE` and `TRANSFER` (who
    /// looks never gets more), kept until the caller's end. A program may have several: `E2BIG` beyond
    /// [`TRACES`](crate::limits::TRACES). What is in it is between the two. → [`Reply::Done`].
    Trace,
    /// Look at what a process does: → [`Reply::Done`] with the memory in slot 0 (`READ`, `DUPLICATE`, `TRANSFER`). Same rights as
    /// [`Kill`](Request::Kill); `ESRCH` when it has ended, `ENOENT` when it has not that many traces.
    TraceOf {
        /// Which.
        pid: u32,
        /// Which of its traces, from 0 in the order in which they came.
        index: u32,
    },
}

/// Name of the handle that was [kept](Request::Keep) for a program.
pub const KEPT: &str = "kept";

/// What an observer is told.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Event {
    /// A process was started. Its parent's birth was told before.
    Born {
        /// Its number.
        pid: u32,
        /// Who started it; 1 is init.
        parent: u32,
        /// The program of the manifest that it is or descends from: a number that all its family has.
        family: u32,
        /// It is an operator's program.
        operator: bool,
    },
    /// A process has ended. Its status is kept until [`Forgotten`](Event::Forgotten).
    Ended {
        /// Its number.
        pid: u32,
        /// How.
        status: ExitStatus,
    },
    /// An ended process is no more: its parent has been told, or nobody is there to be told.
    Forgotten {
        /// Its number.
        pid: u32,
    },
}

/// What to start.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Spawn {
    /// Name in the process table and first argument; empty for the last part of `file`.
    pub name: String,
    /// ELF file in the boot archive.
    pub file: String,
    /// Arguments after the name.
    pub args: Vec<String>,
    /// Environment.
    pub env: Vec<(String, String)>,
    /// Quota in bytes, at least [`LEAST_QUOTA`](crate::limits::LEAST_QUOTA).
    pub quota: u64,
    /// Highest priority of its threads and priority of the first: at most the caller's entry's.
    pub priority: u8,
    /// CPUs of its first thread, 0 for all.
    pub cpus: u64,
    /// Names that the program finds the handles in the transfer slots under, in their order.
    pub handles: Vec<String>,
}

/// What init answers.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Reply {
    /// It is done.
    Done,
    /// [`VERSION`](crate::VERSION) that init was built with.
    Version(u32),
    /// It runs.
    Spawned {
        /// Its number.
        pid: u32,
    },
    /// It has ended.
    Ended(ExitStatus),
    /// Some processes.
    Processes(Vec<Process>),
    /// A file.
    File {
        /// Bytes; the memory object is rounded up to whole pages, zero-filled.
        length: u64,
    },
    /// What init has done.
    Counters(Counters),
    /// A child has ended.
    Child {
        /// Which.
        pid: u32,
        /// How.
        status: ExitStatus,
    },
    /// Births and ends.
    Happened(Vec<Event>),
}

/// What init has done since boot, and has before it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Counters {
    /// Requests heard.
    pub requests: u64,
    /// Requests answered at once with an error.
    pub refused: u64,
    /// Requests answered with `EAGAIN` because their process had too many waiting.
    pub displaced: u64,
    /// Processes started.
    pub started: u64,
    /// Processes that ended.
    pub ended: u64,
    /// Of these, by a processor exception.
    pub faulted: u64,
    /// Starts that failed.
    pub unstarted: u64,
    /// Programs started again after a failure.
    pub restarted: u64,
    /// Programs ended because they hung.
    pub hung: u64,
    /// Processes in the table now, ended ones whose parent has not been told included.
    pub processes: u64,
    /// Requests that wait now.
    pub waiting: u64,
}

/// A line of the process table.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Process {
    /// Its number.
    pub pid: u32,
    /// Who started it; 1 is init.
    pub parent: u32,
    /// Its name.
    pub name: String,
    /// How it ended; [`None`] while it lives.
    pub ended: Option<ExitStatus>,
}

//! What init does to the machine.

use alloc::{string::String, vec::Vec};
use core::fmt;

use crate::watchdog::Doing;
use abi::error::{E2BIG, EIO, ENOENT, ENOEXEC, Error, Result};
use image::{
    archive::{self, Damaged},
    elf,
};
use init_protocol::{caller::Caller, manifest::Device, request::Reply, status::ExitStatus};

/// A program that is to be started.
#[derive(Clone, Copy, Debug)]
pub struct Plan<'a> {
    /// Number of its process.
    pub pid: u32,
    /// Its name and first argument.
    pub name: &'a str,
    /// Its file.
    pub file: &'a str,
    /// Arguments after the name.
    pub args: &'a [String],
    /// Environment.
    pub env: &'a [(String, String)],
    /// Quota in bytes.
    pub quota: u64,
    /// Highest priority, and that of the first thread.
    pub priority: u8,
    /// CPUs of the first thread, 0 for all; those that the machine lacks are ignored.
    pub cpus: u64,
    /// Devices that it is given.
    pub devices: &'a [Device],
    /// What it is told besides.
    pub data: &'a [u8],
    /// Bits that its end signals: what [`Init::ended`](crate::Init::ended) is called with.
    pub exit_bits: u64,
}

/// Why a program could not be started.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Failure {
    /// The archive is none.
    Archive(archive::Error),
    /// The archive has no such file.
    NoFile,
    /// The file is not what it was.
    Damaged(Damaged),
    /// The file is no program.
    NotProgram(elf::Error),
    /// Its arguments and environment are too long.
    TooBig,
    /// The kernel refused.
    Refused {
        /// What it was asked for.
        what: &'static str,
        /// Why it refused.
        error: Error,
    },
}

impl Failure {
    /// What the process that asked is told.
    pub fn errno(&self) -> Error {
        match self {
            Failure::NoFile => Error::new(ENOENT),
            Failure::Archive(_) | Failure::Damaged(_) => Error::new(EIO),
            Failure::NotProgram(_) => Error::new(ENOEXEC),
            Failure::TooBig => Error::new(E2BIG),
            Failure::Refused { error, .. } => *error,
        }
    }

    /// Whether it may go well another time.
    pub fn is_passing(&self) -> bool {
        matches!(self, Failure::Refused { .. })
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Failure::Archive(error) => error.fmt(f),
            Failure::NoFile => write!(f, "the archive has no such file"),
            Failure::Damaged(damaged) => damaged.fmt(f),
            Failure::NotProgram(error) => error.fmt(f),
            Failure::TooBig => write!(f, "its arguments and environment are too long"),
            Failure::Refused { what, error } => write!(f, "no {what}: {error}"),
        }
    }
}

/// The machine, or what stands for it in a test. Handles close when they are dropped. No call waits for a process.
pub trait System {
    /// A process that was started here, with all rights.
    type Process;
    /// A handle that came with a request or goes with a reply.
    type Handle;

    /// Nanoseconds since boot.
    fn now(&self) -> u64;
    /// Writes a line to the log.
    fn log(&mut self, line: fmt::Arguments<'_>);
    /// What a program of this file costs init, in bytes, beside its quota.
    fn cost(&mut self, file: &str) -> core::result::Result<u64, Failure>;
    /// Starts a program. A failure leaves nothing behind.
    fn spawn(
        &mut self,
        plan: &Plan<'_>,
        handles: Vec<(String, Self::Handle)>,
    ) -> core::result::Result<Self::Process, Failure>;
    /// Ends a process.
    fn kill(&mut self, process: &Self::Process, status: i64);
    /// How a process ended, [`None`] while it lives.
    fn status(&mut self, process: &Self::Process) -> Option<ExitStatus>;
    /// What the first thread of a process does at this moment.
    fn doing(&mut self, process: &Self::Process) -> Doing;
    /// A handle of a process for somebody else: to watch it, or `control` it besides.
    fn share_process(&mut self, process: &Self::Process, control: bool) -> Result<Self::Handle>;
    /// A second handle that can be given on as this one can: EPERM when it cannot.
    fn duplicate(&mut self, handle: &Self::Handle) -> Result<Self::Handle>;
    /// Whether this is an endpoint that can be called and passed on.
    fn is_service(&mut self, handle: &Self::Handle) -> bool;
    /// What a client reaches a service through that wants to know who calls: that is its badge. It is to be shared, and
    /// stays here. `None`: the service does not want to know.
    fn introduce(&mut self, service: &Self::Handle, client: Caller) -> Result<Option<Self::Handle>>;
    /// A handle of a service, or of what a client reaches it through, for a client.
    fn share_service(&mut self, service: &Self::Handle) -> Result<Self::Handle>;
    /// Whether this is a notification that can be signalled.
    fn is_signal(&mut self, handle: &Self::Handle) -> bool;
    /// Signals a notification.
    fn signal(&mut self, handle: &Self::Handle);
    /// Whether this is a page of memory that can be read and passed on.
    fn is_page(&mut self, handle: &Self::Handle) -> bool;
    /// A second handle of such memory, to be read.
    fn share_page(&mut self, handle: &Self::Handle) -> Result<Self::Handle>;
    /// A file's memory, to be read by whoever has the handle, and its length in bytes.
    fn open(&mut self, path: &str) -> Result<(Self::Handle, u64)>;
    /// Answers a request. An error means that the caller did not get this answer, and gets no other.
    fn reply(&mut self, token: u64, answer: Result<(Reply, Option<Self::Handle>)>) -> Result<()>;
    /// Powers off. Real machines do not return.
    fn power_off(&mut self, status: u8);
}

//! What init does for programs: services, processes, files, power.

use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;

use abi::Rights;
use abi::error::{EBADMSG, ENOTCONN, Error, Result};
use abi::limits::FOREVER;
use init_protocol::limits::SPAWN_HANDLES;
use init_protocol::request::{self, LABEL, Reply, Request};
use init_protocol::status::ExitStatus;

pub use init_protocol::request::{Counters, Spawn};

use crate::ipc::{Arrivals, Transfer, call_postcard};
use crate::start::start;
use crate::sync::Mutex;
use crate::sys::{AnyHandle, Endpoint, Memory, Notification, Object, Process};

/// What a provider's clients may do with its endpoint.
const CLIENT: Rights = Rights::WRITE.union(Rights::DUPLICATE).union(Rights::TRANSFER);

fn ask(request: &Request, handles: Vec<Transfer>, deadline: u64) -> Result<(Reply, Arrivals)> {
    let init = start().init().ok_or(Error::new(ENOTCONN))?;
    call_postcard(init, LABEL, request, handles, deadline)
}

/// A reply that does not answer the question.
fn nonsense<T>() -> Result<T> {
    Err(Error::new(EBADMSG))
}

/// Offers a service: calls come to `endpoint`. See [`Request::Register`].
pub fn register(name: &str, endpoint: &Endpoint) -> Result<()> {
    let request = Request::Register { name: String::from(name) };
    match ask(&request, vec![Transfer::copy_with(endpoint, CLIENT)], FOREVER)? {
        (Reply::Done, _) => Ok(()),
        _ => nonsense(),
    }
}

/// The same for a service that knows who calls: each client's calls have its pid as badge.
pub fn register_knowing_callers(name: &str, endpoint: &Endpoint) -> Result<()> {
    let request = Request::Register { name: String::from(name) };
    match ask(&request, vec![Transfer::copy_with(endpoint, CLIENT | Rights::MINT)], FOREVER)? {
        (Reply::Done, _) => Ok(()),
        _ => nonsense(),
    }
}

/// Gets a service, waiting until it is there. See [`Request::Connect`].
pub fn connect(name: &str) -> Result<Endpoint> {
    connect_until(name, FOREVER)
}

/// The same with a deadline.
pub fn connect_until(name: &str, deadline: u64) -> Result<Endpoint> {
    match ask(&Request::Connect { name: String::from(name) }, Vec::new(), deadline)? {
        (Reply::Done, mut handles) => handles.object(0),
        _ => nonsense(),
    }
}

/// A program that was started.
#[derive(Debug)]
pub struct Child {
    /// Its number.
    pub pid: u32,
    /// The process.
    pub process: Process,
}

/// What is given beforehand goes with the next program: no other thread's may come between.
static SPAWNING: Mutex<()> = Mutex::new(());
/// Bytes of data in one message.
const DATA_AT_ONCE: usize = 2048;

/// Starts a program. See [`Request::Spawn`].
pub fn spawn(program: Spawn, handles: Vec<Transfer>) -> Result<Child> {
    spawn_with(program, handles, &[])
}

/// The same with more handles than a message carries, and with [data](crate::Start::data). `E2BIG`: too much of either. See
/// [`Request::Give`].
pub fn spawn_with(mut program: Spawn, mut handles: Vec<Transfer>, data: &[u8]) -> Result<Child> {
    let _spawning = SPAWNING.lock();
    if handles.len() <= SPAWN_HANDLES && data.is_empty() {
        return start_program(program, handles);
    }
    let first = handles.len().min(program.handles.len()).saturating_sub(SPAWN_HANDLES);
    let names: Vec<String> = program.handles.drain(..first).collect();
    give(names, handles.drain(..first).collect(), data)
        .and_then(|()| start_program(program, handles))
        .inspect_err(|_| {
            // What was given is not the next program's, if init was not even asked for this one. Only a dead init can
            // object, and it starts nothing.
            let _ = ask(&Request::Give { afresh: true, names: vec![], data: vec![] }, vec![], FOREVER);
        })
}

fn give(names: Vec<String>, handles: Vec<Transfer>, data: &[u8]) -> Result<()> {
    let mut handles = handles.into_iter();
    let mut data = data.chunks(DATA_AT_ONCE);
    let mut parts = names.chunks(SPAWN_HANDLES);
    let mut afresh = true;
    loop {
        let (names, data) = (parts.next().unwrap_or_default(), data.next().unwrap_or_default());
        if names.is_empty() && data.is_empty() {
            return Ok(());
        }
        let send = handles.by_ref().take(names.len()).collect();
        let request = Request::Give { afresh, names: names.to_vec(), data: data.to_vec() };
        match ask(&request, send, FOREVER)? {
            (Reply::Done, _) => afresh = false,
            _ => return nonsense(),
        }
    }
}

fn start_program(program: Spawn, handles: Vec<Transfer>) -> Result<Child> {
    match ask(&Request::Spawn(program), handles, FOREVER)? {
        (Reply::Spawned { pid }, mut handles) => Ok(Child { pid, process: handles.object(0)? }),
        _ => nonsense(),
    }
}

/// Ends a process. See [`Request::Kill`].
pub fn kill(pid: u32, status: i64) -> Result<()> {
    match ask(&Request::Kill { pid, status }, Vec::new(), FOREVER)? {
        (Reply::Done, _) => Ok(()),
        _ => nonsense(),
    }
}

/// Waits until a process has ended. See [`Request::Wait`].
pub fn wait(pid: u32) -> Result<ExitStatus> {
    wait_until(pid, FOREVER)
}

/// The same with a deadline: `ETIMEDOUT`.
pub fn wait_until(pid: u32, deadline: u64) -> Result<ExitStatus> {
    match ask(&Request::Wait { pid }, Vec::new(), deadline)? {
        (Reply::Ended(status), _) => Ok(status),
        _ => nonsense(),
    }
}

/// Waits for the end of a child, 0 for any: its number and how it ended; with `at_once`, `None` when none has ended.
/// See [`Request::WaitChild`].
pub fn wait_child(pid: u32, at_once: bool) -> Result<Option<(u32, ExitStatus)>> {
    match ask(&Request::WaitChild { pid, at_once }, Vec::new(), FOREVER)? {
        (Reply::Ended(status), _) => Ok(Some((pid, status))),
        (Reply::Child { pid, status }, _) => Ok(Some((pid, status))),
        (Reply::Done, _) => Ok(None),
        _ => nonsense(),
    }
}

/// Is told of births and ends: `notification` is signalled when [`happened`] has something. See [`Request::Observe`].
pub fn observe(notification: Transfer) -> Result<()> {
    match ask(&Request::Observe, vec![notification], FOREVER)? {
        (Reply::Done, _) => Ok(()),
        _ => nonsense(),
    }
}

/// The next births and ends; none when there are no more. See [`Request::Happened`].
pub fn happened() -> Result<Vec<request::Event>> {
    match ask(&Request::Happened, Vec::new(), FOREVER)? {
        (Reply::Happened(events), _) => Ok(events),
        _ => nonsense(),
    }
}

/// Gets a process to watch. See [`Request::OpenProcess`].
pub fn open_process(pid: u32) -> Result<Process> {
    match ask(&Request::OpenProcess { pid }, Vec::new(), FOREVER)? {
        (Reply::Done, mut handles) => handles.object(0),
        _ => nonsense(),
    }
}

/// Some lines of the process table. See [`Request::List`].
pub fn list(after: u32) -> Result<Vec<request::Process>> {
    match ask(&Request::List { after }, Vec::new(), FOREVER)? {
        (Reply::Processes(processes), _) => Ok(processes),
        _ => nonsense(),
    }
}

/// Gets a file of the boot archive: its memory and its length in bytes. See [`Request::OpenFile`].
pub fn open_file(path: &str) -> Result<(Memory, u64)> {
    match ask(&Request::OpenFile { path: String::from(path) }, Vec::new(), FOREVER)? {
        (Reply::File { length }, mut handles) => Ok((handles.object(0)?, length)),
        _ => nonsense(),
    }
}

/// Powers the machine off. Returns only when that is refused.
pub fn power_off(status: u8) -> Error {
    match ask(&Request::PowerOff { status }, Vec::new(), FOREVER) {
        Ok(_) => Error::new(EBADMSG),
        Err(error) => error,
    }
}

/// Has `notification` signalled before the machine is powered off: power stays on for a while, until [`drained`]. See
/// [`Request::OnPowerOff`].
pub fn on_power_off(notification: Notification) -> Result<()> {
    let handles = vec![Transfer::Move(AnyHandle::from_handle(notification.into_handle()), Rights::WRITE)];
    match ask(&Request::OnPowerOff, handles, FOREVER)? {
        (Reply::Done, _) => Ok(()),
        _ => nonsense(),
    }
}

/// Says that what was buffered is written out. See [`Request::Drained`].
pub fn drained() -> Result<()> {
    match ask(&Request::Drained, Vec::new(), FOREVER)? {
        (Reply::Done, _) => Ok(()),
        _ => nonsense(),
    }
}

/// Keeps a handle for the process that is started in this one's place when it fails: see [`Request::Keep`].
pub fn keep(handle: impl Object) -> Result<()> {
    match ask(&Request::Keep, vec![Transfer::moved(handle)], FOREVER)? {
        (Reply::Done, _) => Ok(()),
        _ => nonsense(),
    }
}

/// Is watched, where the manifest says so: `EPERM` where it does not. See [`Request::Watched`].
pub fn watched(bell: Notification) -> Result<()> {
    let handles = vec![Transfer::Move(AnyHandle::from_handle(bell.into_handle()), Rights::WRITE)];
    match ask(&Request::Watched, handles, FOREVER)? {
        (Reply::Done, _) => Ok(()),
        _ => nonsense(),
    }
}

/// Says that the loop has come round. See [`Request::Alive`].
pub fn alive() -> Result<()> {
    match ask(&Request::Alive, Vec::new(), FOREVER)? {
        (Reply::Done, _) => Ok(()),
        _ => nonsense(),
    }
}

/// Lets others look at what this program does: a page of memory. See [`Request::Trace`].
pub fn trace(memory: &Memory) -> Result<()> {
    let readable = Rights::READ | Rights::DUPLICATE | Rights::TRANSFER;
    match ask(&Request::Trace, vec![Transfer::copy_with(memory, readable)], FOREVER)? {
        (Reply::Done, _) => Ok(()),
        _ => nonsense(),
    }
}

/// What a process lets others look at. See [`Request::TraceOf`].
pub fn trace_of(pid: u32, index: u32) -> Result<Memory> {
    match ask(&Request::TraceOf { pid, index }, Vec::new(), FOREVER)? {
        (Reply::Done, mut handles) => handles.object(0),
        _ => nonsense(),
    }
}

/// What init has done since boot. See [`Request::Counters`].
pub fn counters() -> Result<Counters> {
    match ask(&Request::Counters, Vec::new(), FOREVER)? {
        (Reply::Counters(counters), _) => Ok(counters),
        _ => nonsense(),
    }
}

/// Version of the protocol that init has.
pub fn version() -> Result<u32> {
    match ask(&Request::Version, Vec::new(), FOREVER)? {
        (Reply::Version(version), _) => Ok(version),
        _ => nonsense(),
    }
}

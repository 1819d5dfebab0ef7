//! The parent: makes the listeners, starts the workers, and starts those again that died. It serves nobody itself.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::sync::atomic::Ordering::Relaxed;
use core::time::Duration;

use libkq::event::note;
use libkq::flag::O_RDWR;
use libkq::process::SocketType;
use libkq::process_calls::{Child, Command, WaitFlags, getppid, waitpid};
use libkq::signal::{Action, SIGINT, SIGKILL, SIGTERM, sigaction};
use libkq::{Descriptor, Filter, KEvent, Queue, Result, process};
use rt::abi::error::ESRCH;
use rt::clock;
use rt::ipc::Transfer;
use rt::sys::Memory;

use crate::board::{self, Board};
use crate::options::Options;
use crate::site;
use crate::worker::{LIFE, LISTENERS};

/// As many as the network has room for.
const BACKLOG: i32 = 64;
/// Bytes that a worker may have.
pub const QUOTA: u64 = 8 << 20;
/// A worker that lived for less is started again after a pause, so that one that cannot work costs little.
const SHORT_LIFE: u64 = 1_000_000_000;
const PAUSE: Duration = Duration::from_millis(500);
/// The pid of init.
const INIT: i32 = 1;

struct Parent<'a> {
    options: &'a Options,
    arguments: &'a [String],
    listeners: Vec<Descriptor>,
    /// The workers have its other end, and see by its end that the parent has gone.
    life: (Descriptor, Descriptor),
    board: Board,
    memory: Memory,
    queue: Queue,
    workers: Vec<Option<Worker>>,
}

struct Worker {
    child: Child,
    since: u64,
}

/// Serves until SIGINT or SIGTERM comes, or Ctrl-C or Ctrl-D from the terminal if init started this.
pub fn run(options: &Options, arguments: &[String]) -> Result<()> {
    site::furnish(&options.root)?;
    let listeners = options.listen.iter().map(|address| listener(address)).collect::<Result<_>>()?;
    let (board, memory) = Board::new()?;
    let queue = Queue::new()?;
    let workers = (0..options.workers).map(|_| None).collect();
    let mut parent =
        Parent { options, arguments, listeners, life: Descriptor::pipe()?, board, memory, queue, workers };
    let ended = parent.serve();
    parent.end();
    ended
}

fn listener(address: &str) -> Result<Descriptor> {
    let is_path = address.starts_with('/');
    let kind = SocketType::Stream;
    let listener = if is_path { Descriptor::socket(kind)? } else { Descriptor::inet_socket(kind)? };
    if is_path {
        // What a server that died left there.
        let _ = process().unlink(address);
    }
    process().bind(listener.number(), address)?;
    process().listen(listener.number(), BACKLOG)?;
    Ok(listener)
}

impl Parent<'_> {
    fn serve(&mut self) -> Result<()> {
        for signal in [SIGINT, SIGTERM] {
            // The queue is told all the same.
            sigaction(signal.into(), Some(Action::ignore()))?;
            self.queue.apply(&[KEvent::new(signal.into(), Filter::SIGNAL).add()])?;
        }
        let terminal = if getppid()? == INIT { Descriptor::open("/dev/tty", O_RDWR).ok() } else { None };
        if let Some(terminal) = &terminal {
            self.queue.apply(&[KEvent::read(terminal.number()).add()])?;
        }
        for place in 0..self.workers.len() {
            self.start(place)?;
        }
        let (threads, listen) = (self.options.threads, self.options.listen.join(", "));
        let each = if threads > 1 { format!(" of {threads} threads each") } else { String::new() };
        rt::log!("httpd: {} workers{each} on {listen}", self.workers.len());
        let (mut events, mut line) = ([KEvent::default(); 8], [0; 64]);
        loop {
            for event in self.queue.wait(&mut events, None)? {
                match event.filter {
                    Filter::PROC => self.died(event.ident as i32)?,
                    Filter::TIMER => self.start(event.ident)?,
                    Filter::SIGNAL => return Ok(()),
                    _ => match terminal.as_ref().map(|terminal| terminal.read(&mut line)) {
                        Some(Ok(count @ 1..)) => self.told(&line[..count]),
                        _ => return Ok(()),
                    },
                }
            }
        }
    }

    /// A line of the terminal: `kill N` ends worker process N, as a crash would.
    fn told(&self, line: &[u8]) {
        let mut words = core::str::from_utf8(line).unwrap_or_default().split_whitespace();
        let number = match (words.next(), words.next(), words.next()) {
            (Some("kill"), Some(number), None) => number.parse().ok(),
            _ => None,
        };
        let worker = number.and_then(|number: usize| self.workers.get(number)?.as_ref());
        let killed = worker.map(|worker| worker.child.kill(SIGKILL.into()));
        match killed {
            Some(Ok(())) => {}
            Some(Err(error)) => rt::log!("httpd: {error}"),
            None => {
                rt::log!("httpd: type `kill N` to end worker process N (0 to {})", self.workers.len() - 1)
            }
        }
    }

    fn start(&mut self, place: usize) -> Result<()> {
        let mut command = Command::new(&format!("bin/{}", env!("CARGO_PKG_NAME")))
            .name(&format!("httpd-{place}"))
            .quota(QUOTA)
            .handle(board::HANDLE, Transfer::copy(&self.memory))
            .inherit(self.life.0.number(), LIFE)?;
        for argument in self.arguments {
            command = command.argument(argument);
        }
        command = command.argument("--place").argument(place);
        for (listener, number) in self.listeners.iter().zip(LISTENERS..) {
            command = command.inherit(listener.number(), number)?;
        }
        let child = command.spawn()?;
        // One that has died already is told as well.
        let watch = KEvent::process(child.pid(), note::EXIT).add().oneshot();
        let pid = child.pid();
        self.workers[place] = Some(Worker { child, since: clock::now_ns() });
        match self.queue.apply(&[watch]) {
            Err(error) if error.errno == ESRCH => self.died(pid),
            applied => applied,
        }
    }

    fn died(&mut self, pid: i32) -> Result<()> {
        let status = waitpid(pid, WaitFlags::empty())?;
        let is_it = |worker: &Option<Worker>| worker.as_ref().is_some_and(|worker| worker.child.pid() == pid);
        let Some(place) = self.workers.iter().position(is_it) else { return Ok(()) };
        let worker = self.workers[place].take();
        let threads = self.options.threads;
        for place in &self.board.places()[place * threads..][..threads] {
            place.pid.store(0, Relaxed);
        }
        rt::log!("httpd: worker {place} (pid {pid}) ended with {status:?}");
        let lived = worker.map_or(0, |worker| clock::now_ns() - worker.since);
        if lived < SHORT_LIFE {
            return self.queue.apply(&[KEvent::timer(place).after(PAUSE)]);
        }
        self.start(place)
    }

    /// Nobody hears of this end in any other way: with it, the pipe ends.
    fn end(self) {
        drop(self.life);
        for worker in self.workers.into_iter().flatten() {
            // Whatever it ended with: it is gone.
            let _ = worker.child.wait();
        }
        for path in self.options.listen.iter().filter(|address| address.starts_with('/')) {
            let _ = process().unlink(path);
        }
    }
}

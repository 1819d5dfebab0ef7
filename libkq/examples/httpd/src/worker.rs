//! A worker: its threads wait, accept and serve.

use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::Ordering::Relaxed;
use core::time::Duration;

use libkq::flag::O_NONBLOCK;
use libkq::{Descriptor, Error, Result, process, process_calls};
use rt::abi::error::{EAGAIN, ECONNABORTED, EEXIST, EINVAL};
use rt::sync::Mutex;
use rt::sys::Memory;
use rt::{clock, thread};

use crate::board::{self, Board, Place, add};
use crate::connection::{Answer, Body, COST, Connection, Step};
use crate::counters;
use crate::door::Door;
use crate::options::Options;
use crate::parent::QUOTA;
use crate::poller::{Poller, Want};
use crate::request::Request;
use crate::response::{Status, media_type};
use crate::site::{Document, Site};

/// The descriptor that ends when the parent does.
pub const LIFE: i32 = 3;
/// The first listener; the others follow.
pub const LISTENERS: i32 = 4;

/// A connection on which nothing happened for so long is closed.
const IDLE: u64 = 60_000_000_000;
/// How often that is looked for.
const SWEEP: Duration = Duration::from_secs(10);
/// A connection is left alone for so long after something happened: another thread may not be through with it.
const SETTLED: u64 = 5_000_000_000;
/// Connections that a worker has at once, so that a quarter of its memory is left for all else whatever they do. More wait in the
/// listener, or go to another worker.
pub const CONNECTIONS: usize = QUOTA as usize / 4 * 3 / COST;
/// Events that one thread takes at once.
const BATCH: usize = 16;
const STACK: usize = 128 << 10;

/// A queue and the connections that are waited for in it.
#[derive(Debug)]
struct Desk {
    poller: Poller,
    /// Several threads wait in it: then each connection is told to one of them, which takes it out of the table meanwhile.
    is_shared: bool,
    options: Options,
    connections: Mutex<BTreeMap<i32, Connection>>,
    site: Mutex<Site>,
    board: Arc<Board>,
    /// Locked while listeners are added or taken away. Never while `connections` is.
    door: Mutex<Door>,
}

/// Works at this place of the board and, with more threads, at those behind it.
pub fn run(options: &Options, worker: usize) -> Result<()> {
    let memory: Memory = rt::start::start().object(board::HANDLE).ok_or(Error::new(EINVAL))?;
    let board = Arc::new(Board::of(&memory)?);
    for listener in options.listeners() {
        process().set_nonblocking(listener, true)?;
    }
    let is_shared = options.threads > 1 && !options.queue_each;
    let mut desks = Vec::new();
    for _ in 0..if is_shared { 1 } else { options.threads } {
        desks.push(Arc::new(Desk::new(options, is_shared, board.clone())?));
    }
    let first = worker * options.threads;
    let mut threads = Vec::new();
    for index in 1..options.threads {
        let desk = desks[index % desks.len()].clone();
        threads.push(thread::Builder::new().stack(STACK).spawn(move || desk.serve(first + index))?);
    }
    desks[0].serve(first)
}

impl Options {
    /// Numbers of the listeners, in a worker.
    fn listeners(&self) -> impl Iterator<Item = i32> + use<> {
        LISTENERS..LISTENERS + self.listen.len() as i32
    }
}

impl Desk {
    fn new(options: &Options, is_shared: bool, board: Arc<Board>) -> Result<Desk> {
        let poller = Poller::new(options.epoll)?;
        poller.add(LIFE, Want::Read, false)?;
        for listener in options.listeners() {
            poller.add_listener(listener, options.wake)?;
        }
        let mut site = Site::new(&options.root)?;
        // Most ask for it first, and would wait for the file system; if there is none, they are told.
        let _ = site.find("/");
        let most = if is_shared { CONNECTIONS } else { CONNECTIONS / options.threads };
        Ok(Desk {
            poller,
            is_shared,
            options: options.clone(),
            connections: Mutex::new(BTreeMap::new()),
            site: Mutex::new(site),
            board,
            door: Mutex::new(Door::new(most.max(1))),
        })
    }

    /// Waits and serves until the parent has gone.
    fn serve(&self, index: usize) -> Result<()> {
        let place = &self.board.places()[index];
        place.pid.store(process_calls::getpid() as u64, Relaxed);
        add(&place.started, 1);
        // Who shares a queue leaves to the others what they can do.
        let most = if self.is_shared { 1 } else { BATCH };
        let (mut ready, mut swept) = (Vec::new(), clock::now_ns());
        loop {
            // First a look, which is not a sleep: so wake-ups can be told from looks.
            self.poller.wait(&mut ready, most, Some(Duration::ZERO))?;
            let slept = ready.is_empty();
            if slept {
                self.poller.wait(&mut ready, most, Some(SWEEP))?;
                add(&place.wakes, u64::from(!ready.is_empty()));
            }
            for &fd in &ready {
                match fd {
                    LIFE => process_calls::exit(0),
                    fd if self.options.listeners().any(|listener| listener == fd) => {
                        self.accept(fd, slept, place);
                    }
                    fd => self.go_on(fd, place),
                }
            }
            if clock::now_ns().saturating_sub(swept) > SWEEP.as_nanos() as u64 {
                swept = clock::now_ns();
                self.sweep(swept);
            }
        }
    }

    /// Accepts one connection. If there are more, that is told, to whoever looks first.
    fn accept(&self, listener: i32, slept: bool, place: &Place) {
        add(&place.calls, u64::from(slept));
        {
            let mut door = self.door.lock();
            if !door.enter() {
                // Another thread took the last place after this one was told.
                return self.stop_listening(&mut door);
            }
        }
        match process().accept(listener, O_NONBLOCK as u64) {
            Ok(fd) => {
                add(&place.accepted, 1);
                let patience = self.options.patience.saturating_mul(1_000_000_000);
                // In the table before anybody can be told of it.
                self.connections.lock().insert(fd, Connection::new(Descriptor::from_number(fd), patience));
                if self.poller.add(fd, Want::Read, self.is_shared).is_err() {
                    add(&place.failed, 1);
                    self.connections.lock().remove(&fd);
                    self.left(1);
                }
                let mut door = self.door.lock();
                if !door.has_room() {
                    self.stop_listening(&mut door);
                }
                return;
            }
            Err(error) if error.errno == EAGAIN => {
                add(if slept { &place.empty } else { &place.lost }, 1);
            }
            // The client has gone before it was accepted.
            Err(error) if error.errno == ECONNABORTED => add(&place.failed, 1),
            // No number, no memory, no quota: when a connection ends there may be room again.
            Err(_) => {
                add(&place.failed, 1);
                let mut door = self.door.lock();
                door.leave(1);
                return self.stop_listening(&mut door);
            }
        }
        self.left(1);
    }

    /// Goes on with a connection.
    fn go_on(&self, fd: i32, place: &Place) {
        let Some(mut connection) = self.connections.lock().remove(&fd) else { return };
        let was = connection.want;
        match connection.advance(place, |request| self.answer(request)) {
            Step::Wait(want) => {
                connection.want = want;
                self.connections.lock().insert(fd, connection);
                // One that cannot be waited for is closed.
                if self.poller.again(fd, was, want, self.is_shared).is_err()
                    && self.connections.lock().remove(&fd).is_some()
                {
                    self.left(1);
                }
            }
            Step::Done => {
                drop(connection);
                self.left(1);
            }
        }
    }

    fn answer(&self, request: &Request) -> Answer {
        match request.path.as_str() {
            counters::TEXT => {
                Answer::page(Status::Ok, "text/plain; charset=utf-8", counters::text(self.board.places()))
            }
            counters::PAGE => {
                Answer::page(Status::Ok, "text/html; charset=utf-8", counters::page(self.board.places()))
            }
            path => match self.site.lock().find(path) {
                Ok(document) => {
                    let name = if path.ends_with('/') { "index.html" } else { path };
                    let body = match document {
                        Document::Kept(bytes) => Body::Kept(bytes),
                        Document::File(file, length) => Body::File(file, length),
                    };
                    Answer { status: Status::Ok, kind: media_type(name), body }
                }
                Err(status) => Answer::error(status),
            },
        }
    }

    /// Closes connections on which nothing happened, or whose requests take too long.
    fn sweep(&self, now: u64) {
        let mut connections = self.connections.lock();
        let before = connections.len();
        connections.retain(|_, connection| match now.saturating_sub(connection.last) {
            ..SETTLED => true,
            quiet => quiet < IDLE && !connection.is_late(now),
        });
        let closed = before - connections.len();
        drop(connections);
        self.left(closed);
    }

    fn stop_listening(&self, door: &mut Door) {
        for listener in self.options.listeners() {
            // One that is not there is no harm, and one that stays tells of the next connection, and is taken away again.
            let _ = self.poller.remove_listener(listener);
        }
        door.is_shut = true;
    }

    /// So many connections have ended: if nobody listens here, there may be room now.
    fn left(&self, connections: usize) {
        let mut door = self.door.lock();
        door.leave(connections);
        if !door.is_shut || !door.has_room() {
            return;
        }
        let wake = self.options.wake;
        // If there is no room for one of the notes, that is tried again later.
        door.is_shut =
            !self.options.listeners().all(|listener| match self.poller.add_listener(listener, wake) {
                Err(error) => error.errno == EEXIST,
                Ok(()) => true,
            });
    }
}

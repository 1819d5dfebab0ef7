//! All sockets, and what has to be told of each act.

mod connect;
mod end;
mod options;
mod shares;
mod transfer;

use crate::port::Card;
use crate::ports::Ports;
use crate::socket::{Kind, Options, Role, Socket, is_made};
use crate::stack::{Handle, PATIENCE, Stack};
use abi::error::{EBADF, ECONNREFUSED, ECONNRESET, ETIMEDOUT, Error, Result};
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;
use core::mem;
use core::net::SocketAddrV4;
use driver_sdk::sockets::{Change, LowWater, Ready};
use end::Lingering;
use shares::Shares;
use smoltcp::socket::tcp::State;
use smoltcp::time::Duration;

pub use driver_sdk::sockets::Id;
pub use shares::{MOST, MOST_OF_CLIENT};
pub use transfer::{Received, Undo};

/// Bytes of each buffer of a socket, unless it is told otherwise.
pub const BUFFER: usize = 32 * 1024;
/// The smallest and largest that it can be told to have.
pub const BUFFERS: core::ops::RangeInclusive<usize> = 4096..=BUFFER;
/// Space at which a socket is writable.
pub const SEND_LOW: u32 = 2048;
/// Connections to one listener that wait to be accepted, at most.
pub const MAX_BACKLOG: usize = 64;
/// Who begins a connection and does not go on takes a place of the backlog for so long.
const HANDSHAKE: Duration = Duration::from_secs(5);
/// Frames that are looked at before others have their turn.
const FRAMES: usize = 128;

/// Sockets, and the stack that they use.
pub struct Sockets<C> {
    stack: Stack<C>,
    sockets: BTreeMap<Id, Socket>,
    next: Id,
    ports: Ports,
    shares: Shares,
    lingering: Lingering,
    changes: Vec<Change>,
    /// Sockets to which something was done or has happened since they were looked at.
    touched: Vec<Id>,
    /// Listeners that may want another socket of the stack.
    unfilled: Vec<Id>,
    /// Listeners whose client can have none.
    starved: BTreeSet<(u64, Id)>,
    /// A socket of the stack can be had again.
    freed: Vec<u64>,
    /// There are frames that were not looked at yet.
    more: bool,
    deadline: u64,
    noticed: u64,
    pub(crate) interrupts: u64,
}

impl<C: Card> Sockets<C> {
    /// None, over a stack.
    pub fn new(stack: Stack<C>) -> Sockets<C> {
        Sockets {
            stack,
            sockets: BTreeMap::new(),
            next: 1,
            ports: Ports::default(),
            shares: Shares::default(),
            lingering: Lingering::default(),
            changes: Vec::new(),
            touched: Vec::new(),
            unfilled: Vec::new(),
            starved: BTreeSet::new(),
            freed: Vec::new(),
            more: false,
            deadline: 0,
            noticed: 0,
            interrupts: 0,
        }
    }

    /// The stack.
    pub fn stack(&self) -> &Stack<C> {
        &self.stack
    }

    /// The same.
    pub fn stack_mut(&mut self) -> &mut Stack<C> {
        &mut self.stack
    }

    /// A new socket of a client.
    pub fn create(&mut self, kind: Kind, client: u64) -> Id {
        let options = Options {
            receive_buffer: BUFFER,
            send_buffer: BUFFER,
            low_water: LowWater { receive: 1, send: SEND_LOW },
            no_delay: false,
            keep_alive: false,
            reuse_port: false,
        };
        self.insert(Socket::new(kind, client, Role::Idle, options))
    }

    fn insert(&mut self, socket: Socket) -> Id {
        let id = self.next;
        self.next += 1;
        self.sockets.insert(id, socket);
        self.touched.push(id);
        id
    }

    /// A socket. EBADF.
    pub fn get(&self, id: Id) -> Result<&Socket> {
        self.sockets.get(&id).ok_or(Error::new(EBADF))
    }

    /// The same, to do something to it.
    fn get_mut(&mut self, id: Id) -> Result<&mut Socket> {
        self.touched.push(id);
        self.sockets.get_mut(&id).ok_or(Error::new(EBADF))
    }

    /// How ready a socket is now, for reading and for writing.
    pub fn ready(&self, id: Id) -> Result<[Ready; 2]> {
        let socket = self.get(id)?;
        Ok([socket.readable(&self.stack), socket.writable(&self.stack)])
    }

    /// Sockets, those of the stack, and of these those that nobody has any more.
    pub fn load(&self) -> (usize, usize, usize) {
        (self.sockets.len(), self.shares.all(), self.lingering.len())
    }

    /// How often a socket was looked at, here and in the stack.
    pub fn looks(&self) -> [u64; 2] {
        [self.noticed, self.stack.polls()]
    }

    /// When [`Sockets::run`] is to be called next, monotonic ns.
    pub fn deadline(&self) -> u64 {
        if self.more { 0 } else { self.deadline }
    }

    /// Whether there are frames that were not looked at yet.
    pub fn has_more(&self) -> bool {
        self.more
    }

    /// What has to be told since the last call.
    pub fn take_changes(&mut self) -> Vec<Change> {
        mem::take(&mut self.changes)
    }

    /// A socket's address is this one from now on.
    fn set_bound(&mut self, id: Id, bound: Option<SocketAddrV4>) -> Result<()> {
        let socket = self.get_mut(id)?;
        let (kind, shares) = (socket.kind, socket.options.reuse_port);
        let before = mem::replace(&mut socket.bound, bound);
        if let Some(before) = before {
            self.ports.give_back(kind, before, id);
        }
        if let Some(bound) = bound {
            self.ports.take(kind, bound, id, shares);
        }
        Ok(())
    }

    /// The stack goes on: frames come in and go out.
    pub fn run(&mut self) {
        let mut left = FRAMES;
        loop {
            let mut any = false;
            while left > 0 && self.stack.hear() {
                self.reopen();
                // Who took a connection has another socket wait for the next before that comes.
                if let Some(handle) = self.stack.take_in()
                    && let Some(owner) = self.stack.owner(handle)
                {
                    self.unfilled.push(owner);
                    self.refill();
                }
                any = true;
                left -= 1;
            }
            any |= self.stack.send_out();
            // What this machine sent itself is heard.
            any |= self.stack.port().has_turned() && self.stack.port().card.has_room();
            if !any || left == 0 {
                break;
            }
        }
        self.stack.port_mut().card.flush();
        self.notice();
        self.look_after_lingering();
        self.refill();
        self.more = left == 0;
        self.deadline = self.stack.deadline().min(self.lingering_deadline());
    }

    /// Every listener that has room has one socket that waits for the next connection; the others are full.
    fn refill(&mut self) {
        // For each place that is free again one of those of its client is tried that got none, and one of others that may have it now.
        for client in mem::take(&mut self.freed) {
            let own = self.starved.range((client, Id::MIN)..=(client, Id::MAX)).next().copied();
            for starved in own.into_iter().chain(self.starved_with_room()) {
                if self.starved.remove(&starved) {
                    self.unfilled.push(starved.1);
                }
            }
        }
        while let Some(id) = self.unfilled.pop() {
            let listens = |socket: &&Socket| matches!(socket.role, Role::Listening { .. });
            let Some(bound) = self.sockets.get(&id).filter(listens).and_then(|socket| socket.bound) else {
                continue;
            };
            let has_room = self.refill_one(id);
            self.stack.set_full(id, bound, !has_room);
            if let Some(Socket { role: Role::Listening { waiting, .. }, .. }) = self.sockets.get(&id)
                && let Some(&last) = waiting.last()
                && self.stack.tcp(last).state() == State::Listen
            {
                self.stack.set_waiting(last, has_room);
            }
        }
    }

    /// The first listener without a socket whose client may have one: as many steps as there are such clients.
    fn starved_with_room(&self) -> Option<(u64, Id)> {
        let mut from = 0;
        while let Some(&(client, id)) = self.starved.range((from, Id::MIN)..).next() {
            if self.shares.has_room(client) {
                return Some((client, id));
            }
            from = client.checked_add(1)?;
        }
        None
    }

    /// Whether the listener can take a connection.
    fn refill_one(&mut self, id: Id) -> bool {
        let Some(socket) = self.sockets.get_mut(&id) else { return false };
        let (client, options, bound, shut) = (socket.client, socket.options, socket.bound, socket.read_shut);
        let Role::Listening { waiting, most } = &mut socket.role else { return false };
        let (stack, shares, most) = (&mut self.stack, &mut self.shares, *most);
        let freed = &mut self.freed;
        // Those that came to nothing go; of several that wait for the next connection one stays.
        let mut listens = false;
        waiting.retain(|&handle| {
            let keep = match stack.tcp(handle).state() {
                State::Listen => !mem::replace(&mut listens, true),
                State::Closed => false,
                State::SynReceived => true,
                _ => {
                    if stack.tcp(handle).timeout().is_some() {
                        stack.tcp_mut(handle).set_timeout(None);
                    }
                    true
                }
            };
            if !keep {
                stack.remove(handle);
                shares.give_back(client);
                freed.push(client);
                self.touched.push(id);
            }
            keep
        });
        if listens {
            // Behind those that are made: it is the last to be accepted.
            let at = waiting.iter().position(|&handle| stack.tcp(handle).state() == State::Listen);
            if let Some(at) = at {
                let handle = waiting.remove(at);
                waiting.push(handle);
            }
            return waiting.len() <= most;
        }
        let Some(bound) = bound.filter(|_| !shut && waiting.len() < most) else { return false };
        let Ok(handle) = self.acquire(client, options, false) else {
            self.starved.insert((client, id));
            return false;
        };
        if self.stack.listen(handle, bound).is_err() {
            self.release(client, handle);
            return false;
        }
        self.stack.set_owner(handle, Some(id));
        self.stack.tcp_mut(handle).set_timeout(Some(HANDSHAKE));
        if let Some(Socket { role: Role::Listening { waiting, .. }, .. }) = self.sockets.get_mut(&id) {
            waiting.push(handle);
        }
        true
    }

    /// A socket of the stack for a client. ENOBUFS.
    /// `force`: an ended connection that still sends gives way, too.
    fn acquire(&mut self, client: u64, options: Options, force: bool) -> Result<Handle> {
        if !self.shares.has_room(client) {
            self.evict(client, force);
        }
        self.shares.take(client)?;
        match self.stack.add_tcp(options.receive_buffer, options.send_buffer) {
            Ok(handle) => {
                options::apply(self.stack.tcp_mut(handle), options);
                Ok(handle)
            }
            Err(error) => {
                self.shares.give_back(client);
                Err(error)
            }
        }
    }

    fn release(&mut self, client: u64, handle: Handle) {
        self.stack.remove(handle);
        self.shares.give_back(client);
        self.freed.push(client);
    }

    /// Finds what has become of the sockets to which something was done or has happened, and what is to be told of it.
    pub fn notice(&mut self) {
        while let Some(handle) = self.stack.next_changed() {
            match self.stack.owner(handle) {
                Some(owner) => self.touched.push(owner),
                None => self.lingering.note(handle),
            }
        }
        self.unfilled.extend_from_slice(&self.touched);
        self.refill();
        let mut touched = mem::take(&mut self.touched);
        touched.sort_unstable();
        touched.dedup();
        self.noticed += touched.len() as u64;
        for id in touched {
            self.follow(id);
            self.show(id);
        }
    }

    /// What the stack did to a socket.
    fn follow(&mut self, id: Id) {
        let now = self.stack.now();
        let Some(socket) = self.sockets.get_mut(&id) else { return };
        let client = socket.client;
        match &mut socket.role {
            Role::Connecting { handle, since } => {
                let (handle, since) = (*handle, *since);
                let state = self.stack.tcp(handle).state();
                if state == State::Closed {
                    socket.error = if now >= since + PATIENCE { ETIMEDOUT } else { ECONNREFUSED };
                    socket.role = Role::Failed;
                    self.release(client, handle);
                } else if is_made(state) {
                    socket.role = Role::Connected { handle, state };
                    self.follow(id);
                }
            }
            Role::Connected { handle, state } => {
                let tcp = self.stack.tcp(*handle);
                // Only who has something to say, or wants to know, notices that nobody answers. An idle connection lives: the
                // stack counts from what was heard last, however long ago, unless there are bytes to send. So for what is
                // asked otherwise, or the end of what is sent, it begins to count when there could have been an answer.
                let is = tcp.state();
                let ends = matches!(is, State::FinWait1 | State::Closing | State::LastAck);
                let patience = if tcp.send_queue() > 0 {
                    socket.asks_since = None;
                    Some(PATIENCE)
                } else if socket.options.keep_alive || ends {
                    let since = *socket.asks_since.get_or_insert(now);
                    (now >= since + PATIENCE).then_some(PATIENCE)
                } else {
                    socket.asks_since = None;
                    None
                };
                if tcp.timeout() != patience {
                    self.stack.tcp_mut(*handle).set_timeout(patience);
                }
                let was = mem::replace(state, is);
                let was_ending =
                    matches!(was, State::LastAck | State::TimeWait | State::Closing | State::Closed);
                if is == State::Closed && !was_ending {
                    socket.error = ECONNRESET;
                }
            }
            Role::Datagrams { handle, peer } => {
                let (handle, peer) = (*handle, *peer);
                if self.stack.udp(handle).can_recv() {
                    transfer::collect(self.stack.udp_mut(handle), socket, peer);
                }
            }
            Role::Idle | Role::Listening { .. } | Role::Failed => {}
        }
    }

    /// What is to be told of a socket, if it is not what was told before.
    fn show(&mut self, id: Id) {
        let Ok(ready) = self.ready(id) else { return };
        let Some(socket) = self.sockets.get_mut(&id) else { return };
        let before = mem::replace(&mut socket.shown, ready);
        if ready != before {
            let news = [ready[0].is_news(&before[0]), ready[1].is_news(&before[1])];
            self.changes.push(Change { socket: id, ready: ready.map(Some), news });
        }
    }
}

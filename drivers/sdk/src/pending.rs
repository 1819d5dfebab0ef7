//! Requests that wait.

use crate::files::FileId;
use crate::limits::{PENDING, PENDING_PER_CLIENT, PENDING_PER_FILE};
use crate::message::Receiving;
use crate::parcels::Parcel;
use alloc::collections::VecDeque;
use alloc::string::String;
use alloc::vec::Vec;
use event_protocol::cell::Direction;
use event_protocol::descriptor::message::MessageFlags;
use event_protocol::descriptor::{Control, Open};

/// A request that waits.
#[derive(Debug)]
pub struct Waiting<H> {
    /// Who waits for the reply.
    pub token: u64,
    /// The process that asked, where that is known.
    pub caller: u32,
    /// Whose quota it counts against.
    pub client: u64,
    /// On which file.
    pub file: FileId,
    /// Beside which file it is opened.
    pub beside: Option<FileId>,
    /// In which queue: [`Driver::queue_of`](crate::Driver::queue_of).
    pub queue: (Direction, u64),
    /// What is asked.
    pub task: Task<H>,
}

/// What a request that waits asks for.
#[derive(Debug)]
pub enum Task<H> {
    /// To read.
    Read {
        /// Where in the file.
        offset: Option<u64>,
        /// The most bytes wanted.
        length: usize,
    },
    /// To write.
    Write {
        /// Where in the file.
        offset: Option<u64>,
        /// Bytes taken so far.
        done: usize,
        /// Bytes not taken yet.
        rest: Vec<u8>,
    },
    /// To open a file.
    Open {
        /// What.
        open: Open,
        /// For whom.
        ticket: H,
    },
    /// Something else.
    Control(Control),
    /// To send a message.
    Send {
        /// To whom.
        address: String,
        /// How.
        flags: MessageFlags,
        /// Bytes taken so far.
        done: usize,
        /// Bytes not taken yet.
        rest: Vec<u8>,
        /// Handles not taken yet.
        parcels: Vec<Parcel>,
    },
    /// To receive a message.
    Receive {
        /// The most bytes wanted.
        length: usize,
        /// How.
        receiving: Receiving,
    },
}

impl<H> Task<H> {
    /// Bytes that were taken of what it writes or sends.
    pub fn done(&self) -> usize {
        match self {
            Task::Write { done, .. } | Task::Send { done, .. } => *done,
            _ => 0,
        }
    }
}

impl<H> Waiting<H> {
    fn crowds(&self, other: &Waiting<H>) -> bool {
        match (&self.task, &other.task) {
            // Each is for a file of its own.
            (Task::Open { .. }, Task::Open { .. }) => {
                self.client == other.client && self.queue == other.queue
            }
            _ => self.file == other.file && self.queue.0 == other.queue.0,
        }
    }
}

/// All of them, in the order in which they came.
pub struct Pending<H> {
    waiting: VecDeque<Waiting<H>>,
}

impl<H> Pending<H> {
    /// None.
    pub const fn new() -> Pending<H> {
        Pending { waiting: VecDeque::new() }
    }

    /// Adds one. ENOMEM over quota: the request comes back. The kernel does not tell when a caller's deadline passes, so a
    /// file whose places are all taken may have none that is alive: then the oldest, which is returned, makes room.
    #[expect(clippy::result_large_err, reason = "the request goes back to be refused")]
    pub fn push(&mut self, new: Waiting<H>) -> Result<Option<Waiting<H>>, Waiting<H>> {
        let crowded = self.waiting.iter().filter(|old| old.crowds(&new)).count() >= PENDING_PER_FILE;
        let evicted = if crowded {
            self.waiting
                .iter()
                .position(|old| old.crowds(&new))
                .and_then(|oldest| self.waiting.remove(oldest))
        } else {
            let own = self.waiting.iter().filter(|old| old.client == new.client).count();
            if own >= PENDING_PER_CLIENT || self.waiting.len() >= PENDING {
                return Err(new);
            }
            None
        };
        self.waiting.push_back(new);
        Ok(evicted)
    }

    /// Whether anybody waits in a queue: then a newcomer must not overtake.
    pub fn has(&self, queue: (Direction, u64)) -> bool {
        self.waiting.iter().any(|waiting| waiting.queue == queue)
    }

    /// The first that waits in a queue, and its place.
    pub fn take_first(&mut self, queue: (Direction, u64)) -> Option<(usize, Waiting<H>)> {
        let at = self.waiting.iter().position(|waiting| waiting.queue == queue)?;
        Some((at, self.waiting.remove(at)?))
    }

    /// The one just taken waits in another queue now, where it does not overtake who came before it.
    pub fn put_into_another(&mut self, at: usize, waiting: Waiting<H>) {
        self.waiting.insert(at.min(self.waiting.len()), waiting);
    }

    /// Puts the one just taken back: it is the first still.
    pub fn put_back(&mut self, waiting: Waiting<H>) {
        self.waiting.push_front(waiting);
    }

    /// Takes one that waits on a file, or beside it.
    pub fn take_of(&mut self, file: FileId) -> Option<Waiting<H>> {
        let of = |waiting: &Waiting<H>| waiting.file == file || waiting.beside == Some(file);
        let at = self.waiting.iter().position(of)?;
        self.waiting.remove(at)
    }

    /// The next that waits for a file to be opened, from a place on and then from the beginning: its place and its ticket.
    pub fn next_open(&self, from: usize) -> Option<(usize, &H)> {
        let length = self.waiting.len();
        (0..length).map(|step| (from + step) % length).find_map(|at| match &self.waiting[at].task {
            Task::Open { ticket, .. } => Some((at, ticket)),
            _ => None,
        })
    }

    /// Takes the one at a place.
    pub fn take(&mut self, at: usize) -> Option<Waiting<H>> {
        self.waiting.remove(at)
    }

    /// Parcels that wait to be sent on a file.
    pub fn visit_parcels(&self, file: FileId, visit: &mut dyn FnMut(&Parcel)) {
        for waiting in self.waiting.iter().filter(|waiting| waiting.file == file) {
            if let Task::Send { parcels, .. } = &waiting.task {
                parcels.iter().for_each(&mut *visit);
            }
        }
    }

    /// How many wait.
    pub fn len(&self) -> usize {
        self.waiting.len()
    }

    /// Whether nobody waits.
    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }
}

impl<H> Default for Pending<H> {
    fn default() -> Pending<H> {
        Pending::new()
    }
}

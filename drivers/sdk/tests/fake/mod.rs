//! The outside of an engine, as tests want it.
#![allow(dead_code)] // each test uses its own part

mod bench;

use abi::error::{EINVAL, EMFILE, ESRCH, Error, Result};
use abi::message::WORDS;
use driver_sdk::link::{Link, SourceKey, Sources};
use driver_sdk::{Direction, FileId, Level, MessageFlags, Opening};
use event_protocol::badge::SourceId;
use event_protocol::descriptor::message::unpack;
use event_protocol::descriptor::{ControlReply, Opened, PathReply, label};
use event_protocol::trace::Trace;
use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

pub use bench::Bench;

/// Files that an engine of the tests has room for.
pub const FILES: usize = 4096;

/// A published source.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Source {
    pub read: Level,
    pub write: Level,
    pub arrivals: u64,
    /// How often it was published.
    pub changes: u64,
    pub occurrences: u64,
    pub notes: u32,
    pub error: u32,
    pub errno: Option<i32>,
    /// The word that is kept.
    pub word: u64,
    /// What is kept of a durable one.
    pub kept: Option<Vec<u8>>,
    /// The event server's name for one that was left.
    pub left: Option<SourceId>,
}

/// What a caller got.
#[derive(Clone, Debug, PartialEq)]
pub enum Got {
    Data(Vec<u8>, u64),
    Count(u64),
    Control(ControlReply),
    Path(PathReply),
    Opened(FileId),
    /// A source of its own, by its place in [`Fake::made`].
    Watching(usize),
    Message(Message),
    Errno(i32),
}

/// A message that was received.
#[derive(Clone, Debug, PartialEq)]
pub struct Message {
    pub bytes: Vec<u8>,
    pub address: String,
    pub flags: MessageFlags,
    pub whole: u64,
    pub things: Vec<Thing>,
}

/// What a handle stands for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Thing {
    Ticket(u64),
    Object(u64),
    Descriptor(FileId),
}

/// A handle; clones are duplicates. When the last one is dropped its thing is put into the list.
#[derive(Clone, Debug)]
pub struct Handle(Rc<Record>);

impl Handle {
    /// The file, of a descriptor.
    pub fn descriptor(&self) -> Option<FileId> {
        match self.0.thing {
            Thing::Descriptor(file) => Some(file),
            _ => None,
        }
    }
}

#[derive(Debug)]
struct Record {
    thing: Thing,
    closed: Rc<RefCell<Vec<Thing>>>,
}

impl Drop for Record {
    fn drop(&mut self) {
        self.closed.borrow_mut().push(self.thing);
    }
}

#[derive(Default)]
pub struct Fake {
    /// All sources ever made, and which of them the engine's numbers mean now.
    pub made: Vec<Source>,
    pub keys: BTreeMap<SourceKey, usize>,
    /// Each further client of a source.
    pub shares: Vec<usize>,
    /// Sources in the order in which something was done to them.
    pub told: Vec<usize>,
    /// The sources of each file that was opened.
    pub first: BTreeMap<FileId, usize>,
    /// Sources whose watch handles are closed.
    pub abandoned: BTreeSet<usize>,
    /// Name of the session, if somebody comes after it.
    pub session: Option<u64>,
    /// Clients that are dead.
    pub dead_clients: BTreeSet<u64>,
    /// Callers that are dead or gave up.
    pub dead: BTreeSet<u64>,
    pub got: BTreeMap<u64, Got>,
    pub refuse_source: bool,
    pub clock: Cell<u64>,
    /// What each posted occurrence takes.
    pub post_takes: u64,
    /// Tokens in the order of their replies.
    pub order: Vec<u64>,
    /// What was published when the last reply was sent.
    pub at_last_reply: BTreeMap<FileId, Source>,
    /// What the callers asked for, by their tokens.
    pub asked: BTreeMap<u64, u32>,
    /// Handles that clients have.
    pub held: Vec<Handle>,
    pub closed: Rc<RefCell<Vec<Thing>>>,
    pub trace: Box<Trace>,
}

impl Fake {
    pub fn handle(&self, thing: Thing) -> Handle {
        Handle(Rc::new(Record { thing, closed: self.closed.clone() }))
    }

    pub fn reply_words(&mut self, token: u64, words: [u64; WORDS]) -> Result<()> {
        self.reply(token, words, &[])
    }

    /// A client closes its handles to something.
    pub fn let_go(&mut self, thing: Thing) {
        self.held.retain(|handle| handle.0.thing != thing);
    }

    fn deliver(&mut self, token: u64, got: Got) -> Result<()> {
        if self.dead.contains(&token) {
            return Err(Error::new(ESRCH));
        }
        self.order.push(token);
        if self.first.len() < 10 {
            self.at_last_reply =
                self.first.iter().map(|(&file, &at)| (file, self.made[at].clone())).collect();
        }
        assert!(self.got.insert(token, got).is_none(), "caller {token} is answered twice");
        Ok(())
    }

    fn with(&mut self, source: SourceKey, act: impl FnOnce(&mut Source)) {
        let at = *self.keys.get(&source).expect("a source that was made");
        self.told.push(at);
        act(&mut self.made[at]);
    }
}

impl Sources for Fake {
    fn publish(&mut self, source: SourceKey, direction: Direction, level: Level, arrived: bool) {
        self.with(source, |source| {
            match direction {
                Direction::Read => source.read = level,
                Direction::Write => source.write = level,
            }
            source.arrivals += u64::from(arrived);
            source.changes += 1;
        });
    }

    fn publish_both(&mut self, source: SourceKey, [(read, came), (write, went)]: [(Level, bool); 2]) {
        self.with(source, |source| {
            (source.read, source.write) = (read, write);
            source.arrivals += u64::from(came) + u64::from(went);
            source.changes += 1;
        });
    }

    fn post(&mut self, source: SourceKey, occurrences: u64) {
        self.clock.set(self.clock.get() + self.post_takes);
        self.with(source, |source| source.occurrences += occurrences);
    }

    fn note(&mut self, source: SourceKey, bits: u32, _: u32) {
        self.with(source, |source| source.notes |= bits);
    }

    fn keep(&mut self, source: SourceKey, word: u64) {
        self.with(source, |source| source.word = word);
    }

    fn set_error(&mut self, source: SourceKey, errno: u32) {
        self.with(source, |source| source.error = errno);
    }

    fn is_abandoned(&self, source: SourceKey) -> bool {
        self.abandoned.contains(&self.keys[&source])
    }

    fn retire(&mut self, source: SourceKey, errno: i32) {
        self.with(source, |source| source.errno = Some(errno));
        self.keys.remove(&source);
    }

    fn clock(&self) -> u64 {
        self.clock.get()
    }

    fn realtime_offset(&self) -> u64 {
        1_000_000_000
    }
}

impl Link for Fake {
    type Handle = Handle;

    fn trace(&self) -> &Trace {
        &self.trace
    }

    fn identity(&self, ticket: &Handle) -> Result<u64> {
        match ticket.0.thing {
            Thing::Ticket(client) if client != 0 => Ok(client),
            _ => Err(Error::new(EINVAL)),
        }
    }

    fn is_alive(&mut self, ticket: &Handle) -> bool {
        matches!(ticket.0.thing, Thing::Ticket(client) if !self.dead_clients.contains(&client))
    }

    fn can_travel(&self, handle: &Handle) -> bool {
        handle.0.thing != Thing::Object(0)
    }

    fn create(&mut self, source: SourceKey, _: &Opening, _: Handle, kept: Option<&[u8]>) -> Result<()> {
        if self.refuse_source {
            return Err(Error::new(EMFILE));
        }
        self.made.push(Source { kept: kept.map(<[u8]>::to_vec), ..Source::default() });
        assert!(self.keys.insert(source, self.made.len() - 1).is_none());
        Ok(())
    }

    fn share(&mut self, source: SourceKey, others: SourceKey, _: Handle) -> Result<()> {
        if self.refuse_source {
            return Err(Error::new(EMFILE));
        }
        let at = self.keys[&source];
        if source == others {
            self.shares.push(at);
            return Ok(());
        }
        let shown = self.made[at].clone();
        assert_eq!(shown.kept, None, "a durable source is one client's");
        self.made.push(Source { changes: 0, occurrences: 0, notes: 0, ..shown });
        assert!(self.keys.insert(others, self.made.len() - 1).is_none());
        self.shares.push(self.made.len() - 1);
        Ok(())
    }

    fn lineage(&self) -> Option<u64> {
        self.session
    }

    fn claim(&mut self, source: SourceKey, left: SourceId, descriptor: Handle) -> Result<()> {
        if self.refuse_source {
            return Err(Error::new(EMFILE));
        }
        self.made.push(Source { left: Some(left), ..Source::default() });
        assert!(self.keys.insert(source, self.made.len() - 1).is_none());
        // What clients go on with.
        self.held.push(descriptor);
        Ok(())
    }

    fn mint(&mut self, file: FileId) -> Result<Handle> {
        Ok(self.handle(Thing::Descriptor(file)))
    }

    fn reply_opened(
        &mut self,
        token: u64,
        descriptor: Option<Handle>,
        source: Option<SourceKey>,
        _: Opened,
    ) -> Result<()> {
        let source = source.map(|source| self.keys[&source]);
        let Some(descriptor) = descriptor else {
            return self.deliver(token, Got::Watching(source.expect("a watch has a source")));
        };
        let Thing::Descriptor(file) = descriptor.0.thing else { panic!("not a descriptor") };
        if let Some(source) = source {
            self.first.insert(file, source);
        }
        self.deliver(token, Got::Opened(file))?;
        self.held.push(descriptor);
        Ok(())
    }

    fn reply(&mut self, token: u64, words: [u64; WORDS], bytes: &[u8]) -> Result<()> {
        self.reply_message(token, words, bytes, &[])
    }

    fn reply_message(
        &mut self,
        token: u64,
        words: [u64; WORDS],
        bytes: &[u8],
        handles: &[&Handle],
    ) -> Result<()> {
        let got = match (words[0], self.asked.get(&token).copied()) {
            (0, Some(label::CONTROL)) => Got::Control(postcard::from_bytes(bytes).expect("a control reply")),
            (0, Some(label::PATH)) => Got::Path(postcard::from_bytes(bytes).expect("a path reply")),
            (0, Some(label::RECEIVE)) => {
                let (flags, length) = unpack(words[2]);
                let (address, payload) = bytes.split_at(length);
                assert_eq!(words[1], payload.len() as u64);
                Got::Message(Message {
                    bytes: payload.to_vec(),
                    address: String::from_utf8(address.to_vec()).expect("text"),
                    flags,
                    whole: words[3],
                    things: handles.iter().map(|handle| handle.0.thing).collect(),
                })
            }
            (0, _) if bytes.is_empty() && words[2] == 0 => Got::Count(words[1]),
            (0, _) => {
                assert_eq!(words[1], bytes.len() as u64);
                Got::Data(bytes.to_vec(), words[2])
            }
            (errno, _) => Got::Errno(errno as i32),
        };
        self.deliver(token, got)?;
        self.held.extend(handles.iter().map(|&handle| handle.clone()));
        Ok(())
    }
}

//! The outside of an engine, as tests want it.
#![allow(dead_code)] // each test uses its own part

use abi::error::{EBADF, EINVAL, EMFILE, ESRCH, Error, Result};
use abi::message::WORDS;
use driver_sdk::engine::{Answer, Engine, Request};
use driver_sdk::link::{Link, Sources};
use driver_sdk::{Direction, Driver, FileId, Level, Opening};
use event_protocol::descriptor::{CURRENT, Control, ControlReply, NONBLOCK, Open, Opened, label};
use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};

/// Files that an engine of the tests has room for.
pub const FILES: usize = 4096;

/// A published source.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Source {
    pub read: Level,
    pub write: Level,
    pub arrivals: u64,
    pub occurrences: u64,
    pub errno: Option<i32>,
}

/// What a caller got.
#[derive(Clone, Debug, PartialEq)]
pub enum Got {
    Data(Vec<u8>, u64),
    Count(u64),
    Control(ControlReply),
    Opened(FileId),
    Errno(i32),
}

#[derive(Default)]
pub struct Fake {
    pub sources: BTreeMap<FileId, Source>,
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
    /// How the bytes of the next replies are to be understood.
    pub controls: BTreeSet<u64>,
}

impl Fake {
    fn deliver(&mut self, token: u64, got: Got) -> Result<()> {
        if self.dead.contains(&token) {
            return Err(Error::new(ESRCH));
        }
        self.order.push(token);
        if self.sources.len() < 10 {
            self.at_last_reply.clone_from(&self.sources);
        }
        assert!(self.got.insert(token, got).is_none(), "caller {token} is answered twice");
        Ok(())
    }
}

impl Sources for Fake {
    fn publish(&mut self, file: FileId, direction: Direction, level: Level, arrived: bool) {
        if let Some(source) = self.sources.get_mut(&file).filter(|source| source.errno.is_none()) {
            match direction {
                Direction::Read => source.read = level,
                Direction::Write => source.write = level,
            }
            source.arrivals += u64::from(arrived);
        }
    }

    fn post(&mut self, file: FileId, occurrences: u64) {
        self.clock.set(self.clock.get() + self.post_takes);
        if let Some(source) = self.sources.get_mut(&file).filter(|source| source.errno.is_none()) {
            source.occurrences += occurrences;
        }
    }

    fn note(&mut self, _: FileId, _: u32, _: u32) {}

    fn retire(&mut self, file: FileId, errno: i32) {
        if let Some(source) = self.sources.get_mut(&file) {
            source.errno.get_or_insert(errno);
        }
    }

    fn clock(&self) -> u64 {
        self.clock.get()
    }

    fn realtime_offset(&self) -> u64 {
        1_000_000_000
    }
}

impl Link for Fake {
    type Ticket = u64;

    fn identity(&self, ticket: &u64) -> Result<u64> {
        if *ticket == 0 { Err(Error::new(EINVAL)) } else { Ok(*ticket) }
    }

    fn create(&mut self, file: FileId, _: &Opening, _: u64) -> Result<()> {
        if self.refuse_source {
            return Err(Error::new(EMFILE));
        }
        assert!(self.sources.insert(file, Source::default()).is_none());
        Ok(())
    }

    fn reply_opened(&mut self, token: u64, file: FileId, _: Opened) -> Result<()> {
        self.deliver(token, Got::Opened(file))
    }

    fn reply(&mut self, token: u64, words: [u64; WORDS], bytes: &[u8]) -> Result<()> {
        let got = match words[0] {
            0 if self.controls.contains(&token) => {
                Got::Control(postcard::from_bytes(bytes).expect("a control reply"))
            }
            0 if bytes.is_empty() && words[2] == 0 => Got::Count(words[1]),
            0 => {
                assert_eq!(words[1], bytes.len() as u64);
                Got::Data(bytes.to_vec(), words[2])
            }
            errno => Got::Errno(errno as i32),
        };
        self.deliver(token, got)
    }
}

/// An engine with callers.
pub struct Bench<D> {
    pub engine: Engine<D, Fake>,
    token: u64,
}

impl<D: Driver> Bench<D> {
    pub fn new(driver: D) -> Bench<D> {
        let mut engine = Engine::new(driver, Fake::default(), FILES);
        engine.start();
        Bench { engine, token: 0 }
    }

    pub fn link(&mut self) -> &mut Fake {
        self.engine.link()
    }

    pub fn source(&mut self, file: FileId) -> Source {
        self.engine.link().sources[&file].clone()
    }

    /// Sends a request; its token. As the real loop: what is left is replied, then others are answered.
    pub fn send(
        &mut self,
        badge: u64,
        label: u32,
        words: [u64; WORDS],
        bytes: &[u8],
        ticket: Option<u64>,
    ) -> u64 {
        self.token += 1;
        let token = self.token;
        if label == self::label::CONTROL {
            self.link().controls.insert(token);
        }
        match self.engine.request(Request { badge, label, words, bytes, token, ticket }) {
            Answer::Done => {}
            Answer::Words(words) => _ = self.link().reply(token, words, &[]),
        }
        self.engine.settle();
        token
    }

    pub fn got(&mut self, token: u64) -> Option<Got> {
        self.engine.link().got.get(&token).cloned()
    }

    pub fn open(&mut self, path: &str, flags: usize, client: u64) -> Result<FileId> {
        let open = Open { path: path.into(), flags: flags as u64 };
        let bytes = postcard::to_allocvec(&open).expect("it fits");
        let token = self.send(0, label::OPEN, [0; WORDS], &bytes, Some(client));
        match self.got(token) {
            Some(Got::Opened(file)) => Ok(file),
            Some(Got::Errno(errno)) => Err(Error::new(errno)),
            other => panic!("an open was answered by {other:?}"),
        }
    }

    pub fn read(&mut self, file: FileId, length: u64) -> u64 {
        self.send(file.badge(), label::READ, [length, 0, CURRENT, 0], &[], None)
    }

    pub fn try_read(&mut self, file: FileId, length: u64) -> Got {
        let token = self.send(file.badge(), label::READ, [length, NONBLOCK, CURRENT, 0], &[], None);
        self.got(token).expect("a read that does not block is answered")
    }

    pub fn write(&mut self, file: FileId, bytes: &[u8]) -> u64 {
        self.send(file.badge(), label::WRITE, [0, 0, CURRENT, 0], bytes, None)
    }

    pub fn try_write(&mut self, file: FileId, bytes: &[u8]) -> Got {
        let token = self.send(file.badge(), label::WRITE, [0, NONBLOCK, CURRENT, 0], bytes, None);
        self.got(token).expect("a write that does not block is answered")
    }

    pub fn control(&mut self, file: FileId, control: Control) -> Result<ControlReply> {
        let bytes = postcard::to_allocvec(&control).expect("it fits");
        let token = self.send(file.badge(), label::CONTROL, [0; WORDS], &bytes, None);
        match self.got(token) {
            Some(Got::Control(reply)) => Ok(reply),
            Some(Got::Errno(errno)) => Err(Error::new(errno)),
            other => panic!("a control was answered by {other:?}"),
        }
    }

    pub fn close(&mut self, file: FileId) {
        self.engine.closed(file.badge());
        self.engine.settle();
        assert_eq!(self.try_read(file, 1), Got::Errno(EBADF), "a closed file is closed");
    }
}

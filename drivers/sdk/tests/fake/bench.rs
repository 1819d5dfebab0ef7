//! An engine with callers.

use super::{FILES, Fake, Got, Source, Thing};
use abi::error::{EBADF, Error, Result};
use abi::message::WORDS;
use driver_sdk::engine::{Answer, Engine, Left, Request};
use driver_sdk::link::Carried;
use driver_sdk::{Driver, FileId, MessageFlags};
use event_protocol::badge::SourceId;
use event_protocol::descriptor::{
    CURRENT, Control, ControlReply, NONBLOCK, Open, PathReply, PathRequest, label,
};

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

    /// Somebody comes after the driver: its session has this name.
    pub fn lasting(mut self, session: u64) -> Bench<D> {
        self.link().session = Some(session);
        self
    }

    /// What the driver leaves when it dies: its durable sources that did not end.
    pub fn left(&mut self) -> Vec<Left> {
        let made = self.engine.link().made.clone();
        let left = made.iter().enumerate().filter(|(_, source)| source.errno.is_none());
        let left = left.filter_map(|(number, source)| {
            let name = source.left.unwrap_or(SourceId::new(0, number as u32, 1));
            let (kept, levels) = (source.kept.clone()?, [source.read, source.write]);
            Some(Left { source: name, kept, word: source.word, levels })
        });
        left.collect()
    }

    /// The files that clients have descriptors of.
    pub fn files(&mut self) -> Vec<FileId> {
        self.engine.link().held.iter().filter_map(|handle| handle.descriptor()).collect()
    }

    /// Goes on with the one file that was left: the file.
    pub fn go_on_with(&mut self, left: Vec<Left>) -> FileId {
        self.engine.restore(left);
        let files = self.files();
        assert_eq!(files.len(), 1);
        self.engine.link().first.insert(files[0], 0);
        files[0]
    }

    /// The source that was made when the file was opened.
    pub fn source(&mut self, file: FileId) -> Source {
        let link = self.engine.link();
        link.made[link.first[&file]].clone()
    }

    pub fn made(&mut self, source: usize) -> Source {
        self.engine.link().made[source].clone()
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
        let things: Vec<Thing> = ticket.into_iter().map(Thing::Ticket).collect();
        self.send_things(badge, label, words, bytes, &things)
    }

    pub fn send_things(
        &mut self,
        badge: u64,
        label: u32,
        words: [u64; WORDS],
        bytes: &[u8],
        things: &[Thing],
    ) -> u64 {
        self.token += 1;
        let token = self.token;
        self.link().asked.insert(token, label);
        let handles = things
            .iter()
            .map(|&thing| match thing {
                Thing::Descriptor(file) => Carried::Own(file.badge()),
                _ => Carried::Handle(self.link().handle(thing)),
            })
            .collect();
        match self.engine.request(Request { badge, label, words, bytes, token, handles }) {
            Answer::Done => {}
            Answer::Words(words) => _ = self.link().reply_words(token, words),
        }
        self.settle();
        token
    }

    /// The rest of the real loop: waiting requests are answered, and the kernel tells what is closed.
    pub fn settle(&mut self) {
        loop {
            self.engine.settle();
            let closed: Vec<Thing> = self.link().closed.borrow_mut().drain(..).collect();
            let files = closed.into_iter().filter_map(|thing| match thing {
                Thing::Descriptor(file) => Some(file),
                _ => None,
            });
            let mut any = false;
            for file in files {
                any = true;
                self.engine.closed(file.badge());
            }
            if !any && !self.engine.is_unsettled() {
                return;
            }
        }
    }

    /// The token of the next request.
    pub fn next_token(&self) -> u64 {
        self.token + 1
    }

    pub fn got(&mut self, token: u64) -> Option<Got> {
        self.engine.link().got.get(&token).cloned()
    }

    pub fn open(&mut self, path: &str, flags: usize, client: u64) -> Result<FileId> {
        let token = self.begin_open(None, path, flags, client, NONBLOCK);
        self.opened(token)
    }

    pub fn open_at(&mut self, beside: FileId, path: &str, flags: usize, client: u64) -> Result<FileId> {
        let token = self.begin_open(Some(beside), path, flags, client, NONBLOCK);
        self.opened(token)
    }

    /// Asks for a file, waiting if `how` is 0.
    pub fn begin_open(
        &mut self,
        beside: Option<FileId>,
        path: &str,
        flags: usize,
        client: u64,
        how: u64,
    ) -> u64 {
        let open = Open { path: path.into(), flags: flags as u64 };
        let bytes = postcard::to_allocvec(&open).expect("it fits");
        let badge = beside.map_or(0, FileId::badge);
        self.send(badge, label::OPEN, [0, how, 0, 0], &bytes, Some(client))
    }

    pub fn opened(&mut self, token: u64) -> Result<FileId> {
        match self.got(token) {
            Some(Got::Opened(file)) => Ok(file),
            Some(Got::Errno(errno)) => Err(Error::new(errno)),
            other => panic!("an open was answered by {other:?}"),
        }
    }

    /// A source for another client: its place in [`Fake::made`].
    pub fn watch(&mut self, file: FileId, client: u64) -> Result<usize> {
        let token = self.send(file.badge(), label::WATCH, [0; WORDS], &[], Some(client));
        match self.got(token) {
            Some(Got::Watching(source)) => Ok(source),
            Some(Got::Errno(errno)) => Err(Error::new(errno)),
            other => panic!("a watch was answered by {other:?}"),
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

    /// Sends a message; its token.
    pub fn send_message(
        &mut self,
        file: FileId,
        address: &str,
        bytes: &[u8],
        flags: MessageFlags,
        things: &[Thing],
    ) -> u64 {
        let all = [address.as_bytes(), bytes].concat();
        let words = [address.len() as u64, flags.bits(), 0, 0];
        self.send_things(file.badge(), label::SEND, words, &all, things)
    }

    /// Asks for a message with up to three handles; its token.
    pub fn receive(&mut self, file: FileId, length: u64, flags: MessageFlags) -> u64 {
        self.send(file.badge(), label::RECEIVE, [length, flags.bits(), 3, 0], &[], None)
    }

    pub fn control(&mut self, file: FileId, control: Control) -> Result<ControlReply> {
        let token = self.begin_control(file, control, 0);
        match self.got(token) {
            Some(Got::Control(reply)) => Ok(reply),
            Some(Got::Errno(errno)) => Err(Error::new(errno)),
            other => panic!("a control was answered by {other:?}"),
        }
    }

    /// Asks for something else, waiting if `how` is 0; the token.
    pub fn begin_control(&mut self, file: FileId, control: Control, how: u64) -> u64 {
        let bytes = postcard::to_allocvec(&control).expect("it fits");
        self.send(file.badge(), label::CONTROL, [0, how, 0, 0], &bytes, None)
    }

    pub fn path(&mut self, request: PathRequest) -> Result<PathReply> {
        let bytes = postcard::to_allocvec(&request).expect("it fits");
        let token = self.send(0, label::PATH, [0; WORDS], &bytes, None);
        match self.got(token) {
            Some(Got::Path(reply)) => Ok(reply),
            Some(Got::Errno(errno)) => Err(Error::new(errno)),
            other => panic!("a path request was answered by {other:?}"),
        }
    }

    /// Closes all handles that clients have of a file.
    pub fn let_go(&mut self, file: FileId) {
        self.link().let_go(Thing::Descriptor(file));
        self.settle();
    }

    /// The same, where nothing else keeps the file.
    pub fn close(&mut self, file: FileId) {
        self.let_go(file);
        assert_eq!(self.try_read(file, 1), Got::Errno(EBADF), "a closed file is closed");
    }
}

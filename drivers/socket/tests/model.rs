//! Sockets against what is naively expected of them.

use abi::error::{EAGAIN, EINVAL, EPIPE, Error};
use driver_sdk::sockets::Ready;
use proptest::prelude::*;
use socket::socket::Kind;
use socket::sockets::{BUFFER, Change, Id, Sent, Sockets, Take};
use std::collections::{BTreeMap, VecDeque};

/// One direction of a stream, byte by byte.
#[derive(Clone, Debug, PartialEq)]
enum Item {
    Byte(u8),
    /// Handles that come with the next byte.
    Handles(Vec<u32>),
    /// They end here: the byte sent with them last.
    HandlesEnd,
    /// The mark, and its byte until it is received.
    Mark(Option<u8>),
}

#[derive(Default)]
struct Stream {
    items: VecDeque<Item>,
    ended: bool,
}

impl Stream {
    fn bytes(&self) -> usize {
        self.items.iter().filter(|item| matches!(item, Item::Byte(_))).count()
    }

    fn room(&self) -> usize {
        let urgent = self.items.iter().filter(|item| matches!(item, Item::Mark(Some(_)))).count();
        BUFFER - self.bytes() - urgent
    }

    fn send(&mut self, bytes: &[u8], handles: &[u32], urgent: bool) -> usize {
        let count = bytes.len().min(self.room());
        let urgent = urgent && count == bytes.len();
        let ordinary = if urgent { count - 1 } else { count };
        if ordinary > 0 {
            if !handles.is_empty() {
                self.items.push_back(Item::Handles(handles.to_vec()));
            }
            self.items.extend(bytes[..ordinary].iter().map(|&byte| Item::Byte(byte)));
            if !handles.is_empty() {
                self.items.push_back(Item::HandlesEnd);
            }
        }
        if urgent {
            self.items.retain(|item| *item != Item::Mark(None));
            for item in &mut self.items {
                if let Item::Mark(Some(byte)) = *item {
                    *item = Item::Byte(byte);
                }
            }
            self.items.push_back(Item::Mark(Some(bytes[ordinary])));
        }
        count
    }

    fn receive(&mut self, wanted: usize) -> (Vec<u8>, Vec<u32>) {
        let (mut bytes, mut handles) = (vec![], vec![]);
        while bytes.len() < wanted && self.bytes() > 0 {
            match self.items.front().cloned() {
                Some(Item::Byte(byte)) => bytes.push(byte),
                Some(Item::Handles(with)) if bytes.is_empty() => handles = with,
                Some(Item::Mark(_)) if bytes.is_empty() => {}
                // Of handles that came with an earlier byte only the rest of the bytes is here.
                Some(Item::HandlesEnd) if handles.is_empty() => {}
                Some(Item::HandlesEnd) => {
                    self.items.pop_front();
                    break;
                }
                _ => break,
            }
            self.items.pop_front();
        }
        (bytes, handles)
    }

    fn urgent(&mut self) -> Option<u8> {
        self.items.iter_mut().find_map(|item| match item {
            Item::Mark(byte) => byte.take(),
            _ => None,
        })
    }
}

#[derive(Clone, Debug)]
enum Step {
    Send { bytes: Vec<u8>, handles: Vec<u32>, urgent: bool },
    Receive(usize),
    Lost(usize),
    Urgent,
    End,
}

fn step() -> impl Strategy<Value = Step> {
    let bytes = prop_oneof![4 => 1usize..20, 1 => 3000usize..9000]
        .prop_flat_map(|length| prop::collection::vec(any::<u8>(), length));
    let handles = prop_oneof![4 => Just(vec![]), 1 => prop::collection::vec(any::<u32>(), 1..4)];
    prop_oneof![
        6 => (bytes, handles).prop_map(|(bytes, handles)| Step::Send { bytes, handles, urgent: false }),
        1 => prop::collection::vec(any::<u8>(), 1..4)
            .prop_map(|bytes| Step::Send { bytes, handles: vec![], urgent: true }),
        5 => prop_oneof![1usize..30, 1usize..20_000].prop_map(Step::Receive),
        1 => (1usize..30).prop_map(Step::Lost),
        1 => Just(Step::Urgent),
        1 => Just(Step::End),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]
    /// Bytes in are bytes out, with their handles and marks; the level is what reads give.
    #[test]
    fn a_stream_is_what_the_model_says(steps in prop::collection::vec(step(), 0..60)) {
        let mut sockets = Sockets::default();
        let one = sockets.create(Kind::Stream, 1, 1);
        let other = sockets.pair(one, 1, 1).unwrap();
        let mut model = Stream::default();
        for step in steps {
            match step {
                Step::Send { bytes, handles, urgent } => {
                    let sent = Sent { bytes: &bytes, to: None, handles: &mut handles.clone(), urgent };
                    let got = sockets.send(one, sent);
                    let expected = match model.room() {
                        _ if model.ended => Err(Error::new(EPIPE)),
                        0 => Err(Error::new(EAGAIN)),
                        _ => Ok(model.send(&bytes, &handles, urgent)),
                    };
                    prop_assert_eq!(got, expected);
                }
                Step::Receive(wanted) => {
                    let mut buffer = vec![0; wanted];
                    let got = sockets.receive(other, &mut buffer, Take::default());
                    let got = got.map(|(received, _)| (buffer[..received.count].to_vec(), received.handles));
                    let expected = match model.bytes() {
                        0 if !model.ended => Err(Error::new(EAGAIN)),
                        _ => Ok(model.receive(wanted)),
                    };
                    prop_assert_eq!(got, expected);
                }
                // What did not arrive is there as before.
                Step::Lost(wanted) => {
                    let mut buffer = vec![0; wanted];
                    if let Ok((received, undo)) = sockets.receive(other, &mut buffer, Take::default()) {
                        sockets.put_back(other, undo, &buffer[..received.count], received.handles);
                    }
                }
                Step::Urgent => {
                    let mut buffer = [0];
                    let got = sockets.receive(other, &mut buffer, Take { urgent: true, all: false });
                    prop_assert_eq!(got.map(|_| buffer[0]).ok(), model.urgent());
                }
                Step::End => {
                    model.ended = true;
                    sockets.shutdown(one, false, true).unwrap();
                }
            }
            let urgent = model.items.iter().any(|item| matches!(item, Item::Mark(Some(_))));
            let level = Ready { amount: model.bytes(), end: model.ended, urgent, ..Ready::default() };
            prop_assert_eq!(sockets.get(other).unwrap().readable(), level);
            let space = if model.ended { 0 } else { model.room() };
            prop_assert_eq!(sockets.writable(one).amount, space);
        }
    }
}

const NAMES: [&str; 3] = ["/a", "/b", "/c"];

#[derive(Clone, Debug)]
enum Act {
    Create(u8),
    Pair(usize),
    Bind(usize, usize),
    Listen(usize, i32),
    Connect(usize, usize),
    Accept(usize),
    Send(usize, usize, Option<usize>),
    SendHandles(usize, usize),
    Receive(usize, usize),
    Lost(usize),
    Shutdown(usize, bool, bool),
    Close(usize),
    Unlink(usize),
    Buffers(usize, i64),
    Inline(usize, bool),
    TakeError(usize),
}

fn act() -> impl Strategy<Value = Act> {
    let socket = || 0usize..12;
    let name = || 0usize..NAMES.len();
    let length = || prop_oneof![0usize..100, 0usize..20_000];
    prop_oneof![
        3 => (0u8..3).prop_map(Act::Create),
        3 => socket().prop_map(Act::Pair),
        2 => (socket(), name()).prop_map(|(socket, name)| Act::Bind(socket, name)),
        2 => (socket(), -1i32..3).prop_map(|(socket, backlog)| Act::Listen(socket, backlog)),
        3 => (socket(), name()).prop_map(|(socket, name)| Act::Connect(socket, name)),
        3 => socket().prop_map(Act::Accept),
        6 => (socket(), length(), prop::option::of(name())).prop_map(|(socket, length, to)| Act::Send(socket, length, to)),
        2 => (socket(), length()).prop_map(|(socket, length)| Act::SendHandles(socket, length)),
        6 => (socket(), length()).prop_map(|(socket, length)| Act::Receive(socket, length)),
        1 => socket().prop_map(Act::Lost),
        1 => (socket(), any::<bool>(), any::<bool>()).prop_map(|(socket, read, write)| Act::Shutdown(socket, read, write)),
        1 => socket().prop_map(Act::Close),
        1 => name().prop_map(Act::Unlink),
        1 => (socket(), -1i64..100_000).prop_map(|(socket, bytes)| Act::Buffers(socket, bytes)),
        1 => (socket(), any::<bool>()).prop_map(|(socket, inline)| Act::Inline(socket, inline)),
        1 => socket().prop_map(Act::TakeError),
    ]
}

/// Sockets, and their levels as somebody knows them who hears only what is told.
#[derive(Default)]
struct Told {
    sockets: Sockets<u32>,
    /// Those that somebody has; connections that wait to be accepted are nobody's yet.
    open: Vec<Id>,
    published: BTreeMap<Id, (Ready, Ready)>,
}

impl Told {
    fn act(&mut self, act: Act) {
        let open = std::mem::take(&mut self.open);
        let at = |index: usize| open.get(index % open.len().max(1)).copied().unwrap_or(u64::MAX);
        let mut opened = None;
        let sockets = &mut self.sockets;
        let mut buffer = vec![0; 20_000];
        match act {
            Act::Create(kind) if open.len() < 12 => {
                let kind = [Kind::Stream, Kind::Datagram, Kind::Record][kind as usize];
                opened = Some(sockets.create(kind, kind as u64, 1));
            }
            Act::Create(_) => {}
            Act::Pair(socket) => opened = sockets.pair(at(socket), 1, 1).ok(),
            Act::Bind(socket, name) => _ = sockets.bind(at(socket), NAMES[name]),
            Act::Listen(socket, backlog) => _ = sockets.listen(at(socket), backlog),
            Act::Connect(socket, name) => _ = sockets.connect(at(socket), NAMES[name]),
            Act::Accept(socket) => opened = sockets.accept(at(socket)).ok(),
            Act::Send(socket, length, to) => {
                let sent = Sent {
                    bytes: &buffer[..length],
                    to: to.map(|to| NAMES[to]),
                    handles: &mut vec![],
                    urgent: length == 7,
                };
                _ = sockets.send(at(socket), sent);
            }
            Act::SendHandles(socket, length) => {
                let mut handles = vec![1, 2];
                let sent = Sent { bytes: &buffer[..length], to: None, handles: &mut handles, urgent: false };
                let sent = sockets.send(at(socket), sent);
                assert_eq!(handles.is_empty(), sent.is_ok(), "handles go with what was sent");
            }
            Act::Receive(socket, length) => {
                let before = sockets.get(at(socket)).map(|socket| socket.readable()).unwrap_or_default();
                let got = sockets.receive(at(socket), &mut buffer[..length], Take::default());
                if before.amount == 0 && !before.end && before.error == 0 {
                    assert!(got.is_err(), "what is not ready gives nothing");
                } else if let Err(error) = got {
                    assert!(before.error != 0 || error.errno == EINVAL, "{before:?} {error}");
                }
            }
            Act::Lost(socket) => {
                if let Ok((received, undo)) = sockets.receive(at(socket), &mut buffer[..50], Take::default())
                {
                    sockets.put_back(at(socket), undo, &buffer[..received.count], received.handles);
                }
            }
            Act::Shutdown(socket, read, write) => _ = sockets.shutdown(at(socket), read, write),
            Act::Close(socket) => sockets.close(at(socket)),
            Act::Unlink(name) => _ = sockets.unlink(NAMES[name]),
            Act::Buffers(socket, bytes) => {
                _ = sockets.set_receive_buffer(at(socket), bytes);
                _ = sockets.set_send_buffer(at(socket), bytes / 2);
            }
            Act::Inline(socket, inline) => _ = sockets.set_inline(at(socket), inline),
            Act::TakeError(socket) => _ = sockets.take_error(at(socket)),
        }
        self.open = open;
        self.open.retain(|&id| self.sockets.get(id).is_ok());
        if let Some(id) = opened {
            self.open.push(id);
            self.published.insert(id, self.levels(id));
        }
        for change in self.sockets.take_changes() {
            if let Change::Read { socket, .. } | Change::Write { socket, .. } = change
                && self.sockets.get(socket).is_ok()
            {
                let now = self.levels(socket);
                let known = self.published.entry(socket).or_default();
                if matches!(change, Change::Read { .. }) {
                    known.0 = now.0;
                } else {
                    known.1 = now.1;
                }
            }
        }
    }

    fn levels(&self, id: Id) -> (Ready, Ready) {
        (self.sockets.get(id).unwrap().readable(), self.sockets.writable(id))
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]
    /// Whatever is done, no change of readiness goes untold, and nothing is left when all is closed.
    #[test]
    fn every_change_of_a_level_is_told(acts in prop::collection::vec(act(), 0..80)) {
        let mut told = Told::default();
        for act in acts {
            let text = format!("{act:?}");
            told.act(act);
            for &id in &told.open {
                prop_assert_eq!(told.published[&id], told.levels(id), "socket {} after {}", id, text);
            }
        }
        for id in std::mem::take(&mut told.open) {
            told.sockets.close(id);
        }
        for name in NAMES {
            _ = told.sockets.unlink(name);
        }
        prop_assert_eq!((told.sockets.load(), told.sockets.handles().count()), ((0, 0), 0));
    }
}

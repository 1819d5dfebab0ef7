//! What receives give, or would give, and how it is put back.

use super::{Inbox, Message, OVERHEAD, Urgent};
use alloc::collections::VecDeque;
use alloc::rc::Rc;
use alloc::vec::Vec;

/// What was received.
#[derive(PartialEq, Eq, Debug)]
pub struct Received<H> {
    /// Bytes put into the buffer.
    pub count: usize,
    /// Bytes of the whole datagram.
    pub whole: usize,
    /// The address of its sender.
    pub from: Option<Rc<str>>,
    /// The handles that came at the first byte.
    pub handles: Vec<H>,
}

/// What a receive would give.
#[derive(PartialEq, Eq, Debug)]
pub struct Peeked<'a, H> {
    /// Bytes put into the buffer.
    pub count: usize,
    /// Bytes of the whole datagram.
    pub whole: usize,
    /// The address of its sender.
    pub from: Option<Rc<str>>,
    /// The handles that would come.
    pub handles: &'a [H],
}

impl<H> Peeked<'_, H> {
    /// Nothing.
    pub const fn nothing() -> Self {
        Peeked { count: 0, whole: 0, from: None, handles: &[] }
    }
}

/// What is put back when a receiver turns out to be dead.
#[derive(Debug)]
pub enum Undo<H> {
    /// Nothing.
    Nothing,
    /// A stretch of a stream.
    Stretch {
        /// The mark that was passed before it.
        passed: Option<Message<H>>,
        /// Handles came with it, and the rest of what they were sent with is the next message.
        split: bool,
    },
    /// The urgent byte.
    Urgent(u8),
    /// A datagram as it was, without its handles.
    Whole(Message<H>),
}

impl<H> Inbox<H> {
    /// Reads a stream. It stops at the next handles, behind handles that it took, and once at the mark of urgent data,
    /// which it passes only when something is behind it.
    pub fn take_stream(&mut self, inline: bool, buffer: &mut [u8]) -> (Received<H>, Undo<H>) {
        let mut received = Received { count: 0, whole: 0, from: None, handles: Vec::new() };
        let (mut passed, mut split) = (None, false);
        while received.count < buffer.len() {
            let bytes = self.bytes;
            let Some(front) = self.messages.front_mut() else { break };
            let marked = front.urgent != Urgent::No;
            if received.count > 0 && (marked || !front.handles.is_empty()) {
                break;
            }
            if marked && (!inline || front.urgent == Urgent::Taken) {
                if bytes == 0 {
                    break;
                }
                passed = self.messages.pop_front();
                self.occupied -= passed.as_ref().map_or(0, |mark| mark.bytes.len());
                continue;
            }
            let stops = !front.handles.is_empty();
            if stops {
                received.handles = core::mem::take(&mut front.handles);
            }
            let count = front.bytes.len().min(buffer.len() - received.count);
            copy(&front.bytes, &mut buffer[received.count..received.count + count]);
            front.bytes.drain(..count);
            split = stops && !front.bytes.is_empty();
            if front.bytes.is_empty() {
                self.messages.pop_front();
            }
            received.count += count;
            self.bytes -= if marked { 0 } else { count };
            self.occupied -= count;
            if stops {
                break;
            }
        }
        received.whole = received.count;
        (received, Undo::Stretch { passed, split })
    }

    /// What [`Inbox::take_stream`] would give, left where it is.
    pub fn peek_stream(&self, inline: bool, buffer: &mut [u8]) -> Peeked<'_, H> {
        let is_skipped = |message: &&Message<H>| {
            message.urgent == Urgent::Taken || message.urgent == Urgent::Waiting && !inline
        };
        let mut count = 0;
        let mut handles: &[H] = &[];
        let skipped = usize::from(self.bytes > 0 && self.messages.front().as_ref().is_some_and(is_skipped));
        for message in self.messages.iter().skip(skipped) {
            let stops = !message.handles.is_empty();
            let marked = message.urgent != Urgent::No;
            if is_skipped(&message) || count > 0 && (marked || stops) || count == buffer.len() {
                break;
            }
            let here = message.bytes.len().min(buffer.len() - count);
            copy(&message.bytes, &mut buffer[count..count + here]);
            count += here;
            if stops {
                handles = &message.handles;
                break;
            }
        }
        Peeked { count, whole: count, from: None, handles }
    }

    /// Receives a datagram or record; what has no room in the buffer is lost.
    pub fn take_datagram(&mut self, buffer: &mut [u8]) -> Option<(Received<H>, Undo<H>)> {
        let mut message = self.messages.pop_front()?;
        let whole = message.bytes.len();
        self.bytes -= whole;
        self.occupied -= whole + OVERHEAD;
        let count = whole.min(buffer.len());
        copy(&message.bytes, &mut buffer[..count]);
        let handles = core::mem::take(&mut message.handles);
        Some((Received { count, whole, from: message.from.clone(), handles }, Undo::Whole(message)))
    }

    /// What [`Inbox::take_datagram`] would give, left where it is.
    pub fn peek_datagram(&self, buffer: &mut [u8]) -> Option<Peeked<'_, H>> {
        let Message { bytes, from, handles, .. } = self.messages.front()?;
        let count = bytes.len().min(buffer.len());
        copy(bytes, &mut buffer[..count]);
        Some(Peeked { count, whole: bytes.len(), from: from.clone(), handles })
    }

    /// Receives the urgent byte that waits, and leaves its mark.
    pub fn take_urgent(&mut self) -> Option<(u8, Vec<H>)> {
        let message = self.messages.iter_mut().find(|message| message.urgent == Urgent::Waiting)?;
        let byte = message.bytes.pop_front()?;
        message.urgent = Urgent::Taken;
        self.occupied -= 1;
        Some((byte, core::mem::take(&mut message.handles)))
    }

    /// The urgent byte that waits, left where it is.
    pub fn peek_urgent(&self) -> Option<u8> {
        let message = self.messages.iter().find(|message| message.urgent == Urgent::Waiting)?;
        message.bytes.front().copied()
    }

    /// Puts back what was taken last and did not arrive: nothing has happened in between.
    pub fn put_back(&mut self, undo: Undo<H>, bytes: &[u8], handles: Vec<H>) {
        match undo {
            Undo::Nothing => {}
            Undo::Stretch { passed, split } => {
                self.put_back_stretch(split, bytes, handles);
                if let Some(mark) = passed {
                    self.occupied += mark.bytes.len();
                    self.messages.push_front(mark);
                }
            }
            Undo::Urgent(byte) => {
                if let Some(mark) = self.messages.iter_mut().find(|message| message.urgent == Urgent::Taken) {
                    mark.bytes.push_front(byte);
                    mark.urgent = Urgent::Waiting;
                    mark.handles = handles;
                    self.occupied += 1;
                }
            }
            Undo::Whole(message) => {
                self.bytes += message.bytes.len();
                self.occupied += message.bytes.len() + OVERHEAD;
                self.messages.push_front(Message { handles, ..message });
            }
        }
    }

    fn put_back_stretch(&mut self, split: bool, bytes: &[u8], handles: Vec<H>) {
        let rest = if split { self.messages.pop_front().map(|message| message.bytes) } else { None };
        let mut kept = VecDeque::new();
        kept.extend(bytes);
        kept.extend(rest.into_iter().flatten());
        self.bytes += bytes.len();
        self.occupied += bytes.len();
        if !kept.is_empty() {
            self.messages.push_front(Message { bytes: kept, from: None, handles, urgent: Urgent::No });
        }
    }
}

fn copy(from: &VecDeque<u8>, to: &mut [u8]) {
    let (first, second) = from.as_slices();
    let split = first.len().min(to.len());
    to[..split].copy_from_slice(&first[..split]);
    let rest = to.len() - split;
    to[split..].copy_from_slice(&second[..rest]);
}

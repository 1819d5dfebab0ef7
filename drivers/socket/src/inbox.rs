//! What was sent to a socket and not received yet.

use abi::error::{EAGAIN, ENOBUFS, Error, Result};
use alloc::collections::VecDeque;
use alloc::rc::Rc;
use alloc::vec::Vec;

/// What a message costs beside its bytes, so that many small ones have an end too.
pub const OVERHEAD: usize = 64;

/// The place of urgent data in a stream.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Urgent {
    /// None here.
    No,
    /// This message is one urgent byte.
    Waiting,
    /// The byte was received; the mark stays until the stream is read beyond it.
    Taken,
}

/// A datagram or record; of a stream, a stretch with nothing to stop at inside.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Message<H> {
    bytes: VecDeque<u8>,
    from: Option<Rc<str>>,
    handles: Vec<H>,
    urgent: Urgent,
}

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

/// A queue of messages with an end.
#[derive(Debug)]
pub struct Inbox<H> {
    messages: VecDeque<Message<H>>,
    /// Bytes to be read, urgent data that waits not among them.
    bytes: usize,
    occupied: usize,
    capacity: usize,
}

impl<H> Inbox<H> {
    /// An empty one.
    pub const fn new(capacity: usize) -> Inbox<H> {
        Inbox { messages: VecDeque::new(), bytes: 0, occupied: 0, capacity }
    }

    /// Bytes that it holds at most.
    pub fn capacity(&self) -> usize {
        self.capacity
    }

    /// Changes that; what is in it stays.
    pub fn set_capacity(&mut self, capacity: usize) {
        self.capacity = capacity;
    }

    /// Free bytes.
    pub fn room(&self) -> usize {
        self.capacity.saturating_sub(self.occupied)
    }

    /// Bytes that reads of the stream will give.
    pub fn stream_bytes(&self, inline: bool) -> usize {
        self.bytes + usize::from(inline && self.has_urgent())
    }

    /// Bytes that receives will give, where an empty datagram counts as one: it can be received.
    pub fn datagram_bytes(&self) -> usize {
        self.messages.iter().map(|message| message.bytes.len().max(1)).sum()
    }

    /// Bytes of the next datagram.
    pub fn next_datagram(&self) -> Option<usize> {
        self.messages.front().map(|message| message.bytes.len())
    }

    /// Whether something was not received.
    pub fn has_unread(&self) -> bool {
        self.messages.iter().any(|message| message.urgent != Urgent::Taken)
    }

    /// Whether urgent data waits.
    pub fn has_urgent(&self) -> bool {
        self.messages.iter().any(|message| message.urgent == Urgent::Waiting)
    }

    /// Whether the next byte of the stream is the one behind (`inline`: at) the mark.
    pub fn is_at_mark(&self) -> bool {
        self.messages.front().is_some_and(|message| message.urgent != Urgent::No)
    }

    /// Whether a stream that is asked for so much would stop short of it though more is there.
    pub fn stops_within(&self, wanted: usize) -> bool {
        let mut before = 0;
        for (at, message) in self.messages.iter().enumerate() {
            if at > 0 && (message.urgent != Urgent::No || !message.handles.is_empty()) {
                return true;
            }
            before += message.bytes.len();
            if before >= wanted {
                return false;
            }
            if !message.handles.is_empty() {
                return true;
            }
        }
        false
    }

    /// Adds to a stream what there is room for; handles stay at its first byte. EAGAIN without room.
    pub fn push_stream(&mut self, bytes: &[u8], handles: &mut Vec<H>) -> Result<usize> {
        let count = bytes.len().min(self.room());
        if count == 0 {
            return Err(Error::new(EAGAIN));
        }
        let joins = |last: &&mut Message<H>| {
            last.urgent == Urgent::No && last.handles.is_empty() && handles.is_empty()
        };
        match self.messages.back_mut().filter(joins) {
            Some(last) => append(&mut last.bytes, &bytes[..count])?,
            None => self.push(&bytes[..count], None, handles, Urgent::No)?,
        }
        self.bytes += count;
        self.occupied += count;
        Ok(count)
    }

    /// Adds the urgent byte; one that waits becomes an ordinary byte where it is. EAGAIN without room.
    pub fn push_urgent(&mut self, byte: u8, handles: &mut Vec<H>) -> Result<()> {
        if self.room() == 0 {
            return Err(Error::new(EAGAIN));
        }
        let before = self.messages.iter().position(|message| message.urgent != Urgent::No);
        self.push(&[byte], None, handles, Urgent::Waiting)?;
        self.occupied += 1;
        if let Some(at) = before {
            self.unmark(at);
        }
        Ok(())
    }

    /// An urgent byte becomes an ordinary one where it is, or its mark goes. A message for each would cost many times what
    /// room it takes.
    fn unmark(&mut self, at: usize) {
        let Some(message) = self.messages.get_mut(at) else { return };
        if message.urgent == Urgent::Waiting {
            message.urgent = Urgent::No;
            self.bytes += 1;
            self.join(at);
        } else {
            self.messages.remove(at);
        }
        if let Some(before) = at.checked_sub(1) {
            self.join(before);
        }
    }

    /// Two stretches of a stream become one if nothing is there to stop at in between. Without memory they stay two.
    fn join(&mut self, first: usize) {
        let is_plain = |message: &Message<H>| message.urgent == Urgent::No && message.handles.is_empty();
        let both = [first, first + 1].map(|at| self.messages.get(at).filter(|message| is_plain(message)));
        let [Some(_), Some(other)] = both else { return };
        let more = other.bytes.len();
        if self.messages[first].bytes.try_reserve(more).is_ok()
            && let Some(mut other) = self.messages.remove(first + 1)
        {
            self.messages[first].bytes.append(&mut other.bytes);
        }
    }

    /// Adds a datagram or record, whole. EAGAIN without room.
    pub fn push_datagram(&mut self, bytes: &[u8], from: Option<Rc<str>>, handles: &mut Vec<H>) -> Result<()> {
        if bytes.len() + OVERHEAD > self.room() {
            return Err(Error::new(EAGAIN));
        }
        self.push(bytes, from, handles, Urgent::No)?;
        self.bytes += bytes.len();
        self.occupied += bytes.len() + OVERHEAD;
        Ok(())
    }

    fn push(
        &mut self,
        bytes: &[u8],
        from: Option<Rc<str>>,
        handles: &mut Vec<H>,
        urgent: Urgent,
    ) -> Result<()> {
        self.messages.try_reserve(1).map_err(|_| Error::new(ENOBUFS))?;
        let mut kept = VecDeque::new();
        append(&mut kept, bytes)?;
        let handles = core::mem::take(handles);
        self.messages.push_back(Message { bytes: kept, from, handles, urgent });
        Ok(())
    }

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

    /// All handles that are on their way.
    pub fn handles(&self) -> impl Iterator<Item = &H> {
        self.messages.iter().flat_map(|message| &message.handles)
    }
}

fn append(to: &mut VecDeque<u8>, bytes: &[u8]) -> Result<()> {
    to.try_reserve(bytes.len()).map_err(|_| Error::new(ENOBUFS))?;
    to.extend(bytes);
    Ok(())
}

fn copy(from: &VecDeque<u8>, to: &mut [u8]) {
    let (first, second) = from.as_slices();
    let split = first.len().min(to.len());
    to[..split].copy_from_slice(&first[..split]);
    let rest = to.len() - split;
    to[split..].copy_from_slice(&second[..rest]);
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;

    #[test]
    fn r55_urgent_bytes_that_nobody_reads_cost_what_other_bytes_cost() {
        let mut inbox: Inbox<u32> = Inbox::new(1000);
        for number in 0..1000_usize {
            let byte = number as u8;
            match number % 3 {
                0 => assert_eq!(inbox.push_stream(&[byte], &mut vec![]), Ok(1)),
                _ => inbox.push_urgent(byte, &mut vec![]).unwrap(),
            }
            assert!(inbox.messages.len() <= 3, "{number}: {} messages", inbox.messages.len());
        }
        assert_eq!((inbox.room(), inbox.push_urgent(0, &mut vec![])), (0, Err(Error::new(EAGAIN))));
        let mut all = vec![0; 1000];
        let (received, _) = inbox.take_stream(true, &mut all);
        assert_eq!(received.count, 999 - 1, "up to the mark");
    }

    #[test]
    fn a_mark_that_goes_leaves_the_handles_around_it_where_they_are() {
        let mut inbox: Inbox<u32> = Inbox::new(100);
        inbox.push_stream(b"a", &mut vec![7]).unwrap();
        inbox.push_urgent(b'b', &mut vec![]).unwrap();
        inbox.push_stream(b"c", &mut vec![8]).unwrap();
        inbox.push_urgent(b'd', &mut vec![9]).unwrap();
        inbox.push_urgent(b'e', &mut vec![]).unwrap();
        assert_eq!(inbox.take_urgent(), Some((b'e', vec![])));
        inbox.push_stream(b"f", &mut vec![]).unwrap();
        inbox.push_urgent(b'g', &mut vec![]).unwrap();
        let mut stretches = vec![];
        let mut buffer = [0; 10];
        while inbox.stream_bytes(false) > 0 {
            let (received, _) = inbox.take_stream(false, &mut buffer);
            stretches.push((buffer[..received.count].to_vec(), received.handles));
        }
        let expected: [(&[u8], Vec<u32>); 5] =
            [(b"a", vec![7]), (b"b", vec![]), (b"c", vec![8]), (b"d", vec![9]), (b"f", vec![])];
        assert_eq!(stretches, expected.map(|(bytes, handles)| (bytes.to_vec(), handles)));
        assert_eq!(inbox.take_urgent(), Some((b'g', vec![])));
        assert_eq!(inbox.room(), 100);
    }
}

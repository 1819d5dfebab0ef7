//! What was sent to a socket and not received yet.

mod receiving;

pub use receiving::{Peeked, Received, Undo};

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

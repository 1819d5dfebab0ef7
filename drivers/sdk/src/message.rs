//! Messages as a driver sees them.

use crate::parcels::Parcel;
use alloc::string::String;
use alloc::vec::Vec;
use event_protocol::descriptor::message::MessageFlags;

/// A message to be sent.
#[derive(Debug)]
pub struct Outgoing<'a> {
    /// To whom; no text when nobody is named.
    pub address: &'a str,
    /// How.
    pub flags: MessageFlags,
    /// Its bytes.
    pub bytes: &'a [u8],
    /// Handles that go with it: taken by whoever takes the first byte.
    pub parcels: Vec<Parcel>,
}

/// How a message is received.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Receiving {
    /// How.
    pub flags: MessageFlags,
    /// Handles that there is room for.
    pub parcels: usize,
}

/// A message that was received.
#[derive(Clone, Debug, Default)]
pub struct Incoming {
    /// Bytes put into the buffer; 0 is the end of a stream.
    pub count: usize,
    /// Bytes of the whole datagram.
    pub whole: usize,
    /// [`TRUNCATED`](MessageFlags::TRUNCATED), [`HANDLES_TRUNCATED`](MessageFlags::HANDLES_TRUNCATED),
    /// [`OOB`](MessageFlags::OOB), [`END_OF_RECORD`](MessageFlags::END_OF_RECORD).
    pub flags: MessageFlags,
    /// From whom.
    pub address: String,
    /// Handles that came with it.
    pub parcels: Vec<Parcel>,
}

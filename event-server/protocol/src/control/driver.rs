//! What a driver asks on its session handle.

use crate::badge::SourceId;
use crate::filter::Filters;
use alloc::vec::Vec;
use serde::{Deserialize, Serialize};

/// A request on a driver session handle.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Request {
    /// Makes a source. Handle 0 = the ticket of the client that may watch it; none when `shared`: whoever holds
    /// the watch handle may. → [`Reply::Created`], handle 0 = the page of cells (read and write; the same object each
    /// time for the same `page`), handle 1 = the watch handle, to pass to the client with the descriptor. EMFILE: over the
    /// cells of the attach; ENOMEM: the process that it is for (the driver's own when `shared`) has used up its part of the
    /// server's memory.
    CreateSource {
        /// Filters that it serves, within those of the attach.
        filters: Filters,
        /// For several clients: its cell has a page of its own.
        shared: bool,
        /// Low-water marks of reading and writing that notes have unless they say otherwise (R21).
        low_water: (u32, u32),
    },
    /// The source is no more, by a close or because the device is gone (R57): its notes fire once with EOF and `errno`.
    /// The driver does not touch the cell again; the server reuses it when no client can see it any more, so a client
    /// that keeps its claim cannot delay the driver. → [`Reply::Done`].
    DestroySource {
        /// Which source.
        source: SourceId,
        /// What its users see: 0 for a plain close, ENODEV for a device that is gone.
        errno: u32,
    },
    /// Makes a durable source, which outlives the session: as [`Request::CreateSource`]. EOPNOTSUPP: the session has no lineage
    /// (any more); EINVAL: too much to keep.
    CreateDurable {
        /// As of another source.
        filters: Filters,
        /// As of another source.
        shared: bool,
        /// As of another source.
        low_water: (u32, u32),
        /// What who is started in the driver's place is told of it, up to [`MAX_KEPT`](super::limits::MAX_KEPT) bytes.
        kept: Vec<u8>,
    },
    /// Begins a lineage: the durable sources of this session outlive it for as long as somebody has the handle, which is
    /// meant for who starts the driver again (init). → [`Reply::Done`], handle 0 = the right to go on with them. EEXIST: the
    /// session has one.
    Bequeath,
    /// The sources that a driver before this one left, those with an index above `after`. → [`Reply::Orphans`]; none is the end
    /// of them. EPERM: the session has no lineage.
    Orphans {
        /// Index of the last source of the answer before; none at first.
        after: Option<u32>,
    },
    /// Goes on with one of them. Handle 0 = the descriptor, for the client to go on with in place of the dead one. The next thing
    /// to do is to publish its levels. → [`Reply::Created`], handle 0 = the page of cells. ENOENT: no such orphan; EINVAL: filters that
    /// the session was not attached for; EMFILE.
    Claim {
        /// Which.
        source: SourceId,
    },
    /// The session has claimed what it can: the others end with ENODEV. Who makes a source has, too. → [`Reply::Done`].
    Settled,
    /// Lets one more client watch what a source of the driver's is about. Handle 0 = its ticket. There is one source for all who
    /// come after the first, with a page of its own, which this brings; from here on the driver publishes both that source and
    /// the one that was there before, that one first. → [`Reply::Shared`], handle 0 = the page of cells, handle 1 = the watch
    /// handle, which is that client's. `source` may be either. ENOENT: no source of this session; EOPNOTSUPP: it is durable; EMFILE,
    /// ENOMEM: as of a source for that client.
    Share {
        /// Which source.
        source: SourceId,
    },
}

/// A source whose driver is gone.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Orphan {
    /// Its name, as before.
    pub source: SourceId,
    /// What its driver said of it.
    pub kept: Vec<u8>,
    /// The word that its driver [kept](crate::cell::Cell::keep) in the cell.
    pub word: u64,
    /// The levels of reading and writing that were there last, packed: what is no rise from them is no news.
    pub levels: [u64; 2],
}

/// Answers to [`Request`].
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Reply {
    /// Answer to [`Request::CreateSource`].
    Created {
        /// The source: what to publish as, and the badge of its watch handle.
        source: SourceId,
        /// Number of the page.
        page: u64,
        /// Cell in the page.
        cell: u32,
    },
    /// It is done.
    Done,
    /// Answer to [`Request::Orphans`].
    Orphans(Vec<Orphan>),
    /// Answer to [`Request::Share`].
    Shared {
        /// The source that is for all: what to publish as.
        source: SourceId,
        /// Number of the page.
        page: u64,
        /// Cell in the page.
        cell: u32,
        /// It was made by this request: what the other one shows, it shows.
        is_new: bool,
    },
}

//! What a driver asks on its session handle.

use crate::badge::SourceId;
use crate::filter::Filters;
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
}

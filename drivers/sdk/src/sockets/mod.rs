//! Sockets: what a driver of an address family does not have to say.
//!
//! A [`Family`] knows what its sockets are and do, each by an [`Id`] of its own: no files, no clients that wait, no levels in
//! shared memory. [`Service`] makes a [`Driver`](crate::Driver) of it: which open file is which socket, what is published of
//! each act before it is answered, in which queue who waits, and what becomes of what a receiver did not get.
//!
//! ```text
//!   Service     files, queues, levels, controls, undo            Driver of the sdk
//!   Family      what a socket is and does                        local sockets, TCP and UDP
//! ```

mod family;
mod options;
mod ready;
mod service;

pub use family::Family;
pub use options::{LowWater, buffer_size};
pub use ready::{Change, Ready};
pub use service::Service;

use event_protocol::descriptor::{FileType, Stat};
use event_protocol::filter::Filters;

/// A socket's number, which its family chooses and never uses again.
pub type Id = u64;

/// Filters that a socket serves.
pub const FILTERS: Filters =
    Filters::READ.union(Filters::WRITE).union(Filters::EXCEPT).union(Filters::HANGUP);

/// What `stat` says of a socket that has so many names.
pub const fn stat(socket: Id, links: u32) -> Stat {
    Stat {
        inode: socket,
        file_type: FileType::Socket,
        mode: 0o777,
        links,
        size: 0,
        accessed: 0,
        modified: 0,
        changed: 0,
    }
}

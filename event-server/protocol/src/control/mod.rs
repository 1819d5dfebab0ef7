//! Control messages: postcard requests to the server's endpoints.
//!
//! A request's tag has one of [`label`]'s numbers, its bytes are the request. The reply has word 0 = 0 and the reply's
//! bytes, or word 0 = an errno and nothing else. The documented handles travel in transfer slots, in that order.
//!
//! Tickets and watch handles are shown, not called: the server knows its own by the badge as which they arrive, and a caller
//! that has one from a stranger gives it to the server that it knows.
//!
//! | sent on | label | request | reply |
//! |---|---|---|---|
//! | the handle that init gives out for service [`SERVICE`], or [`lobby`] of a shard | LOBBY | [`lobby::Request`] | [`lobby::Reply`] |
//! | a client's session handle | CLIENT | [`client::Request`] | [`client::Reply`] |
//! | a driver's session handle | DRIVER | [`driver::Request`] | [`driver::Reply`] |

pub mod client;
pub mod driver;
pub mod limits;
pub mod lobby;
pub mod policy;

/// Name of the service with init.
pub const SERVICE: &str = "event";

/// Version of the filter protocol (docs/filter-protocol.md): of layouts, encodings and meanings.
pub const VERSION: u32 = 3;

/// Labels of requests.
pub mod label {
    /// [`lobby::Request`](super::lobby::Request).
    pub const LOBBY: u32 = 0x4501;
    /// [`client::Request`](super::client::Request).
    pub const CLIENT: u32 = 0x4502;
    /// [`driver::Request`](super::driver::Request).
    pub const DRIVER: u32 = 0x4503;
    /// Every reply.
    pub const REPLY: u32 = 0x4500;
}

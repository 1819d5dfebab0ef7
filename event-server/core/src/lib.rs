//! The event server without its kernel: notes, queues, waiters, sources, and who is woken.
//!
//! One [`Shard`](shard::Shard) per CPU owns all that hangs on the sources of that CPU's drivers; shards share nothing but
//! the [`Directory`](directory::Directory) of clients, which only set-up touches. What a shard does to the world goes
//! through [`Host`](host::Host).
//!
//! ```text
//! driver ──changed ring──► Source ─► Knote ─► Note ──activation ring──► queue's bank ─► waiter chosen
//!                          (cell)   (queue,   (slot)
//!                                    source)
//! ```
//! The event path is [`graph::Graph::look`]: it neither allocates nor hashes.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

pub mod account;
pub mod adoptions;
pub mod arena;
mod audit;
pub mod bounds;
pub mod directory;
pub mod exclusive;
pub mod graph;
pub mod host;
pub mod page;
pub mod processes;
pub mod queue;
pub mod session;
pub mod shard;
mod sharing;
pub mod source;

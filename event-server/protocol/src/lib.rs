//! What drivers, the event server and its clients share: memory layouts, the lock-free hand-offs over them, and the
//! control messages.
//!
//! Readiness is data: a driver writes the level of a source into its [`cell::Cell`] and says so through its
//! [`changed`] ring; the server activates the notes that are interested through the client's [`activation`] rings; the
//! client looks at the cell again when it harvests, and [`park`]s when nothing is ready. Each hand-off is written once,
//! here, for both of its sides, and is model-checked with loom as it stands.
//!
//! | hand-off | from → to | what makes it safe |
//! |---|---|---|
//! | publish | driver → shard | [`changed`]: one `queued` word per cell, `armed` word per ring |
//! | activate | shard → client | [`slot`]: one `queued` word per note; [`activation`]: `pending` word |
//! | park, choose | client ↔ shard | [`park`]: one `state` word per waiter, fences on both sides; [`parked`]: bits per queue |
//! | trace | any thread → whoever looks | [`trace`]: one `sequence` word per entry |
//! | delete | client → shard | generations in ring entries; the reply promises silence |
#![cfg_attr(not(any(test, loom)), no_std)]

extern crate alloc;

pub mod activation;
pub mod atomic;
pub mod badge;
pub mod cell;
pub mod changed;
pub mod control;
pub mod descriptor;
#[cfg(all(test, not(loom)))]
mod document;
pub mod fault;
pub mod filter;
pub mod level;
pub mod park;
pub mod parked;
pub mod ring;
#[cfg(not(loom))]
pub mod shared;
pub mod slot;
pub mod trace;

//! What every driver is built on.
//!
//! A driver is a [`Driver`]: plain safe code that answers requests on open files and says, through its [`Context`], what
//! changed. The [`Engine`](engine::Engine) owns everything that could go wrong between the driver and the rest of the
//! system, and is as testable as the driver, because it knows the outside only as a [`Link`](link::Link):
//!
//! - open files with generations, known to clients by badged handles alone; the last close frees everything;
//! - requests that wait, of whatever kind, answered in the order in which they came; what a caller did not get, because it
//!   died or gave up in between, is read by the next;
//! - sources for all clients that watch a file, and handles that travel in messages;
//! - quotas for each client, so that none can take the driver from the others;
//! - the level is published before the reply that lets anybody know of the change.
//!
//! A driver of sockets implements [`sockets::Family`] instead, and [`sockets::Service`] makes a driver of it.
//!
//! [`run`] connects the engine with the kernel and the event server; a driver's `main` is little more than a call of it.
//!
//! A whole driver, whose files are always full of zeros:
//!
//! ```
//! use abi::error::{ENOENT, Error, Result};
//! use driver_sdk::{Context, Driver, FileId, Filters, Kind, Level, Opening, Taken};
//!
//! struct Zero;
//!
//! impl Driver for Zero {
//!     fn open(&mut self, _: &mut Context<'_>, _: FileId, path: &str, _: u64) -> Result<Opening> {
//!         match path {
//!             "/dev/zero" => Ok(Opening::new(Kind::Device, Filters::READ).readable(Level::new(4096))),
//!             _ => Err(Error::new(ENOENT)),
//!         }
//!     }
//!
//!     fn close(&mut self, _: &mut Context<'_>, _: FileId) {}
//!
//!     fn read(&mut self, _: &mut Context<'_>, _: FileId, buffer: &mut [u8], _: Option<u64>) -> Result<Taken> {
//!         buffer.fill(0);
//!         Ok(Taken { count: buffer.len(), arrival: 0 })
//!     }
//! }
//! ```
#![no_std]
#![deny(unsafe_code)]

extern crate alloc;

mod context;
mod driver;
pub mod engine;
mod files;
mod guest;
pub mod limits;
pub mod link;
mod message;
mod parcels;
mod pending;
mod record;
pub mod registers;
pub mod report;
pub mod sockets;
mod watches;

pub use context::Context;
pub use driver::{Asked, Driver, Opening, Taken};
pub use event_protocol::cell::Direction;
pub use event_protocol::descriptor::DURABLE;
pub use event_protocol::descriptor::message::MessageFlags;
pub use event_protocol::descriptor::{
    Arm, Control, ControlReply, Entry, FileType, Kind, PathReply, PathRequest, Setting, Stat, TerminalMode,
    Whence,
};
pub use event_protocol::filter::Filters;
pub use event_protocol::level::{Level, LevelFlags};
pub use files::FileId;
pub use guest::dma::Dma;
pub use guest::mmio::Mmio;
pub use guest::pci::Function;
pub use guest::ports::Ports;
pub use guest::{Setup, run, run_on};
pub use message::{Incoming, Outgoing, Receiving};
pub use parcels::Parcel;
pub use pci_protocol::{Identity, Wanted};
pub use registers::{Registers, SharedMemory, Word};

/// The examples of docs/porting.md.
#[cfg(doctest)]
#[doc = include_str!("../../../docs/porting.md")]
pub struct Porting;

//! Messages with bytes and handles, through the calling thread's [`IpcBuffer`](abi::IpcBuffer).
//!
//! Words travel in registers and need nothing from here: [`Endpoint::call`](crate::sys::Endpoint::call). Documents are
//! `postcard`. By convention the first word of a reply is 0 or an errno.

mod buffer;
mod call;
mod server;
mod transfer;

pub use buffer::{
    decode, encode, read_bytes, set_accept, set_slot, slot, with_bytes, with_bytes_mut, write_bytes,
};
pub use call::{call, call_postcard};
pub use server::{Reply, Request, Service, serve};
pub use transfer::{Arrivals, Arrived, Transfer};

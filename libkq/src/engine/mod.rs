//! The queue engine, which all interfaces share: note slots, ready list, harvest, waiters.
//!
//! The engine knows where a note is (in no list, in the ready list, retired) and never what it means: that is its
//! [`View`]'s, which looks at the cell and writes the event of its interface. So kevent, poll, select, epoll and
//! /dev/poll are each a view over this.

mod bank;
mod queue;
mod ready;
mod waiters;

pub use queue::harvest::{After, Left, Sink, Unfinished, View};
pub use queue::{Note, Own, Queue, Truth};
pub use waiters::{Seat, Seats};

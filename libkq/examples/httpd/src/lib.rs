//! A web server that shows how many workers wait for one listener, and a load generator for it.
//!
//! A parent makes the listeners and starts workers; each worker blocks in its own kqueue on the listeners, which it
//! inherited, and on the connections that it accepted. Its note on a listener has `EV_WAKEONE`: of all workers that sleep, one
//! is woken for a connection. See [`options::Options`] for what can be otherwise.
//!
//! | module | what |
//! |---|---|
//! | [`options`] | the command line |
//! | [`parent`] | starts workers, and again when they die |
//! | [`worker`] | the loop: wait, accept, serve |
//! | [`poller`] | kevent or epoll |
//! | [`door`] | how many connections there may be |
//! | [`connection`] | bytes in, answers out |
//! | [`deadline`] | how long a client may take to ask |
//! | [`request`], [`response`], [`date`] | HTTP/1.1 and HTTP/1.0 |
//! | [`site`] | files, kept in memory until a VNODE note says that they changed |
//! | [`board`], [`counters`] | what all workers count, in memory that they share; the page that shows it |
//! | [`load`] | the load generator |
#![cfg_attr(not(test), no_std)]
#![deny(unsafe_code)]

extern crate alloc;

pub mod board;
pub mod connection;
pub mod counters;
pub mod date;
pub mod deadline;
pub mod door;
pub mod load;
pub mod options;
pub mod parent;
pub mod poller;
pub mod request;
pub mod response;
pub mod site;
pub mod worker;

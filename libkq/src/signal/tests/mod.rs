//! Signals of an imagined process: the service is a mailbox, threads are numbers.

mod actions;
mod imagined;
mod model;
mod waits;

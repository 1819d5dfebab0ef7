//! Sockets as their owners see them.

mod datagrams;
mod ends;
mod listeners;
mod receivers;
mod streams;
mod world;

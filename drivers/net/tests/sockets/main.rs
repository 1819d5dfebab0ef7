//! Sockets behind the real engine, over a card that goes nowhere: this machine speaks with itself.

mod addresses;
mod datagrams;
mod desk;
#[path = "../../../sdk/tests/fake/mod.rs"]
mod fake;
mod listeners;
mod outside;
mod sharing;
mod streams;
mod wire;

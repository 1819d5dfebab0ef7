//! Every hand-off in every interleaving. Run with
//! `RUSTFLAGS="--cfg loom" cargo test -p event-protocol --release --test loom`.
#![cfg(loom)]

mod activation;
mod lasting;
mod leases;
mod levels;
mod rings;
mod session;
mod traces;
mod waiters;

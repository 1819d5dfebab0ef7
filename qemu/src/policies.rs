//! Whom an arrival should wake: the policies under several workloads, `cargo xtask bench policies`.
//!
//! The guest's side is `tests/guest/src/bin/bench/policies`.

pub mod plan;
pub mod plot;
pub mod row;
pub mod table;

//! Messages with handles, and requests of all kinds that wait.

#[path = "../fake/mod.rs"]
mod fake;
mod office;
mod parcels;
mod transfers;
mod waiting;

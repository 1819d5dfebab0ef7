//! Who is told what of processes and signals.

mod family;
mod model;
mod signals;
mod watching;

//! The web server under load, with a connection that wakes one worker and with one that wakes all: `cargo xtask bench ab`.

pub mod apache;
pub mod figures;
pub mod guest;
pub mod plan;
pub mod plot;
pub mod table;

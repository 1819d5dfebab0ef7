//! Peers that write nonsense into shared memory end their own session, and nobody else's (R56).

mod changes;
mod peers;
mod reuse;
mod world;

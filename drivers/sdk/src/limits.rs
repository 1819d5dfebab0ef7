//! What one client may have of one driver (R55). Beyond it: EMFILE for files, ENOMEM for waiting requests.

/// A driver's open files are shared by at least so many clients: none may have more than this part of them.
pub const LEAST_CLIENTS: usize = 4;
/// Sources of one durable file: clients that watch it.
pub const SOURCES_PER_FILE: usize = 256;
/// Waiting requests of one open file and direction; one more, and the oldest gives way.
pub const PENDING_PER_FILE: usize = 16;
/// Waiting requests of one client; one more is refused.
pub const PENDING_PER_CLIENT: usize = 64;
/// Waiting requests in all.
pub const PENDING: usize = 1024;
/// Handles that a client has sent and nobody has received; one more is ETOOMANYREFS.
pub const PARCELS_PER_CLIENT: usize = 256;

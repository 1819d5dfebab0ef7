//! What one client may have of one driver (R55). Beyond it: EMFILE for files, ENOMEM for waiting requests.

/// A driver's open files are shared by at least so many clients: none may have more than this part of them.
pub const LEAST_CLIENTS: usize = 4;
/// Waiting reads and writes of one open file and direction; one more, and the oldest gives way.
pub const PENDING_PER_FILE: usize = 16;
/// Waiting reads and writes of one client; one more is refused.
pub const PENDING_PER_CLIENT: usize = 64;
/// Waiting reads and writes in all.
pub const PENDING: usize = 1024;

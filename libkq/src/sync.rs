//! The lock of the library: the run-time's in a program, the host's in tests.

#[cfg(target_os = "none")]
pub use rt::sync::{Mutex, MutexGuard};

#[cfg(not(target_os = "none"))]
pub use host::{Mutex, MutexGuard};

#[cfg(not(target_os = "none"))]
mod host {
    extern crate std;
    use std::sync::PoisonError;

    /// The host's lock with the run-time's interface.
    #[derive(Debug, Default)]
    pub struct Mutex<T>(std::sync::Mutex<T>);

    /// The right to use what a lock guards.
    pub type MutexGuard<'a, T> = std::sync::MutexGuard<'a, T>;

    impl<T> Mutex<T> {
        /// A free lock.
        pub const fn new(value: T) -> Mutex<T> {
            Mutex(std::sync::Mutex::new(value))
        }

        /// Waits for the lock and takes it.
        pub fn lock(&self) -> MutexGuard<'_, T> {
            self.0.lock().unwrap_or_else(PoisonError::into_inner)
        }
    }
}

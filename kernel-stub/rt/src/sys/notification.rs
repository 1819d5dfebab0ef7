//! Words of bits that threads wait for.

use abi::Handle;
use abi::error::Result;
use abi::number::{
    SYS_EXIT_WATCH, SYS_NOTIFICATION_BIND, SYS_NOTIFICATION_CREATE, SYS_NOTIFICATION_POLL,
    SYS_NOTIFICATION_SIGNAL, SYS_NOTIFICATION_WAIT,
};

use super::Endpoint;
use super::handle::{Object, object};
use super::raw::{self, Received, syscall, syscall2};
use super::thread::Thread;

object! {
    /// A handle to a notification.
    Notification
}

/// Signals through a bare handle number.
#[inline(always)]
pub fn signal(notification: Handle, bits: u64) -> Result<()> {
    // SAFETY: registers only.
    unsafe { syscall2(SYS_NOTIFICATION_SIGNAL, notification.0, bits) }.map(drop)
}

impl Notification {
    /// A new notification with all rights and no bits set.
    pub fn create() -> Result<Notification> {
        // SAFETY: registers only.
        unsafe { syscall(SYS_NOTIFICATION_CREATE, [0; 6]) }.map(|h| Notification::from_handle(Handle(h)))
    }

    /// ORs bits into the word and wakes a waiter.
    #[inline(always)]
    pub fn signal(&self, bits: u64) -> Result<()> {
        signal(self.handle(), bits)
    }

    /// Waits until the word is not zero, and takes it.
    #[inline(always)]
    pub fn wait(&self, deadline: u64) -> Result<u64> {
        raw::wait(SYS_NOTIFICATION_WAIT, self.handle(), deadline)
    }

    /// Takes the word as it is: 0 for nothing.
    #[inline(always)]
    pub fn poll(&self) -> Result<u64> {
        raw::wait(SYS_NOTIFICATION_POLL, self.handle(), 0)
    }

    /// Lets a thread's receive hear it; `None` is the calling thread.
    pub fn bind(&self, thread: Option<&Thread>) -> Result<()> {
        let thread = thread.map_or(Handle::NONE, Object::handle);
        // SAFETY: registers only.
        unsafe { syscall(SYS_NOTIFICATION_BIND, [self.handle().0, thread.0, 0, 0, 0, 0]) }.map(drop)
    }

    /// Signals this one, then waits for `target`, in one kernel entry.
    #[inline(always)]
    pub fn signal_and_wait(&self, bits: u64, target: &Notification, deadline: u64) -> Result<u64> {
        raw::signal_and_wait(self.handle(), bits, target.handle(), deadline).map(|received| received.badge)
    }

    /// Signals this one, then receives from `target`, in one kernel entry.
    #[inline(always)]
    pub fn signal_and_recv(&self, bits: u64, target: &Endpoint, deadline: u64) -> Result<Received> {
        raw::signal_and_wait(self.handle(), bits, target.handle(), deadline)
    }

    /// Signals `bits` here exactly once when a process or thread is gone, at once when it already is.
    pub fn watch_exit(&self, of: &impl Object, bits: u64) -> Result<()> {
        // SAFETY: registers only.
        unsafe { syscall(SYS_EXIT_WATCH, [of.handle().0, self.handle().0, bits, 0, 0, 0]) }.map(drop)
    }
}

//! Handles that are closed when dropped.

use abi::error::Result;
use abi::handle::HandleInfo;
use abi::number::{SYS_CLOSE, SYS_HANDLE_DUP, SYS_HANDLE_INFO};
use abi::{Handle, Rights};

use super::raw::syscall;

/// Closes a handle.
#[inline]
pub fn close(handle: Handle) -> Result<()> {
    // SAFETY: closing a handle touches no memory of this process: mappings outlive their handle.
    unsafe { syscall(SYS_CLOSE, [handle.0, 0, 0, 0, 0, 0]) }.map(drop)
}

/// A new handle to the same object, with `rights & mask` and, unless 0, a badge.
#[inline]
pub fn duplicate(handle: Handle, mask: Rights, badge: u64) -> Result<Handle> {
    // SAFETY: registers only.
    unsafe { syscall(SYS_HANDLE_DUP, [handle.0, u64::from(mask.bits()), badge, 0, 0, 0]) }.map(Handle)
}

/// What a handle is.
pub fn info(handle: Handle) -> Result<HandleInfo> {
    let mut info = HandleInfo::default();
    // SAFETY: the kernel writes one `HandleInfo` where the exclusive reference points.
    unsafe { syscall(SYS_HANDLE_INFO, [handle.0, &raw mut info as u64, 0, 0, 0, 0]) }.map(|_| info)
}

/// An owned handle of some kind: what all the types here share.
pub trait Object: Sized {
    /// Takes ownership of a handle. A handle of another kind makes every call fail with an error.
    fn from_handle(handle: Handle) -> Self;

    /// The number, for messages and raw calls; stays owned here.
    fn handle(&self) -> Handle;

    /// Gives ownership away: nothing is closed.
    #[inline]
    fn into_handle(self) -> Handle {
        let handle = self.handle();
        core::mem::forget(self);
        handle
    }

    /// A second handle with the same rights, as far as they can be duplicated.
    #[inline]
    fn duplicate(&self) -> Result<Self> {
        duplicate(self.handle(), Rights::all(), 0).map(Self::from_handle)
    }

    /// A second handle with fewer rights.
    #[inline]
    fn restricted(&self, mask: Rights) -> Result<Self> {
        duplicate(self.handle(), mask, 0).map(Self::from_handle)
    }

    /// A handle with a badge: see [`SYS_HANDLE_DUP`].
    #[inline]
    fn with_badge(&self, mask: Rights, badge: u64) -> Result<Self> {
        duplicate(self.handle(), mask, badge).map(Self::from_handle)
    }

    /// What the kernel says about it.
    #[inline]
    fn info(&self) -> Result<HandleInfo> {
        info(self.handle())
    }
}

macro_rules! object {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug)]
        pub struct $name(abi::Handle);

        impl $crate::sys::Object for $name {
            #[inline]
            fn from_handle(handle: abi::Handle) -> Self {
                $name(handle)
            }

            #[inline]
            fn handle(&self) -> abi::Handle {
                self.0
            }
        }

        impl Drop for $name {
            #[inline]
            fn drop(&mut self) {
                if !self.0.is_none() {
                    // A number that is stale already is not ours any more: nothing is lost.
                    let _ = $crate::sys::close(self.0);
                }
            }
        }
    };
}
pub(super) use object;

object! {
    /// A handle whose kind is not known (yet).
    AnyHandle
}

impl AnyHandle {
    /// The same handle as one of a kind.
    #[inline]
    pub fn into_object<T: Object>(self) -> T {
        T::from_handle(self.into_handle())
    }
}

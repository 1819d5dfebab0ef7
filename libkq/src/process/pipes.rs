//! Pipes and FIFOs.

use abi::error::{EINVAL, Error, Result};
use abi::flag::{O_NONBLOCK, O_RDONLY, O_WRONLY};
use event_protocol::descriptor::PathRequest;
use event_protocol::descriptor::names::{PIPE, WRITER};

use super::Process;
use crate::epoll::CLOEXEC;
use crate::platform::Platform;

/// What a call that makes descriptors keeps of its flags. `EINVAL`: it does not know some.
pub(super) fn kept_flags(flags: u64) -> Result<u64> {
    // A program that is started has what it is handed, and nothing else.
    let known = O_NONBLOCK as u64 | CLOEXEC;
    if flags & !known != 0 { Err(Error::new(EINVAL)) } else { Ok(flags & O_NONBLOCK as u64) }
}

impl<P: Platform> Process<P> {
    /// A pipe: the number of the end that is read and of the end that is written. `pipe2(2)`: `O_NONBLOCK` or nothing,
    /// and [`CLOEXEC`], which is always so. `EINVAL`: other flags.
    pub fn pipe(&self, flags: u64) -> Result<(i32, i32)> {
        let kept = kept_flags(flags)?;
        let reader = self.platform.open(PIPE, O_RDONLY as u64 | kept)?;
        let writer = self.platform.open_beside(&reader, WRITER, O_WRONLY as u64 | kept)?;
        self.insert_pair((reader, O_RDONLY as u64 | kept), (writer, O_WRONLY as u64 | kept))
    }

    /// Both or none.
    pub(super) fn insert_pair(&self, first: (P::File, u64), second: (P::File, u64)) -> Result<(i32, i32)> {
        let first = self.insert(first.0, first.1)?;
        match self.insert(second.0, second.1) {
            Ok(second) => Ok((first, second)),
            Err(error) => {
                // It was open an instant ago, and whoever closed it meanwhile has done the same.
                let _ = self.close(first);
                Err(error)
            }
        }
    }

    /// Makes a FIFO. `mkfifo(3)`.
    pub fn mkfifo(&self, path: &str, mode: u16) -> Result<()> {
        self.platform.path(path, PathRequest::MakeFifo { path: path.into(), mode }).map(drop)
    }
}

//! Descriptors that a program has when it starts, from who started it.
//!
//! They travel as handles of the start document that are named by their numbers. A set does not travel (R33): it lies in
//! memory of the process that made it.

use alloc::format;
use alloc::string::String;

use abi::error::Result;
use rt::ipc::Transfer;
use rt::sys::Endpoint;

use crate::file::Files;
use crate::machine::{Machine, OpenFile};
use crate::process::Process;

/// Names of such handles: a number follows.
const PREFIX: &str = "fd:";

/// The handle by which a program that is started has the descriptor `fd` of this process, with this number. `EINVAL`: a
/// set.
pub fn give(fd: i32, number: i32) -> Result<(String, Transfer)> {
    let file = crate::process().file(fd)?;
    Ok((format!("{PREFIX}{number}"), Transfer::copy(file.handle().descriptor())))
}

/// Gives the descriptors that this program was started with their numbers.
pub(crate) fn take(process: &Process<Machine>) {
    let start = rt::start::start();
    for (name, _) in start.handles() {
        let Some(Ok(number)) = name.strip_prefix(PREFIX).map(str::parse) else { continue };
        let Some(descriptor) = start.object::<Endpoint>(name) else { continue };
        // A driver that died meanwhile has no files, and a number that is none is nobody's.
        if let Ok((file, flags)) = OpenFile::adopt(descriptor) {
            let _ = process.insert_at(number, file, flags);
        }
    }
}

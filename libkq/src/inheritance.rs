//! Descriptors that a program has when it starts, from who started it.
//!
//! They travel as handles of the start document that are named by their numbers: the same open files.
//!
//! **An epoll set travels, a kqueue does not** (R33), nor does a /dev/poll set. A set lies in memory of the process that
//! made it, so what travels is what is in it: the program begins with a set of its own that has the same items on the same
//! open files, with their data, and one-shots that were told stay silent. From there on the two are apart: what is added,
//! changed or told in one is nothing to the other. Items on sets stay behind. The files of a set come along with their
//! numbers, unless another descriptor is given for the number.

use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

use abi::error::{EINVAL, Error, Result};
use hashbrown::HashMap;
use rt::ipc::Transfer;
use rt::sys::Endpoint;
use serde::{Deserialize, Serialize};

use crate::epoll::{Epoll, EpollEvent, ItemState};
use crate::file::{File, Files, Target};
use crate::machine::{Machine, OpenFile};
use crate::process::Process;

/// Names of handles of descriptors: a number follows.
const PREFIX: &str = "fd:";
/// Names of handles of files without a number, which sets watch: a count follows.
const UNNUMBERED: &str = "file:";

/// A handle under its name.
pub type Named = (String, Transfer);

/// A set as it travels.
#[derive(Serialize, Deserialize)]
struct SetDocument {
    number: i32,
    cloexec: bool,
    items: Vec<ItemDocument>,
}

/// An item as it travels.
#[derive(Serialize, Deserialize)]
struct ItemDocument {
    /// Name of the handle of its file.
    file: String,
    fd: i32,
    events: u32,
    data: u64,
    armed: bool,
}

/// What a program that will be started is given.
#[derive(Default)]
pub struct Given {
    handles: Vec<Named>,
    /// Handles of open files: a file has one, whatever stands for it.
    files: HashMap<u64, String>,
    sets: Vec<SetDocument>,
}

impl core::fmt::Debug for Given {
    fn fmt(&self, out: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        out.debug_list().entries(self.handles.iter().map(|(name, _)| name)).finish()
    }
}

impl Given {
    /// The descriptor `fd` of this process, as `number`. `EBADF`: not open; `EINVAL`: a set that does not travel.
    pub fn give(&mut self, fd: i32, number: i32) -> Result<()> {
        let process = crate::process();
        match process.target(fd)? {
            Target::File(file) => {
                self.file(&file, format!("{PREFIX}{number}"));
                Ok(())
            }
            Target::Set(_) => {
                let set = process.epoll(fd)?;
                self.set(process, &set, number)
            }
        }
    }

    fn file(&mut self, file: &File<Machine>, name: String) {
        if self.handles.iter().any(|(known, _)| *known == name) {
            return;
        }
        self.files.entry(file.description.name()).or_insert_with(|| name.clone());
        self.handles.push((name, Transfer::copy(file.handle().descriptor())));
    }

    fn set(&mut self, process: &Process<Machine>, set: &Epoll<Machine>, number: i32) -> Result<()> {
        let mut items = Vec::new();
        for ItemState { description, fd, event, armed } in set.items()? {
            // Its file may be open by another number only, and one on a set stays behind.
            let Some(file) = process.described(description) else { continue };
            if process.file(fd).is_ok_and(|open| open.description.name() == description) {
                self.file(&file, format!("{PREFIX}{fd}"));
            }
            if !self.files.contains_key(&description) {
                self.file(&file, format!("{UNNUMBERED}{}", self.handles.len()));
            }
            let name = self.files.get(&description).cloned().ok_or(Error::new(EINVAL))?;
            let events = event.events().bits();
            items.push(ItemDocument { file: name, fd, events, data: event.data(), armed });
        }
        self.sets.push(SetDocument { number, cloexec: set.is_cloexec(), items });
        Ok(())
    }

    /// The handles, by name, and what the program is told besides.
    pub(crate) fn finish(self) -> Result<(Vec<Named>, Vec<u8>)> {
        let data = match self.sets.is_empty() {
            true => Vec::new(),
            false => postcard::to_allocvec(&self.sets).map_err(|_| Error::new(EINVAL))?,
        };
        Ok((self.handles, data))
    }
}

/// The handle by which a program that is started has the file `fd` of this process, with this number. `EINVAL`: a set.
pub fn give(fd: i32, number: i32) -> Result<Named> {
    let file = crate::process().file(fd)?;
    Ok((format!("{PREFIX}{number}"), Transfer::copy(file.handle().descriptor())))
}

/// Gives the descriptors that this program was started with their numbers. A driver that died meanwhile has no files, and a
/// number that is none is nobody's.
pub(crate) fn take(process: &Process<Machine>) {
    let start = rt::start::start();
    let mut files: HashMap<&str, Arc<File<Machine>>> = HashMap::new();
    for (name, _) in start.handles() {
        let number = name.strip_prefix(PREFIX).map(str::parse);
        if number.is_none() && !name.starts_with(UNNUMBERED) {
            continue;
        }
        let Some(descriptor) = start.object::<Endpoint>(name) else { continue };
        let Ok((handle, flags)) = OpenFile::adopt(descriptor) else { continue };
        let file = match number {
            Some(Ok(number)) => process.insert_at(number, handle, flags),
            _ => Ok(process.unnumbered(handle, flags)),
        };
        if let Ok(file) = file {
            files.insert(name, file);
        }
    }
    let sets: Vec<SetDocument> = postcard::from_bytes(start.data()).unwrap_or_default();
    for SetDocument { number, cloexec, items } in sets {
        let Ok(set) = process.epoll_at(number, cloexec) else { continue };
        for ItemDocument { file, fd, events, data, armed } in items {
            let Some(file) = files.get(file.as_str()) else { continue };
            let event = EpollEvent::new(crate::EpollFlags::from_bits_retain(events), data);
            // One that its driver refuses now is one whose file is gone.
            let _ = set.adopt(fd, file, event, armed);
        }
    }
}

//! Descriptors that a program has when it starts, from who started it.
//!
//! They travel as handles of the start document that are named by their numbers: the same open files, with the flags that they
//! have then. Who changes `O_NONBLOCK` or `O_APPEND` later changes it for its own process.
//!
//! **An epoll set travels, a kqueue does not** (R33), nor does a /dev/poll set. A set lies in memory of the process that
//! made it, so what travels is what is in it: the program begins with a set of its own that has the same items on the same
//! open files, with their data, and one-shots that were told stay silent. From there on the two are apart: what is added,
//! changed or told in one is nothing to the other. Items on sets stay behind. The files of a set come along with their
//! numbers, except those for which something else is given. Numbers of one open file are that in the program too.

mod plan;

use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

use abi::error::{EINVAL, Error, Result};
use hashbrown::HashMap;
use rt::ipc::Transfer;
use rt::sys::Endpoint;

use crate::epoll::EpollEvent;
use crate::file::{File, Files, Target};
use crate::machine::{Machine, OpenFile};
use crate::process::Process;
use plan::{Document, Item, ItemDocument, PREFIX, Plan, SetDocument, UNNUMBERED};

/// A handle under its name.
pub type Named = (String, Transfer);

/// What a program that will be started is given. Its files stay open until then.
#[derive(Default)]
pub struct Given(Plan<Arc<File<Machine>>>);

impl core::fmt::Debug for Given {
    fn fmt(&self, out: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let (handles, document) = self.0.finish();
        out.debug_list().entries(handles.iter().map(|(name, _)| name)).entry(&document).finish()
    }
}

impl Given {
    /// The descriptor `fd` of this process, as `number`. `EBADF`: not open; `EBUSY`: something else was given as that
    /// number; `EINVAL`: a set that does not travel.
    pub fn give(&mut self, fd: i32, number: i32) -> Result<()> {
        let process = crate::process();
        match process.target(fd)? {
            Target::File(file) => self.0.file(number, file.description.name(), file),
            Target::Set(_) => {
                let set = process.epoll(fd)?;
                let mut items = Vec::new();
                for state in set.items()? {
                    // Its file may be open by another number only, and one on a set stays behind.
                    let Some(file) = process.described(state.description) else { continue };
                    let open = process.file(state.fd);
                    let numbered = open.is_ok_and(|open| open.description.name() == state.description);
                    items.push(Item { state, file, numbered });
                }
                self.0.set(number, set.description.name(), set.is_cloexec(), items)
            }
        }
    }

    /// The handles, by name, and what the program is told besides. They are of open files as long as this is there.
    pub(crate) fn finish(&self) -> Result<(Vec<Named>, Vec<u8>)> {
        let (files, mut document) = self.0.finish();
        document.flags = files.iter().map(|(name, file)| (name.clone(), file.flags())).collect();
        let handles =
            files.into_iter().map(|(name, file)| Ok((name, given(file)?))).collect::<Result<Vec<Named>>>()?;
        let data = match document.is_empty() {
            true => Vec::new(),
            false => postcard::to_allocvec(&document).map_err(|_| Error::new(EINVAL))?,
        };
        Ok((handles, data))
    }
}

/// The handle by which a program that is started has the file `fd` of this process, with this number. `EINVAL`: a set.
pub fn give(fd: i32, number: i32) -> Result<Named> {
    let file = crate::process().file(fd)?;
    Ok((format!("{PREFIX}{number}"), given(&file)?))
}

/// The handle of a file for another process. One whose driver is away is worth nothing there: it waits for the next one.
fn given(file: &Arc<File<Machine>>) -> Result<Transfer> {
    crate::process().until_served(file)?;
    file.handle().given()
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
    let Document { same, sets, flags } = postcard::from_bytes(start.data()).unwrap_or_default();
    for (name, flags) in flags {
        if let Some(file) = files.get(name.as_str()) {
            file.set_flags(flags);
        }
    }
    for (number, of) in same {
        if let Some(file) = files.get(format!("{PREFIX}{of}").as_str()) {
            // A number that is none is nobody's.
            let _ = process.also_at(number, file);
        }
    }
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

//! The boot archive in init's memory.

use alloc::collections::{BTreeMap, BTreeSet};

use abi::{
    Rights,
    error::{EIO, ENOENT, Error, Result},
    flag::MapFlags,
    start::StartHeader,
};
use image::{
    archive::{Archive, File},
    elf::Image,
};
use init::system::Failure;
use rt::sys::{AnyHandle, Memory, Object};

use crate::window;

/// The archive, and what is known of its files.
pub struct Files {
    archive: Archive<'static>,
    /// Files whose checksum was right: the archive does not change.
    verified: BTreeSet<&'static str>,
    /// Memory of the files that somebody opened.
    opened: BTreeMap<&'static str, Memory>,
}

impl Files {
    /// Maps the archive that the kernel gave.
    pub fn new(header: &StartHeader) -> core::result::Result<Files, Failure> {
        let memory = Memory::from_handle(header.archive);
        let refused = |error| Failure::Refused { what: "map of the archive", error };
        let length = usize::try_from(header.archive_length).map_err(|_| refused(Error::new(EIO)))?;
        let mapping = memory.map_all(MapFlags::PROT_READ).map_err(refused)?;
        let bytes = window::leak(mapping);
        let bytes = bytes.get(..length).ok_or(refused(Error::new(EIO)))?;
        let archive = Archive::parse(bytes).map_err(Failure::Archive)?;
        Ok(Files { archive, verified: BTreeSet::new(), opened: BTreeMap::new() })
    }

    /// Whether there is a file of this path.
    pub fn exists(&self, path: &str) -> bool {
        self.archive.find(path).is_some()
    }

    /// A file whose checksum is right.
    pub fn file(&mut self, path: &str) -> core::result::Result<File<'static>, Failure> {
        let file = self.archive.find(path).ok_or(Failure::NoFile)?;
        if !self.verified.contains(file.path) {
            file.verify().map_err(Failure::Damaged)?;
            self.verified.insert(file.path);
        }
        Ok(file)
    }

    /// A program.
    pub fn program(&mut self, path: &str) -> core::result::Result<Image<'static>, Failure> {
        Image::parse(self.file(path)?.data).map_err(Failure::NotProgram)
    }

    /// A handle to read a file through, and the file's length. All who open a file share one copy, so that opening costs
    /// init no more than the archive once again.
    pub fn open(&mut self, path: &str) -> Result<(AnyHandle, u64)> {
        let file = self.file(path).map_err(|failure| failure.errno())?;
        let length = file.data.len() as u64;
        if !self.opened.contains_key(file.path) {
            let memory = Memory::create(file.data.len().max(1))?;
            window::fill(&memory, &[(0, file.data)])?;
            self.opened.insert(file.path, memory);
        }
        let memory = self.opened.get(file.path).ok_or(Error::new(ENOENT))?;
        let rights = Rights::READ | Rights::DUPLICATE | Rights::TRANSFER;
        Ok((AnyHandle::from_handle(memory.restricted(rights)?.into_handle()), length))
    }
}

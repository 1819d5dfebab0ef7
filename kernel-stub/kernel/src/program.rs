//! The first process: the kernel loads init from the boot archive; init loads everything else.

use crate::{
    arch::{BootInfo, memory::direct_map},
    calls::thread::{Request as ThreadRequest, make, resume},
    objects,
    pages::{self, Pages},
    space::{ProcessBlock, Request},
};
use abi::{
    Handle, Rights,
    error::Error,
    limits::PRIORITIES,
    memory::PAGE,
    start::{INIT_PATH, START_MAGIC, StartHeader},
    thread::ThreadOptions,
};
use alloc::sync::Arc;
use core::fmt;
use image::{
    archive::Archive,
    elf::{Image, Protection, Segment},
};
use kernel_core::{
    arena::Id,
    object::{Memory, Object},
    process::Process,
};

/// Why there is no init.
pub enum Failure {
    /// The machine was started without `-initrd`.
    NoArchive,
    /// The archive cannot be read.
    Archive(image::archive::Error),
    /// There is no [`INIT_PATH`] in it.
    NoInit,
    /// The file is not a program.
    Program(image::elf::Error),
    /// A kernel operation failed.
    Kernel(Error),
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Failure::NoArchive => write!(f, "no boot archive: start the kernel with -initrd ARCHIVE"),
            Failure::Archive(error) => write!(f, "boot archive: {error}"),
            Failure::NoInit => write!(f, "boot archive: no file {INIT_PATH}"),
            Failure::Program(error) => write!(f, "{INIT_PATH}: {error}"),
            Failure::Kernel(error) => write!(f, "{INIT_PATH}: {error}"),
        }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Failure {
        Failure::Kernel(error)
    }
}

const STACK_TOP: u64 = 0x7fff_0000_0000;
const STACK_SIZE: u64 = 64 * PAGE;
const START_PAGE: u64 = STACK_TOP + PAGE;
const BUFFER: u64 = START_PAGE + 2 * PAGE;
const PRIORITY: u8 = PRIORITIES as u8 - 1;

/// Loads init and makes it ready.
pub fn start_init(boot: &BootInfo) -> Result<(), Failure> {
    let archive_range = boot.initrd.clone().ok_or(Failure::NoArchive)?;
    let length = archive_range.end - archive_range.start;
    // SAFETY: the boot loader put the archive there, the direct map covers it, and its frames are never handed out.
    let bytes = unsafe { core::slice::from_raw_parts(direct_map(archive_range.start), length as usize) };
    let archive = Archive::parse(bytes).map_err(Failure::Archive)?;
    let file = archive.find(INIT_PATH).ok_or(Failure::NoInit)?;
    let program = Image::parse(file.data).map_err(Failure::Program)?;

    let account = pages::root_account();
    let block = ProcessBlock::new(&account)?;
    let word = Arc::into_raw(block.clone()) as u64;
    let process = objects::lock().create_process(account, word, PRIORITY, None)?;
    for segment in program.segments() {
        load(process, &block, &segment)?;
    }
    let stack = Request {
        address: STACK_TOP - STACK_SIZE,
        offset: 0,
        length: STACK_SIZE,
        write: true,
        execute: false,
    };
    map_new(process, &block, Pages::allocate(STACK_SIZE, false)?, stack)?;
    let page = Request { address: BUFFER, offset: 0, length: PAGE, write: true, execute: false };
    map_new(process, &block, Pages::allocate(PAGE, false)?, page)?;

    let request = ThreadRequest {
        entry: program.entry(),
        stack: STACK_TOP - 8,
        argument: START_PAGE,
        buffer: BUFFER,
        options: ThreadOptions::new(PRIORITY),
    };
    let mut objects = objects::lock();
    let thread = make(&mut objects, process, request)?;
    let handle = |objects: &mut objects::ObjectsGuard<'_>, object: Object, rights: Rights| {
        objects.insert_handle(process, object, rights)
    };
    let own = Object::Process(process);
    let header = StartHeader {
        magic: START_MAGIC,
        length: 0,
        process: handle(&mut objects, own, own.all_rights())?,
        thread: handle(&mut objects, Object::Thread(thread), Object::Thread(thread).all_rights())?,
        init: Handle::NONE,
        hardware: handle(&mut objects, Object::Hardware, Object::Hardware.all_rights())?,
        archive: Handle::NONE,
        archive_length: length,
        ipc_buffer: BUFFER,
    };
    drop(objects);
    let archive = give_archive(process, archive_range)?;
    start_page(process, &block, StartHeader { archive, ..header })?;
    resume(&mut objects::lock(), thread.index());
    Ok(())
}

fn give_archive(process: Id<Process>, range: core::ops::Range<u64>) -> Result<Handle, Failure> {
    let base = range.start & !(PAGE - 1);
    let size = range.end.next_multiple_of(PAGE) - base;
    let word = Pages::Fixed { base, device: false }.into_word();
    let mut objects = objects::lock();
    let charge = objects.charge(process, 0)?;
    let rights = Rights::READ | Rights::DUPLICATE | Rights::TRANSFER;
    objects.create_memory(process, word, size, charge, rights).map_err(|(error, _)| error.into())
}

fn start_page(process: Id<Process>, block: &ProcessBlock, header: StartHeader) -> Result<(), Failure> {
    let pages = Pages::allocate(PAGE, false)?;
    let frame = pages.at(0).ok_or(Error::new(abi::error::ENOMEM))?;
    // SAFETY: a fresh page, which the header fits into.
    unsafe { direct_map(frame).cast::<StartHeader>().write(header) };
    let request = Request { address: START_PAGE, offset: 0, length: PAGE, write: false, execute: false };
    map_new(process, block, pages, request)
}

fn load(process: Id<Process>, block: &ProcessBlock, segment: &Segment<'_>) -> Result<(), Failure> {
    let range = segment.pages();
    let pages = Pages::allocate(range.end - range.start, false)?;
    let mut at = segment.data_offset();
    let mut rest = segment.data;
    while !rest.is_empty() {
        let count = rest.len().min((PAGE - at % PAGE) as usize);
        let frame = pages.at(at).ok_or(Error::new(abi::error::ENOMEM))?;
        // SAFETY: the page is fresh and `count` bytes from `at` stay within it.
        unsafe {
            core::ptr::copy_nonoverlapping(rest.as_ptr(), direct_map(frame).add((at % PAGE) as usize), count);
        }
        rest = &rest[count..];
        at += count as u64;
    }
    let request = Request {
        address: range.start,
        offset: 0,
        length: range.end - range.start,
        write: segment.protection == Protection::ReadWrite,
        execute: segment.protection == Protection::ReadExecute,
    };
    map_new(process, block, pages, request)
}

/// Maps fresh pages that nobody has a handle to: the mapping is their only reference.
fn map_new(
    process: Id<Process>,
    block: &ProcessBlock,
    pages: Pages,
    request: Request,
) -> Result<(), Failure> {
    let size = request.length;
    let word = pages.into_word();
    let id = {
        let mut objects = objects::lock();
        let charge = objects.charge(process, pages::price(size)?)?;
        let memory = Memory { block: word, size, references: 1, charge: Some(charge) };
        objects.memories.insert(memory).ok_or(Error::new(abi::error::ENOMEM))?
    };
    // SAFETY: the object was just made and has a reference.
    block.map(id, unsafe { Pages::from_word(word) }, request)?;
    Ok(())
}

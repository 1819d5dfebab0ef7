//! `sys/stat.h`, `dirent.h`, and names of files in `unistd.h` and `stdio.h`.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::ffi::{c_char, c_int, c_long, c_uchar, c_uint, c_ulong, c_ushort, c_void};
use core::ptr;

use abi::error::{EINVAL, Error, Result};
use abi::flag::{MODE_CHR, MODE_DIR, MODE_FIFO, MODE_FILE, MODE_SOCK, O_DIRECTORY, O_RDONLY};
use libkq::control::{Entry, FileType, Stat, Whence};

use crate::answer::{answer, count, done};
use crate::given::{TimeSpec, put, slice, slice_mut, text};

/// `struct stat`.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
struct CStat {
    device: c_ulong,
    inode: c_ulong,
    links: c_ulong,
    mode: c_uint,
    owner: c_uint,
    group: c_uint,
    own_device: c_ulong,
    size: c_long,
    block_size: c_long,
    blocks: c_long,
    accessed: TimeSpec,
    modified: TimeSpec,
    changed: TimeSpec,
}

/// Bytes of a block, as `st_blocks` counts them.
const BLOCK: u64 = 512;

const fn type_bits(file_type: FileType) -> u16 {
    match file_type {
        FileType::Regular => MODE_FILE,
        FileType::Directory => MODE_DIR,
        FileType::Fifo => MODE_FIFO,
        FileType::Socket => MODE_SOCK,
        FileType::Device => MODE_CHR,
        FileType::Anonymous => 0,
    }
}

impl From<Stat> for CStat {
    fn from(stat: Stat) -> CStat {
        CStat {
            device: 0,
            inode: stat.inode,
            links: stat.links.into(),
            mode: (type_bits(stat.file_type) | stat.mode & 0o7777).into(),
            owner: 0,
            group: 0,
            own_device: 0,
            size: stat.size as c_long,
            block_size: 4096,
            blocks: stat.size.div_ceil(BLOCK) as c_long,
            accessed: TimeSpec::from_nanoseconds(stat.accessed),
            modified: TimeSpec::from_nanoseconds(stat.modified),
            changed: TimeSpec::from_nanoseconds(stat.changed),
        }
    }
}

/// `stat(2)`.
#[unsafe(no_mangle)]
unsafe extern "C" fn stat(path: *const c_char, place: *mut CStat) -> c_int {
    // SAFETY: the C program's pointers.
    let look = || unsafe { put(place, libkq::process().stat_path(text(path)?)?.into()) };
    done(look())
}

/// `fstat(2)`.
#[unsafe(no_mangle)]
unsafe extern "C" fn fstat(fd: c_int, place: *mut CStat) -> c_int {
    // SAFETY: the C program's pointer.
    done(libkq::process().stat(fd).and_then(|stat| unsafe { put(place, stat.into()) }))
}

/// Does something to a path.
unsafe fn path_call(path: *const c_char, call: impl FnOnce(&str) -> Result<()>) -> c_int {
    // SAFETY: the C program's pointer.
    done(unsafe { text(path) }.and_then(call))
}

/// `unlink(2)`.
#[unsafe(no_mangle)]
unsafe extern "C" fn unlink(path: *const c_char) -> c_int {
    // SAFETY: the C program's pointer.
    unsafe { path_call(path, |path| libkq::process().unlink(path)) }
}

/// `mkdir(2)`.
#[unsafe(no_mangle)]
unsafe extern "C" fn mkdir(path: *const c_char, mode: c_uint) -> c_int {
    // SAFETY: the C program's pointer.
    unsafe { path_call(path, |path| libkq::process().mkdir(path, mode as u16 & 0o7777)) }
}

/// `rmdir(2)`.
#[unsafe(no_mangle)]
unsafe extern "C" fn rmdir(path: *const c_char) -> c_int {
    // SAFETY: the C program's pointer.
    unsafe { path_call(path, |path| libkq::process().rmdir(path)) }
}

/// `mkfifo(3)`.
#[unsafe(no_mangle)]
unsafe extern "C" fn mkfifo(path: *const c_char, mode: c_uint) -> c_int {
    // SAFETY: the C program's pointer.
    unsafe { path_call(path, |path| libkq::process().mkfifo(path, mode as u16 & 0o7777)) }
}

/// `chmod(2)`.
#[unsafe(no_mangle)]
unsafe extern "C" fn chmod(path: *const c_char, mode: c_uint) -> c_int {
    // SAFETY: the C program's pointer.
    unsafe { path_call(path, |path| libkq::process().chmod(path, mode as u16 & 0o7777)) }
}

/// `rename(2)`.
#[unsafe(no_mangle)]
unsafe extern "C" fn rename(from: *const c_char, to: *const c_char) -> c_int {
    // SAFETY: the C program's pointers.
    unsafe { path_call(from, |from| libkq::process().rename(from, text(to)?)) }
}

/// `link(2)`.
#[unsafe(no_mangle)]
unsafe extern "C" fn link(from: *const c_char, to: *const c_char) -> c_int {
    // SAFETY: the C program's pointers.
    unsafe { path_call(from, |from| libkq::process().link(from, text(to)?)) }
}

fn length(given: c_long) -> Result<u64> {
    u64::try_from(given).map_err(|_| Error::new(EINVAL))
}

/// `truncate(2)`.
#[unsafe(no_mangle)]
unsafe extern "C" fn truncate(path: *const c_char, to: c_long) -> c_int {
    // SAFETY: the C program's pointer.
    unsafe { path_call(path, |path| libkq::process().truncate_path(path, length(to)?)) }
}

/// `ftruncate(2)`.
#[unsafe(no_mangle)]
extern "C" fn ftruncate(fd: c_int, to: c_long) -> c_int {
    done(length(to).and_then(|to| libkq::process().truncate(fd, to)))
}

/// `fsync(2)`.
#[unsafe(no_mangle)]
extern "C" fn fsync(fd: c_int) -> c_int {
    done(libkq::process().sync(fd))
}

/// `fdatasync(2)`: times are written with the rest.
#[unsafe(no_mangle)]
extern "C" fn fdatasync(fd: c_int) -> c_int {
    fsync(fd)
}

/// `lseek(2)`.
#[unsafe(no_mangle)]
extern "C" fn lseek(fd: c_int, offset: c_long, whence: c_int) -> c_long {
    let whence = match whence {
        0 => Ok(Whence::Start),
        1 => Ok(Whence::Current),
        2 => Ok(Whence::End),
        _ => Err(Error::new(EINVAL)),
    };
    answer(whence.and_then(|whence| libkq::process().seek(fd, offset, whence)).map(|at| at as c_long))
}

/// `pread(2)`.
#[unsafe(no_mangle)]
unsafe extern "C" fn pread(fd: c_int, buffer: *mut c_void, size: usize, offset: c_long) -> isize {
    // SAFETY: the C program's pointer.
    let buffer = unsafe { slice_mut(buffer.cast(), size) };
    let read = |buffer| libkq::process().read_whole(fd, buffer, length(offset)?);
    count(buffer.and_then(read))
}

/// `pwrite(2)`.
#[unsafe(no_mangle)]
unsafe extern "C" fn pwrite(fd: c_int, bytes: *const c_void, size: usize, offset: c_long) -> isize {
    // SAFETY: the C program's pointer.
    let bytes = unsafe { slice(bytes.cast(), size) };
    count(bytes.and_then(|bytes| libkq::process().write_whole(fd, bytes, length(offset)?)))
}

/// `struct dirent`.
#[repr(C)]
struct CEntry {
    inode: c_ulong,
    offset: c_long,
    record: c_ushort,
    file_type: c_uchar,
    name: [u8; 256],
}

/// `DIR`.
struct Directory {
    fd: c_int,
    entries: Vec<Entry>,
    /// The next of them.
    at: usize,
    /// Where to go on when they are told; `None`: nowhere.
    next: Option<u64>,
    told: CEntry,
}

/// `opendir(3)`.
#[unsafe(no_mangle)]
unsafe extern "C" fn opendir(path: *const c_char) -> *mut Directory {
    // SAFETY: the C program's pointer.
    let opened = unsafe { text(path) }.and_then(|path| libkq::open(path, O_RDONLY | O_DIRECTORY));
    answer(opened.map(|fd| {
        let told = CEntry { inode: 0, offset: 0, record: 0, file_type: 0, name: [0; 256] };
        Box::into_raw(Box::new(Directory { fd, entries: Vec::new(), at: 0, next: Some(0), told }))
    }))
}

/// `readdir(3)`: null and `errno` as it was at the end.
#[unsafe(no_mangle)]
extern "C" fn readdir(directory: Option<&mut Directory>) -> *mut CEntry {
    let Some(directory) = directory else { return answer(Err(Error::new(EINVAL))) };
    while directory.at == directory.entries.len() {
        let Some(cookie) = directory.next else { return ptr::null_mut() };
        match libkq::process().read_directory(directory.fd, cookie) {
            Ok((entries, next)) => {
                // One who has always more and tells nothing (R56).
                directory.next = next.filter(|_| !entries.is_empty());
                (directory.entries, directory.at) = (entries, 0);
            }
            Err(error) => return answer(Err(error)),
        }
    }
    let entry = &directory.entries[directory.at];
    directory.at += 1;
    let name = entry.name.as_bytes();
    let fits = name.len().min(255);
    directory.told.name[..fits].copy_from_slice(&name[..fits]);
    directory.told.name[fits] = 0;
    directory.told.inode = entry.inode;
    directory.told.offset += 1;
    directory.told.record = size_of::<CEntry>() as c_ushort;
    directory.told.file_type = (type_bits(entry.file_type) >> 12) as c_uchar;
    &raw mut directory.told
}

/// `closedir(3)`.
#[unsafe(no_mangle)]
unsafe extern "C" fn closedir(directory: *mut Directory) -> c_int {
    if directory.is_null() {
        return answer(Err(Error::new(EINVAL)));
    }
    // SAFETY: the C program says that `opendir` gave it, and that it is not used again.
    let directory = unsafe { Box::from_raw(directory) };
    done(libkq::close(directory.fd))
}

//! How a program starts.
//!
//! The first thread of a process begins at the ELF entry with `rdi` = address of a page (or more) that holds a
//! [`StartHeader`], followed by `length` bytes of a `postcard` document (declared in the `init-protocol` crate; empty
//! for init). `rsp` is 16-byte aligned minus 8, as after a call.

use crate::Handle;

/// [`StartHeader::magic`].
pub const START_MAGIC: u64 = 0x7472_6174_735f_716b;

/// The beginning of the start page.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct StartHeader {
    /// [`START_MAGIC`].
    pub magic: u64,
    /// Bytes after the header.
    pub length: u64,
    /// The process itself, with all rights.
    pub process: Handle,
    /// The first thread.
    pub thread: Handle,
    /// Endpoint of init, badged with the process's pid; [`Handle::NONE`] for init.
    pub init: Handle,
    /// The machine; init only.
    pub hardware: Handle,
    /// The boot archive (a memory object, read-only); init only.
    pub archive: Handle,
    /// Bytes of the boot archive; init only.
    pub archive_length: u64,
    /// Address of the first thread's IPC buffer.
    pub ipc_buffer: u64,
}

/// Where the kernel finds init in the boot archive.
pub const INIT_PATH: &str = "bin/init";

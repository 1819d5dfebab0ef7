//! How a program begins and ends.

use alloc::string::String;

use abi::start::{START_MAGIC, StartHeader};
use abi::{Handle, IpcBuffer};
use init_protocol::start::StartDocument;

use crate::block::ThreadBlock;
use crate::clock;
use crate::sync::OnceLock;
use crate::sys::{self, AnyHandle, Endpoint, Object};

/// Exit status of a program whose start page is not one.
const BAD_START_STATUS: i64 = 102;

/// Defines the program's entry: `main` gets what the program was started with, and what it returns is its exit status.
///
/// ```ignore
/// rt::entry!(main);
/// fn main(start: &rt::Start) -> i32 { 0 }
/// ```
#[macro_export]
macro_rules! entry {
    ($main:path) => {
        /// First instruction of the program.
        ///
        /// # Safety
        /// For who starts the process alone, with the address of its start page.
        // SAFETY: the one symbol of this name in a program; the linker looks for it.
        #[cfg_attr(target_os = "none", unsafe(no_mangle))]
        pub unsafe extern "C" fn _start(header: *const $crate::abi::start::StartHeader) -> ! {
            let main: fn(&$crate::Start) -> i32 = $main;
            // SAFETY: called once, by whoever started the process, with the address of its start page.
            unsafe { $crate::start::run(header, main) }
        }
    };
}

/// What the program was started with.
#[derive(Debug)]
pub struct Start {
    header: &'static StartHeader,
    document: StartDocument,
    init: Option<Endpoint>,
}

impl Start {
    /// The process's number.
    pub fn pid(&self) -> u32 {
        self.document.pid
    }

    /// Arguments; the first one is the program's name.
    pub fn args(&self) -> &[String] {
        &self.document.args
    }

    /// An argument, empty when there are fewer.
    pub fn arg(&self, index: usize) -> &str {
        self.document.args.get(index).map_or("", String::as_str)
    }

    /// Environment: (name, value).
    pub fn environment(&self) -> &[(String, String)] {
        &self.document.env
    }

    /// An environment variable.
    pub fn env(&self, name: &str) -> Option<&str> {
        self.document.env(name)
    }

    /// All handles that the program was given: (name, handle).
    pub fn handles(&self) -> &[(String, u64)] {
        &self.document.handles
    }

    /// What else it was told, by who started it and in a form of theirs.
    pub fn data(&self) -> &[u8] {
        &self.document.data
    }

    /// A given handle by its name; stays this table's.
    pub fn handle(&self, name: &str) -> Option<Handle> {
        self.document.handle(name)
    }

    /// A given handle as an object of the caller's: ask for each name once.
    pub fn object<T: Object>(&self, name: &str) -> Option<T> {
        self.handle(name).map(|handle| AnyHandle::from_handle(handle).into_object())
    }

    /// The process itself.
    pub fn process(&self) -> Handle {
        self.header.process
    }

    /// init, badged with the pid; `None` in init itself.
    pub fn init(&self) -> Option<&Endpoint> {
        self.init.as_ref()
    }

    /// What the kernel gave: of interest to init.
    pub fn header(&self) -> &StartHeader {
        self.header
    }
}

static START: OnceLock<Start> = OnceLock::new();

/// What this program was started with.
///
/// # Panics
/// On the host, where nothing starts it.
pub fn start() -> &'static Start {
    START.get().expect("a program begins with rt::entry!")
}

/// Name of the program, for messages.
pub fn program() -> &'static str {
    match START.get() {
        Some(start) if start.init.is_none() => "init",
        Some(start) => start.arg(0),
        None => "?",
    }
}

struct FirstBlock(ThreadBlock);
// SAFETY: only the first thread uses it: through FS, or here before it has another thread.
unsafe impl Sync for FirstBlock {}
static FIRST: FirstBlock = FirstBlock(ThreadBlock::new());

/// Makes the first thread one of the run-time's and runs `main`.
///
/// # Safety
/// Once in a process, at its very start; `header` is what the process was started with.
pub unsafe fn run(header: *const StartHeader, main: fn(&Start) -> i32) -> ! {
    // SAFETY: the start page stays mapped and nobody writes it.
    let header: &'static StartHeader = unsafe { &*header };
    if header.magic != START_MAGIC {
        let _ = sys::log_line(b"a program was started without a start page");
        sys::exit(BAD_START_STATUS);
    }
    FIRST.0.fill(header.ipc_buffer as *mut IpcBuffer, header.thread, first_priority(), "main");
    // SAFETY: the block is a static.
    if unsafe { sys::set_thread_pointer(&raw const FIRST.0 as u64) }.is_err() {
        let _ = sys::log_line(b"no thread pointer for the first thread");
        sys::exit(BAD_START_STATUS);
    }
    // SAFETY: the document follows the header in the same mapping.
    let bytes = unsafe {
        core::slice::from_raw_parts((&raw const *header).add(1).cast::<u8>(), header.length as usize)
    };
    let document = match postcard::from_bytes(bytes) {
        Ok(document) => document,
        Err(_) if bytes.is_empty() => StartDocument::default(),
        Err(error) => {
            crate::log!("start document of {} bytes is malformed: {error}", bytes.len());
            sys::exit(BAD_START_STATUS);
        }
    };
    let init = (!header.init.is_none()).then(|| Endpoint::from_handle(header.init));
    let start = START.get_or_init(|| Start { header, document, init });
    sys::exit(i64::from(main(start)))
}

/// The kernel tells who runs on a CPU with which priority. If the thread was moved between the two looks, it looks again.
fn first_priority() -> u8 {
    use core::sync::atomic::Ordering::Relaxed;
    loop {
        let hint = clock::cpu_hint();
        let priority = hint.priority.load(Relaxed);
        if core::ptr::eq(hint, clock::cpu_hint()) {
            return priority.min(abi::limits::PRIORITIES as u32 - 1) as u8;
        }
    }
}

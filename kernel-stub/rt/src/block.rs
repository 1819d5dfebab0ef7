//! A thread's own page, found through the FS base.

use core::arch::asm;
use core::cell::Cell;
use core::ptr;
use core::sync::atomic::{AtomicPtr, AtomicU32, AtomicU64, Ordering};

use abi::{Handle, IpcBuffer};

/// Words that libraries may keep for each thread: see [`Local`].
pub const LOCALS: usize = 8;

/// What a thread has for itself. `fs:0` is its own address.
#[repr(C)]
pub struct ThreadBlock {
    this: Cell<*const ThreadBlock>,
    ipc_buffer: Cell<*mut IpcBuffer>,
    handle: Cell<Handle>,
    number: Cell<u64>,
    priority: Cell<u8>,
    panicking: Cell<bool>,
    name: Cell<&'static str>,
    locals: [Cell<*mut ()>; LOCALS],
}

impl ThreadBlock {
    /// A block that is not any thread's yet.
    pub(crate) const fn new() -> ThreadBlock {
        ThreadBlock {
            this: Cell::new(ptr::null()),
            ipc_buffer: Cell::new(ptr::null_mut()),
            handle: Cell::new(Handle::NONE),
            number: Cell::new(0),
            priority: Cell::new(0),
            panicking: Cell::new(false),
            name: Cell::new("?"),
            locals: [const { Cell::new(ptr::null_mut()) }; LOCALS],
        }
    }

    pub(crate) fn fill(&self, ipc_buffer: *mut IpcBuffer, handle: Handle, priority: u8, name: &'static str) {
        self.this.set(self);
        self.ipc_buffer.set(ipc_buffer);
        self.handle.set(handle);
        self.number.set(NEXT_NUMBER.fetch_add(1, Ordering::Relaxed));
        self.priority.set(priority);
        self.name.set(name);
    }

    /// Address of the thread's IPC buffer.
    #[inline(always)]
    pub fn ipc_buffer(&self) -> *mut IpcBuffer {
        self.ipc_buffer.get()
    }

    /// The thread's handle (owned by whoever can join it).
    pub fn handle(&self) -> Handle {
        self.handle.get()
    }

    /// Its number, which no other thread of the program has, had or will have. Never 0.
    #[inline(always)]
    pub fn number(&self) -> u64 {
        self.number.get()
    }

    /// The priority that it was started with.
    pub fn priority(&self) -> u8 {
        self.priority.get()
    }

    /// Its name, for messages.
    pub fn name(&self) -> &'static str {
        self.name.get()
    }

    /// Says that the thread is panicking; returns whether it was already.
    pub(crate) fn begin_panic(&self) -> bool {
        self.panicking.replace(true)
    }

    /// Runs the destructors of the thread's locals.
    pub(crate) fn end(&self) {
        for (local, destructor) in self.locals.iter().zip(&DESTRUCTORS) {
            let value = local.replace(ptr::null_mut());
            let destructor = destructor.load(Ordering::Acquire);
            if !value.is_null() && !destructor.is_null() {
                // SAFETY: only `Local::key` stores there, and it stores a `fn(*mut ())`.
                let destructor = unsafe { core::mem::transmute::<*mut (), fn(*mut ())>(destructor) };
                destructor(value);
            }
        }
    }
}

/// The block of the calling thread.
#[inline(always)]
pub fn current() -> &'static ThreadBlock {
    let block: *const ThreadBlock;
    // SAFETY: every thread of this run-time begins by pointing FS at its block, whose first word is its own address
    // and never changes.
    unsafe { asm!("mov {}, fs:[0]", out(reg) block, options(pure, readonly, nostack, preserves_flags)) };
    // SAFETY: as above; the block lives as long as the thread, and only that thread uses it (the reference cannot be
    // sent: it is not `Sync`).
    unsafe { &*block }
}

static NEXT_NUMBER: AtomicU64 = AtomicU64::new(1);

/// Whether the program never had another thread than the calling one.
#[inline]
pub fn is_only_thread() -> bool {
    // Whoever made another counted it before that one could run.
    NEXT_NUMBER.load(Ordering::Relaxed) <= 2
}

static DESTRUCTORS: [AtomicPtr<()>; LOCALS] = [const { AtomicPtr::new(ptr::null_mut()) }; LOCALS];
static NEXT_KEY: AtomicU32 = AtomicU32::new(0);

/// One pointer of each thread, null at first: a library's own `static` has one, and there are [`LOCALS`] in all.
pub struct Local {
    key: AtomicU32,
    destructor: Option<fn(*mut ())>,
}

impl Local {
    /// A pointer of each thread; `destructor` gets what is not null when a thread ends by itself.
    pub const fn new(destructor: Option<fn(*mut ())>) -> Local {
        Local { key: AtomicU32::new(0), destructor }
    }

    /// Index of the word, plus one; 0 is none yet.
    #[inline(always)]
    fn key(&self) -> usize {
        match self.key.load(Ordering::Acquire) {
            0 => self.take_key(),
            key => key as usize - 1,
        }
    }

    #[cold]
    fn take_key(&self) -> usize {
        let fresh = NEXT_KEY.fetch_add(1, Ordering::Relaxed);
        assert!((fresh as usize) < LOCALS, "more than {LOCALS} thread-local words in one program");
        if let Some(destructor) = self.destructor {
            DESTRUCTORS[fresh as usize].store(destructor as *mut (), Ordering::Release);
        }
        // Two threads may race for the first use: the loser's word is lost, both use the winner's.
        match self.key.compare_exchange(0, fresh + 1, Ordering::AcqRel, Ordering::Acquire) {
            Ok(_) => fresh as usize,
            Err(winner) => winner as usize - 1,
        }
    }

    /// The calling thread's pointer.
    #[inline(always)]
    pub fn get(&self) -> *mut () {
        current().locals[self.key() % LOCALS].get()
    }

    /// Sets the calling thread's pointer.
    #[inline]
    pub fn set(&self, value: *mut ()) {
        current().locals[self.key() % LOCALS].set(value);
    }
}

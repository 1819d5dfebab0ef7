//! Thread blocks: one page per thread with its saved registers and what the switch code needs.
//!
//! Who may touch the registers: the CPU that runs the thread; otherwise whoever holds the objects lock, since a thread
//! that is not running changes its state only under that lock. A thread's FP state is saved before anybody else can
//! see it as blocked or ready, so another CPU may run it at once.

use crate::{
    arch::{fpu::FxArea, frame::Frame},
    space::ProcessBlock,
};
use abi::{
    IpcBuffer, Message, Tag,
    error::Error,
    message::{LABEL_CLOSED, LABEL_NOTIFICATION},
};
use core::{
    cell::UnsafeCell,
    ptr::NonNull,
    sync::atomic::{AtomicBool, AtomicPtr, AtomicU64, Ordering},
};
use kernel_core::{arena::Id, object::Memory, objects::MAX_THREADS, process::Process, thread::Outcome};

/// What the kernel keeps for a thread, in a page of its own.
#[repr(C, align(4096))]
pub struct ThreadBlock {
    frame: UnsafeCell<Frame>,
    fx: UnsafeCell<FxArea>,
    fs_base: AtomicU64,
    /// What is left of its time slice since it was preempted, in ns; 0: a whole one.
    pub slice_left: AtomicU64,
    /// Its end or suspension is wanted: to be looked at before it runs on.
    pub attention: AtomicBool,
    /// Its call failed for want of a quota, none of which was on its way back: it is made once more, and that is all.
    pub last_try: AtomicBool,
    /// Index in the thread arena and the scheduler's table.
    pub index: u32,
    /// Its process.
    pub process: Id<Process>,
    /// Physical address of its page tables.
    pub root: u64,
    /// Address space and ports; alive as long as the process has threads.
    pub owner: NonNull<ProcessBlock>,
    has_ports: AtomicBool,
    /// Its IPC buffer in the direct map, if it has one.
    pub buffer: Option<NonNull<IpcBuffer>>,
    /// The memory object that the buffer lies in; the block counts as a reference.
    pub buffer_memory: Option<Id<Memory>>,
}

// SAFETY: the cells are accessed by the rule at the top of this module; the pointers name memory that outlives the block.
unsafe impl Sync for ThreadBlock {}
// SAFETY: nothing in it belongs to one CPU.
unsafe impl Send for ThreadBlock {}

/// Offset of the first byte after the register frame: where kernel entries start to push.
pub const FRAME_END: u64 = size_of::<Frame>() as u64;

const _: () = assert!(size_of::<ThreadBlock>() == 4096);

impl ThreadBlock {
    /// A block of a thread that has not run, with these registers.
    pub fn new(
        index: u32,
        process: Id<Process>,
        root: u64,
        owner: NonNull<ProcessBlock>,
        buffer: Option<(NonNull<IpcBuffer>, Id<Memory>)>,
        frame: Frame,
    ) -> ThreadBlock {
        ThreadBlock {
            frame: UnsafeCell::new(frame),
            fx: UnsafeCell::new(FxArea::initial()),
            fs_base: AtomicU64::new(0),
            slice_left: AtomicU64::new(0),
            attention: AtomicBool::new(false),
            last_try: AtomicBool::new(false),
            index,
            process,
            root,
            owner,
            // SAFETY: the process is alive, so its block is.
            has_ports: AtomicBool::new(!unsafe { owner.as_ref() }.ports().is_empty()),
            buffer: buffer.map(|(pointer, _)| pointer),
            buffer_memory: buffer.map(|(_, memory)| memory),
        }
    }

    /// The saved registers.
    pub fn frame(&self) -> *mut Frame {
        self.frame.get()
    }

    /// The saved FP registers.
    pub fn fx(&self) -> *mut FxArea {
        self.fx.get()
    }

    /// Its process has I/O ports.
    #[inline(always)]
    pub fn has_ports(&self) -> bool {
        self.has_ports.load(Ordering::Relaxed)
    }

    /// Its process has been given I/O ports.
    pub fn set_has_ports(&self) {
        self.has_ports.store(true, Ordering::Relaxed);
    }

    /// The FS base.
    pub fn fs_base(&self) -> u64 {
        self.fs_base.load(Ordering::Relaxed)
    }

    /// Changes the FS base.
    pub fn set_fs_base(&self, address: u64) {
        self.fs_base.store(address, Ordering::Relaxed);
    }

    /// Writes what a wait ended with.
    ///
    /// # Safety
    /// The rule at the top of this module.
    #[inline(always)]
    pub unsafe fn set_outcome(&self, outcome: Outcome) {
        // SAFETY: the caller keeps the rule, so nobody else accesses the frame.
        let frame = unsafe { &mut *self.frame() };
        match outcome {
            Outcome::Error(errno) => frame.rax = abi::mux(Err(Error::new(errno))),
            Outcome::Success => frame.rax = 0,
            Outcome::Bits(bits) => {
                frame.rax = 0;
                frame.rdi = bits;
            }
            Outcome::NotificationMessage(bits) => {
                let message = Message { tag: Tag::words(LABEL_NOTIFICATION), words: [bits, 0, 0, 0] };
                deliver(frame, message, 0, 0);
            }
            Outcome::ClosedMessage(badge) => {
                deliver(frame, Message { tag: Tag::words(LABEL_CLOSED), words: [0; 4] }, badge, 0);
            }
        }
    }
}

/// Puts a received message into registers.
#[inline(always)]
pub fn deliver(frame: &mut Frame, message: Message, badge: u64, token: u64) {
    frame.rdi = badge;
    frame.rsi = token;
    deliver_reply(frame, message);
}

/// Puts a reply into registers.
#[inline(always)]
pub fn deliver_reply(frame: &mut Frame, message: Message) {
    frame.rax = message.tag.0;
    frame.rdx = message.words[0];
    frame.r10 = message.words[1];
    frame.r8 = message.words[2];
    frame.r9 = message.words[3];
}

static BLOCKS: [AtomicPtr<ThreadBlock>; MAX_THREADS as usize] =
    [const { AtomicPtr::new(core::ptr::null_mut()) }; MAX_THREADS as usize];

/// Enters or (null) removes the block of a thread index.
pub fn set_block(index: u32, block: *mut ThreadBlock) {
    BLOCKS[index as usize].store(block, Ordering::Release);
}

/// The block of a thread.
///
/// # Safety
/// The thread exists and cannot end meanwhile: the caller holds the objects lock, or the thread is running or about to
/// run on this CPU.
#[inline(always)]
pub unsafe fn block(index: u32) -> &'static ThreadBlock {
    // SAFETY: the pointer was entered when the thread was made and stays until it ends, which the caller excludes.
    unsafe { &*BLOCKS[index as usize % MAX_THREADS as usize].load(Ordering::Relaxed) }
}

/// The thread of this index has ended: nobody finds its block any more.
pub fn set_gone(index: u32) {
    set_block(index, core::ptr::null_mut());
}

/// Frees the block of a thread that has ended and returns the memory object that its buffer lay in.
pub fn free(word: u64) -> Option<Id<Memory>> {
    let pointer = NonNull::new(word as *mut ThreadBlock)?;
    // SAFETY: the thread has ended and `set_gone` was called, so this is the last use.
    let memory = unsafe { pointer.as_ref() }.buffer_memory;
    crate::pages::free_kernel_frame(pointer.cast());
    memory
}

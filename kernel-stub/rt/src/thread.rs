//! Threads with a stack, a closure and a result.
//!
//! A thread's memory is one mapping at the top of a slot of the address space: stack, then [`ThreadBlock`], then the
//! IPC buffer. Below the stack the slot is empty, so an overflow faults.

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::cell::UnsafeCell;
use core::num::NonZeroU64;
use core::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use abi::error::{EINVAL, EPIPE, Error, Result};
use abi::flag::MapFlags;
use abi::limits::FOREVER;
use abi::memory::PAGE;
use abi::status::State;
use abi::thread::ThreadOptions;
use abi::{Handle, IpcBuffer};

use crate::block::{self, ThreadBlock};
use crate::clock;
use crate::sync::Mutex;
use crate::sys::{self, Memory, Notification, Object};

/// Where the slots begin: between the heap and where the kernel places maps.
const SLOTS_START: usize = 0x1800_0000_0000;
/// Bytes of a slot: the largest stack is a little less.
const SLOT: usize = 64 << 20;
/// Slots that fit.
const SLOT_COUNT: u32 = 1 << 16;
const PAGE_SIZE: usize = PAGE as usize;
/// What lies above the stack.
const ABOVE_STACK: usize = 2 * PAGE_SIZE;
/// Stack of a thread that did not ask for another.
pub const DEFAULT_STACK: usize = 64 << 10;

const READ_WRITE: MapFlags = MapFlags::PROT_READ.union(MapFlags::PROT_WRITE);

const _: () = assert!(size_of::<ThreadBlock>() <= PAGE_SIZE);

/// How a new thread shall be.
#[derive(Clone, Copy, Debug)]
pub struct Builder {
    name: &'static str,
    stack: usize,
    priority: Option<u8>,
    cpus: Option<NonZeroU64>,
}

impl Default for Builder {
    fn default() -> Self {
        Builder::new()
    }
}

impl Builder {
    /// A thread with the default stack and the caller's priority, on every CPU.
    pub const fn new() -> Builder {
        Builder { name: "thread", stack: DEFAULT_STACK, priority: None, cpus: None }
    }

    /// What messages call it.
    pub const fn name(mut self, name: &'static str) -> Builder {
        self.name = name;
        self
    }

    /// Bytes of stack, rounded up to whole pages.
    pub const fn stack(mut self, bytes: usize) -> Builder {
        self.stack = bytes;
        self
    }

    /// Its priority, at most the process's highest.
    pub const fn priority(mut self, priority: u8) -> Builder {
        self.priority = Some(priority);
        self
    }

    /// The CPUs that it may run on: bit n is CPU n; 0 is every CPU.
    pub const fn cpus(mut self, mask: u64) -> Builder {
        self.cpus = NonZeroU64::new(mask);
        self
    }

    /// Starts a thread that runs `body`. Dropping the handle lets it run on unobserved.
    pub fn spawn<T, F>(self, body: F) -> Result<JoinHandle<T>>
    where
        T: Send + 'static,
        F: FnOnce() -> T + Send + 'static,
    {
        self.spawn_suspended(body).and_then(|thread| thread.start().map(|()| thread))
    }

    /// The same, but it does not run before [`JoinHandle::start`].
    pub fn spawn_suspended<T, F>(self, body: F) -> Result<JoinHandle<T>>
    where
        T: Send + 'static,
        F: FnOnce() -> T + Send + 'static,
    {
        reap();
        let packet = Arc::new(Packet { done: AtomicBool::new(false), value: UnsafeCell::new(None) });
        let for_thread = packet.clone();
        let body: Box<dyn FnOnce() + Send> = Box::new(move || {
            let value = body();
            // SAFETY: the joiner reads only after `done`; there is one writer.
            unsafe { *for_thread.value.get() = Some(value) };
            for_thread.done.store(true, Ordering::Release);
        });
        let running = self.create(body)?;
        Ok(JoinHandle { running: Some(running), packet })
    }

    fn create(self, body: Box<dyn FnOnce() + Send>) -> Result<Running> {
        let space = Space::create(self.stack)?;
        let priority = self.priority.unwrap_or_else(|| block::current().priority());
        let options = ThreadOptions::new(priority).on(self.cpus.map_or(0, NonZeroU64::get));
        let block = space.block();
        let body = Box::into_raw(Box::new(body));
        // SAFETY: the block lies in fresh, zeroed memory of this thread-to-be.
        unsafe { block.write(StartingBlock { block: ThreadBlock::new(), body }) };
        // SAFETY: `first_instruction` begins a thread on that stack with its block as the argument.
        let thread = unsafe {
            sys::create_own_thread(
                first_instruction as *const () as u64,
                block as u64 - 8,
                block as u64,
                space.ipc_buffer() as u64,
                options,
            )
        };
        match thread {
            Ok(thread) => {
                // SAFETY: the thread does not run yet.
                unsafe { (*block).block.fill(space.ipc_buffer(), thread.handle(), priority, self.name) };
                Ok(Running { thread, _space: space })
            }
            Err(error) => {
                // SAFETY: nobody else has it.
                drop(unsafe { Box::from_raw(body) });
                Err(error)
            }
        }
    }
}

/// Starts a thread with the default stack and the caller's priority.
pub fn spawn<T, F>(body: F) -> Result<JoinHandle<T>>
where
    T: Send + 'static,
    F: FnOnce() -> T + Send + 'static,
{
    Builder::new().spawn(body)
}

/// The calling thread's handle; owned by who can join it.
pub fn current() -> Handle {
    block::current().handle()
}

/// Lets the next thread of the same priority run.
pub fn yield_now() {
    sys::yield_now();
}

/// Sleeps at least so many nanoseconds.
pub fn sleep(nanoseconds: u64) {
    sleep_until(clock::after(nanoseconds));
}

/// Sleeps until the clock says at least `deadline`.
pub fn sleep_until(deadline: u64) {
    // A word that nobody else knows: only the deadline ends the sleep.
    let word = AtomicU32::new(0);
    while clock::now_ns() < deadline {
        let _ = sys::futex_wait(&word, 0, deadline);
    }
}

/// What the thread leaves for who joins it.
#[derive(Debug)]
struct Packet<T> {
    done: AtomicBool,
    value: UnsafeCell<Option<T>>,
}

// SAFETY: `value` is written by the thread before `done` is released and read by the joiner after the thread is gone.
unsafe impl<T: Send> Sync for Packet<T> {}

/// A thread that can be waited for.
#[derive(Debug)]
pub struct JoinHandle<T> {
    running: Option<Running>,
    packet: Arc<Packet<T>>,
}

impl<T> JoinHandle<T> {
    fn running(&self) -> &Running {
        self.running.as_ref().expect("only `join` and `drop` take it, and both end the handle")
    }

    /// The kernel's thread.
    pub fn thread(&self) -> &sys::Thread {
        &self.running().thread
    }

    /// Starts one that was spawned suspended.
    pub fn start(&self) -> Result<()> {
        self.thread().start()
    }

    /// Whether it is gone.
    pub fn is_finished(&self) -> bool {
        self.running().is_gone()
    }

    /// Waits until it is gone, frees its stack and gives what its closure returned. `EPIPE`: it was killed before it
    /// returned.
    pub fn join(mut self) -> Result<T> {
        if let Some(running) = self.running.take() {
            let gone = Notification::create()
                .and_then(|gone| gone.watch_exit(&running.thread, 1).and_then(|()| gone.wait(FOREVER)));
            if let Err(error) = gone {
                abandon(running);
                return Err(error);
            }
        }
        if !self.packet.done.load(Ordering::Acquire) {
            return Err(Error::new(EPIPE));
        }
        // SAFETY: the thread is gone, and there is one joiner.
        unsafe { (*self.packet.value.get()).take() }.ok_or(Error::new(EPIPE))
    }
}

impl<T> Drop for JoinHandle<T> {
    fn drop(&mut self) {
        if let Some(running) = self.running.take() {
            abandon(running);
        }
    }
}

/// A thread and its memory. The memory must not be freed before the thread is gone.
#[derive(Debug)]
struct Running {
    thread: sys::Thread,
    _space: Space,
}

impl Running {
    fn is_gone(&self) -> bool {
        self.thread.status().is_ok_and(|status| status.state != State::Alive as u32)
    }
}

/// Threads that nobody will join: their memory is freed when a later thread is spawned.
static ABANDONED: Mutex<Vec<Running>> = Mutex::new(Vec::new());

fn abandon(running: Running) {
    if running.is_gone() {
        return;
    }
    ABANDONED.lock().push(running);
}

fn reap() {
    let mut abandoned = ABANDONED.lock();
    abandoned.retain(|running| !running.is_gone());
}

/// The block with what only the first moment of a thread needs.
#[repr(C)]
struct StartingBlock {
    block: ThreadBlock,
    body: *mut Box<dyn FnOnce() + Send>,
}

extern "C" fn first_instruction(block: *const StartingBlock) -> ! {
    // SAFETY: the block is this thread's own and outlives it.
    if unsafe { sys::set_thread_pointer(block as u64) }.is_err() {
        sys::exit_thread();
    }
    // SAFETY: `create` made the box for this thread, which takes it once.
    let body = unsafe { Box::from_raw((*block).body) };
    body();
    block::current().end();
    sys::exit_thread()
}

#[derive(Debug)]
struct Slots {
    free: Vec<u32>,
    used: u32,
}

static SLOTS: Mutex<Slots> = Mutex::new(Slots { free: Vec::new(), used: 0 });

/// The memory of a thread.
#[derive(Debug)]
struct Space {
    slot: u32,
    start: usize,
    length: usize,
}

impl Space {
    fn create(stack: usize) -> Result<Space> {
        let length = stack.checked_next_multiple_of(PAGE_SIZE).and_then(|l| l.checked_add(ABOVE_STACK));
        // At least one page at the bottom stays empty.
        let length = length.filter(|&l| l < SLOT).ok_or(Error::new(EINVAL))?;
        let memory = Memory::create(length)?;
        let slot = {
            let mut slots = SLOTS.lock();
            match slots.free.pop() {
                Some(slot) => slot,
                None if slots.used < SLOT_COUNT => {
                    slots.used += 1;
                    slots.used - 1
                }
                None => return Err(Error::new(abi::error::ENOMEM)),
            }
        };
        let start = SLOTS_START + (slot as usize + 1) * SLOT - length;
        // SAFETY: the slot is ours alone.
        match unsafe { sys::map_self(memory.handle(), start, 0, length, READ_WRITE) } {
            Ok(_) => Ok(Space { slot, start, length }),
            Err(error) => {
                SLOTS.lock().free.push(slot);
                Err(error)
            }
        }
    }

    /// Above the stack; page-aligned, so the stack begins aligned too.
    fn block(&self) -> *mut StartingBlock {
        (self.start + self.length - ABOVE_STACK) as *mut StartingBlock
    }

    fn ipc_buffer(&self) -> *mut IpcBuffer {
        (self.start + self.length - PAGE_SIZE) as *mut IpcBuffer
    }
}

impl Drop for Space {
    fn drop(&mut self) {
        // SAFETY: the thread is gone or never was, and nothing else points here.
        if unsafe { sys::unmap_self(self.start, self.length) }.is_ok() {
            SLOTS.lock().free.push(self.slot);
        }
    }
}

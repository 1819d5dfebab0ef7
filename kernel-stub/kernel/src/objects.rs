//! The objects of the system behind their lock, and what the kernel has to do when the logic says that one is gone.

use crate::{
    arch,
    block::{self, ThreadBlock},
    irq,
    lock::{Ipc, LockToken, Mutex, MutexGuard},
    pages, reaper,
    sched::{self, Whereabouts},
};
use abi::{
    limits::MAX_CPUS,
    status::{ProcessStatus, State},
};
use alloc::vec::Vec;
use core::{
    mem::ManuallyDrop,
    ops::{Deref, DerefMut},
    sync::atomic::{AtomicU64, Ordering},
};
use kernel_core::{
    Objects,
    arena::Id,
    object::Garbage,
    process::{Life, Process},
    thread::{NO_THREAD, Wait},
};

static OBJECTS: Mutex<Ipc, Objects> = Mutex::new(Objects::new());

/// The locked objects. Dropping it makes the threads ready whose waits have ended on the side and frees, without the
/// lock, what nobody refers to any more.
pub struct ObjectsGuard<'a> {
    guard: ManuallyDrop<MutexGuard<'a, Ipc, Objects>>,
}

/// Locks the objects. No lock of this or a higher level is held: kernel entries are not nested.
#[inline(always)]
pub fn lock() -> ObjectsGuard<'static> {
    ObjectsGuard { guard: ManuallyDrop::new(OBJECTS.lock_first()) }
}

/// The same if nobody has the lock.
#[inline(always)]
pub fn try_lock() -> Option<ObjectsGuard<'static>> {
    OBJECTS.try_lock().map(|guard| ObjectsGuard { guard: ManuallyDrop::new(guard) })
}

impl ObjectsGuard<'_> {
    /// Right to take locks that come after the objects lock.
    #[inline(always)]
    pub fn token(&mut self) -> LockToken<'_, Ipc> {
        self.guard.split().1
    }

    /// The objects and that right, both at once.
    pub fn split(&mut self) -> (&mut Objects, LockToken<'_, Ipc>) {
        self.guard.split()
    }
}

impl Deref for ObjectsGuard<'_> {
    type Target = Objects;
    #[inline(always)]
    fn deref(&self) -> &Objects {
        &self.guard
    }
}

impl DerefMut for ObjectsGuard<'_> {
    #[inline(always)]
    fn deref_mut(&mut self) -> &mut Objects {
        &mut self.guard
    }
}

impl ObjectsGuard<'_> {
    /// Drops it, inlined for certain.
    #[inline(always)]
    pub fn unlock(self) {
        ManuallyDrop::new(self).let_go();
    }

    /// Once, and nothing after it.
    #[inline(always)]
    fn let_go(&mut self) {
        let garbage = if self.unsettled { Some(settle(self)) } else { None };
        // SAFETY: called by `drop` or by `unlock`, which forgets the rest, so once; nothing uses it afterwards.
        unsafe { ManuallyDrop::drop(&mut self.guard) };
        if let Some(garbage) = garbage {
            sweep(garbage);
        }
    }
}

impl Drop for ObjectsGuard<'_> {
    fn drop(&mut self) {
        self.let_go();
    }
}

/// Taken out of the objects under their lock, to be freed without it.
struct Taken {
    garbage: Vec<Garbage>,
    /// This CPU frees nothing else already, further down its stack.
    outermost: bool,
}

/// How often garbage was taken.
static TAKEN: AtomicU64 = AtomicU64::new(0);
/// Which of these a CPU is freeing; 0 for none.
static SWEEPING: [AtomicU64; MAX_CPUS] = [const { AtomicU64::new(0) }; MAX_CPUS];

fn sweeping() -> &'static AtomicU64 {
    &SWEEPING[arch::cpu::this_cpu().number as usize % MAX_CPUS]
}

/// Now, as [`is_swept`] counts.
pub fn taken() -> u64 {
    TAKEN.load(Ordering::SeqCst)
}

/// Whether all is free that was taken out of the objects until then.
pub fn is_swept(until: u64) -> bool {
    SWEEPING.iter().map(|number| number.load(Ordering::SeqCst)).all(|number| number == 0 || number > until)
}

#[cold]
fn settle(objects: &mut ObjectsGuard<'_>) -> Taken {
    sched::make_woken_ready(objects);
    objects.unsettled = false;
    let garbage = core::mem::take(&mut objects.garbage);
    let outermost = !garbage.is_empty() && sweeping().load(Ordering::Relaxed) == 0;
    if outermost {
        sweeping().store(TAKEN.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
    }
    Taken { garbage, outermost }
}

#[cold]
fn sweep(taken: Taken) {
    for item in taken.garbage {
        match item {
            Garbage::Memory(memory) => pages::free(memory),
            Garbage::ThreadBlock { block, index: _ } => {
                if let Some(memory) = block::free(block) {
                    lock().release_memory(memory);
                }
            }
            Garbage::Irq(line) => irq::release(line),
            Garbage::Abandoned(process) => {
                // None of its threads runs, so the running one is not among them.
                let _ = kill_process(&mut lock(), process, exited(0));
            }
        }
    }
    if taken.outermost {
        sweeping().store(0, Ordering::SeqCst);
    }
}

/// Ends a thread. Returns whether it is the one that runs on this CPU: the caller must then end it with
/// [`end_current`].
#[must_use]
pub fn kill_thread(objects: &mut ObjectsGuard<'_>, index: u32) -> bool {
    let Some(thread) = objects.threads.at_mut(index) else { return false };
    if thread.dead {
        return false;
    }
    if thread.wait != Wait::Not || thread.parked {
        end_thread(objects, index);
        return false;
    }
    match sched::dequeue(index, &mut objects.token(), |_| ()) {
        Whereabouts::Dequeued => {
            end_thread(objects, index);
            false
        }
        Whereabouts::Running(cpu) => {
            // SAFETY: the objects lock is held and the thread has not ended.
            let block = unsafe { block::block(index) };
            if sched::current().is_some_and(|current| core::ptr::eq(current, block)) {
                return true;
            }
            if let Some(thread) = objects.threads.at_mut(index) {
                thread.dead = true;
            }
            sched::call_attention(block, cpu);
            false
        }
    }
}

/// Ends a thread that is on no CPU and in no run queue.
fn end_thread(objects: &mut ObjectsGuard<'_>, index: u32) {
    let Some(process) = objects.threads.at(index).map(|thread| thread.process) else { return };
    let priority = sched::schedulable(index).priority();
    block::set_gone(index);
    if objects.end_thread(index) {
        reaper::bury(objects, process, priority);
    }
}

/// Ends the thread that runs on this CPU. The caller goes on with [`sched::schedule`].
pub fn end_current(objects: &mut ObjectsGuard<'_>, thread: &ThreadBlock) {
    let index = thread.index;
    sched::leave_current();
    end_thread(objects, index);
}

/// Ends a process with this status, if it has not ended. Returns whether the running thread is one of its.
#[must_use]
pub fn kill_process(objects: &mut ObjectsGuard<'_>, id: Id<Process>, status: ProcessStatus) -> bool {
    let Ok(process) = objects.process_mut(id) else { return false };
    if process.life != Life::Alive {
        return false;
    }
    process.life = Life::Ending;
    process.status = status;
    let priority = process.highest_priority;
    let mut index = process.first_thread;
    if index == NO_THREAD {
        objects.begin_closing(id);
        reaper::bury(objects, id, priority);
        return false;
    }
    let mut own = false;
    while index != NO_THREAD {
        let Some(next) = objects.threads.at(index).map(|thread| thread.sibling) else { break };
        own |= kill_thread(objects, index);
        index = next;
    }
    own
}

/// The status of a process that a call ended.
pub fn exited(code: i64) -> ProcessStatus {
    ProcessStatus { state: State::Exited as u32, code, ..ProcessStatus::default() }
}

/// The running thread has just begun to wait and its `attention` is set: its end, if wanted, comes now.
pub fn attend_waiting(objects: &mut ObjectsGuard<'_>, block: &ThreadBlock) {
    let index = block.index;
    if objects.threads.at(index).is_some_and(|thread| thread.dead) {
        sched::leave_current();
        end_thread(objects, index);
    }
}

/// A thread whose `attention` is set has been stopped before it could run on: it is in no queue and not running.
pub fn attend(block: &ThreadBlock) {
    let mut objects = lock();
    let index = block.index;
    let Some(thread) = objects.threads.at_mut(index) else { return };
    if thread.dead {
        end_thread(&mut objects, index);
    } else if thread.suspended {
        thread.parked = true;
        block.attention.store(false, Ordering::Relaxed);
    } else {
        // It may have to move to another CPU.
        block.attention.store(false, Ordering::Relaxed);
        sched::make_ready(index, objects.token());
    }
}

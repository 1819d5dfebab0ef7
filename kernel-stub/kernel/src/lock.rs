//! Spin locks whose order is in their types: taking them in a wrong order does not compile.
//!
//! [`Handles`] → [`Ipc`] → [`RunQueue`] → [`Memory`] → [`Heap`] → [`Frames`] → [`Devices`] → [`Log`]. Whoever holds a lock has a
//! [`LockToken`] of its level and can take only later ones with it; two locks of one level are never held at once. The
//! tokens have no size and cost no instruction.
//!
//! ```ignore
//! let mut token = LockToken::at_kernel_entry();
//! let mut table = HANDLES.lock(&mut token);       // Mutex<Handles, Table>
//! let (table, mut token) = table.split();
//! let queue = QUEUE.lock(&mut token);             // Mutex<RunQueue, _>: later, so it compiles
//! ```
//!
//! The kernel runs with interrupts off (idle aside), so no lock is ever wanted by a handler on the CPU that holds it. For
//! the same reason the holder must not wait for another CPU's answer to an interrupt: that CPU may be waiting for the lock.

use core::marker::PhantomData;
use core::ops::{Deref, DerefMut};

use spin::mutex::{SpinMutex, SpinMutexGuard};
use spin::relax::Loop;

/// A place in the lock order.
pub trait Level {}

/// `Self` may be held while a lock of level `L` is taken.
pub trait Before<L: Level>: Level {}

/// A level that may be taken without a token, see [`Mutex::lock_leaf`].
pub trait Leaf: Level {}

macro_rules! levels {
    ($($(#[$doc:meta])* $name:ident before $($later:ident)*;)*) => {$(
        $(#[$doc])*
        #[derive(Debug)]
        pub enum $name {}
        impl Level for $name {}
        $(impl Before<$later> for $name {})*
    )*};
}

levels! {
    /// No lock is held.
    Unlocked before Handles Ipc RunQueue Memory Heap Frames Devices Log;
    /// Handle tables and the life of objects.
    Handles before Ipc RunQueue Memory Heap Frames Devices Log;
    /// Endpoints, notifications, futexes, watches.
    Ipc before RunQueue Memory Heap Frames Devices Log;
    /// One CPU's run queue.
    RunQueue before Memory Heap Frames Devices Log;
    /// Address spaces and memory objects.
    Memory before Heap Frames Devices Log;
    /// The kernel's heap.
    Heap before Frames Devices Log;
    /// Free page frames.
    Frames before Devices Log;
    /// Registers of interrupt controllers.
    Devices before Log;
    /// The serial line.
    Log before;
}

impl Leaf for Heap {}
impl Leaf for Frames {}
impl Leaf for Devices {}
impl Leaf for Log {}

/// Proof that this CPU holds no lock of a level later than `L`.
#[derive(Debug)]
pub struct LockToken<'a, L: Level>(PhantomData<(&'a mut L, *mut ())>);

impl LockToken<'_, Unlocked> {
    /// The token that all others come from: once per kernel entry, in its outermost function, which holds nothing.
    /// Making a second one while a lock is held loses the guarantee of this module (and risks deadlock, nothing worse).
    #[inline(always)]
    pub const fn at_kernel_entry() -> Self {
        LockToken(PhantomData)
    }
}

/// A spin lock of level `L` around a `T`.
///
/// Waiting does not execute PAUSE on every turn, as `spin` would: under software emulation PAUSE leaves the translated
/// code, and an interrupt to a CPU that spins with it takes 15 times longer. One PAUSE every [`PATIENCE`] turns
/// remains, for emulators that run all CPUs on one host thread: there it is what lets the holder go on.
#[derive(Debug)]
pub struct Mutex<L: Level, T> {
    inner: SpinMutex<T, Loop>,
    level: PhantomData<fn(L)>,
}

/// Turns of waiting for one PAUSE.
const PATIENCE: u32 = 4096;

impl<L: Level, T> Mutex<L, T> {
    /// An unlocked lock.
    pub const fn new(value: T) -> Self {
        Mutex { inner: SpinMutex::new(value), level: PhantomData }
    }

    /// Takes the lock. `held` says what this CPU holds, and is borrowed until the guard is gone.
    #[inline(always)]
    pub fn lock<'a, P: Before<L>>(&'a self, held: &'a mut LockToken<'_, P>) -> MutexGuard<'a, L, T> {
        let _ = held;
        self.acquire()
    }

    /// Takes the outermost lock of a kernel entry: nothing is held yet.
    #[inline(always)]
    pub fn lock_first(&self) -> MutexGuard<'_, L, T> {
        self.acquire()
    }

    /// Takes a lock of one of the last levels without a token, for code that the compiler calls (the allocator) or that
    /// must work anywhere (the log). Sound in the order because holders of these locks call nothing but later leaves.
    #[inline(always)]
    pub fn lock_leaf(&self) -> MutexGuard<'_, L, T>
    where
        L: Leaf,
    {
        self.acquire()
    }

    /// Takes the lock if it is free: cannot deadlock in any order.
    #[inline(always)]
    pub fn try_lock(&self) -> Option<MutexGuard<'_, L, T>> {
        self.inner.try_lock().map(|inner| MutexGuard { inner, level: PhantomData })
    }

    #[inline(always)]
    fn acquire(&self) -> MutexGuard<'_, L, T> {
        match self.try_lock() {
            Some(guard) => guard,
            None => self.wait(),
        }
    }

    #[cold]
    #[inline(never)]
    fn wait(&self) -> MutexGuard<'_, L, T> {
        let mut turns = 0_u32;
        loop {
            if !self.inner.is_locked()
                && let Some(guard) = self.try_lock()
            {
                return guard;
            }
            turns = turns.wrapping_add(1);
            if turns.is_multiple_of(PATIENCE) {
                core::hint::spin_loop();
            }
        }
    }
}

/// A held lock. Dropping it unlocks.
pub struct MutexGuard<'a, L: Level, T> {
    inner: SpinMutexGuard<'a, T, Loop>,
    level: PhantomData<(&'a mut L, *mut ())>,
}

impl<L: Level, T> MutexGuard<'_, L, T> {
    /// The protected value and the token to take later locks with while this one is held.
    #[inline(always)]
    pub fn split(&mut self) -> (&mut T, LockToken<'_, L>) {
        (&mut self.inner, LockToken(PhantomData))
    }
}

impl<L: Level, T> Deref for MutexGuard<'_, L, T> {
    type Target = T;
    #[inline(always)]
    fn deref(&self) -> &T {
        &self.inner
    }
}

impl<L: Level, T> DerefMut for MutexGuard<'_, L, T> {
    #[inline(always)]
    fn deref_mut(&mut self) -> &mut T {
        &mut self.inner
    }
}

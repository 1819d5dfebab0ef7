//! Ends of threads, however they end: by themselves, or killed in the middle of anything.
//!
//! Only the kernel knows of all of them. One thread of the library waits for its exit watches; it begins with the first
//! end that somebody wants to hear of.

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;

use abi::Rights;
use abi::error::Result;
use abi::limits::FOREVER;
use abi::status::State;
use rt::sync::{Mutex, OnceLock};
use rt::sys::{Notification, Object, Thread};

/// Bytes of the stack of the thread that waits.
const STACK: usize = 16 << 10;

/// What shall be done when threads end.
#[derive(Default)]
pub struct Ends {
    watches: OnceLock<Arc<Watches>>,
}

/// A thread, and what is to be done when it is no more.
type Watched = (Thread, Box<dyn FnOnce() + Send>);

struct Watches {
    gone: Notification,
    watched: Mutex<Vec<Watched>>,
}

impl core::fmt::Debug for Ends {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("Ends")
    }
}

impl Ends {
    /// Nobody is watched yet.
    pub const fn new() -> Ends {
        Ends { watches: OnceLock::new() }
    }

    /// See [`Platform::when_thread_ends`](crate::platform::Platform::when_thread_ends).
    pub fn watch(&self, then: Box<dyn FnOnce() + Send>) -> Result<()> {
        let watches = self.watches.get_or_try_init(Watches::begin)?;
        let own = rt::block::current().handle();
        let thread = Thread::from_handle(rt::sys::duplicate(own, Rights::all(), 0)?);
        // Told of an end that is yet to come: the calling thread's own.
        watches.gone.watch_exit(&thread, 1)?;
        watches.watched.lock().push((thread, then));
        Ok(())
    }
}

impl Watches {
    fn begin() -> Result<Arc<Watches>> {
        let watches = Arc::new(Watches { gone: Notification::create()?, watched: Mutex::new(Vec::new()) });
        let listening = watches.clone();
        let builder = rt::thread::Builder::new().name("ends of threads").stack(STACK);
        builder.spawn(move || {
            while listening.gone.wait(FOREVER).is_ok() {
                listening.bury();
            }
        })?;
        Ok(watches)
    }

    fn bury(&self) {
        let mut dead = Vec::new();
        {
            let mut watched = self.watched.lock();
            let is_gone =
                |thread: &Thread| thread.status().is_ok_and(|status| status.state != State::Alive as u32);
            for at in (0..watched.len()).rev() {
                if is_gone(&watched[at].0) {
                    dead.push(watched.swap_remove(at));
                }
            }
        }
        dead.into_iter().for_each(|(_, then)| then());
    }
}

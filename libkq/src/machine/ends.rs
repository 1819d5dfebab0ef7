//! Ends of threads, however they end: by themselves, or killed in the middle of anything.
//!
//! Only the kernel knows of all of them. One thread of the library waits for its exit watches; it begins with the first
//! end that somebody wants to hear of.

use alloc::sync::{Arc, Weak};

use abi::Rights;
use abi::error::Result;
use abi::limits::FOREVER;
use abi::status::State;
use event_protocol::trace::Event;
use rt::sync::{Mutex, OnceLock};
use rt::sys::{Notification, Object, Thread};

use super::trace;
use crate::ending::{Ending, Watches, tell};

/// Bytes of the stack of the thread that waits.
const STACK: usize = 16 << 10;

/// What shall be done when threads end.
#[derive(Default)]
pub struct Ends {
    watching: OnceLock<Arc<Watching>>,
}

struct Watching {
    gone: Notification,
    watches: Mutex<Watches<Thread>>,
}

impl core::fmt::Debug for Ends {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("Ends")
    }
}

impl Ends {
    /// Nobody is watched yet.
    pub const fn new() -> Ends {
        Ends { watching: OnceLock::new() }
    }

    /// See [`Platform::when_thread_ends`](crate::platform::Platform::when_thread_ends).
    pub fn watch(&self, told: Weak<dyn Ending>) -> Result<()> {
        let Watching { gone, watches } = &**self.watching.get_or_try_init(Watching::begin)?;
        let own = rt::block::current();
        watches.lock().add(own.number(), told, || {
            let thread = Thread::from_handle(rt::sys::duplicate(own.handle(), Rights::all(), 0)?);
            // Told of an end that is yet to come: the calling thread's own.
            gone.watch_exit(&thread, 1)?;
            Ok(thread)
        })
    }
}

impl Watching {
    fn begin() -> Result<Arc<Watching>> {
        let watching =
            Arc::new(Watching { gone: Notification::create()?, watches: Mutex::new(Watches::new()) });
        let listening = watching.clone();
        let builder = rt::thread::Builder::new().name("ends of threads").stack(STACK);
        builder.spawn(move || {
            while listening.gone.wait(FOREVER).is_ok() {
                listening.bury();
            }
        })?;
        Ok(watching)
    }

    fn bury(&self) {
        let ended = self
            .watches
            .lock()
            .ended(|_, thread| thread.status().is_ok_and(|status| status.state != State::Alive as u32));
        ended.iter().for_each(|&(thread, _)| trace::note(Event::ThreadEnded, 0, thread));
        tell(ended);
    }
}

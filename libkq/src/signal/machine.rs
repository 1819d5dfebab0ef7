//! The process service, and the thread that waits for it.

use alloc::sync::Arc;
use core::sync::atomic::{AtomicU32, Ordering};

use abi::error::{EBADMSG, ENODEV, Error, Result};
use abi::flag::O_RDONLY;
use event_protocol::descriptor::{CURRENT, Control, ControlReply};
use process_protocol::{PRIVATE, Request, SELF, SignalSet};
use rt::block::Local;
use rt::sync::{Mutex, OnceLock};

use super::state::{Outside, Signals};
use crate::machine::OpenFile;
use crate::platform::Platform;

/// Nanoseconds between two looks for a service that is not there.
const PATIENCE: u64 = 10_000_000;

static SIGNALS: OnceLock<Arc<Signals<Machine>>> = OnceLock::new();
/// Of a thread that has to do with signals: set, so that its end is noticed.
static THREAD: Local = Local::new(Some(thread_ends));

/// The process's signals, from the first call that has to do with them.
pub fn signals() -> &'static Signals<Machine> {
    SIGNALS.get_or_init(|| {
        let signals = Arc::new(Signals::new(Machine::default()));
        crate::process().set_interruption(signals.clone());
        signals
    })
}

/// The same, if there was such a call.
#[inline]
pub fn signals_if_any() -> Option<&'static Signals<Machine>> {
    SIGNALS.get().map(|signals| &**signals)
}

fn watch_thread() {
    if THREAD.get().is_null() {
        THREAD.set(core::ptr::dangling_mut());
    }
}

fn thread_ends(_: *mut ()) {
    if let Some(signals) = signals_if_any() {
        signals.forget_thread(crate::process().platform().thread());
    }
}

/// The service and this process's mailbox there.
#[derive(Default)]
pub struct Machine {
    mailbox: Mutex<Option<Arc<OpenFile>>>,
    /// What was said last: a service that is started again hears it before anything else.
    said: Mutex<(SignalSet, SignalSet)>,
    /// Whether the thread that waits for signals runs.
    listening: AtomicU32,
}

impl Machine {
    fn mailbox(&self) -> Result<Arc<OpenFile>> {
        let mut mailbox = self.mailbox.lock();
        match &*mailbox {
            Some(open) => Ok(open.clone()),
            None => {
                let open = Arc::new(crate::process().platform().open(SELF, O_RDONLY as u64)?);
                let (ignored, told) = *self.said.lock();
                if !ignored.union(told).is_empty() {
                    ask(&open, Request::Dispose { ignored, told })?;
                }
                *mailbox = Some(open.clone());
                Ok(open)
            }
        }
    }

    /// The service is another one now.
    fn forget(&self, dead: &Arc<OpenFile>) {
        self.mailbox.lock().take_if(|open| Arc::ptr_eq(open, dead));
    }

    fn ask(&self, request: Request) -> Result<SignalSet> {
        let mailbox = self.mailbox()?;
        ask(&mailbox, request).inspect_err(|error| {
            if error.errno == ENODEV {
                self.forget(&mailbox);
            }
        })
    }

    /// Sends a signal.
    pub fn kill(&self, pid: u32, signal: u8) -> Result<()> {
        self.ask(Request::Kill { pid, signal }).map(drop)
    }

    fn listen(&self) -> Result<()> {
        if self.listening.swap(1, Ordering::AcqRel) == 0 {
            let thread = rt::thread::Builder::new().name("signals").spawn(listen);
            if let Err(error) = thread {
                self.listening.store(0, Ordering::Release);
                return Err(error);
            }
        }
        Ok(())
    }
}

/// Asks something of a file of the service.
pub fn ask(file: &OpenFile, request: Request) -> Result<SignalSet> {
    let bytes = postcard::to_allocvec(&request).map_err(|_| Error::new(EBADMSG))?;
    match crate::process().platform().control(file, Control::Private { number: PRIVATE, bytes }, 0)? {
        ControlReply::Private(bytes) => match <[u8; 8]>::try_from(bytes.as_slice()) {
            Ok(set) => Ok(SignalSet(u64::from_le_bytes(set))),
            Err(_) => Err(Error::new(EBADMSG)),
        },
        _ => Err(Error::new(EBADMSG)),
    }
}

/// The thread that waits for signals. A service that dies is started again, and is told anew.
fn listen() {
    let Some(signals) = signals_if_any() else { return };
    let machine = signals.outside();
    loop {
        let waited = machine.mailbox().and_then(|mailbox| {
            let mut pending = [0; 8];
            let read = crate::process().platform().read(&mailbox, &mut pending, 0, CURRENT);
            read.inspect_err(|_| machine.forget(&mailbox))
        });
        match waited {
            Ok(_) => signals.arrived(),
            Err(_) => {
                rt::thread::sleep(PATIENCE);
                if signals.tell_again().is_ok() {
                    signals.arrived();
                }
                signals.wake_all();
            }
        }
    }
}

impl Outside for Machine {
    fn thread(&self) -> u64 {
        watch_thread();
        crate::process().platform().thread()
    }

    fn interrupt(&self, thread: u64) {
        crate::process().interrupt(thread);
    }

    fn dispose(&self, ignored: SignalSet, told: SignalSet) -> Result<()> {
        self.ask(Request::Dispose { ignored, told })?;
        *self.said.lock() = (ignored, told);
        if told.is_empty() { Ok(()) } else { self.listen() }
    }

    fn take(&self) -> SignalSet {
        // A service that is gone has nothing.
        self.ask(Request::Take).unwrap_or_default()
    }

    fn pending(&self, some: bool) {
        crate::process().set_due(some);
    }

    fn by_default(&self, signal: u8) {
        // It ends the process, or the service is gone.
        let _ = self.ask(Request::Default { signal });
    }

    fn sleep(&self, word: &AtomicU32, seen: u32, deadline: u64) -> Result<()> {
        rt::sys::futex_wait(word, seen, deadline)
    }

    fn wake(&self, word: &AtomicU32) {
        // Nobody waiting is as good.
        let _ = rt::sys::futex_wake(word, u32::MAX);
    }
}

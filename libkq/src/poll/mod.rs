//! poll and select over sets that are kept between calls. `poll(2)`, `select(2)`.
//!
//! A thread that polls has a set with a note for each descriptor that it asked about last. The next call tells the event
//! server only what is different. A call looks at the cells of what it asks about; the notes are there to be woken by.

mod fd_set;
mod kept;
mod note;
mod select;

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::cell::Cell;
use core::time::Duration;

use abi::error::{EINTR, EINVAL, Error, Result};

use crate::conditions::Conditions;
use crate::file::Files;
use crate::interruption::{Call, SignalMask, deadline};
use crate::platform::Platform;
use crate::process::MAX_DESCRIPTORS;
use crate::sync::Mutex;
pub use fd_set::FdSet;
use kept::Kept;
pub(crate) use kept::is_gone;

/// Sets that are kept although nobody uses them.
const KEPT: usize = 32;

/// An entry of poll's list: `struct pollfd`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
#[repr(C)]
pub struct PollFd {
    /// The descriptor; a negative one is skipped.
    pub fd: i32,
    /// What is asked for. Never written (R46).
    pub events: Conditions,
    /// What was found.
    pub revents: Conditions,
}

const _: () = assert!(size_of::<PollFd>() == 8);

impl PollFd {
    /// Asks about a descriptor.
    pub const fn new(fd: i32, events: Conditions) -> PollFd {
        PollFd { fd, events, revents: Conditions::empty() }
    }
}

/// A question about one descriptor.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Question {
    fd: i32,
    wanted: Conditions,
}

/// Whose rules.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Rules {
    /// Hang-ups and errors are told unasked.
    Poll,
    /// A direction is ready or not.
    Select,
}

/// The sets of the threads of a process, lent for the time of a call.
pub struct Sets<P: Platform> {
    idle: Mutex<Vec<Arc<Kept<P>>>>,
}

impl<P: Platform> Default for Sets<P> {
    fn default() -> Self {
        Sets::new()
    }
}

impl<P: Platform> Sets<P> {
    /// None yet.
    pub const fn new() -> Sets<P> {
        Sets { idle: Mutex::new(Vec::new()) }
    }

    /// The set that the calling thread had last, or a new one. By these rules, since the two ask differently.
    fn borrow(&self, platform: &Arc<P>, rules: Rules) -> Result<Arc<Kept<P>>> {
        let thread = platform.thread();
        let mut idle = self.idle.lock();
        let own = idle.iter().position(|set| set.belongs_to(thread, rules));
        match own {
            Some(at) => Ok(idle.remove(at)),
            None => {
                drop(idle);
                Kept::create(platform, thread, rules)
            }
        }
    }

    fn give_back(&self, set: Arc<Kept<P>>) {
        let too_many = {
            let mut idle = self.idle.lock();
            idle.push(set);
            // The one that was used longest ago: its thread has perhaps ended.
            if idle.len() > KEPT { Some(idle.remove(0)) } else { None }
        };
        if let Some(set) = too_many {
            set.close();
        }
    }

    /// Puts what holds of each entry into `revents`, waiting for the first. See
    /// [`Process::poll`](crate::process::Process::poll).
    pub fn poll(
        &self,
        platform: &Arc<P>,
        files: &impl Files<P>,
        list: &mut [PollFd],
        timeout: Option<Duration>,
        mask: Option<SignalMask>,
    ) -> Result<usize> {
        if list.len() > MAX_DESCRIPTORS {
            return Err(Error::new(EINVAL));
        }
        let list = Cell::from_mut(list).as_slice_of_cells();
        let questions = list.iter().map(|entry| {
            let PollFd { fd, events: wanted, .. } = entry.get();
            Question { fd, wanted }
        });
        self.ask(platform, files, Rules::Poll, questions, timeout, mask, |answers| {
            let mut count = 0;
            for (entry, answer) in list.iter().zip(answers) {
                entry.set(PollFd { revents: answer, ..entry.get() });
                count += usize::from(!answer.is_empty());
            }
            Ok(count)
        })
    }

    /// Asks until `take` finds something in the answers, or the time is over.
    #[expect(clippy::too_many_arguments, reason = "what a call of either interface consists of")]
    fn ask(
        &self,
        platform: &Arc<P>,
        files: &impl Files<P>,
        rules: Rules,
        questions: impl Iterator<Item = Question> + Clone,
        timeout: Option<Duration>,
        mask: Option<SignalMask>,
        take: impl FnMut(&mut dyn Iterator<Item = Conditions>) -> Result<usize>,
    ) -> Result<usize> {
        let until = deadline(&**platform, timeout);
        let interruption = files.interruption();
        let call = Call::enter(interruption.as_deref(), mask);
        let set = self.borrow(platform, rules)?;
        let never = timeout.is_some_and(|timeout| timeout.is_zero());
        let asked = set.ask(files, questions, take, (!never).then_some(until), call.interruption());
        self.give_back(set);
        match asked {
            Ok(0) if never && call.is_due() => Err(Error::new(EINTR)),
            asked => asked,
        }
    }
}

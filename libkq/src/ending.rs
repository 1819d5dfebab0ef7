//! Ends of threads, and who wants to hear of them.

use alloc::sync::Weak;
use alloc::vec::Vec;

use abi::error::{ENOMEM, Error, Result};

/// What hears of the ends of threads.
pub trait Ending: Send + Sync {
    /// This thread is no more.
    fn thread_ended(&self, thread: u64);
}

/// Threads whose ends somebody wants to hear of: one watch for each, whoever wants to hear of it.
#[derive(Default)]
pub struct Watches<T> {
    watched: Vec<Watched<T>>,
}

struct Watched<T> {
    thread: u64,
    watch: T,
    told: Vec<Weak<dyn Ending>>,
}

impl<T> Watches<T> {
    /// Nobody is watched yet.
    pub const fn new() -> Watches<T> {
        Watches { watched: Vec::new() }
    }

    /// `told` hears of the end of this thread too. The first time a watch begins; who is no more is forgotten.
    pub fn add(
        &mut self,
        thread: u64,
        told: Weak<dyn Ending>,
        begin: impl FnOnce() -> Result<T>,
    ) -> Result<()> {
        let Watches { watched } = self;
        watched.iter_mut().for_each(|watched| watched.told.retain(|told| told.strong_count() > 0));
        let no_memory = |_| Error::new(ENOMEM);
        let at = match watched.iter().position(|watched| watched.thread == thread) {
            Some(at) => at,
            None => {
                watched.try_reserve(1).map_err(no_memory)?;
                watched.push(Watched { thread, watch: begin()?, told: Vec::new() });
                watched.len() - 1
            }
        };
        let list = &mut watched[at].told;
        list.try_reserve(1).map_err(no_memory)?;
        list.push(told);
        Ok(())
    }

    /// Threads that are gone, and who hears of it: the caller tells them, with no lock held.
    pub fn ended(&mut self, is_gone: impl Fn(u64, &T) -> bool) -> Vec<(u64, Vec<Weak<dyn Ending>>)> {
        let gone = self.watched.extract_if(.., |watched| is_gone(watched.thread, &watched.watch));
        gone.map(|watched| (watched.thread, watched.told)).collect()
    }

    /// How many threads are watched, and how many times somebody hears of one.
    pub fn count(&self) -> (usize, usize) {
        (self.watched.len(), self.watched.iter().map(|watched| watched.told.len()).sum())
    }
}

/// Tells of ends.
pub fn tell(ended: Vec<(u64, Vec<Weak<dyn Ending>>)>) {
    for (thread, told) in ended {
        told.iter().filter_map(Weak::upgrade).for_each(|told| told.thread_ended(thread));
    }
}

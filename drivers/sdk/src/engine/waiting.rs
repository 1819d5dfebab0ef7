//! Requests that wait, whatever they ask for.

use super::{Answer, Engine, failure};
use crate::driver::Driver;
use crate::link::Link;
use crate::pending::{Task, Waiting};
use abi::error::{EAGAIN, EBADF, ENOMEM, ESRCH, Error, Result};
use abi::message::WORDS;
use event_protocol::descriptor::NONBLOCK;
use event_protocol::trace::Event;

/// How far a request got.
pub(super) enum Progress<H> {
    /// It is answered.
    Answered,
    /// It is done: these words are the answer.
    Words([u64; WORDS]),
    /// It fails.
    Refused(Error),
    /// It has to wait (still).
    Wait(Waiting<H>),
}

impl<D: Driver, L: Link> Engine<D, L> {
    /// Tries a new request, which waits if it has to and may.
    pub(super) fn begin(&mut self, waiting: Waiting<L::Handle>, flags: u64) -> Result<Answer> {
        let progress = self.attempt(waiting);
        self.conclude(progress, flags)
    }

    pub(super) fn conclude(&mut self, progress: Progress<L::Handle>, flags: u64) -> Result<Answer> {
        match progress {
            Progress::Answered => Ok(Answer::Done),
            Progress::Words(words) => Ok(Answer::Words(words)),
            Progress::Refused(error) => Err(error),
            Progress::Wait(waiting) if flags & NONBLOCK != 0 => {
                self.forget(waiting);
                Err(Error::new(EAGAIN))
            }
            Progress::Wait(waiting) => self.park(waiting),
        }
    }

    pub(super) fn park(&mut self, waiting: Waiting<L::Handle>) -> Result<Answer> {
        self.counters.waits += 1;
        self.note(Event::Waits, 0, waiting.file.badge());
        if matches!(waiting.task, Task::Open { .. }) {
            self.look_after_opens();
        }
        match self.pending.push(waiting) {
            Ok(None) => {}
            Ok(Some(evicted)) => self.dismiss(evicted, Error::new(EAGAIN)),
            Err(refused) => {
                let done = refused.task.done();
                self.forget(refused);
                // What was taken counts.
                return if done > 0 {
                    Ok(Answer::Words(super::success(done as u64, 0)))
                } else {
                    Err(Error::new(ENOMEM))
                };
            }
        }
        Ok(Answer::Done)
    }

    /// Tries a request that waited; gives it back when it has to wait still.
    pub(super) fn retry(&mut self, waiting: Waiting<L::Handle>) -> Option<Waiting<L::Handle>> {
        if let Task::Open { ticket, .. } = &waiting.task
            && !self.link.is_alive(ticket)
        {
            self.forget(waiting);
            return None;
        }
        let token = waiting.token;
        self.caller = waiting.caller;
        match self.attempt(waiting) {
            Progress::Answered => {}
            Progress::Words(words) => self.finish(token, words),
            Progress::Refused(error) => self.finish(token, failure(error)),
            Progress::Wait(waiting) => return Some(waiting),
        }
        None
    }

    fn attempt(&mut self, waiting: Waiting<L::Handle>) -> Progress<L::Handle> {
        match &waiting.task {
            Task::Read { .. } => self.try_read(waiting),
            Task::Write { .. } => self.try_write(waiting),
            Task::Open { .. } => self.try_open(waiting),
            Task::Control(_) => self.try_control(waiting),
            Task::Send { .. } => self.try_send(waiting),
            Task::Receive { .. } => self.try_receive(waiting),
        }
    }

    /// Answers a waiting request with an error.
    pub(super) fn dismiss(&mut self, waiting: Waiting<L::Handle>, error: Error) {
        let token = waiting.token;
        // What was taken counts, unless its file is no more.
        let done = if error.errno == EBADF { 0 } else { waiting.task.done() };
        self.forget(waiting);
        self.finish(token, if done > 0 { super::success(done as u64, 0) } else { failure(error) });
    }

    /// Drops a waiting request that needs no answer.
    pub(super) fn forget(&mut self, waiting: Waiting<L::Handle>) {
        let Waiting { file, task: Task::Open { .. }, .. } = waiting else { return };
        self.files.remove(file);
        self.call(|driver, context| driver.close(context, file));
    }

    pub(super) fn finish(&mut self, token: u64, words: [u64; WORDS]) {
        match self.link.reply(token, words, &[]) {
            // It waits no longer, which is its right.
            Ok(()) | Err(Error { errno: ESRCH }) => {}
            Err(_) => self.counters.errors += 1,
        }
    }
}

//! The whole service, for files that are told apart by a key of the caller's.

use abi::error::{EBADF, EINVAL, ENOSYS, ESRCH, Error, Result};
use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use init_protocol::request::Event;
use process_protocol::signal::{LAST, SIGCHLD, SIGSTOP};
use process_protocol::{MAX_WATCHED, MAX_WATCHED_BY_ALL, Record, Request, SignalSet, note};

use crate::mailbox::{Outcome, by_default};
use crate::processes::Processes;
use crate::stream::Stream;

/// What a file is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Opened {
    /// A process's signals.
    Own,
    /// Attempts to send this signal.
    Attempts(u8),
    /// A stream.
    Stream,
}

/// What is to be done outside.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Effect<K> {
    /// init is to end a process by a signal.
    End {
        /// Which.
        pid: u32,
        /// By which.
        signal: u8,
    },
    /// A signal was sent: an occurrence of this file.
    Attempt(K),
    /// The level of this file has changed; `more` says that it rose.
    Level {
        /// Which.
        file: K,
        /// Something came.
        more: bool,
    },
}

#[derive(Debug)]
enum File {
    Own,
    Attempts(u8),
    Stream(Stream),
}

#[derive(Debug)]
struct Entry {
    owner: u32,
    file: File,
}

/// Processes, their signals, and who watches them.
#[derive(Debug)]
pub struct Service<K> {
    processes: Processes,
    files: BTreeMap<K, Entry>,
    effects: Vec<Effect<K>>,
}

impl<K: Copy + Ord> Service<K> {
    /// No processes, no files.
    pub const fn new() -> Service<K> {
        Service { processes: Processes::new(), files: BTreeMap::new(), effects: Vec::new() }
    }

    /// What is to be done outside, in this order, since the last call.
    pub fn effects(&mut self) -> Vec<Effect<K>> {
        core::mem::take(&mut self.effects)
    }

    /// init tells what happened.
    pub fn happened(&mut self, event: &Event) {
        self.processes.happened(event);
        match *event {
            Event::Born { pid, parent, .. } => {
                self.each_stream(parent, |stream, room| stream.born(parent, pid, room))
            }
            Event::Ended { pid, status } => {
                self.each_stream(pid, |stream, _| stream.ended(pid, status.to_wait()));
                let parent = self.processes.get(pid).map(|process| process.parent);
                if let Some(parent) = parent {
                    self.send(parent, SIGCHLD);
                }
            }
            Event::Forgotten { .. } => {}
        }
    }

    /// The processes that there are now were there before this service, and may have told another one what becomes of
    /// signals: these wait for them until [`presume`](Service::presume).
    pub fn begin(&mut self) {
        self.processes.were_there();
    }

    /// Whoever had to say something has had the time.
    pub fn presume(&mut self) {
        for (pid, process) in self.processes.all_alive() {
            let ends = process.mailbox.presume().iter().find(|&signal| by_default(signal) == Outcome::End);
            self.effects.extend(ends.map(|signal| Effect::End { pid, signal }));
        }
    }

    /// Tells the streams that watch a process, with how many more each may watch.
    fn each_stream(&mut self, pid: u32, act: impl Fn(&mut Stream, usize) -> bool) {
        let watches = |entry: &Entry| matches!(&entry.file, File::Stream(stream) if stream.watches(pid));
        let streams = self.files.iter().filter(|(_, entry)| watches(entry));
        for file in streams.map(|(&file, _)| file).collect::<Vec<_>>() {
            let room = self.room(file);
            if let Some(Entry { file: File::Stream(stream), .. }) = self.files.get_mut(&file)
                && act(stream, room)
            {
                self.effects.push(Effect::Level { file, more: true });
            }
        }
    }

    /// How many more processes a stream may watch (R55): its owner's streams and all together have limits.
    fn room(&self, file: K) -> usize {
        let Some(Entry { owner, .. }) = self.files.get(&file) else { return 0 };
        let (mut own, mut all) = (0, 0);
        for entry in self.files.values() {
            if let File::Stream(stream) = &entry.file {
                all += stream.len();
                own += if entry.owner == *owner { stream.len() } else { 0 };
            }
        }
        MAX_WATCHED.saturating_sub(own).min(MAX_WATCHED_BY_ALL.saturating_sub(all))
    }

    /// Process `owner` has opened a file. `ESRCH`: there is no such process; `EINVAL`: no such signal.
    pub fn open(&mut self, file: K, owner: u32, opened: Opened) -> Result<()> {
        self.processes.alive(owner).ok_or(Error::new(ESRCH))?;
        let new = match opened {
            Opened::Own => File::Own,
            Opened::Attempts(signal @ 1..=LAST) => File::Attempts(signal),
            Opened::Attempts(_) => return Err(Error::new(EINVAL)),
            Opened::Stream => File::Stream(Stream::new()),
        };
        self.files.insert(file, Entry { owner, file: new });
        Ok(())
    }

    /// A file is closed.
    pub fn close(&mut self, file: K) {
        self.files.remove(&file);
    }

    /// A request on a file. The answer is what [`Request::Take`] takes.
    pub fn ask(&mut self, file: K, request: &Request) -> Result<SignalSet> {
        let room = self.room(file);
        let entry = self.files.get_mut(&file).ok_or(Error::new(EBADF))?;
        let owner = entry.owner;
        match (*request, &mut entry.file) {
            (Request::Kill { pid, signal }, File::Own) => self.kill(owner, pid, signal)?,
            (Request::Dispose { ignored, told }, File::Own) => {
                let process = self.processes.alive(owner).ok_or(Error::new(ESRCH))?;
                let rest = process.mailbox.dispose(ignored, told);
                let ends = rest.iter().find(|&signal| by_default(signal) == Outcome::End);
                self.effects.extend(ends.map(|signal| Effect::End { pid: owner, signal }));
                self.mailbox_changed(owner, !self.pending(owner).is_empty());
            }
            (Request::Take, File::Own) => {
                let process = self.processes.alive(owner).ok_or(Error::new(ESRCH))?;
                let taken = process.mailbox.take();
                self.mailbox_changed(owner, false);
                return Ok(taken);
            }
            (Request::Default { signal }, File::Own) => {
                if by_default(signal) == Outcome::End {
                    self.effects.push(Effect::End { pid: owner, signal });
                }
            }
            (Request::Watch { what, .. }, File::Stream(_)) if what & !note::ASKED != 0 => {
                return Err(Error::new(EINVAL));
            }
            (Request::Watch { pid, what }, File::Stream(stream)) => {
                let process = self.processes.may(owner, pid)?;
                stream.watch(pid, what, process.ended.map(|status| status.to_wait()), room)?;
                self.effects.push(Effect::Level { file, more: true });
            }
            (Request::Unwatch { pid }, File::Stream(stream)) => {
                stream.unwatch(pid)?;
                self.effects.push(Effect::Level { file, more: false });
            }
            _ => return Err(Error::new(EINVAL)),
        }
        Ok(SignalSet::EMPTY)
    }

    fn kill(&mut self, caller: u32, pid: u32, signal: u8) -> Result<()> {
        if signal > LAST {
            return Err(Error::new(EINVAL));
        }
        self.processes.may(caller, pid)?;
        match signal {
            0 => {}
            SIGSTOP => return Err(Error::new(ENOSYS)),
            _ => self.send(pid, signal),
        }
        Ok(())
    }

    /// Sends a signal, if the process lives. R28: an attempt is one whatever becomes of it.
    fn send(&mut self, pid: u32, signal: u8) {
        let Some(process) = self.processes.alive(pid) else { return };
        let outcome = process.mailbox.send(signal);
        for (&file, entry) in &self.files {
            if entry.owner == pid && matches!(entry.file, File::Attempts(of) if of == signal) {
                self.effects.push(Effect::Attempt(file));
            }
        }
        match outcome {
            Outcome::Nothing => {}
            Outcome::Pending => self.mailbox_changed(pid, true),
            Outcome::End => self.effects.push(Effect::End { pid, signal }),
        }
    }

    fn mailbox_changed(&mut self, pid: u32, more: bool) {
        let own =
            self.files.iter().filter(|(_, entry)| entry.owner == pid && matches!(entry.file, File::Own));
        self.effects.extend(own.map(|(&file, _)| Effect::Level { file, more }));
    }

    /// What a file's read level is: records of a stream, pending signals.
    pub fn level(&self, file: K) -> usize {
        let Some(entry) = self.files.get(&file) else { return 0 };
        match &entry.file {
            File::Own => self.pending(entry.owner).iter().count(),
            File::Attempts(_) => 0,
            File::Stream(stream) => stream.waiting(),
        }
    }

    fn pending(&self, pid: u32) -> SignalSet {
        self.processes.get(pid).map_or(SignalSet::EMPTY, |process| process.mailbox.pending())
    }

    /// What is pending of the signals that a file is about, none for another file.
    pub fn pending_of(&self, file: K) -> Option<SignalSet> {
        let entry = self.files.get(&file)?;
        matches!(entry.file, File::Own).then(|| self.pending(entry.owner))
    }

    /// Takes records of a stream. `EINVAL`: it is none.
    pub fn take(&mut self, file: K, most: usize) -> Result<Vec<Record>> {
        let File::Stream(stream) = &mut self.files.get_mut(&file).ok_or(Error::new(EBADF))?.file else {
            return Err(Error::new(EINVAL));
        };
        let records = stream.take(most);
        self.effects.push(Effect::Level { file, more: false });
        Ok(records)
    }

    /// Undoes the last [`take`](Service::take), whose reader is gone.
    pub fn put_back(&mut self, file: K) {
        if let Some(Entry { file: File::Stream(stream), .. }) = self.files.get_mut(&file) {
            stream.put_back();
            self.effects.push(Effect::Level { file, more: true });
        }
    }

    /// Processes, files, and processes that are watched.
    pub fn load(&self) -> (usize, usize, usize) {
        let watched = self.files.values().map(|entry| match &entry.file {
            File::Stream(stream) => stream.len(),
            _ => 0,
        });
        (self.processes.len(), self.files.len(), watched.sum())
    }
}

impl<K: Copy + Ord> Default for Service<K> {
    fn default() -> Service<K> {
        Service::new()
    }
}

//! PROC notes: what the process service tells. `kqueue(2)`.
//!
//! They have no source: a queue has one stream, in which the service puts down what happens to the processes of all its
//! notes, and of the children that it follows for them, whether or not anybody has looked by then (R30). The stream is a
//! hidden note. When it is ready a harvest says so,
//! and its records are read and given to the notes, under a lock of their own, so that they are in their order. The order lock
//! is taken only where notes are made and removed, and not while the service is asked: who closes a descriptor takes it (R56).

use alloc::sync::Arc;

use abi::error::{EAGAIN, EINVAL, ENOENT, ESRCH, Error, Result};
use abi::flag::O_RDONLY;
use event_protocol::descriptor::{CURRENT, Control, NONBLOCK};
use process_protocol::{PRIVATE, Record, Request, WATCH};

use super::knote::{KNote, Watched};
use super::process::Process;
use super::{Events, Kqueue};
use crate::event::filter::Filter;
use crate::event::flags::EventFlags;
use crate::event::{KEvent, Lists, note};
use crate::file::File;
use crate::platform::Platform;
use crate::sync::MutexGuard;

/// The name of the stream's note: no change can name it, since there is no such filter.
const STREAM: (usize, Filter) = (usize::MAX, Filter(i16::MIN));
/// Bytes of records that are read at once.
const BATCH: usize = 64 * Record::SIZE;

/// Held by the one who asks the service: what is made of its answers is made in their order.
type Turn<'a> = MutexGuard<'a, ()>;

/// The name of a process's note.
fn key(pid: u32) -> (usize, Filter) {
    (pid as usize, Filter::PROC)
}

fn pid(change: &KEvent) -> Result<u32> {
    u32::try_from(change.ident).map_err(|_| Error::new(ESRCH))
}

impl<P: Platform> Kqueue<P> {
    fn open(&self, path: &str) -> Result<Arc<File<P>>> {
        let platform = self.set.platform();
        Ok(Arc::new(File::new(platform.clone(), platform.open(path, O_RDONLY as u64)?, 0)))
    }

    /// The queue's stream, opened when it is first needed.
    fn stream(&self, _turn: &Turn<'_>) -> Result<Arc<File<P>>> {
        if let Some(file) = self.known_stream()? {
            return Ok(file);
        }
        let file = self.open(WATCH)?;
        let source = file.source()?;
        let hidden = KEvent { flags: EventFlags::ADD, ..KEvent::new(STREAM.0, STREAM.1) };
        let note = KNote::new(&hidden, Watched::Stream(file.clone()), 0, source.id.shard())?;
        self.set.add(&self.set.order(), note, &source)?;
        Ok(file)
    }

    fn known_stream(&self) -> Result<Option<Arc<File<P>>>> {
        let core = self.set.core()?;
        let note = core.find(STREAM).and_then(|index| core.queue.note(index));
        Ok(note.and_then(|note| match &note.view.watched {
            Watched::Stream(file) => Some(file.clone()),
            _ => None,
        }))
    }

    /// Applies a change of a note about a process that [cannot be done here](Kqueue::change).
    pub(super) fn change_process(&self, change: &KEvent) -> Result<()> {
        let turn = self.processes.lock();
        self.set.free_retired_but(&self.set.order(), Some(key(pid(change)?)))?;
        let found = self.set.core()?.find(key(pid(change)?)).is_some();
        if !change.flags.contains(EventFlags::DELETE) {
            self.watch_process(&turn, change, found)
        } else if found {
            self.unwatch_process(&turn, change)
        } else {
            Err(Error::new(ENOENT))
        }
    }

    /// A note about a process, or other terms for the one that there is (R6). `ESRCH`, `EPERM`: the service's rule.
    fn watch_process(&self, turn: &Turn<'_>, change: &KEvent, found: bool) -> Result<()> {
        let pid = pid(change)?;
        let what = change.fflags;
        if !found && !change.flags.contains(EventFlags::ADD) {
            return Err(Error::new(ENOENT));
        }
        if what & !process_protocol::note::ASKED != 0 {
            return Err(Error::new(EINVAL));
        }
        let stream = self.stream(turn)?;
        // Told of before anything is made or changed: a failure changes nothing. Nobody else reads the stream meanwhile.
        ask(&stream, Request::Watch { pid, what })?;
        if let Err(error) = self.make_or_modify(pid, change) {
            if !found {
                let _ = ask(&stream, Request::Unwatch { pid });
            }
            return Err(error);
        }
        // The end of one that has ended already was published before the answer.
        let mut core = self.set.core()?;
        if let Some(index) = core.find(STREAM) {
            core.queue.look(index);
        }
        if let Some(index) = core.find(key(pid)) {
            let due = core.queue.note(index).is_some_and(|note| note.view.is_due());
            self.set.look(core, index, due);
        }
        Ok(())
    }

    /// The note may have been delivered for the last time since it was found: then it is a new one.
    fn make_or_modify(&self, pid: u32, change: &KEvent) -> Result<()> {
        let order = self.set.order();
        if self.set.core()?.find(key(pid)).is_none() {
            self.set.make_room(&order)?;
        }
        let mut core = self.set.core()?;
        if let Some(index) = core.find(key(pid))
            && let Some(note) = core.queue.note_mut(index)
        {
            return note.view.modify(change);
        }
        core.insert_own(KNote::new(change, Watched::Process(Process::new(change.fflags)), 0, 0)?).map(drop)
    }

    /// Removes a process's note. Children that were born before have notes of their own.
    fn unwatch_process(&self, turn: &Turn<'_>, change: &KEvent) -> Result<()> {
        let pid = pid(change)?;
        if let Some(stream) = self.known_stream()? {
            // It fails when the end is on its way already, or the service is dead: the stream says which.
            let _ = ask(&stream, Request::Unwatch { pid });
            self.read_stream(turn)?;
        }
        let mut core = self.set.core()?;
        let index = core.find(key(pid)).ok_or(Error::new(ENOENT))?;
        // Before the name can be another note's.
        core.remove_own(index).map(|()| self.forget(change.ident, change.filter))
    }

    /// A harvest has found the stream ready: reads it, and harvests what its records have made true.
    #[cold]
    #[inline(never)]
    pub(super) fn hear<L: Lists>(&self, lists: &mut L) -> Result<()> {
        self.read_stream(&self.processes.lock())?;
        if lists.room() == 0 {
            return Ok(());
        }
        match self.set.collect(&mut Events(lists)) {
            // More has come meanwhile: another look finds it.
            Err(error) if error.errno == EAGAIN => Ok(()),
            collected => collected,
        }
    }

    /// Reads the stream to its end.
    fn read_stream(&self, turn: &Turn<'_>) -> Result<()> {
        let Some(stream) = self.known_stream()? else { return Ok(()) };
        let mut bytes = [0; BATCH];
        loop {
            match self.set.platform().read(stream.handle(), &mut bytes, NONBLOCK, CURRENT) {
                Ok(read) if read.count >= Record::SIZE => {
                    for record in Record::all(bytes.get(..read.count).unwrap_or_default()) {
                        self.happened(turn, &stream, &record)?;
                    }
                }
                Err(error) if error.errno == EAGAIN => return Ok(()),
                // R57, R56.
                _ => return self.end_stream(turn),
            }
        }
    }

    fn happened(&self, turn: &Turn<'_>, stream: &File<P>, record: &Record) -> Result<()> {
        let Record { pid, what, data } = *record;
        if what == note::CHILD {
            return self.child(turn, stream, pid, data as u32);
        }
        let mut core = self.set.core()?;
        let Some(index) = core.find(key(pid)) else {
            drop(core);
            // Its note was delivered for the last time. The service may be dead by now.
            let _ = ask(stream, Request::Unwatch { pid });
            return Ok(());
        };
        if let Some(note) = core.queue.note_mut(index) {
            note.view.happened(what, data);
            let due = note.view.is_due();
            self.set.look(core, index, due);
        }
        Ok(())
    }

    /// R30: a child that was followed has a note as its parent has, which is told of its birth.
    fn child(&self, turn: &Turn<'_>, stream: &File<P>, pid: u32, parent: u32) -> Result<()> {
        let view = {
            let core = self.set.core()?;
            let note = core.find(key(parent)).and_then(|index| core.queue.note(index));
            note.and_then(|note| note.view.of_child(pid, parent))
        };
        let Some(view) = view else {
            // The parent's note was delivered for the last time: nobody follows.
            let _ = ask(stream, Request::Unwatch { pid });
            return Ok(());
        };
        let made = self.make_child(pid, parent, view);
        if made.is_err() {
            let _ = ask(stream, Request::Unwatch { pid });
            return self.happened(turn, stream, &Record { pid: parent, what: note::TRACKERR, data: 0 });
        }
        Ok(())
    }

    fn make_child(&self, pid: u32, parent: u32, view: KNote<P>) -> Result<()> {
        let order = self.set.order();
        if self.set.core()?.find(key(pid)).is_none() {
            self.set.make_room(&order)?;
        }
        let mut core = self.set.core()?;
        let index = match core.find(key(pid)) {
            Some(index) => {
                if let Some(note) = core.queue.note_mut(index) {
                    note.view.is_child_of(parent);
                }
                index
            }
            None => core.insert_own(view)?,
        };
        let due = core.queue.note(index).is_some_and(|note| note.view.is_due());
        self.set.look(core, index, due);
        Ok(())
    }

    /// R57: the service is dead. Each note is told once; the next one that is added has a new stream.
    fn end_stream(&self, _turn: &Turn<'_>) -> Result<()> {
        let (stream, notes) = {
            let core = self.set.core()?;
            (core.find(STREAM), core.of(|&(_, filter)| filter == Filter::PROC))
        };
        if let Some(index) = stream {
            self.set.delete(&self.set.order(), index)?;
        }
        for index in notes {
            let mut core = self.set.core()?;
            if let Some(note) = core.queue.note_mut(index) {
                note.view.is_gone();
                let due = note.view.is_due();
                self.set.look(core, index, due);
            }
        }
        Ok(())
    }
}

fn ask<P: Platform>(stream: &File<P>, request: Request) -> Result<()> {
    let bytes = postcard::to_allocvec(&request).map_err(|_| Error::new(EINVAL))?;
    stream.control(Control::Private { number: PRIVATE, bytes }).map(drop)
}

//! PROC notes: what the process service tells. `kqueue(2)`.
//!
//! They have no source: a queue has one stream, in which the service puts down what happens to the processes of all its
//! notes, and of the children that it follows for them, whether or not anybody has looked by then (R30). The stream is a
//! hidden note. When it is ready a harvest says so,
//! and its records are read and given to the notes, under the order lock, so that they are in their order.

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
use crate::set::Order;

/// The name of the stream's note: no change can name it, since there is no such filter.
const STREAM: (usize, Filter) = (usize::MAX, Filter(i16::MIN));
/// Bytes of records that are read at once.
const BATCH: usize = 64 * Record::SIZE;

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
    fn stream(&self, order: &Order<'_>) -> Result<Arc<File<P>>> {
        if let Some(file) = self.known_stream()? {
            return Ok(file);
        }
        let file = self.open(WATCH)?;
        let source = file.source()?;
        let hidden = KEvent { flags: EventFlags::ADD, ..KEvent::new(STREAM.0, STREAM.1) };
        let note = KNote::new(&hidden, Watched::Stream(file.clone()), 0, source.id.shard())?;
        self.set.add(order, note, &source)?;
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

    /// A note about a process, or other terms for the one that there is (R6). `ESRCH`, `EPERM`: the service's rule.
    pub(super) fn watch_process(&self, order: &Order<'_>, change: &KEvent) -> Result<()> {
        let pid = pid(change)?;
        let what = change.fflags;
        if what & !process_protocol::note::ASKED != 0 {
            return Err(Error::new(EINVAL));
        }
        let stream = self.stream(order)?;
        let found = self.set.core()?.find(key(pid));
        match found {
            // Told of before it is changed: a failure changes nothing.
            Some(index) => {
                ask(&stream, Request::Watch { pid, what })?;
                let mut core = self.set.core()?;
                if let Some(note) = core.queue.note_mut(index) {
                    note.view.modify(change)?;
                }
            }
            None => {
                self.set.make_room(order)?;
                let view = KNote::new(change, Watched::Process(Process::new(what)), 0, 0)?;
                // Nobody else reads the stream meanwhile.
                ask(&stream, Request::Watch { pid, what })?;
                self.set.core()?.insert_own(view)?;
            }
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

    /// Removes a process's note. Children that were born before have notes of their own.
    pub(super) fn unwatch_process(&self, order: &Order<'_>, change: &KEvent) -> Result<()> {
        let pid = pid(change)?;
        if let Some(stream) = self.known_stream()? {
            // It fails when the end is on its way already, or the service is dead: the stream says which.
            let _ = ask(&stream, Request::Unwatch { pid });
            self.read_stream(order)?;
        }
        let mut core = self.set.core()?;
        let index = core.find(key(pid)).ok_or(Error::new(ENOENT))?;
        core.remove_own(index)
    }

    /// A harvest has found the stream ready: reads it, and harvests what its records have made true.
    #[cold]
    #[inline(never)]
    pub(super) fn hear<L: Lists>(&self, lists: &mut L) -> Result<()> {
        self.read_stream(&self.set.order())?;
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
    fn read_stream(&self, order: &Order<'_>) -> Result<()> {
        let Some(stream) = self.known_stream()? else { return Ok(()) };
        let mut bytes = [0; BATCH];
        loop {
            match self.set.platform().read(stream.handle(), &mut bytes, NONBLOCK, CURRENT) {
                Ok(read) if read.count >= Record::SIZE => {
                    for record in Record::all(bytes.get(..read.count).unwrap_or_default()) {
                        self.happened(order, &stream, &record)?;
                    }
                }
                Err(error) if error.errno == EAGAIN => return Ok(()),
                // R57, R56.
                _ => return self.end_stream(order),
            }
        }
    }

    fn happened(&self, order: &Order<'_>, stream: &File<P>, record: &Record) -> Result<()> {
        let Record { pid, what, data } = *record;
        if what == note::CHILD {
            return self.child(order, stream, pid, data as u32);
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
    fn child(&self, order: &Order<'_>, stream: &File<P>, pid: u32, parent: u32) -> Result<()> {
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
        let known = self.set.core()?.find(key(pid));
        if known.is_none() && self.set.make_room(order).is_err() {
            let _ = ask(stream, Request::Unwatch { pid });
            return self.happened(order, stream, &Record { pid: parent, what: note::TRACKERR, data: 0 });
        }
        let mut core = self.set.core()?;
        let index = match known {
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
    fn end_stream(&self, order: &Order<'_>) -> Result<()> {
        let (stream, notes) = {
            let core = self.set.core()?;
            (core.find(STREAM), core.of(|&(_, filter)| filter == Filter::PROC))
        };
        if let Some(index) = stream {
            self.set.delete(order, index)?;
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

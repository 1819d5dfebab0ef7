//! The way of a process to this world.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};

use event_protocol::activation::BankLayout;
use event_protocol::badge::SourceId;
use event_protocol::cell::Direction;
use event_protocol::control::client::{Change, QueueNumber};
use event_protocol::descriptor::message::MessageFlags;
use event_protocol::descriptor::{
    Arm, Control, ControlReply, FileType, Kind, MAX_TRANSFER, NONBLOCK, PathReply, PathRequest, Stat,
};
use event_protocol::filter::Filters;
use event_protocol::level::Level;
use event_protocol::park::Waiter;
use event_protocol::ring::Producer;
use event_protocol::shared::{Owned, Region};
use libkq::ending::Ending;
use libkq::engine::Seats;
use libkq::platform::{Bank, Changed, Platform, Read, Received, Source};
use libkq::{Error, Result};

use super::server::{FakeQueue, Timer};
use super::{EINVAL, FakeFile, Memory, World, thread_number};

fn bank(slots: u32) -> Bank<Memory> {
    let layout = BankLayout::new(slots, 1).unwrap();
    (Arc::new(Region::new(Arc::new(Owned::new(layout.size())))), layout)
}

impl Platform for World {
    type Memory = Memory;
    type File = FakeFile;

    fn now(&self) -> u64 {
        self.0.now.load(Ordering::SeqCst)
    }

    fn is_alone(&self) -> bool {
        false
    }

    fn when_thread_ends(&self, told: Weak<dyn Ending>) -> Result<()> {
        self.0.ends.lock().unwrap().add(thread_number(), told, || Ok(()))
    }

    fn cpu(&self) -> u32 {
        // Asked as part of the announcement.
        let act = self.lock().at_parking.take();
        if let Some(act) = act {
            std::thread::spawn(act).join().unwrap();
        }
        0
    }

    fn waiters(&self) -> (&[Waiter], &Seats) {
        (self.0.session.waiters().unwrap(), &self.0.seats)
    }

    fn register_waiter(&self, _number: u32) -> Result<()> {
        self.lock().ask()
    }

    fn sleep(&self, number: u32, deadline: u64) -> Result<()> {
        let mut server = self.lock();
        loop {
            while server.killed.contains(&thread_number()) {
                server = self.0.signalled.wait(server).unwrap();
            }
            if server.dead {
                return Err(Error::new(abi::error::ENOTCONN));
            }
            if std::mem::take(&mut server.signals[number as usize]) != 0 {
                return Ok(());
            }
            if self.now() >= deadline {
                return Err(Error::new(abi::error::ETIMEDOUT));
            }
            if server.clock_runs {
                let next = server.timers.values().map(|timer| timer.next).min();
                let until = next.unwrap_or(deadline).min(deadline);
                assert_ne!(until, u64::MAX, "nothing will ever happen");
                self.advance_to(&mut server, until);
            } else {
                server = self.0.signalled.wait(server).unwrap();
            }
        }
    }

    fn wake(&self, number: u32) {
        let mut server = self.lock();
        server.signals[number as usize] |= 1;
        server.wakes += 1;
        drop(server);
        self.0.signalled.notify_all();
    }

    fn create_queue(&self, slots: u32) -> Result<(QueueNumber, Bank<Memory>)> {
        let mut server = self.lock();
        server.ask()?;
        let (region, layout) = bank(slots);
        let number = server.next_queue;
        server.next_queue += 1;
        let banks = vec![(region.clone(), layout, Producer::new())];
        server.queues.insert(number, FakeQueue { banks, notes: Vec::new() });
        Ok((number, (region, layout)))
    }

    fn grow_queue(&self, queue: QueueNumber, banks: usize, slots: u32) -> Result<Bank<Memory>> {
        let mut server = self.lock();
        server.ask()?;
        if let Some(errno) = server.fail_growing {
            return Err(Error::new(errno));
        }
        let (region, layout) = bank(slots);
        let queue = server.queues.get_mut(&queue).unwrap();
        assert_eq!(queue.banks.len(), banks);
        queue.banks.push((region.clone(), layout, Producer::new()));
        Ok((region, layout))
    }

    fn close_queue(&self, queue: QueueNumber, _shards: u64) {
        let mut server = self.lock();
        server.messages += 1;
        server.queues.remove(&queue);
        server.update_interest();
    }

    fn hand_back(&self, _queue: QueueNumber, _shards: u64) {
        let mut server = self.lock();
        server.messages += 1;
        server.hand_back(&self.0);
    }

    fn thread(&self) -> u64 {
        thread_number()
    }

    fn changes(
        &self,
        shard: u32,
        queue: QueueNumber,
        failures_allowed: u32,
        changes: Vec<Change>,
    ) -> Result<Changed> {
        assert_eq!(shard, 0);
        assert!(changes.len() <= event_protocol::control::limits::MAX_CHANGES);
        let before = self.lock().before_change.take();
        if let Some(act) = before {
            std::thread::spawn(act).join().unwrap();
        }
        let mut server = self.lock();
        server.ask()?;
        let mut done = Changed::default();
        for (index, change) in changes.into_iter().enumerate() {
            done.processed += 1;
            let failed = match server.fail_next.take() {
                Some(errno) => Err(Error::new(errno)),
                None => server.change(&self.0, queue, change),
            };
            if let Err(error) = failed {
                done.failures.push((index, error));
                if done.failures.len() >= failures_allowed as usize {
                    break;
                }
            }
        }
        Ok(done)
    }

    fn adopt(&self, file: &FakeFile) -> Result<Source<Memory>> {
        let mut server = self.lock();
        server.ask()?;
        let source = &server.sources[&file.cell];
        Ok(Source {
            id: source.id,
            cell: server.page.keep_cell(file.cell)?,
            filters: source.filters,
            low_water: (1, 1),
        })
    }

    fn release(&self, source: SourceId) {
        let mut server = self.lock();
        server.messages += 1;
        for queue in server.queues.values_mut() {
            queue.notes.retain(|note| note.source != source);
        }
        server.update_interest();
    }

    fn renew(&self, file: &FakeFile, source: SourceId) -> Result<()> {
        self.renew_lasting(file, source)
    }

    fn is_left(&self, file: &FakeFile) -> bool {
        self.is_left_lasting(file)
    }

    fn open(&self, path: &str, flags: u64) -> Result<FakeFile> {
        if path.starts_with(super::lasting::PATH) {
            return self.open_lasting(path, flags);
        }
        if path.starts_with("/dev/process/signal/") {
            return self.open_named(path, Filters::SIGNAL);
        }
        let more = match path {
            path if path.starts_with("/urgent/") => Filters::EXCEPT,
            path if path.starts_with("/file/") => Filters::VNODE,
            _ => Filters::empty(),
        };
        self.open_named(path, Filters::READ | Filters::WRITE | more)
    }

    fn kind(&self, file: &FakeFile) -> Kind {
        let server = self.lock();
        match &server.sources[&file.cell].name {
            name if name.starts_with("/file/") => Kind::File,
            name if name.starts_with("/pipe/") => Kind::Pipe,
            _ => Kind::Device,
        }
    }

    fn open_timer(&self) -> Result<FakeFile> {
        self.open_named("timer", Filters::TIMER)
    }

    fn open_beside(&self, _file: &FakeFile, path: &str, flags: u64) -> Result<FakeFile> {
        self.open(path, flags)
    }

    fn path(&self, path: &str, request: PathRequest) -> Result<PathReply> {
        match request {
            _ if path.starts_with("/tmp/") => Err(Error::new(abi::error::ENOENT)),
            PathRequest::Stat { path: name } if path == "/run/socket" && name == "/tmp/socket" => {
                Ok(PathReply::Stat(Stat {
                    inode: 1,
                    file_type: FileType::Socket,
                    mode: 0o777,
                    links: 1,
                    size: 0,
                    accessed: 0,
                    modified: 0,
                    changed: 0,
                }))
            }
            PathRequest::Unlink { path: name } if path == "/run/socket" && name != "/tmp/socket" => {
                Err(Error::new(abi::error::EINVAL))
            }
            // As a driver that has no names.
            PathRequest::Stat { .. } => Err(Error::new(abi::error::EOPNOTSUPP)),
            _ => Ok(PathReply::Done),
        }
    }

    fn read(&self, file: &FakeFile, buffer: &mut [u8], flags: u64, _offset: u64) -> Result<Read> {
        if self.is_lasting(file) {
            return self.read_lasting(file, buffer.len()).map(|count| Read { count, arrival: 0 });
        }
        let mut server = self.lock();
        let level = server.page.cell(file.cell)?.level(Direction::Read).amount;
        if level == 0 && flags & NONBLOCK != 0 {
            return Err(Error::new(abi::error::EAGAIN));
        }
        let count = buffer.len().min(level as usize).min(MAX_TRANSFER);
        server.publish(file.cell, Direction::Read, Level::new(level - count as i64), false);
        Ok(Read { count, arrival: 0 })
    }

    /// A narrow file has as much room as its level says, and nobody makes more.
    fn write(&self, file: &FakeFile, bytes: &[u8], flags: u64, _offset: u64) -> Result<usize> {
        if self.is_lasting(file) {
            return self.ask_lasting(file, |_| Ok(bytes.len()));
        }
        let mut server = self.lock();
        if !server.sources[&file.cell].name.starts_with("/narrow/") {
            return Ok(bytes.len());
        }
        let room = server.page.cell(file.cell)?.level(Direction::Write).amount;
        if room == 0 {
            let nonblocking = flags & NONBLOCK != 0;
            return Err(Error::new(if nonblocking { abi::error::EAGAIN } else { abi::error::EPIPE }));
        }
        let count = bytes.len().min(room as usize).min(MAX_TRANSFER);
        server.publish(file.cell, Direction::Write, Level::new(room - count as i64), false);
        Ok(count)
    }

    fn send(
        &self,
        _file: &FakeFile,
        _address: &str,
        bytes: &[u8],
        _files: &[&FakeFile],
        _flags: MessageFlags,
    ) -> Result<usize> {
        Ok(bytes.len())
    }

    fn receive(
        &self,
        _file: &FakeFile,
        _buffer: &mut [u8],
        _files: usize,
        _flags: MessageFlags,
    ) -> Result<Received<FakeFile>> {
        Err(Error::new(abi::error::EAGAIN))
    }

    fn control(&self, file: &FakeFile, control: Control, _flags: u64) -> Result<ControlReply> {
        if self.is_lasting(file) {
            return self.ask_lasting(file, |server| match control {
                Control::Seek { .. } if server.sources[&file.cell].name.ends_with('p') => {
                    Ok(ControlReply::Number(0))
                }
                _ => Err(Error::new(EINVAL)),
            });
        }
        let mut server = self.lock();
        server.messages += 1;
        match control {
            Control::Arm(Arm { first, period, absolute, .. }) => {
                let until = self.now() + std::mem::take(&mut server.late);
                self.advance_to(&mut server, until);
                let first = u64::try_from(first).map_err(|_| Error::new(EINVAL))?;
                let next = if absolute { first } else { self.now().saturating_add(first) };
                let period = period.map(|period| u64::try_from(period).unwrap());
                server.timers.insert(file.cell, Timer { next, period });
                let now = self.now();
                self.advance_to(&mut server, now);
            }
            Control::Private { .. } => {
                let before = server.before_answer.take();
                drop(server);
                if let Some(act) = before {
                    act();
                }
            }
            Control::Disarm => drop(server.timers.remove(&file.cell)),
            Control::Stat => {
                let (file_type, inode) = (FileType::Device, file.cell.into());
                let stat = Stat {
                    inode,
                    file_type,
                    mode: 0o600,
                    links: 1,
                    size: 0,
                    accessed: 0,
                    modified: 0,
                    changed: 0,
                };
                return Ok(ControlReply::Stat(stat));
            }
            _ => return Err(Error::new(EINVAL)),
        }
        Ok(ControlReply::Done)
    }
}

//! Messages with addresses and handles.

use super::{Answer, Engine, Progress, Request, failure, success};
use crate::driver::{Asked, Driver};
use crate::files::{File, FileId};
use crate::link::{Carried, Link};
use crate::message::{Incoming, Outgoing, Receiving};
use crate::parcels::Parcel;
use crate::pending::{Task, Waiting};
use abi::error::{EAGAIN, EBADF, EINVAL, EMSGSIZE, Error, Result};
use abi::message::WORDS;
use alloc::vec;
use alloc::vec::Vec;
use event_protocol::descriptor::message::{MAX_ADDRESS, MAX_HANDLES, MAX_PAYLOAD, MessageFlags, pack};
use event_protocol::descriptor::{NONBLOCK, words};
use event_protocol::trace::Event;

impl<D: Driver, L: Link> Engine<D, L> {
    pub(super) fn send(&mut self, id: FileId, file: File, request: Request<'_, L::Handle>) -> Result<Answer> {
        if !file.writable {
            return Err(Error::new(EBADF));
        }
        let flags = flags(request.words[words::FLAGS])?;
        let split = usize::try_from(request.words[words::LENGTH]).unwrap_or(usize::MAX);
        let (address, bytes) = request.bytes.split_at_checked(split).ok_or(Error::new(EINVAL))?;
        if address.len() > MAX_ADDRESS {
            return Err(Error::new(EINVAL));
        }
        if bytes.len() > MAX_PAYLOAD {
            return Err(Error::new(EMSGSIZE));
        }
        let address = core::str::from_utf8(address).map_err(|_| Error::new(EINVAL))?;
        let mut parcels = self.take_parcels(file.client, request.handles)?;
        let queue = self.driver.queue_of(id, Asked::Send(flags));
        let mut done = 0;
        if !self.pending.has(queue) {
            let mut message = Outgoing { address, flags, bytes, parcels };
            match self.call(|driver, context| driver.send(context, id, &mut message)) {
                Ok(count) if count >= bytes.len() || flags.contains(MessageFlags::NONBLOCK) => {
                    return Ok(Answer::Words(success(count.min(bytes.len()) as u64, 0)));
                }
                Ok(count) => done = count,
                Err(error) if error.errno != EAGAIN => return Err(error),
                Err(_) => {}
            }
            parcels = message.parcels;
        }
        let rest = bytes[done..].into();
        let task = Task::Send { address: address.into(), flags, done, rest, parcels };
        let waiting = self.waiting(id, file, request.token, queue, task);
        self.conclude(Progress::Wait(waiting), request.words[words::FLAGS])
    }

    fn take_parcels(&mut self, client: u64, handles: Vec<Carried<L::Handle>>) -> Result<Vec<Parcel>> {
        if handles.len() > MAX_HANDLES {
            return Err(Error::new(EINVAL));
        }
        let mut parcels = Vec::with_capacity(handles.len());
        for content in handles {
            let fits = match &content {
                Carried::Handle(handle) => self.link.can_travel(handle),
                Carried::Own(badge) => self.files.get(FileId::from_badge(*badge)).is_some(),
            };
            if !fits {
                return Err(Error::new(EBADF));
            }
            parcels.push(self.parcels.accept(client, content)?);
        }
        Ok(parcels)
    }

    pub(super) fn try_send(&mut self, mut waiting: Waiting<L::Handle>) -> Progress<L::Handle> {
        let file = waiting.file;
        let Task::Send { address, flags, done, rest, parcels } = &mut waiting.task else {
            return Progress::Wait(waiting);
        };
        let own: Vec<FileId> = parcels.iter().filter_map(Parcel::file).collect();
        let mut message = Outgoing { address, flags: *flags, bytes: rest, parcels: core::mem::take(parcels) };
        let result = self.call(|driver, context| driver.send(context, file, &mut message));
        *parcels = message.parcels;
        if parcels.is_empty() {
            // Where they lie now perhaps nobody can get at them, and who sent them has closed them meanwhile.
            own.into_iter().for_each(|file| self.look_after(file));
        }
        match result {
            Ok(count) => {
                let count = count.min(rest.len());
                *done += count;
                rest.drain(..count);
                if rest.is_empty() {
                    return Progress::Words(success(*done as u64, 0));
                }
                Progress::Wait(waiting)
            }
            Err(error) if error.errno == EAGAIN => Progress::Wait(waiting),
            // What was taken before the error counts: the next is told the error.
            Err(_) if *done > 0 => Progress::Words(success(*done as u64, 0)),
            Err(error) => Progress::Refused(error),
        }
    }

    pub(super) fn receive(
        &mut self,
        id: FileId,
        file: File,
        request: &Request<'_, L::Handle>,
    ) -> Result<Answer> {
        if !file.readable {
            return Err(Error::new(EBADF));
        }
        let flags = flags(request.words[words::FLAGS])?;
        let most =
            |word: usize, limit: usize| usize::try_from(request.words[word]).unwrap_or(usize::MAX).min(limit);
        let length = most(words::LENGTH, MAX_PAYLOAD);
        let receiving = Receiving { flags, parcels: most(words::HANDLES, MAX_HANDLES) };
        let queue = self.driver.queue_of(id, Asked::Receive(flags));
        let waiting = self.waiting(id, file, request.token, queue, Task::Receive { length, receiving });
        if self.pending.has(queue) {
            return self.conclude(Progress::Wait(waiting), flags.bits() & NONBLOCK);
        }
        self.begin(waiting, flags.bits())
    }

    /// Receives and answers. The message is taken only if its receiver got it.
    pub(super) fn try_receive(&mut self, waiting: Waiting<L::Handle>) -> Progress<L::Handle> {
        let Task::Receive { length, receiving } = waiting.task else { return Progress::Wait(waiting) };
        let Waiting { token, file, .. } = waiting;
        let mut buffer = core::mem::take(&mut self.buffer);
        let (front, room) = buffer.split_at_mut(MAX_ADDRESS);
        let room = &mut room[..length];
        let result = self.call(|driver, context| driver.receive(context, file, room, receiving));
        let progress = match result {
            Ok(mut message) => {
                message.count = message.count.min(length);
                if message.parcels.len() > receiving.parcels {
                    message.parcels.truncate(receiving.parcels);
                    message.flags |= MessageFlags::HANDLES_TRUNCATED;
                }
                let address = message.address.as_bytes();
                let start = MAX_ADDRESS - address.len().min(MAX_ADDRESS);
                front[start..].copy_from_slice(&address[..MAX_ADDRESS - start]);
                let bytes = &buffer[start..MAX_ADDRESS + message.count];
                if self.deliver(token, &message, bytes, MAX_ADDRESS - start).is_err() {
                    self.counters.undelivered += 1;
                    self.note(Event::Undelivered, message.count as u32, file.badge());
                    let bytes = &buffer[MAX_ADDRESS..MAX_ADDRESS + message.count];
                    if !receiving.flags.contains(MessageFlags::PEEK) {
                        self.call(|driver, context| driver.unreceive(context, file, bytes, message));
                    }
                }
                Progress::Answered
            }
            Err(error) if error.errno == EAGAIN => Progress::Wait(waiting),
            Err(error) => {
                if self.link.reply(token, failure(error), &[]).is_err() {
                    self.call(|driver, context| {
                        driver.unreceive(context, file, &[], Incoming::default());
                    });
                }
                Progress::Answered
            }
        };
        self.buffer = buffer;
        progress
    }

    fn deliver(&mut self, token: u64, message: &Incoming, bytes: &[u8], address: usize) -> Result<()> {
        let mut reply = [0; WORDS];
        reply[words::COUNT] = message.count as u64;
        reply[words::MESSAGE] = pack(message.flags, address);
        reply[words::WHOLE] = message.whole as u64;
        if message.parcels.is_empty() {
            return self.link.reply(token, reply, bytes);
        }
        let Engine { parcels, link, files, .. } = self;
        let contents: Vec<&Carried<L::Handle>> =
            message.parcels.iter().filter_map(|parcel| parcels.content(parcel)).collect();
        let mut minted = vec![];
        for content in &contents {
            if let Carried::Own(badge) = content {
                let id = FileId::from_badge(*badge);
                minted.push(link.mint(id)?);
                files.handle_made(id);
            }
        }
        let mut own = minted.iter();
        let handles: Vec<&L::Handle> = contents
            .iter()
            .filter_map(|content| match content {
                Carried::Handle(handle) => Some(handle),
                Carried::Own(_) => own.next(),
            })
            .collect();
        link.reply_message(token, reply, bytes, &handles)
    }
}

fn flags(word: u64) -> Result<MessageFlags> {
    MessageFlags::from_bits(word).ok_or(Error::new(EINVAL))
}

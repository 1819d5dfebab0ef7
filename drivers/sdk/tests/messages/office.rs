//! A driver of letters.

use crate::fake::{Bench, Got, Message};
use abi::error::{EAGAIN, EBADF, EINVAL, ENOENT, Error, Result};
use abi::flag::O_RDWR;
use driver_sdk::{
    Asked, Context, Control, ControlReply, Direction, Driver, FileId, Filters, Incoming, Kind, MessageFlags,
    Opening, Outgoing, Parcel, Receiving,
};
use std::collections::{BTreeMap, VecDeque};

/// Bytes of all letters that wait.
pub const ROOM: usize = 8;

/// A post office: every file has a box, an address is the number of a box. Beside a box, "next" is what was announced there
/// by a control; an announcement of "wait" waits for another one.
#[derive(Default)]
pub struct Office {
    pub boxes: BTreeMap<FileId, VecDeque<Letter>>,
    pub announced: usize,
    pub opened: Vec<FileId>,
    pub closed: Vec<FileId>,
}

/// A letter with its bytes.
pub struct Letter {
    pub bytes: Vec<u8>,
    pub message: Incoming,
}

impl Office {
    pub fn load(&self) -> usize {
        self.boxes.values().flatten().map(|letter| letter.bytes.len()).sum()
    }
}

impl Driver for Office {
    fn open(&mut self, _: &mut Context<'_>, file: FileId, _: &str, _: u64) -> Result<Opening> {
        self.boxes.insert(file, VecDeque::new());
        Ok(Opening::new(Kind::Socket, Filters::READ))
    }

    fn open_at(
        &mut self,
        context: &mut Context<'_>,
        _: FileId,
        file: FileId,
        path: &str,
        flags: u64,
    ) -> Result<Opening> {
        if path != "next" {
            return Err(Error::new(ENOENT));
        }
        if self.announced == 0 {
            return Err(Error::new(EAGAIN));
        }
        self.announced -= 1;
        self.open(context, file, path, flags)
    }

    fn opened(&mut self, _: &mut Context<'_>, file: FileId) {
        self.opened.push(file);
    }

    fn close(&mut self, _: &mut Context<'_>, file: FileId) {
        if self.boxes.remove(&file).is_some() {
            self.announced += 1;
        }
        self.closed.push(file);
    }

    fn send(&mut self, context: &mut Context<'_>, _: FileId, message: &mut Outgoing<'_>) -> Result<usize> {
        let index = message.address.parse().map_err(|_| Error::new(ENOENT))?;
        let count = message.bytes.len().min(ROOM - self.load());
        if count == 0 && !message.bytes.is_empty() {
            return Err(Error::new(EAGAIN));
        }
        let (file, letters) =
            self.boxes.iter_mut().find(|(file, _)| file.index() == index).ok_or(Error::new(ENOENT))?;
        let parcels = core::mem::take(&mut message.parcels);
        let (whole, flags) = (message.bytes.len(), MessageFlags::empty());
        letters.push_back(Letter {
            bytes: message.bytes[..count].into(),
            message: Incoming { count, whole, flags, address: "sender".into(), parcels },
        });
        context.wake(Direction::Read, file.badge());
        Ok(count)
    }

    fn receive(
        &mut self,
        context: &mut Context<'_>,
        file: FileId,
        buffer: &mut [u8],
        receiving: Receiving,
    ) -> Result<Incoming> {
        let letters = self.boxes.get_mut(&file).ok_or(Error::new(EBADF))?;
        let letter = letters.pop_front().ok_or(Error::new(EAGAIN))?;
        buffer[..letter.bytes.len()].copy_from_slice(&letter.bytes);
        let message = letter.message.clone();
        if receiving.flags.contains(MessageFlags::PEEK) {
            letters.push_front(letter);
        }
        context.wake(Direction::Write, 0);
        Ok(message)
    }

    fn unreceive(&mut self, _: &mut Context<'_>, file: FileId, bytes: &[u8], message: Incoming) {
        let letter = Letter { bytes: bytes.into(), message };
        self.boxes.get_mut(&file).expect("an open file").push_front(letter);
    }

    fn visit_parcels(&self, file: FileId, visit: &mut dyn FnMut(&Parcel)) {
        self.boxes
            .get(&file)
            .into_iter()
            .flatten()
            .flat_map(|letter| &letter.message.parcels)
            .for_each(visit);
    }

    fn control(&mut self, context: &mut Context<'_>, _: FileId, control: &Control) -> Result<ControlReply> {
        match control {
            Control::Sync if self.announced == 0 => Err(Error::new(EAGAIN)),
            Control::Sync => Ok(ControlReply::Number(self.announced as i64)),
            Control::Listen(count) => {
                self.announced += *count as usize;
                context.wake(Direction::Read, 1);
                context.wake(Direction::Read, 2);
                Ok(ControlReply::Done)
            }
            _ => Err(Error::new(EINVAL)),
        }
    }

    fn queue_of(&self, file: FileId, asked: Asked<'_>) -> (Direction, u64) {
        match asked {
            Asked::Open { .. } => (Direction::Read, 1),
            Asked::Control(_) => (Direction::Read, 2),
            Asked::Send(_) | Asked::Write => (Direction::Write, 0),
            Asked::Receive(_) | Asked::Read => (Direction::Read, file.badge()),
        }
    }
}

pub fn bench() -> (Bench<Office>, FileId, FileId) {
    let mut bench = Bench::new(Office::default());
    let one = bench.open("/box", O_RDWR, 1).unwrap();
    let other = bench.open("/box", O_RDWR, 2).unwrap();
    (bench, one, other)
}

pub fn to(file: FileId) -> String {
    file.index().to_string()
}

pub fn message(got: Option<Got>) -> Message {
    match got {
        Some(Got::Message(message)) => message,
        other => panic!("no message: {other:?}"),
    }
}

pub const NOW: MessageFlags = MessageFlags::NONBLOCK;

pub const NONE: MessageFlags = MessageFlags::empty();

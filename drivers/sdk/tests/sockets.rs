//! A service of sockets, over a family that gives back what it is sent.

mod fake;

use abi::error::{
    EAGAIN, EBADF, ECONNRESET, EDESTADDRREQ, EINVAL, EIO, ENOENT, EOPNOTSUPP, ESPIPE, Error, Result,
};
use abi::flag::O_RDWR;
use driver_sdk::sockets::{Change, Family, Id, Ready, Service, stat};
use driver_sdk::{
    Control, ControlReply, Driver, FileId, Incoming, Level, LevelFlags, MessageFlags, Outgoing, Parcel,
    PathRequest, Receiving, Setting, Whence,
};
use event_protocol::descriptor::NONBLOCK;
use event_protocol::descriptor::names::{ACCEPT, PEER};
use fake::{Bench, Got};
use std::collections::{BTreeMap, VecDeque};
use std::fmt;

const ROOM: usize = 100;

#[derive(Default)]
struct Parrot {
    bytes: VecDeque<u8>,
    error: i32,
    /// Connections to be accepted.
    waiting: usize,
}

impl Parrot {
    fn ready(&self) -> [Ready; 2] {
        let ready = |amount| Ready { amount, error: self.error, ..Ready::default() };
        [ready(self.bytes.len() + self.waiting), ready(ROOM - self.bytes.len())]
    }
}

#[derive(Default)]
struct Parrots {
    parrots: BTreeMap<Id, Parrot>,
    next: Id,
    changes: Vec<Change>,
    now: u64,
    /// The device: what it says when it interrupts, or when a deadline passes.
    says: Option<(Id, u64)>,
    more: bool,
    lost: bool,
    option: i64,
}

impl Parrots {
    fn get(&mut self, socket: Id) -> Result<&mut Parrot> {
        self.parrots.get_mut(&socket).ok_or(Error::new(EBADF))
    }

    /// Only the directions in which something became of it.
    fn tell(&mut self, socket: Id, [read, write]: [Option<bool>; 2]) {
        let ready = self.parrots.get(&socket).map_or([Ready::default(); 2], Parrot::ready);
        self.changes.push(Change {
            socket,
            ready: [read.map(|_| ready[0]), write.map(|_| ready[1])],
            news: [read == Some(true), write == Some(true)],
        });
    }
}

impl Family for Parrots {
    type Undo = bool;
    const SEND_LOW: u32 = 10;

    fn set_time(&mut self, now: u64) {
        self.now = now;
    }

    fn create(&mut self, path: &str, _: u64, _: u32) -> Result<Id> {
        if path != "/dev/parrot" {
            return Err(Error::new(ENOENT));
        }
        self.next += 1;
        self.parrots.insert(self.next, Parrot::default());
        Ok(self.next)
    }

    fn accept(&mut self, listener: Id) -> Result<Id> {
        let parrot = self.get(listener)?;
        parrot.waiting = parrot.waiting.checked_sub(1).ok_or(Error::new(EAGAIN))?;
        self.tell(listener, [Some(false), None]);
        self.create("/dev/parrot", 0, 0)
    }

    fn close(&mut self, socket: Id) {
        // Told of, though nobody has it any more.
        self.tell(socket, [Some(true); 2]);
        self.parrots.remove(&socket);
    }

    fn ready(&self, socket: Id) -> Result<[Ready; 2]> {
        self.parrots.get(&socket).map(Parrot::ready).ok_or(Error::new(EBADF))
    }

    fn changes(&mut self) -> Vec<Change> {
        if let Some((socket, _)) = self.says.filter(|&(_, when)| when <= self.now) {
            self.says = None;
            self.parrots.get_mut(&socket).expect("a parrot").bytes.extend(b"!");
            self.tell(socket, [Some(true), None]);
        }
        std::mem::take(&mut self.changes)
    }

    fn send(&mut self, socket: Id, message: &mut Outgoing<'_>) -> Result<usize> {
        if !message.address.is_empty() {
            return Err(Error::new(EOPNOTSUPP));
        }
        let bytes = &mut self.get(socket)?.bytes;
        let count = message.bytes.len().min(ROOM - bytes.len());
        if count == 0 {
            return Err(Error::new(EAGAIN));
        }
        bytes.extend(&message.bytes[..count]);
        self.tell(socket, [Some(true), Some(false)]);
        Ok(count)
    }

    fn receive(&mut self, socket: Id, buffer: &mut [u8], receiving: Receiving) -> Result<(Incoming, bool)> {
        let peek = receiving.flags.contains(MessageFlags::PEEK);
        let Parrot { bytes, error, .. } = self.get(socket)?;
        let count = bytes.len().min(buffer.len());
        if count == 0 {
            let errno = std::mem::take(error);
            self.tell(socket, [Some(false), Some(false)]);
            return Err(Error::new(if errno == 0 { EAGAIN } else { errno }));
        }
        buffer.iter_mut().zip(bytes.iter()).for_each(|(to, from)| *to = *from);
        if !peek {
            bytes.drain(..count);
            self.tell(socket, [Some(false), Some(true)]);
        }
        Ok((Incoming { count, whole: count, ..Incoming::default() }, !peek))
    }

    fn put_back(&mut self, socket: Id, undo: bool, bytes: &[u8], _: Vec<Parcel>) {
        assert!(undo, "a peek took nothing");
        let parrot = self.get(socket).expect("a parrot");
        bytes.iter().rev().for_each(|&byte| parrot.bytes.push_front(byte));
        self.tell(socket, [Some(true), Some(false)]);
    }

    fn put_back_error(&mut self, socket: Id, errno: i32) {
        self.get(socket).expect("a parrot").error = errno;
        self.tell(socket, [Some(true), Some(true)]);
    }

    fn bind(&mut self, _: Id, address: &str) -> Result<()> {
        if address.is_empty() { Err(Error::new(EINVAL)) } else { Ok(()) }
    }

    /// So many connections come.
    fn listen(&mut self, socket: Id, backlog: i32) -> Result<()> {
        self.get(socket)?.waiting = backlog as usize;
        self.tell(socket, [Some(true), None]);
        Ok(())
    }

    /// Waits for room.
    fn connect(&mut self, socket: Id, _: &str) -> Result<()> {
        if self.get(socket)?.bytes.len() < ROOM { Ok(()) } else { Err(Error::new(EAGAIN)) }
    }

    fn shutdown(&mut self, socket: Id, _: bool, _: bool) -> Result<()> {
        self.get(socket)?.error = ECONNRESET;
        self.tell(socket, [Some(false), Some(false)]);
        Ok(())
    }

    fn name(&self, _: Id) -> Result<String> {
        Ok("polly".into())
    }

    fn peer(&self, _: Id) -> Result<String> {
        Err(Error::new(EDESTADDRREQ))
    }

    fn option(&self, _: Id, _: Setting) -> Result<i64> {
        Ok(self.option)
    }

    fn set_option(&mut self, socket: Id, _: Setting, value: i64) -> Result<()> {
        self.option = value;
        self.tell(socket, [None, Some(true)]);
        Ok(())
    }

    fn error(&self, socket: Id) -> Result<i32> {
        self.parrots.get(&socket).map(|parrot| parrot.error).ok_or(Error::new(EBADF))
    }

    fn take_error(&mut self, socket: Id) -> Result<i32> {
        let errno = std::mem::take(&mut self.get(socket)?.error);
        self.tell(socket, [Some(false), Some(false)]);
        Ok(errno)
    }

    fn available(&self, socket: Id) -> Result<usize> {
        Ok(self.ready(socket)?[0].amount)
    }

    fn report(&self, out: &mut dyn fmt::Write) -> fmt::Result {
        write!(out, "parrots {}", self.parrots.len())
    }

    fn start(&mut self) {
        self.option = 7;
    }

    fn interrupt(&mut self) {
        let (&socket, _) = self.parrots.first_key_value().expect("a parrot");
        (self.says, self.more) = (Some((socket, 0)), !self.more);
    }

    fn has_more(&self) -> bool {
        self.more
    }

    fn deadline(&self) -> u64 {
        self.says.map_or(u64::MAX, |(_, when)| when)
    }

    fn lost(&self) -> Option<Error> {
        self.lost.then_some(Error::new(EIO))
    }
}

fn bench() -> (Bench<Service<Parrots>>, FileId) {
    let mut bench = Bench::new(Service::<Parrots>::default());
    let file = bench.open("/dev/parrot", O_RDWR, 1).expect("a parrot");
    (bench, file)
}

fn levels(bench: &mut Bench<Service<Parrots>>, file: FileId) -> (Level, Level) {
    let source = bench.source(file);
    (source.read, source.write)
}

fn data(bytes: &[u8]) -> Got {
    Got::Data(bytes.into(), 0)
}

fn room(used: usize) -> Level {
    Level::new((ROOM - used) as i64)
}

#[test]
fn what_an_act_changes_is_told_before_it_is_answered() {
    let (mut bench, file) = bench();
    assert_eq!(levels(&mut bench, file), (Level::new(0), room(0)));
    assert_eq!(bench.try_write(file, b"hello"), Got::Count(5));
    let told = &bench.link().at_last_reply[&file];
    assert_eq!((told.read, told.write), (Level::new(5), room(5)));
    let before = bench.source(file);
    assert_eq!(bench.try_read(file, 3), data(b"hel"));
    let after = bench.source(file);
    assert_eq!((after.read, after.write), (Level::new(2), room(2)));
    assert_eq!(after.changes, before.changes + 1, "both directions as one change");
    assert_eq!(after.arrivals, before.arrivals + 1, "room is news, less to read is not");
}

#[test]
fn of_a_direction_of_which_nothing_became_nothing_is_told() {
    let (mut bench, file) = bench();
    bench.try_write(file, b"hello");
    bench.control(file, Control::Shutdown { read: true, write: true }).expect("an error pends");
    assert_eq!(bench.source(file).error, ECONNRESET as u32);
    assert_eq!(bench.source(file).write, room(5).with(LevelFlags::ERROR));
    bench.control(file, Control::Listen(2)).expect("it listens");
    assert_eq!(levels(&mut bench, file).0, Level::new(7).with(LevelFlags::ERROR));
    let arrivals = bench.source(file).arrivals;
    bench.control(file, Control::Set(Setting::SendBuffer, 3)).expect("set");
    assert_eq!(bench.source(file).arrivals, arrivals + 1);
    let error = LevelFlags::ERROR;
    assert_eq!(levels(&mut bench, file), (Level::new(7).with(error), room(5).with(error)));
    assert_eq!(bench.control(file, Control::TakeError), Ok(ControlReply::Number(ECONNRESET.into())));
    assert_eq!((bench.source(file).error, levels(&mut bench, file).1), (0, room(5)));
}

#[test]
fn what_a_receiver_did_not_get_is_put_back_once() {
    let (mut bench, file) = bench();
    bench.try_write(file, b"abcd");
    for peek in [MessageFlags::empty(), MessageFlags::PEEK] {
        let token = bench.next_token();
        bench.link().dead.insert(token);
        bench.receive(file, 2, peek);
        assert_eq!(levels(&mut bench, file), (Level::new(4), room(4)));
    }
    let token = bench.next_token();
    bench.link().dead.insert(token);
    bench.read(file, 3);
    assert_eq!(bench.try_read(file, 9), data(b"abcd"));
    assert_eq!(bench.try_read(file, 9), Got::Errno(EAGAIN));
}

#[test]
fn an_error_that_was_not_heard_pends_again() {
    for receive in [false, true] {
        let (mut bench, file) = bench();
        bench.control(file, Control::Shutdown { read: true, write: true }).expect("an error pends");
        let token = bench.next_token();
        bench.link().dead.insert(token);
        if receive {
            bench.receive(file, 9, MessageFlags::PEEK)
        } else {
            bench.read(file, 9)
        };
        assert_eq!(bench.source(file).error, ECONNRESET as u32);
        assert_eq!(bench.try_read(file, 9), Got::Errno(ECONNRESET));
        assert_eq!((bench.source(file).error, bench.try_read(file, 9)), (0, Got::Errno(EAGAIN)), "once");
    }
    // That there is nothing to read is no error of the socket.
    let (mut bench, file) = bench();
    let (waits, dead) = (bench.read(file, 1), bench.next_token());
    bench.link().dead.insert(dead);
    bench.receive(file, 1, MessageFlags::NONBLOCK);
    assert_eq!((bench.got(waits), bench.source(file).error), (None, 0));
}

#[test]
fn who_waits_for_a_connection_or_for_room_is_let_in() {
    let (mut bench, file) = bench();
    let accepts = bench.begin_open(Some(file), ACCEPT, O_RDWR, 1, 0);
    assert_eq!(bench.got(accepts), None);
    bench.control(file, Control::Listen(2)).expect("it listens");
    let accepted = bench.opened(accepts).expect("a connection");
    assert_eq!(levels(&mut bench, file).0, Level::new(1));
    assert_eq!(bench.try_write(accepted, &[7; ROOM]), Got::Count(ROOM as u64));
    let connects = bench.begin_control(accepted, Control::Connect("there".into()), 0);
    let writes = bench.write(accepted, b"more");
    assert_eq!((bench.got(connects), bench.got(writes)), (None, None));
    bench.try_read(accepted, 50);
    assert_eq!(bench.got(connects), Some(Got::Control(ControlReply::Done)));
    assert_eq!(bench.got(writes), Some(Got::Count(4)));
}

#[test]
fn a_device_moves_sockets_that_nobody_asks_for() {
    let (mut bench, file) = bench();
    assert_eq!(bench.engine.driver().sockets().option, 7, "it was switched on");
    let waits = bench.read(file, 9);
    assert!(bench.engine.interrupt(), "there is more");
    bench.settle();
    assert_eq!(bench.got(waits), Some(data(b"!")));
    assert!(!bench.engine.interrupt());
    assert_eq!(levels(&mut bench, file).0, Level::new(1));

    let mut service = Service::new(Parrots { says: Some((1, 500)), ..Parrots::default() });
    assert_eq!((service.deadline(), service.lost()), (500, None));
    service = Service::new(Parrots { lost: true, ..Parrots::default() });
    assert_eq!(service.lost(), Some(Error::new(EIO)));
    let mut bench = Bench::new(Service::new(Parrots { says: Some((1, 500)), ..Parrots::default() }));
    let file = bench.open("/dev/parrot", O_RDWR, 1).expect("a parrot");
    bench.engine.set_time(499);
    bench.engine.expired();
    assert_eq!((levels(&mut bench, file).0, bench.engine.deadline()), (Level::new(0), 500), "not yet");
    bench.engine.set_time(500);
    bench.engine.expired();
    assert_eq!((levels(&mut bench, file).0, bench.engine.deadline()), (Level::new(1), u64::MAX));
}

#[test]
fn a_closed_socket_is_gone_and_nobody_is_told_of_it() {
    let (mut bench, file) = bench();
    let other = bench.open("/dev/parrot", O_RDWR, 1).expect("another");
    let before = bench.source(other);
    let waits = bench.begin_open(Some(file), ACCEPT, O_RDWR, 1, 0);
    bench.close(file);
    assert_eq!(bench.opened(waits), Err(Error::new(EBADF)));
    assert_eq!((bench.engine.load(), bench.source(other)), ((1, 0), before));
    let mut report = String::new();
    bench.engine.driver().report(&mut report).expect("it is written");
    assert_eq!(report, "parrots 1");
}

#[test]
fn what_a_family_does_not_know_has_an_answer() {
    let (mut bench, file) = bench();
    let errno = |errno| Err(Error::new(errno));
    assert_eq!(bench.open("/dev/owl", O_RDWR, 1), errno(ENOENT).map(|()| file));
    for beside in [PEER, "writer"] {
        assert_eq!(bench.open_at(file, beside, O_RDWR, 1), errno(ENOENT).map(|()| file), "{beside}");
    }
    for (control, reply) in [
        (Control::Bind("here".into()), Ok(ControlReply::Done)),
        (Control::Bind(String::new()), Err(Error::new(EINVAL))),
        (Control::Connected, Err(Error::new(EINVAL))),
        (Control::PeerProcess, Err(Error::new(EINVAL))),
        (Control::Truncate(0), Err(Error::new(EINVAL))),
        (Control::AtMark, Ok(ControlReply::Number(0))),
        (Control::Available, Ok(ControlReply::Available(0))),
        (Control::Get(Setting::NoDelay), Ok(ControlReply::Number(7))),
        (Control::Name, Ok(ControlReply::Address("polly".into()))),
        (Control::Peer, Err(Error::new(EDESTADDRREQ))),
        (Control::Stat, Ok(ControlReply::Stat(stat(1, 0)))),
        (Control::Seek { whence: Whence::Start, offset: 0 }, Err(Error::new(ESPIPE))),
    ] {
        assert_eq!(bench.control(file, control.clone()), reply, "{control:?}");
    }
    let unlink = PathRequest::Unlink { path: "/polly".into() };
    assert!(matches!(bench.path(unlink), Err(Error { errno: EOPNOTSUPP })));
    let token = bench.send_message(file, "elsewhere", b"x", MessageFlags::NONBLOCK, &[]);
    assert_eq!(bench.got(token), Some(Got::Errno(EOPNOTSUPP)));
    let token = bench.begin_control(file, Control::Connect("there".into()), NONBLOCK);
    assert_eq!(bench.got(token), Some(Got::Control(ControlReply::Done)));
}

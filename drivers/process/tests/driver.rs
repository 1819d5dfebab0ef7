//! The process service as its clients and init see it.

#[path = "../../sdk/tests/fake/mod.rs"]
mod fake;

use abi::error::{EAGAIN, EBADF, EBADMSG, EINVAL, ENOENT, EPERM, ESRCH, Error, Result};
use abi::flag::O_RDONLY;
use abi::message::WORDS;
use driver_sdk::{Control, ControlReply, FileId};
use event_protocol::descriptor::{Open, label};
use fake::{Bench, Got};
use init_protocol::request::Event;
use init_protocol::status::ExitStatus;
use process::driver::{Init, Processes};
use process_protocol::signal::{SIGTERM, SIGUSR1};
use process_protocol::{PRIVATE, Record, Request, SELF, SIGNAL, SignalSet, WATCH, note};
use rt::sys::Notification;
use std::cell::RefCell;
use std::rc::Rc;

/// init, as a test wants it.
#[derive(Clone, Default)]
struct World(Rc<RefCell<State>>);

#[derive(Default)]
struct State {
    events: Vec<Event>,
    ended: Vec<(u32, u8)>,
}

impl Init for World {
    fn observe(&mut self, _: &Notification) -> Result<()> {
        Ok(())
    }

    fn happened(&mut self, _: bool) -> Vec<Event> {
        std::mem::take(&mut self.0.borrow_mut().events)
    }

    fn end(&mut self, pid: u32, signal: u8) {
        self.0.borrow_mut().ended.push((pid, signal));
    }
}

/// Process 10, its child 11, and a stranger 20.
struct Service {
    bench: Bench<Processes<World>>,
    world: World,
}

impl Service {
    fn new() -> Service {
        let world = World::default();
        let born = |pid, parent, family| Event::Born { pid, parent, family, operator: false };
        world.0.borrow_mut().events = vec![born(10, 1, 1), born(11, 10, 1), born(20, 1, 2)];
        Service { bench: Bench::new(Processes::new(world.clone())), world }
    }

    fn try_open(&mut self, pid: u32, path: &str, flags: usize) -> Result<FileId> {
        let open = postcard::to_allocvec(&Open { path: path.into(), flags: flags as u64 }).unwrap();
        let token = self.bench.send(pid.into(), label::OPEN, [0; WORDS], &open, Some(u64::from(pid) + 1));
        self.bench.opened(token)
    }

    fn open(&mut self, pid: u32, path: &str) -> FileId {
        self.try_open(pid, path, O_RDONLY).unwrap()
    }

    /// Lets the time pass that processes have after a start of the service.
    fn had_its_time(&mut self) {
        loop {
            match self.bench.engine.deadline() {
                u64::MAX => return,
                deadline => self.bench.engine.set_time(deadline),
            }
            self.bench.engine.expired();
        }
    }

    fn ask(&mut self, file: FileId, request: Request) -> Result<SignalSet> {
        let bytes = postcard::to_allocvec(&request).unwrap();
        match self.bench.control(file, Control::Private { number: PRIVATE, bytes })? {
            ControlReply::Private(bytes) => Ok(SignalSet(u64::from_le_bytes(bytes.try_into().unwrap()))),
            other => panic!("{other:?}"),
        }
    }

    fn happens(&mut self, event: Event) {
        self.world.0.borrow_mut().events.push(event);
    }

    fn rings(&mut self) {
        assert!(!self.bench.engine.interrupt());
        self.bench.settle();
    }
}

fn ended(pid: u32) -> Event {
    Event::Ended { pid, status: ExitStatus::Exited(3) }
}

#[test]
fn paths_are_for_callers_that_are_known() {
    let mut service = Service::new();
    for (pid, path, errno) in [
        (0, SELF, EPERM),
        (99, SELF, ESRCH),
        (10, "/dev/process", ENOENT),
        (10, "/dev/process/selfish", ENOENT),
        (10, "/dev/process/signal/0", EINVAL),
        (10, "/dev/process/signal/65", EINVAL),
        (10, "/dev/process/signal/256", EINVAL),
        (10, "/dev/process/signal/", EINVAL),
    ] {
        assert_eq!(service.try_open(pid, path, O_RDONLY).err(), Some(Error::new(errno)), "{path}");
    }
    let unreadable = service.try_open(10, SELF, 0).unwrap();
    assert_eq!(service.bench.try_read(unreadable, 8), Got::Errno(EBADF));
}

#[test]
fn r29_who_knows_a_pid_never_meets_a_service_that_does_not() {
    let mut service = Service::new();
    let stream = service.open(10, WATCH);
    // init has told of a child's birth and of its end, and the bell has not been heard.
    service.happens(Event::Born { pid: 12, parent: 10, family: 1, operator: false });
    assert_eq!(service.ask(stream, Request::Watch { pid: 12, what: note::EXIT }), Ok(SignalSet::EMPTY));
    service.happens(ended(12));
    let end = Record { pid: 12, what: note::EXIT, data: 0x300 };
    assert_eq!(service.bench.try_read(stream, 16), Got::Data(end.to_bytes().into(), 0));
}

#[test]
fn a_streams_level_is_its_records_and_a_dead_reader_takes_none() {
    let mut service = Service::new();
    let stream = service.open(10, WATCH);
    service.ask(stream, Request::Watch { pid: 11, what: note::EXIT }).unwrap();
    assert_eq!(service.bench.try_read(stream, 16), Got::Errno(EAGAIN));
    assert_eq!(service.bench.try_read(stream, 15), Got::Errno(EINVAL));
    let reader = service.bench.read(stream, 4000);
    service.bench.link().dead.insert(reader);
    service.happens(ended(11));
    service.rings();
    assert_eq!(service.bench.source(stream).read.amount, 1);
    let end = Record { pid: 11, what: note::EXIT, data: 0x300 };
    assert_eq!(service.bench.try_read(stream, 4000), Got::Data(end.to_bytes().into(), 0));
    assert_eq!(service.bench.source(stream).read.amount, 0);
}

#[test]
fn a_mailbox_is_read_when_a_signal_comes_and_empty_when_it_was_taken() {
    let mut service = Service::new();
    let (own, other) = (service.open(10, SELF), service.open(11, SELF));
    let usr1 = SignalSet::of(SIGUSR1);
    service.ask(own, Request::Dispose { ignored: SignalSet::EMPTY, told: usr1 }).unwrap();
    let reader = service.bench.read(own, 8);
    assert_eq!(service.bench.got(reader), None);
    service.ask(other, Request::Kill { pid: 10, signal: SIGUSR1 }).unwrap();
    assert_eq!(service.bench.got(reader), Some(Got::Data(usr1.0.to_le_bytes().into(), 0)));
    assert_eq!(service.bench.source(own).read.amount, 1, "reading is only hearing");
    assert_eq!(service.ask(own, Request::Take), Ok(usr1));
    assert_eq!(service.bench.source(own).read.amount, 0);
    assert_eq!(service.bench.try_read(own, 8), Got::Errno(EAGAIN));
    assert_eq!(service.bench.try_read(own, 7), Got::Errno(EINVAL));
}

#[test]
fn r57_signals_wait_for_who_was_there_before_the_service_and_not_for_ever() {
    let mut service = Service::new();
    let own = service.open(10, SELF);
    let other = service.open(11, SELF);
    for pid in [10, 11] {
        service.ask(own, Request::Kill { pid, signal: SIGTERM }).unwrap();
    }
    let told = SignalSet::of(SIGTERM);
    assert_eq!(service.world.0.borrow().ended, []);
    service.ask(other, Request::Dispose { ignored: SignalSet::EMPTY, told }).unwrap();
    // However late the first look is, they have time after it.
    service.bench.engine.set_time(1 << 40);
    service.bench.engine.expired();
    assert_eq!(service.world.0.borrow().ended, []);
    service.had_its_time();
    assert_eq!(service.world.0.borrow().ended, [(10, SIGTERM)]);
    assert_eq!(service.ask(other, Request::Take), Ok(told));
    assert_eq!(service.bench.engine.deadline(), u64::MAX);
}

#[test]
fn r28_attempts_are_occurrences_and_ends_are_inits() {
    let mut service = Service::new();
    service.had_its_time();
    let own = service.open(10, SELF);
    let attempts = service.open(11, &format!("{SIGNAL}{SIGTERM}"));
    for _ in 0..3 {
        service.ask(own, Request::Kill { pid: 11, signal: SIGTERM }).unwrap();
    }
    assert_eq!(service.bench.source(attempts).occurrences, 3);
    assert_eq!(
        service.world.0.borrow().ended,
        [(11, SIGTERM); 3],
        "as long as init has not said that it has ended"
    );
    assert_eq!(service.ask(own, Request::Kill { pid: 20, signal: SIGTERM }), Err(Error::new(EPERM)));
    assert_eq!(service.bench.try_read(attempts, 16), Got::Errno(EINVAL));
}

#[test]
fn nonsense_is_answered() {
    let mut service = Service::new();
    let own = service.open(10, SELF);
    for (number, bytes, errno) in
        [(PRIVATE, vec![], EBADMSG), (PRIVATE, vec![0xff; 40], EBADMSG), (PRIVATE + 1, vec![2], EINVAL)]
    {
        let answer = service.bench.control(own, Control::Private { number, bytes });
        assert_eq!(answer, Err(Error::new(errno)));
    }
    assert_eq!(service.bench.try_write(own, b"x"), Got::Errno(EBADF));
}

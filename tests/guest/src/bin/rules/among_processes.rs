//! Processes that watch one file (R43, R44): what arrives is for one of them.

use alloc::string::String;
use alloc::vec::Vec;

use abi::error::EAGAIN;
use guest_tests::child::ends_well;
use guest_tests::failure::{ensure, equal};
use guest_tests::looks::{PATIENTLY, pipe};
use guest_tests::suite::Test;
use guest_tests::{Failure, Outcome, a_moment, books, soon};
use libkq::process::SocketType;
use libkq::{
    Conditions, Descriptor, EpollEvent, EpollFlags, EpollSet, EventFlags, KEvent, PollFd, Queue, process,
};
use rt::init::{self, Child};

pub const TESTS: &[Test] = &[
    ("r43_of_processes_on_a_listener_each_connection_wakes_one", || each_wakes_one(Kind::Listener)),
    ("r43_of_processes_on_a_pipe_each_byte_wakes_one", || each_wakes_one(Kind::Pipe)),
    ("r43_of_processes_on_a_socket_each_datagram_wakes_one", || each_wakes_one(Kind::Datagrams)),
    ("r43_without_the_flag_all_processes_are_woken", all_are_woken),
    ("r44_a_process_that_dies_with_a_connection_leaves_it_to_another", one_dies),
];

const PROCESSES: usize = 8;
const NAME: &str = "/run/socket/among_processes";

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Listener,
    Pipe,
    Datagrams,
}

/// What is served, and by whom.
struct Service {
    kind: Kind,
    /// What the processes watch, and where what they watch comes from.
    served: Descriptor,
    source: Option<Descriptor>,
    reports: Descriptor,
    tokens: Descriptor,
    end: Descriptor,
    processes: Vec<Child>,
}

/// A letter that says what, and the process.
type Report = (u8, u32);

impl Service {
    fn start(kind: Kind, roles: &[&'static str]) -> Outcome<Service> {
        // The one before had the name.
        let _ = process().unlink(NAME);
        let (served, source) = match kind {
            Kind::Pipe => {
                let (reader, writer) = pipe()?;
                (reader, Some(writer))
            }
            Kind::Listener => {
                let listener = Descriptor::socket(SocketType::Stream)?;
                process().bind(listener.number(), NAME)?;
                process().listen(listener.number(), 16)?;
                (listener, None)
            }
            Kind::Datagrams => {
                let socket = Descriptor::socket(SocketType::Datagram)?;
                process().bind(socket.number(), NAME)?;
                (socket, None)
            }
        };
        let ((reports, reporter), (token, tokens), (ends, end)) = (pipe()?, pipe()?, pipe()?);
        let files = [(&served, 5), (&reporter, 6), (&token, 7), (&ends, 8)];
        let mut processes = Vec::new();
        for at in 0..PROCESSES {
            processes.push(crate::with_quota(roles[at % roles.len()], 6 << 20, &files)?);
        }
        let service = Service { kind, served, source, reports, tokens, end, processes };
        for _ in 0..PROCESSES {
            equal(service.report()?.0, b'r')?;
        }
        Ok(service)
    }

    /// Something arrives for one of them.
    fn arrive(&self) -> Outcome {
        match self.kind {
            Kind::Pipe => Ok(self.source.as_ref().ok_or(Failure::new("no pipe"))?.write_all(b"x")?),
            Kind::Listener => {
                let socket = Descriptor::socket(SocketType::Stream)?;
                Ok(process().connect(socket.number(), NAME)?)
            }
            Kind::Datagrams => {
                let socket = Descriptor::socket(SocketType::Datagram)?;
                process().connect(socket.number(), NAME)?;
                Ok(socket.write_all(b"x")?)
            }
        }
    }

    /// What one of them says next.
    fn report(&self) -> Outcome<Report> {
        let number = self.reports.number();
        let mut bytes = [0; 5];
        libkq::poll(&mut [PollFd::new(number, Conditions::IN)], PATIENTLY, None)?;
        equal(libkq::read(number, &mut bytes)?, 5)?;
        let [what, pid @ ..] = bytes;
        Ok((what, u32::from_le_bytes(pid)))
    }

    /// Who serves what has arrived; others may have come too late.
    fn served_by(&self) -> Outcome<u32> {
        loop {
            match self.report()? {
                (b't', pid) => return Ok(pid),
                (b'e', _) => {}
                (what, _) => return Err(Failure::new(alloc::format!("a report of {}", char::from(what)))),
            }
        }
    }

    fn finish(self) -> Outcome {
        books::audited()?;
        self.end.write_all(b"x")?;
        self.processes.iter().try_for_each(ends_well)
    }
}

fn each_wakes_one(kind: Kind) -> Outcome {
    const EACH: usize = 6;
    let service = Service::start(kind, &["waits-in-a-queue", "waits-in-a-set"])?;
    // Who passed the file on watches it too, and does not sleep for it.
    let queue = Queue::new()?;
    queue.apply(&[KEvent::read(service.served.number()).add().with(EventFlags::WAKEONE)])?;
    let leases = || books::sum(|stats| stats.leases - stats.handed_on);
    a_moment();
    let (before, mut counts) = (leases()?, alloc::collections::BTreeMap::<u32, usize>::new());
    for _ in 0..EACH * PROCESSES {
        service.arrive()?;
        *counts.entry(service.served_by()?).or_default() += 1;
        // It sleeps again.
        a_moment();
    }
    let woken = leases()? - before;
    // One that is up by chance may be quicker than whom the server would wake.
    ensure(woken <= (EACH * PROCESSES) as u64, "each wakes one")?;
    equal(counts.len(), PROCESSES)?;
    ensure(counts.values().all(|&count| count <= 2 * EACH), "each has its turn")?;
    service.finish()
}

fn all_are_woken() -> Outcome {
    let service = Service::start(Kind::Listener, &["waits-with-all"])?;
    let wakes = || books::sum(|stats| stats.wakes - stats.leases);
    let patience = soon();
    loop {
        // Likely all of them sleep.
        a_moment();
        let before = wakes()?;
        service.arrive()?;
        service.served_by()?;
        if wakes()? - before >= PROCESSES as u64 {
            break;
        }
        ensure(rt::clock::now_ns() < patience, "all are woken")?;
    }
    service.finish()
}

fn one_dies() -> Outcome {
    let mut service = Service::start(Kind::Listener, &["waits-in-a-queue", "waits-in-a-set"])?;
    for _ in 0..PROCESSES - 1 {
        a_moment();
        // Who has the token is told of a connection, and does not come for it.
        service.tokens.write_all(b"x")?;
        service.arrive()?;
        let stopped = loop {
            match service.report()? {
                (b's', pid) => break pid,
                (b'e', _) => {}
                other => return Err(Failure::new(alloc::format!("{other:?} though there is a token"))),
            }
        };
        let at = service.processes.iter().position(|child| child.pid == stopped);
        let child = service.processes.swap_remove(at.ok_or(Failure::new("a stranger"))?);
        init::kill(child.pid, 9)?;
        let other = service.served_by()?;
        ensure(other != stopped, "another comes")?;
        init::wait_until(child.pid, soon())?;
    }
    service.finish()
}

/// The part of a process: descriptor 5 is what it serves, 6 takes its reports, 7 has tokens, and 8 has something at the end.
pub fn play(role: &str) -> Option<Outcome> {
    match role {
        "waits-in-a-queue" => Some(waits_in_a_queue(EventFlags::WAKEONE)),
        "waits-with-all" => Some(waits_in_a_queue(EventFlags::empty())),
        "waits-in-a-set" => Some(waits_in_a_set()),
        _ => None,
    }
}

fn waits_in_a_queue(flags: EventFlags) -> Outcome {
    let queue = Queue::new()?;
    queue.apply(&[KEvent::read(5).add().with(flags), KEvent::read(8).add()])?;
    serve(|| {
        let mut events = [KEvent::default(); 2];
        let events = queue.wait(&mut events, PATIENTLY)?;
        Ok(events.iter().map(|event| event.ident as i32).collect())
    })
}

fn waits_in_a_set() -> Outcome {
    let set = EpollSet::new()?;
    set.add(5, EpollFlags::IN | EpollFlags::EXCLUSIVE, 5)?;
    set.add(8, EpollFlags::IN, 8)?;
    serve(|| {
        let mut events = [EpollEvent::default(); 2];
        Ok(set.wait(&mut events, PATIENTLY)?.iter().map(|event| event.data() as i32).collect())
    })
}

fn serve(wait: impl Fn() -> Outcome<Vec<i32>>) -> Outcome {
    // What others may be quicker with is not waited for.
    process().set_nonblocking(5, true)?;
    process().set_nonblocking(7, true)?;
    report(b'r')?;
    loop {
        let told = wait()?;
        if told.is_empty() {
            return Err(Failure::new(String::from("nothing came")));
        }
        if told.contains(&8) {
            return Ok(());
        }
        if libkq::read(7, &mut [0]).is_ok() {
            report(b's')?;
            rt::thread::sleep(u64::MAX);
        }
        // It is one of three kinds.
        let taken = match process().accept(5, 0) {
            Ok(connection) => libkq::close(connection).map(|()| 1),
            Err(error) if error.errno == EAGAIN => Err(error),
            Err(_) => libkq::read(5, &mut [0]),
        };
        match taken {
            Ok(_) => report(b't')?,
            Err(error) if error.errno == EAGAIN => report(b'e')?,
            Err(error) => return Err(error.into()),
        }
    }
}

fn report(what: u8) -> Outcome {
    let mut bytes = [what; 5];
    bytes[1..].copy_from_slice(&(libkq::process_calls::getpid() as u32).to_le_bytes());
    equal(libkq::write(6, &bytes)?, bytes.len())
}

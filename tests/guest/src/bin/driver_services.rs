//! What drivers promise on the machine: nothing left over, nonsense answered, the dead forgotten, and service again after
//! their own death. Speaks the descriptor protocol itself. Runs with the manifest `drivers`.
#![no_std]
#![no_main]
#![forbid(unsafe_code)]

extern crate alloc;

use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;
use core::cell::RefCell;

use abi::error::{EAGAIN, EBADF, EBADMSG, EINVAL, ENODEV, ENOENT, ENOSYS, EPIPE, ETIMEDOUT, Error, Result};
use abi::flag::{CLOCK_MONOTONIC, O_RDONLY, O_RDWR};
use abi::message::WORDS;
use abi::{Message, Rights, Tag};
use event_protocol::control::{self, SERVICE, lobby};
use event_protocol::descriptor::{
    Arm, CURRENT, Control, ControlReply, NONBLOCK, Open, Opened, TerminalMode, label, words,
};
use event_protocol::park::SESSION_SIZE;
use guest_tests::child::{self, Role};
use guest_tests::failure::{ensure, equal, refused};
use guest_tests::ledger::Ledger;
use guest_tests::random::Random;
use guest_tests::{Failure, Outcome, Suite, a_moment, soon};
use rt::init;
use rt::ipc::{self, Transfer, call_postcard};
use rt::sys::{AnyHandle, Endpoint, Memory, Object};

const PROGRAM: &str = env!("CARGO_BIN_NAME");
/// What a driver may do with a ticket.
const SHOW: Rights = Rights::WRITE.union(Rights::DUPLICATE).union(Rights::TRANSFER);

rt::entry!(main);

fn main(start: &rt::Start) -> i32 {
    if let Some(status) = child::played(start, play) {
        return status;
    }
    let mut suite = Suite::new(start);
    let seed = Random::seed(start.arg(2));
    suite.table(&[
        ("what_is_opened_and_closed_leaves_nothing", opened_and_closed),
        ("a_path_that_nobody_has_is_enoent", wrong_paths),
        ("an_open_needs_a_ticket", an_open_needs_a_ticket),
        ("reads_and_writes_need_the_right", access),
        ("modes_are_kept", modes),
        ("a_timer_refuses_what_r26_says", timer_arguments),
        ("reads_that_are_given_up_take_no_place", given_up),
        ("a_dead_client_is_forgotten", a_dead_client_is_forgotten),
        ("a_greedy_client_harms_nobody_else", a_greedy_client),
        ("a_killed_driver_serves_again", a_killed_driver),
    ]);
    suite.test("nonsense_is_answered_and_leaves_nothing", || nonsense(seed));
    suite.finish()
}

/// A client of the event server, as far as drivers see it.
struct Client {
    _session: Endpoint,
    ticket: Endpoint,
}

/// A descriptor and its watch handle.
struct File {
    descriptor: Endpoint,
    _watch: AnyHandle,
}

impl Client {
    fn new() -> Outcome<Client> {
        let lobby = init::connect(SERVICE)?;
        let memory = vec![Transfer::moved(Memory::create(SESSION_SIZE)?)];
        let request = lobby::Request::OpenSession;
        let (_, mut handles): (lobby::Reply, _) =
            call_postcard(&lobby, control::label::LOBBY, &request, memory, soon())?;
        Ok(Client { _session: handles.object(0)?, ticket: handles.object(1)? })
    }

    fn open_with(&self, service: &str, path: &str, flags: usize) -> Result<File> {
        let service = init::connect_until(service, soon())?;
        let open = Open { path: String::from(path), flags: flags as u64 };
        let ticket = vec![Transfer::copy_with(&self.ticket, SHOW)];
        let (_, mut handles): (Opened, _) = call_postcard(&service, label::OPEN, &open, ticket, soon())?;
        Ok(File { descriptor: handles.object(0)?, _watch: handles.object(1)? })
    }

    fn terminal(&self) -> Result<File> {
        self.open_with("tty", "/dev/tty", O_RDWR)
    }

    fn timer(&self) -> Result<File> {
        self.open_with("timer", "/dev/timer", O_RDWR)
    }
}

impl File {
    fn call(&self, tag: Tag, words: [u64; WORDS], deadline: u64) -> Result<u64> {
        let reply = self.descriptor.call(Message { tag, words }, deadline)?;
        match reply.words[words::ERRNO] {
            0 => Ok(reply.words[words::COUNT]),
            errno => Err(Error::new(errno as i32)),
        }
    }

    fn read(&self, flags: u64, deadline: u64) -> Result<u64> {
        self.call(Tag::words(label::READ), [10, flags, CURRENT, 0], deadline)
    }

    fn control(&self, control: Control) -> Result<ControlReply> {
        call_postcard(&self.descriptor, label::CONTROL, &control, Vec::new(), soon()).map(|(reply, _)| reply)
    }
}

fn arm(first: i64, period: Option<i64>) -> Control {
    Control::Arm(Arm { first, period, absolute: false, clock: CLOCK_MONOTONIC as u32 })
}

fn open_many(client: &Client) -> Outcome<Vec<File>> {
    let mut files = Vec::new();
    for _ in 0..20 {
        files.push(client.terminal()?);
        let timer = client.timer()?;
        equal(timer.control(arm(1, Some(1)))?, ControlReply::Done)?;
        files.push(timer);
    }
    Ok(files)
}

fn opened_and_closed() -> Outcome {
    let client = Client::new()?;
    leaves_nothing(|| (0..5).try_for_each(|_| open_many(&client).map(drop)))
}

/// Fails when what `work` does leaves more behind each time. What overlaps differs, and the kernel cleans up later when
/// the machine is busy: a table may still grow by a frame, but a leak would come back.
fn leaves_nothing(work: impl Fn() -> Outcome) -> Outcome {
    work()?;
    let mut outcome = Ok(());
    for _ in 0..3 {
        rt::thread::sleep(200_000_000);
        let ledger = Ledger::open()?;
        work()?;
        outcome = ledger.balance();
        if outcome.is_ok() {
            break;
        }
    }
    outcome
}

fn wrong_paths() -> Outcome {
    let client = Client::new()?;
    refused(client.open_with("tty", "/dev/timer", O_RDWR).map(drop), ENOENT)?;
    refused(client.open_with("timer", "", O_RDWR).map(drop), ENOENT)?;
    refused(client.open_with("timer", "/dev/timer/", O_RDWR).map(drop), ENOENT)
}

fn an_open_needs_a_ticket() -> Outcome {
    let client = Client::new()?;
    let stranger = Endpoint::create()?;
    let open = |service: &str, send| -> Result<(Opened, ipc::Arrivals)> {
        let open = Open { path: alloc::format!("/dev/{service}"), flags: O_RDWR as u64 };
        call_postcard(&init::connect_until(service, soon())?, label::OPEN, &open, send, soon())
    };
    for service in ["tty", "timer"] {
        refused(open(service, Vec::new()).map(drop), EINVAL)?;
        refused(open(service, vec![Transfer::copy_with(&stranger, SHOW)]).map(drop), EINVAL)?;
        refused(open(service, vec![Transfer::copy_with(&client._session, SHOW)]).map(drop), EINVAL)?;
        open(service, vec![Transfer::copy_with(&client.ticket, SHOW)])?;
    }
    for service in ["tty", "timer"] {
        // A badge that looks like a ticket's, on an endpoint that is not the event server's.
        let forged = stranger.with_badge(SHOW, client.ticket.info()?.badge)?;
        ensure(open(service, vec![Transfer::moved(forged)]).is_err(), "the event server knows its tickets")?;
    }
    Ok(())
}

fn access() -> Outcome {
    let client = Client::new()?;
    let file = client.open_with("tty", "/dev/tty", O_RDONLY)?;
    ipc::write_bytes(b"x")?;
    refused(file.call(Tag::new(label::WRITE, 1, 0), [0, 0, CURRENT, 0], soon()), EBADF)?;
    refused(file.read(NONBLOCK, soon()), EAGAIN)?;
    refused(file.call(Tag::words(label::OPEN), [0; WORDS], soon()), EINVAL)?;
    refused(file.call(Tag::words(7), [0; WORDS], soon()), ENOSYS)?;
    refused(file.call(Tag::words(label::CONTROL), [0; WORDS], soon()), EBADMSG)
}

fn modes() -> Outcome {
    let client = Client::new()?;
    let (one, other) = (client.terminal()?, client.terminal()?);
    let before = one.control(Control::TerminalMode)?;
    let raw = TerminalMode { canonical: false, echo: false, signals: false, flow: false, newline: false };
    equal(one.control(Control::SetTerminalMode(raw))?, ControlReply::Done)?;
    equal(other.control(Control::TerminalMode)?, ControlReply::Terminal(raw))?;
    let ControlReply::Terminal(before) = before else { return Err(Failure::new("no mode was told")) };
    equal(other.control(Control::SetTerminalMode(before))?, ControlReply::Done)?;
    equal(one.control(Control::TerminalMode)?, ControlReply::Terminal(before))
}

fn timer_arguments() -> Outcome {
    let client = Client::new()?;
    let timer = client.timer()?;
    refused(timer.control(arm(-1, None)), EINVAL)?;
    refused(timer.control(arm(1, Some(i64::MIN))), EINVAL)?;
    equal(timer.control(arm(i64::MAX, Some(i64::MAX)))?, ControlReply::Done)?;
    equal(timer.control(Control::Disarm)?, ControlReply::Done)?;
    refused(timer.control(Control::Available), EINVAL)?;
    refused(timer.read(0, soon()), EINVAL)
}

fn given_up() -> Outcome {
    let client = Client::new()?;
    let file = client.terminal()?;
    leaves_nothing(|| {
        for _ in 0..200 {
            refused(file.read(0, rt::clock::after(10_000)), ETIMEDOUT)?;
        }
        refused(file.read(NONBLOCK, soon()), EAGAIN)
    })
}

fn play(role: &str) -> Outcome {
    let client = Client::new()?;
    match role {
        "holds" => {
            let files = open_many(&client)?;
            // Until it is killed.
            files[0].read(0, u64::MAX).map(drop)?;
        }
        "grabs" => {
            let mut files = Vec::new();
            while let Ok(file) = client.terminal() {
                files.push(file);
            }
            for _ in 0..500 {
                let timer = client.timer()?;
                timer.control(arm(0, Some(0)))?;
                files.push(timer);
            }
            files[0].read(0, u64::MAX).map(drop)?;
        }
        _ => return Err(Failure::new("no such part")),
    }
    Ok(())
}

/// Starts a client, lets it get into its wait or a part of the way, and kills it.
fn killed(role: &'static str, after: u64) -> Outcome {
    let child = Role::new(PROGRAM, role).quota(32 << 20).spawn(Vec::new())?;
    rt::thread::sleep(after);
    init::kill(child.pid, 9)?;
    init::wait_until(child.pid, soon())?;
    Ok(())
}

fn a_dead_client_is_forgotten() -> Outcome {
    let many = || (0..10).try_for_each(|n| killed("holds", n * 5_000_000));
    leaves_nothing(many)
}

fn a_greedy_client() -> Outcome {
    let child = Role::new(PROGRAM, "grabs").quota(64 << 20).spawn(Vec::new())?;
    let client = Client::new()?;
    for _ in 0..20 {
        // Whatever it has taken by now.
        let timer = client.timer()?;
        equal(timer.control(arm(1_000_000, None))?, ControlReply::Done)?;
        let terminal = client.terminal()?;
        refused(terminal.read(NONBLOCK, soon()), EAGAIN)?;
        a_moment();
    }
    init::kill(child.pid, 9)?;
    init::wait_until(child.pid, soon())?;
    Ok(())
}

fn driver(name: &str) -> Outcome<u32> {
    let alive = |process: &&init_protocol::request::Process| process.name == name && process.ended.is_none();
    let all = init::list(0)?;
    all.iter().find(alive).map(|process| process.pid).ok_or(Failure::new("the driver is not there"))
}

fn a_killed_driver() -> Outcome {
    let client = Client::new()?;
    for (service, path) in [("tty", "/dev/tty"), ("timer", "/dev/timer")] {
        let file = client.open_with(service, path, O_RDWR)?;
        init::kill(driver(service)?, 9)?;
        refused(file.control(Control::Disarm), EPIPE)?;
        let deadline = soon();
        loop {
            match client.open_with(service, path, O_RDWR) {
                Ok(_) => break,
                // init has not heard of its end yet, and gave out the endpoint of the dead.
                Err(error) if [EPIPE, ENODEV].contains(&error.errno) => a_moment(),
                Err(error) => return Err(error.into()),
            }
            ensure(rt::clock::now_ns() < deadline, "it is started again")?;
        }
        refused(file.control(Control::Disarm), EPIPE)?;
    }
    Ok(())
}

fn nonsense(seed: u64) -> Outcome {
    let random = RefCell::new(Random::new(seed));
    let client = Client::new()?;
    let services = [init::connect("tty")?, init::connect("timer")?];
    let round = || -> Outcome {
        let random = &mut *random.borrow_mut();
        let files = [client.terminal()?, client.timer()?];
        for _ in 0..500 {
            let endpoint = match random.below(4) {
                0 => &services[random.below(2) as usize],
                _ => &files[random.below(2) as usize].descriptor,
            };
            let length = *random.pick(&[0, 0, 1, 5, 20, 3968]);
            let bytes: Vec<u8> = (0..length).map(|_| *random.pick(&[0, 1, 2, 255, b'/'])).collect();
            ipc::write_bytes(&bytes)?;
            // Writes would be seen on the console.
            let label =
                *random.pick(&[label::OPEN, label::READ, label::CONTROL, 0, 1, label::REPLY, 0x7fff_ffff]);
            let word = |random: &mut Random| *random.pick(&[0, 1, 2, 10, u64::MAX, CURRENT, 1 << 40]);
            let words = [word(random), word(random) | NONBLOCK, word(random), word(random)];
            let send = match random.below(4) {
                0 => vec![Transfer::copy_with(&client.ticket, SHOW)],
                1 => vec![Transfer::copy(&files[0].descriptor)],
                _ => Vec::new(),
            };
            match ipc::call(endpoint, label, words, bytes.len(), send, soon()) {
                Err(error) if [ETIMEDOUT, EPIPE].contains(&error.errno) => return Err(error.into()),
                _ => {}
            }
        }
        let line = TerminalMode { canonical: true, echo: true, signals: true, flow: true, newline: true };
        files[0].control(Control::SetTerminalMode(line))?;
        refused(files[0].read(NONBLOCK, soon()), EAGAIN)
    };
    leaves_nothing(|| (0..5).try_for_each(|_| round()))
}

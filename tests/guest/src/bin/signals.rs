//! Signals on the machine: actions, masks, waits that end with EINTR. Runs with the manifest `processes`.
#![no_std]
#![no_main]
#![forbid(unsafe_code)]

extern crate alloc;

use alloc::vec::Vec;
use core::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use core::time::Duration;

use abi::error::{ECHILD, EINTR, EINVAL, ENODEV, ENOSYS, ESRCH};
use guest_tests::failure::{ensure, equal, refused};
use guest_tests::{Failure, Outcome, PATIENCE, Suite, a_moment, child};
use libkq::event::note::EXIT;
use libkq::process_calls::{Child, Command, WaitFlags, WaitStatus, exit, getpid, getppid, kill, waitpid};
use libkq::signal::{
    Action, ActionFlags, How, SIGCHLD, SIGINT, SIGKILL, SIGPIPE, SIGSTOP, SIGTERM, SIGUSR1, SIGUSR2,
    SignalMask, raise, sigaction, sigmask, sigpending, sleep, suspend,
};
use libkq::{Conditions, Descriptor, EpollEvent, EpollFlags, EpollOp, FdSet, Filter, KEvent, PollFd, Queue};

const PROGRAM: &str = concat!("bin/", env!("CARGO_BIN_NAME"));
const USR1: i32 = SIGUSR1 as i32;
const USR2: i32 = SIGUSR2 as i32;
const TERM: i32 = SIGTERM as i32;

rt::entry!(main);

fn main(start: &rt::Start) -> i32 {
    if child::role(start) == Some("saboteur") {
        return sabotage().map_or(99, |()| 0);
    }
    if let Some(role) = child::role(start) {
        return play(role, start.arg(3)).map_or(99, |()| 0);
    }
    let mut suite = Suite::of_lookers(start);
    suite.table(&[
        ("a_handler_runs_in_raise", a_handler_runs_in_raise),
        ("bad_numbers_are_refused", bad_numbers_are_refused),
        ("a_blocked_signal_is_pending", a_blocked_signal_is_pending),
        ("default_actions_end_a_child", default_actions_end_a_child),
        ("an_ignored_signal_is_nothing", an_ignored_signal_is_nothing),
        ("a_child_catches_its_signal", a_child_catches_its_signal),
        ("a_blocked_default_action_waits", a_blocked_default_action_waits),
        ("r49_a_waiting_kevent_is_interrupted", a_waiting_kevent_is_interrupted),
        ("r1_changes_are_applied_though_the_wait_is_interrupted", changes_are_applied_though_interrupted),
        ("r49_a_signal_of_another_thread_interrupts_one", a_signal_interrupts_one_thread),
        ("r49_suspend_swaps_the_mask", suspend_swaps_the_mask),
        ("r49_a_mask_of_the_call_lets_a_pending_signal_through", the_calls_mask_lets_through),
        ("r49_a_mask_of_the_call_keeps_a_signal_away", the_calls_mask_keeps_away),
        ("r49_every_interface_is_interrupted", every_interface_is_interrupted),
        ("sleep_is_interrupted_and_never_early", sleep_is_interrupted),
        ("a_childs_end_is_sigchld_and_interrupts", a_childs_end_is_sigchld),
        ("resethand_and_broken_pipe", resethand_and_broken_pipe),
        ("no_signal_is_lost_in_a_storm", no_signal_is_lost_in_a_storm),
        ("r57_a_service_that_dies_comes_back", a_service_that_dies_comes_back),
    ]);
    suite.finish()
}

static CAUGHT: AtomicU32 = AtomicU32::new(0);
static LAST: AtomicU32 = AtomicU32::new(0);

fn catch(signal: i32) {
    LAST.store(signal as u32, Ordering::SeqCst);
    CAUGHT.fetch_add(1, Ordering::SeqCst);
}

/// How often the handler has run since the last look.
fn caught() -> u32 {
    CAUGHT.swap(0, Ordering::SeqCst)
}

/// Sets an action for the time of a test.
struct With(i32);

impl With {
    fn action(signal: i32, action: Action) -> Outcome<With> {
        caught();
        sigaction(signal, Some(action))?;
        Ok(With(signal))
    }
}

impl Drop for With {
    fn drop(&mut self) {
        // It was set, so it can be unset.
        let _ = sigmask(Some((How::Set, SignalMask::empty())));
        let _ = sigaction(self.0, Some(Action::by_default()));
    }
}

fn only(signal: i32) -> SignalMask {
    SignalMask::empty().with(signal as u32)
}

/// An operator that ends the process service when a process called `bomb` is there.
fn sabotage() -> Outcome {
    loop {
        let (mut bomb, mut service, mut after) = (false, None, 0);
        loop {
            let lines = rt::init::list(after)?;
            let Some(last) = lines.last() else { break };
            after = last.pid;
            bomb |= lines.iter().any(|line| line.name == "bomb");
            service = lines.iter().find(|line| line.name == "process").map(|line| line.pid).or(service);
        }
        if bomb && let Some(service) = service {
            return Ok(rt::init::kill(service, 3)?);
        }
        rt::thread::sleep(5_000_000);
    }
}

/// Children that play a part.
fn play(role: &str, argument: &str) -> Outcome {
    let parent = getppid()?;
    match role {
        "sleeps" => rt::thread::sleep(u64::MAX),
        "ends" => exit(argument.parse().unwrap_or(98)),
        "signals" => {
            // One signal, or so many, to its parent.
            for _ in 0..argument.parse().unwrap_or(1_u32) {
                kill(parent, USR1)?;
            }
        }
        "signals-later" => {
            a_moment();
            kill(parent, USR1)?;
        }
        "catches" => {
            sigaction(TERM, Some(Action::handler(catch)))?;
            kill(parent, USR1)?;
            while CAUGHT.load(Ordering::SeqCst) == 0 {
                refused(sleep(Duration::from_nanos(PATIENCE)), EINTR)?;
            }
            exit(7);
        }
        "blocks" => {
            sigmask(Some((How::Block, only(TERM))))?;
            kill(parent, USR1)?;
            while !sigpending().contains(TERM as u32) {
                rt::thread::sleep(1_000_000);
            }
            sigaction(USR2, Some(Action::handler(catch)))?;
            kill(parent, USR1)?;
            // Until its parent has seen that it lives on.
            said(1)?;
            sigmask(Some((How::Unblock, only(TERM))))?;
            exit(8);
        }
        "ignores" => {
            sigaction(TERM, Some(Action::ignore()))?;
            kill(parent, USR1)?;
            rt::thread::sleep(u64::MAX);
        }
        "breaks" => {
            if argument == "caught" {
                sigaction(i32::from(SIGPIPE), Some(Action::handler(catch)))?;
            }
            libkq::signal::broken_pipe();
            exit(CAUGHT.load(Ordering::SeqCst) as i32);
        }
        "resets" => {
            sigaction(USR2, Some(Action::handler(catch).with(ActionFlags::RESETHAND)))?;
            raise(USR2)?;
            equal(caught(), 1)?;
            raise(USR2)?;
            exit(1);
        }
        _ => exit(97),
    }
    Ok(())
}

fn start(role: &str, argument: &str) -> Outcome<Child> {
    let command = Command::new(PROGRAM).argument(child::ROLE).argument(role).argument(argument);
    Ok(command.quota(4 << 20).spawn()?)
}

/// Waits for the end of a child, whatever interrupts.
fn wait(child: &Child) -> Outcome<WaitStatus> {
    loop {
        match child.wait() {
            Err(error) if error.errno == EINTR => {}
            ended => return Ok(ended?),
        }
    }
}

/// Waits until the other side has said that it is ready, by a signal.
fn said(times: u32) -> Outcome {
    while CAUGHT.load(Ordering::SeqCst) < times {
        refused(sleep(Duration::from_nanos(PATIENCE)), EINTR)?;
    }
    Ok(())
}

fn a_handler_runs_in_raise() -> Outcome {
    let _with = With::action(USR1, Action::handler(catch))?;
    for round in 1..=100 {
        raise(USR1)?;
        equal(CAUGHT.load(Ordering::SeqCst), round)?;
    }
    equal(LAST.load(Ordering::SeqCst), USR1 as u32)
}

fn bad_numbers_are_refused() -> Outcome {
    for signal in [-1, 65, 1000] {
        refused(kill(getpid(), signal), EINVAL)?;
        refused(sigaction(signal, None), EINVAL)?;
    }
    for signal in [SIGKILL, SIGSTOP] {
        refused(sigaction(i32::from(signal), Some(Action::ignore())), EINVAL)?;
    }
    refused(kill(getpid(), i32::from(SIGSTOP)), ENOSYS)?;
    for group in [0, -1, -7] {
        refused(kill(group, USR1), EINVAL)?;
    }
    refused(kill(1_000_000, USR1), ESRCH)?;
    kill(getpid(), 0)?;
    refused(waitpid(-1, WaitFlags::empty()), ECHILD)
}

fn a_blocked_signal_is_pending() -> Outcome {
    let _with = With::action(USR1, Action::handler(catch))?;
    equal(sigmask(Some((How::Block, only(USR1))))?, SignalMask::empty())?;
    raise(USR1)?;
    raise(USR1)?;
    equal((caught(), sigpending()), (0, only(USR1)))?;
    equal(sigmask(Some((How::Unblock, only(USR1))))?, only(USR1))?;
    equal((caught(), sigpending()), (1, SignalMask::empty()))
}

fn default_actions_end_a_child() -> Outcome {
    for signal in [SIGTERM, SIGKILL, SIGINT, SIGUSR1, SIGPIPE, 64] {
        let child = start("sleeps", "")?;
        child.kill(i32::from(SIGCHLD))?;
        child.kill(i32::from(signal))?;
        let status = wait(&child)?;
        equal((status.signal(), status.code()), (Some(signal), None))?;
        refused(child.kill(0), ESRCH)?;
    }
    let child = start("ends", "3")?;
    equal(wait(&child)?, WaitStatus(0x300))
}

fn an_ignored_signal_is_nothing() -> Outcome {
    let _with = With::action(USR1, Action::handler(catch))?;
    let child = start("ignores", "")?;
    said(1)?;
    child.kill(TERM)?;
    a_moment();
    equal(waitpid(child.pid(), WaitFlags::NOHANG)?, None)?;
    child.kill(i32::from(SIGKILL))?;
    equal(wait(&child)?, WaitStatus(9))
}

fn a_child_catches_its_signal() -> Outcome {
    let _with = With::action(USR1, Action::handler(catch))?;
    let child = start("catches", "")?;
    said(1)?;
    child.kill(TERM)?;
    equal(wait(&child)?, WaitStatus(0x700))
}

fn a_blocked_default_action_waits() -> Outcome {
    let _with = With::action(USR1, Action::handler(catch))?;
    let child = start("blocks", "")?;
    said(1)?;
    child.kill(TERM)?;
    said(2)?;
    equal(waitpid(child.pid(), WaitFlags::NOHANG)?, None)?;
    child.kill(USR2)?;
    equal(wait(&child)?, WaitStatus(TERM))
}

fn a_waiting_kevent_is_interrupted() -> Outcome {
    let queue = Queue::new()?;
    queue.apply(&[KEvent::user(1).add()])?;
    for round in 0..20 {
        let _with = With::action(USR1, handlers()[round % 2])?;
        let child = start("signals-later", "")?;
        let mut events = [KEvent::default()];
        refused(queue.wait(&mut events, Some(Duration::from_nanos(PATIENCE))), EINTR)?;
        equal(caught(), 1)?;
        wait(&child)?;
    }
    Ok(())
}

fn changes_are_applied_though_interrupted() -> Outcome {
    let _with = With::action(USR1, Action::handler(catch))?;
    let queue = Queue::new()?;
    let child = start("signals-later", "")?;
    let mut events = [KEvent::default()];
    let patiently = Some(Duration::from_nanos(PATIENCE));
    refused(libkq::kevent(queue.number(), &[KEvent::user(5).add()], &mut events, patiently), EINTR)?;
    equal(caught(), 1)?;
    // Only a note that is there can be triggered.
    queue.apply(&[KEvent::user(5).trigger()])?;
    equal(queue.wait(&mut events, patiently)?.len(), 1)?;
    wait(&child).map(drop)
}

fn a_signal_interrupts_one_thread() -> Outcome {
    static HERE: AtomicU32 = AtomicU32::new(0);
    static INTERRUPTED: AtomicU32 = AtomicU32::new(0);
    static DONE: AtomicBool = AtomicBool::new(false);
    let _with = With::action(USR1, Action::handler(catch))?;
    let threads: Vec<_> = (0..4)
        .map(|_| {
            rt::thread::spawn(|| -> Outcome {
                let queue = Queue::new()?;
                queue.apply(&[KEvent::user(1).add()])?;
                HERE.fetch_add(1, Ordering::SeqCst);
                while !DONE.load(Ordering::SeqCst) {
                    let mut events = [KEvent::default()];
                    match queue.wait(&mut events, Some(Duration::from_millis(20))) {
                        Ok(_) => {}
                        Err(error) if error.errno == EINTR => _ = INTERRUPTED.fetch_add(1, Ordering::SeqCst),
                        Err(error) => return Err(error.into()),
                    }
                }
                Ok(())
            })
        })
        .collect::<abi::error::Result<_>>()?;
    while HERE.load(Ordering::SeqCst) < 4 {
        a_moment();
    }
    // The main thread blocks it, so one of the others handles it.
    sigmask(Some((How::Block, only(USR1))))?;
    for round in 1..=10 {
        kill(getpid(), USR1)?;
        let end = rt::clock::after(PATIENCE);
        while CAUGHT.load(Ordering::SeqCst) < round && rt::clock::now_ns() < end {
            a_moment();
        }
        equal(CAUGHT.load(Ordering::SeqCst), round)?;
    }
    DONE.store(true, Ordering::SeqCst);
    for thread in threads {
        thread.join()??;
    }
    ensure(INTERRUPTED.load(Ordering::SeqCst) <= 10, "one thread is interrupted for one signal")
}

fn suspend_swaps_the_mask() -> Outcome {
    let _with = With::action(USR1, Action::handler(catch))?;
    sigmask(Some((How::Block, only(USR1))))?;
    for _ in 0..20 {
        // Pending or on its way: no moment in between may lose it.
        let child = start("signals", "1")?;
        equal(suspend(SignalMask::empty()).errno, EINTR)?;
        equal((caught(), sigmask(None)?), (1, only(USR1)))?;
        wait(&child)?;
    }
    Ok(())
}

/// The waits that have a mask: for a number to be readable, which it never is.
type Wait = fn(i32, Option<Duration>, Option<SignalMask>) -> libkq::Result<usize>;

const WAITS: [(&str, Wait); 4] = [
    ("ppoll", |idle, timeout, mask| libkq::poll(&mut [PollFd::new(idle, Conditions::IN)], timeout, mask)),
    ("pselect", |idle, timeout, mask| {
        let mut read = FdSet::from_iter([idle]);
        libkq::select(idle + 1, [Some(&mut read), None, None], timeout, mask)
    }),
    ("epoll_pwait", |idle, timeout, mask| {
        let set = libkq::epoll_create1(0)?;
        libkq::epoll_ctl(set, EpollOp::Add, idle, EpollEvent::new(EpollFlags::IN, 1))?;
        let mut events = [EpollEvent::default()];
        let waited = match mask {
            Some(mask) => libkq::epoll_pwait(set, &mut events, timeout, mask),
            None => libkq::epoll_wait(set, &mut events, timeout),
        };
        libkq::close(set)?;
        waited
    }),
    ("DP_PPOLL", |idle, timeout, mask| {
        let set = libkq::open("/dev/poll", libkq::flag::O_RDWR)?;
        libkq::process().devpoll_write(set, &[PollFd::new(idle, Conditions::IN)])?;
        let waited = libkq::process().devpoll_poll(set, &mut [PollFd::default()], timeout, mask);
        libkq::close(set)?;
        waited
    }),
];

fn named(name: &str, outcome: Outcome) -> Outcome {
    outcome.map_err(|failure| Failure::new(alloc::format!("{name}: {failure}")))
}

/// A handler's action, without and with `SA_RESTART`: no wait is restarted (R49).
fn handlers() -> [Action; 2] {
    [Action::handler(catch), Action::handler(catch).with(ActionFlags::RESTART)]
}

fn the_calls_mask_lets_through() -> Outcome {
    let (idle, _writer) = Descriptor::pipe()?;
    let patiently = Some(Duration::from_nanos(PATIENCE));
    for action in handlers() {
        let _with = With::action(USR1, action)?;
        sigmask(Some((How::Block, only(USR1))))?;
        for (name, wait) in WAITS {
            raise(USR1)?;
            let waited = wait(idle.number(), patiently, Some(SignalMask::empty()));
            named(name, refused(waited, EINTR))?;
            named(
                name,
                equal((caught(), sigmask(None)?, sigpending()), (1, only(USR1), SignalMask::empty())),
            )?;
            // Without a mask of its own the thread's decides, and with one that has it blocked, that.
            for mask in [None, Some(only(USR1))] {
                raise(USR1)?;
                named(name, equal(wait(idle.number(), Some(Duration::from_millis(2)), mask)?, 0))?;
                named(name, equal((caught(), sigpending()), (0, only(USR1))))?;
                sigmask(Some((How::Unblock, only(USR1))))?;
                sigmask(Some((How::Block, only(USR1))))?;
                named(name, equal(caught(), 1))?;
            }
        }
    }
    Ok(())
}

fn the_calls_mask_keeps_away() -> Outcome {
    let _with = With::action(USR1, Action::handler(catch))?;
    let (idle, _writer) = Descriptor::pipe()?;
    for (name, wait) in WAITS {
        let child = start("signals-later", "")?;
        let begin = rt::clock::now_ns();
        named(name, equal(wait(idle.number(), Some(Duration::from_millis(60)), Some(only(USR1)))?, 0))?;
        ensure(rt::clock::now_ns() - begin >= 60_000_000, "it sleeps on")?;
        self::wait(&child)?;
        raise(0)?;
        named(name, equal((caught(), sigmask(None)?), (1, SignalMask::empty())))?;
    }
    Ok(())
}

fn every_interface_is_interrupted() -> Outcome {
    let (idle, _writer) = Descriptor::pipe()?;
    for ((name, wait), action) in WAITS.into_iter().flat_map(|wait| handlers().map(|action| (wait, action))) {
        let _with = With::action(USR1, action)?;
        for mask in [None, Some(only(USR2))] {
            let child = start("signals-later", "")?;
            named(name, refused(wait(idle.number(), None, mask), EINTR))?;
            named(name, equal(caught(), 1))?;
            self::wait(&child)?;
        }
    }
    Ok(())
}

fn sleep_is_interrupted() -> Outcome {
    let _with = With::action(USR1, Action::handler(catch))?;
    let begin = rt::clock::now_ns();
    sleep(Duration::from_millis(5))?;
    ensure(rt::clock::now_ns() - begin >= 5_000_000, "never early")?;
    let child = start("signals-later", "")?;
    refused(sleep(Duration::from_nanos(PATIENCE)), EINTR)?;
    equal(caught(), 1)?;
    wait(&child).map(drop)
}

fn a_childs_end_is_sigchld() -> Outcome {
    let _with = With::action(i32::from(SIGCHLD), Action::handler(catch))?;
    let queue = Queue::new()?;
    queue.apply(&[KEvent::user(1).add()])?;
    let child = start("ends", "3")?;
    let mut events = [KEvent::default()];
    refused(queue.wait(&mut events, Some(Duration::from_nanos(PATIENCE))), EINTR)?;
    equal((caught(), LAST.load(Ordering::SeqCst)), (1, u32::from(SIGCHLD)))?;
    equal(waitpid(-1, WaitFlags::NOHANG)?, Some((child.pid(), WaitStatus(0x300))))?;
    refused(waitpid(child.pid(), WaitFlags::empty()), ECHILD)
}

fn resethand_and_broken_pipe() -> Outcome {
    for (role, argument, status) in
        [("resets", "", i32::from(SIGUSR2)), ("breaks", "", i32::from(SIGPIPE)), ("breaks", "caught", 0x100)]
    {
        equal(wait(&start(role, argument)?)?, WaitStatus(status))?;
    }
    Ok(())
}

/// Children on all CPUs signal while the parent waits: each burst is seen at least once, and never slept through.
fn no_signal_is_lost_in_a_storm() -> Outcome {
    let _with = With::action(USR1, Action::handler(catch))?;
    let queue = Queue::new()?;
    queue.apply(&[KEvent::user(1).add()])?;
    let children: Vec<Child> = (0..4).map(|_| start("signals", "200")).collect::<Outcome<_>>()?;
    let mut left = children.len();
    let end = rt::clock::after(PATIENCE);
    while left > 0 {
        ensure(rt::clock::now_ns() < end, "the storm passes")?;
        let mut events = [KEvent::default()];
        match queue.wait(&mut events, Some(Duration::from_millis(10))) {
            Ok(_) => {}
            Err(error) if error.errno == EINTR => {}
            Err(error) => return Err(error.into()),
        }
        while let Ok(Some((_, status))) = waitpid(-1, WaitFlags::NOHANG) {
            equal(status, WaitStatus(0))?;
            left -= 1;
        }
    }
    raise(0)?;
    ensure(caught() > 0, "the handler ran")?;
    equal(sigpending(), SignalMask::empty())
}

/// The saboteur of the manifest ends the service when it sees a process of this name.
fn a_service_that_dies_comes_back() -> Outcome {
    let _with = With::action(USR1, Action::handler(catch))?;
    let service = || -> Outcome<Option<u32>> {
        let mut after = 0;
        loop {
            let lines = rt::init::list(after)?;
            let Some(last) = lines.last() else { return Ok(None) };
            after = last.pid;
            if let Some(line) = lines.iter().find(|line| line.name == "process" && line.ended.is_none()) {
                return Ok(Some(line.pid));
            }
        }
    };
    let queue = Queue::new()?;
    queue
        .apply(&[KEvent::process(getpid(), EXIT).add(), KEvent::new(SIGUSR1.into(), Filter::SIGNAL).add()])?;
    let before = service()?;
    let bomb = Command::new(PROGRAM).name("bomb").argument(child::ROLE).argument("sleeps").spawn()?;
    // R57: each note is told once.
    let mut filters = Vec::new();
    while filters.len() < 2 {
        let mut events = [KEvent::default(); 4];
        match queue.wait(&mut events, Some(Duration::from_nanos(PATIENCE))) {
            Ok([]) => return Err(Failure::new("a dead service is not told of")),
            Ok(events) => {
                for event in events {
                    ensure(event.is_eof(), "the end of the service")?;
                    filters.push(event.filter);
                }
            }
            Err(error) if error.errno == EINTR => {}
            Err(error) => return Err(error.into()),
        }
    }
    filters.sort_unstable();
    equal(filters, [Filter::SIGNAL, Filter::PROC].to_vec())?;
    let end = rt::clock::after(PATIENCE);
    while service()?.is_none_or(|pid| Some(pid) == before) {
        ensure(rt::clock::now_ns() < end, "the service is started again")?;
        a_moment();
    }
    // It is told of the handler again, sooner or later.
    loop {
        match raise(USR1) {
            Ok(()) => break,
            Err(error) if error.errno == ENODEV => a_moment(),
            Err(error) => return Err(error.into()),
        }
    }
    while caught() == 0 {
        ensure(rt::clock::now_ns() < end, "the handler runs again")?;
        refused(sleep(Duration::from_nanos(PATIENCE)), EINTR)?;
    }
    // It knows the processes that there are, and new notes have a new stream.
    queue.apply(&[KEvent::process(bomb.pid(), EXIT).add()])?;
    bomb.kill(i32::from(SIGKILL))?;
    let mut events = [KEvent::default()];
    loop {
        match queue.wait(&mut events, Some(Duration::from_nanos(PATIENCE))) {
            Ok(events) => {
                equal(events.first().map(|event| (event.ident, event.data)), Some((bomb.pid() as usize, 9)))?;
                return wait(&bomb).map(drop);
            }
            Err(error) if error.errno == EINTR => {}
            Err(error) => return Err(error.into()),
        }
    }
}

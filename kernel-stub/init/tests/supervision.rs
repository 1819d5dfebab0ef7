//! Starts, ends, restarts, power.

mod world;

use abi::{
    error::{EINVAL, ENODEV, EPERM},
    limits::FOREVER,
};
use init::{system::Failure, watchdog::Doing};
use init_protocol::{
    limits::DRAIN_MS,
    manifest::{Backoff, Entry, Kind, Restart},
    request::{Reply, Request},
    status::{AGAIN, ExitStatus},
};
use world::*;

fn restarting(entry: Entry) -> Entry {
    let backoff = Backoff { first_ms: 10, longest_ms: 25, limit: 3, settled_ms: 1000 };
    Entry { restart: Restart::OnFailure(backoff), ..entry }
}

#[test]
fn entries_start_in_order_and_wait_for_services() {
    let mut late = entry("late", Kind::Application);
    late.after = vec!["event".into(), "tty".into()];
    let mut m = Machine::boot(vec![late, server("event"), server("tty")]);
    assert_eq!(m.world.pid("late"), None);
    let (event, tty) = (m.world.pid("event").unwrap(), m.world.pid("tty").unwrap());
    assert!(event < tty);
    m.register(event, "event", 1).unwrap();
    assert_eq!(m.world.pid("late"), None);
    m.register(tty, "tty", 2).unwrap();
    assert!(m.world.pid("late").is_some());
}

#[test]
fn a_failure_restarts_later_each_time_and_gives_up_at_the_limit() {
    let mut m = Machine::boot(vec![restarting(server("tty"))]);
    let mut waits = vec![];
    for status in [FAULT, BAD, FAULT] {
        m.end(m.world.pid("tty").unwrap(), status);
        assert_eq!(m.world.pid("tty"), None);
        waits.push(m.pass_to_deadline());
    }
    assert_eq!(waits, [10, 20, 25]);
    m.end(m.world.pid("tty").unwrap(), BAD);
    assert_eq!(m.init.deadline(), FOREVER);
    assert_eq!(m.world.starts("tty"), 4);
    assert_eq!(m.init.counters().restarted, 3);
}

#[test]
fn a_long_life_resets_the_wait() {
    let mut m = Machine::boot(vec![restarting(server("tty"))]);
    for lived in [0, 0, 1000] {
        m.pass(lived);
        m.end(m.world.pid("tty").unwrap(), BAD);
        let wait = m.pass_to_deadline();
        assert_eq!(wait, if lived == 1000 { 10 } else { [10, 20][m.world.starts("tty") - 2] });
    }
}

#[test]
fn a_good_end_is_no_failure() {
    let mut m = Machine::boot(vec![restarting(server("tty"))]);
    m.end(m.world.pid("tty").unwrap(), OK);
    assert_eq!(m.init.deadline(), FOREVER);
}

#[test]
fn a_driver_whose_device_is_gone_is_started_again_at_once_and_has_not_failed() {
    let driver = || Entry { kind: Kind::Driver, ..restarting(server("net")) };
    let mut m = Machine::boot(vec![driver()]);
    for _ in 0..10 {
        m.pass(100);
        m.end(m.world.pid("net").unwrap(), ExitStatus::Exited(AGAIN));
        assert_eq!(m.pass_to_deadline(), 0);
    }
    // Who says so all the time fails like any other.
    let mut waits = vec![];
    for _ in 0..3 {
        m.end(m.world.pid("net").unwrap(), ExitStatus::Exited(AGAIN));
        waits.push(m.pass_to_deadline());
    }
    assert_eq!(waits, [10, 20, 25]);
    m.end(m.world.pid("net").unwrap(), ExitStatus::Exited(AGAIN));
    assert_eq!((m.init.deadline(), m.world.pid("net")), (FOREVER, None));
    // A server has no device, and one that is not to be restarted is not.
    let mut m = Machine::boot(vec![restarting(server("tty")), Entry { restart: Restart::Never, ..driver() }]);
    m.pass(500);
    m.end(m.world.pid("net").unwrap(), ExitStatus::Exited(AGAIN));
    assert_eq!(m.init.deadline(), FOREVER);
    m.end(m.world.pid("tty").unwrap(), ExitStatus::Exited(AGAIN));
    assert_eq!(m.pass_to_deadline(), 10);
}

#[test]
fn a_fault_is_logged_with_what_and_where() {
    let mut m = Machine::boot(vec![server("tty")]);
    m.end(m.world.pid("tty").unwrap(), FAULT);
    let line = "tty (pid 2) killed by page fault at 0x201000, writing address 0x10";
    assert!(m.world.log().contains(line), "{}", m.world.log());
}

#[test]
fn a_passing_failure_to_start_is_tried_again_and_a_lasting_one_is_not() {
    let mut m = Machine::boot(vec![restarting(server("tty"))]);
    m.world.0.borrow_mut().fail = Some(no_memory());
    m.end(m.world.pid("tty").unwrap(), BAD);
    assert_eq!(m.pass_to_deadline(), 10);
    assert_eq!(m.world.pid("tty"), None);
    m.world.0.borrow_mut().fail = None;
    assert_eq!(m.pass_to_deadline(), 20);
    assert!(m.world.pid("tty").is_some());
    m.end(m.world.pid("tty").unwrap(), BAD);
    m.world.0.borrow_mut().fail = Some(Failure::NoFile);
    m.pass_to_deadline();
    assert_eq!(m.init.deadline(), FOREVER);
}

#[test]
fn a_restarted_provider_registers_again_and_clients_wait_meanwhile() {
    let mut m = Machine::boot(vec![restarting(server("tty")), entry("app", Kind::Application)]);
    let (tty, app) = (m.world.pid("tty").unwrap(), m.world.pid("app").unwrap());
    m.register(tty, "tty", 1).unwrap();
    let open = m.world.0.borrow().open;
    m.end(tty, FAULT);
    assert_eq!(m.world.0.borrow().open, open - 2, "its process and its endpoint are closed");
    let waiting = m.connect(app, "tty");
    assert_eq!(m.world.answer(waiting), None);
    m.pass_to_deadline();
    assert_eq!(m.world.answer(waiting), None);
    let again = m.world.pid("tty").unwrap();
    assert_ne!(again, tty);
    m.register(again, "tty", 2).unwrap();
    assert_eq!(m.world.answer(waiting), Some(Ok((Reply::Done, Some(What::Service(2))))));
}

#[test]
fn who_waits_for_a_provider_that_is_given_up_hears_enodev() {
    let mut user = entry("user", Kind::Application);
    user.after = vec!["tty".into()];
    user.essential = true;
    let mut m = Machine::boot(vec![server("tty"), user, entry("app", Kind::Application)]);
    let app = m.world.pid("app").unwrap();
    let waiting = m.connect(app, "tty");
    m.end(m.world.pid("tty").unwrap(), FAULT);
    assert_eq!(m.world.answer(waiting).unwrap().unwrap_err().errno, ENODEV);
    let late = m.connect(app, "tty");
    assert_eq!(m.world.answer(late).unwrap().unwrap_err().errno, ENODEV);
    assert!(m.world.log().contains("user is not started: it waits for tty"), "{}", m.world.log());
    assert_eq!(m.world.0.borrow().off, Some(125), "the essential program can never start");
}

#[test]
fn the_essential_programs_status_is_the_machines() {
    for (status, byte) in [(OK, 0), (BAD, 3), (ExitStatus::Exited(256), 1), (FAULT, 139)] {
        let essential = Entry { essential: true, ..entry("app", Kind::Application) };
        let mut m = Machine::boot(vec![essential]);
        assert_eq!(m.world.0.borrow().off, None);
        m.end(m.world.pid("app").unwrap(), status);
        assert_eq!(m.world.0.borrow().off, Some(byte));
    }
}

#[test]
fn an_essential_program_is_restarted_before_it_powers_off() {
    let essential = Entry { essential: true, ..entry("app", Kind::Application) };
    let mut m = Machine::boot(vec![restarting(essential)]);
    for _ in 0..3 {
        m.end(m.world.pid("app").unwrap(), BAD);
        assert_eq!(m.world.0.borrow().off, None);
        m.pass_to_deadline();
    }
    m.end(m.world.pid("app").unwrap(), BAD);
    assert_eq!(m.world.0.borrow().off, Some(3));
}

#[test]
fn nothing_to_start_powers_off_and_says_so() {
    let m = Machine::boot(vec![Entry { file: "nowhere".into(), ..server("tty") }]);
    assert!(
        m.world.log().contains("manifest entry 0 (\"tty\") is skipped: the archive has no file \"nowhere\"")
    );
    assert_eq!(m.world.0.borrow().off, Some(125));
}

#[test]
fn without_its_essential_program_a_machine_has_nothing_to_run_for() {
    let lost = || Entry { file: "nowhere".into(), essential: true, ..entry("app", Kind::Application) };
    let m = Machine::boot(vec![lost(), server("tty")]);
    assert_eq!(m.world.0.borrow().off, Some(125));
    assert_eq!(m.world.starts("tty"), 0);
    let other = Entry { essential: true, ..entry("other", Kind::Application) };
    let m = Machine::boot(vec![lost(), other]);
    assert_eq!(m.world.0.borrow().off, None);
    assert_eq!(m.world.starts("other"), 1);
}

fn draining() -> (Machine, u32, u32) {
    let app = Entry { operator: true, ..entry("app", Kind::Application) };
    let mut m = Machine::boot(vec![server("tty"), server("disk"), app]);
    let (tty, disk) = (m.world.pid("tty").unwrap(), m.world.pid("disk").unwrap());
    for (pid, number) in [(tty, 7), (disk, 8)] {
        let token = m.ask_with(pid, Request::OnPowerOff, vec![What::Notification(number)]);
        m.world.answer(token).unwrap().unwrap();
    }
    let app = m.world.pid("app").unwrap();
    let off = m.ask(app, Request::PowerOff { status: 9 });
    assert_eq!(m.world.answer(off), None);
    assert_eq!(m.world.0.borrow().signalled, [7, 8]);
    assert_eq!(m.world.0.borrow().off, None);
    (m, tty, disk)
}

#[test]
fn power_off_waits_for_those_that_asked_to_drain() {
    let (mut m, tty, disk) = draining();
    m.get(tty, Request::Drained).unwrap();
    assert_eq!(m.world.0.borrow().off, None);
    m.get(disk, Request::Drained).unwrap();
    assert_eq!(m.world.0.borrow().off, Some(9));
}

#[test]
fn power_off_does_not_wait_for_the_dead_nor_forever() {
    let (mut m, tty, _) = draining();
    m.end(tty, FAULT);
    assert_eq!(m.world.0.borrow().off, None);
    assert_eq!(m.pass_to_deadline(), DRAIN_MS);
    assert_eq!(m.world.0.borrow().off, Some(9));
}

#[test]
fn nothing_is_started_on_the_way_off() {
    let essential = Entry { essential: true, ..entry("app", Kind::Application) };
    let mut m = Machine::boot(vec![restarting(server("tty")), essential]);
    let tty = m.world.pid("tty").unwrap();
    m.ask_with(tty, Request::OnPowerOff, vec![What::Notification(1)]);
    m.end(m.world.pid("app").unwrap(), OK);
    m.end(tty, FAULT);
    m.pass(10_000);
    assert_eq!(m.world.starts("tty"), 1);
    assert_eq!(m.world.0.borrow().off, Some(0));
}

#[test]
fn a_restarted_parents_children_do_not_stay() {
    let mut m = Machine::boot(vec![restarting(parent("shell", 2))]);
    let shell = m.world.pid("shell").unwrap();
    let first = m.spawn(shell, "a").unwrap();
    m.spawn(first, "b").unwrap();
    m.end(shell, FAULT);
    assert_eq!((m.world.pid("a"), m.world.pid("b")), (None, None));
    assert_eq!((m.processes(), m.waiting()), (0, 0));
    m.pass_to_deadline();
    let again = m.world.pid("shell").unwrap();
    m.spawn(again, "a").unwrap();
    m.spawn(again, "b").unwrap();
}

/// What the live process of this name was given, and how many handles of it are open.
fn kept(m: &Machine, name: &str) -> Vec<String> {
    let pid = m.world.pid(name).unwrap();
    let state = m.world.0.borrow();
    state.bodies.iter().find(|body| body.pid == pid).unwrap().handles.clone()
}

#[test]
fn what_is_kept_goes_to_each_next_process_and_is_closed_when_init_gives_up() {
    let mut m = Machine::boot(vec![restarting(server("tty"))]);
    let keep = |m: &mut Machine, what| {
        let token = m.ask_with(m.world.pid("tty").unwrap(), Request::Keep, vec![what]);
        m.world.answer(token).unwrap()
    };
    assert_eq!(kept(&m, "tty"), Vec::<String>::new());
    assert_eq!(keep(&mut m, What::Junk).unwrap_err().errno, EPERM, "it could not be given on");
    let before = m.world.0.borrow().open;
    assert_eq!(keep(&mut m, What::File), Ok((Reply::Done, None)));
    assert_eq!(keep(&mut m, What::Notification(1)), Ok((Reply::Done, None)));
    assert_eq!(m.world.0.borrow().open, before + 1, "the second takes the place of the first");
    for _ in 0..3 {
        m.end(m.world.pid("tty").unwrap(), FAULT);
        m.pass_to_deadline();
        assert_eq!(kept(&m, "tty"), ["kept"]);
    }
    let before = m.world.0.borrow().open;
    m.end(m.world.pid("tty").unwrap(), FAULT);
    // The process and what was kept for the next.
    assert_eq!(m.world.0.borrow().open, before - 2);
}

#[test]
fn only_who_is_started_again_keeps_something() {
    let application = Entry { children_quota: 1 << 30, ..restarting(entry("shell", Kind::Application)) };
    let parent = Entry { children_quota: 1 << 30, ..restarting(server("tty")) };
    let mut m = Machine::boot(vec![application, server("once"), parent]);
    let child = m.spawn(m.world.pid("tty").unwrap(), "child").unwrap();
    for pid in [m.world.pid("shell").unwrap(), m.world.pid("once").unwrap(), child] {
        let token = m.ask_with(pid, Request::Keep, vec![What::File]);
        assert_eq!(m.world.answer(token), Some(Err(abi::error::Error::new(EPERM))));
    }
}

/// A program that is watched, with 80 ms for a round.
fn watched(name: &str) -> Machine {
    let mut m = Machine::boot(vec![Entry { watchdog_ms: 80, ..restarting(server(name)) }]);
    let token = m.ask_with(m.world.pid(name).unwrap(), Request::Watched, vec![What::Notification(7)]);
    assert_eq!(m.world.answer(token), Some(Ok((Reply::Done, None))));
    m
}

fn does(m: &Machine, doing: Doing) {
    m.world.0.borrow_mut().bodies[0].doing = doing;
}

fn rung(m: &Machine) -> usize {
    m.world.0.borrow().signalled.len()
}

#[test]
fn who_listens_is_never_asked() {
    let mut m = watched("tty");
    (0..100).for_each(|_| assert_eq!(m.pass_to_deadline(), 10));
    assert_eq!((rung(&m), m.init.counters().hung), (0, 0));
}

#[test]
fn who_does_not_come_round_in_its_time_is_ended_and_started_again() {
    for (doing, why) in [
        (Doing::Runs, "it runs and runs"),
        (Doing::Calls, "it waits for an answer to a call"),
        (Doing::Waits, "it waits for something that does not come"),
    ] {
        let mut m = watched("tty");
        let pid = m.world.pid("tty").unwrap();
        does(&m, doing);
        (0..8).for_each(|_| _ = m.pass_to_deadline());
        assert_eq!((rung(&m), m.init.counters().hung), (1, 0), "it has been asked once");
        m.pass_to_deadline();
        assert_eq!((m.init.counters().hung, m.world.pid("tty")), (1, None));
        let line = format!("tty (pid {pid}) hangs: it was asked 80 ms ago and has not come round; {why}");
        assert!(m.world.log().contains(&line), "{}", m.world.log());
        m.notice();
        m.pass_to_deadline();
        assert!(m.world.pid("tty").is_some_and(|next| next != pid));
    }
}

#[test]
fn who_is_slow_lives_as_long_as_it_answers() {
    let mut m = watched("tty");
    let pid = m.world.pid("tty").unwrap();
    does(&m, Doing::Runs);
    for _ in 0..50 {
        (0..8).for_each(|_| _ = m.pass_to_deadline());
        assert_eq!(m.get(pid, Request::Alive), Ok((Reply::Done, None)));
    }
    assert_eq!((rung(&m), m.init.counters().hung), (50, 0));
}

#[test]
fn who_has_no_turn_is_not_late() {
    let mut m = watched("tty");
    does(&m, Doing::Runs);
    m.pass_to_deadline();
    does(&m, Doing::Starves);
    (0..1000).for_each(|_| _ = m.pass_to_deadline());
    assert_eq!(m.init.counters().hung, 0);
    does(&m, Doing::Runs);
    (0..7).for_each(|_| _ = m.pass_to_deadline());
    assert_eq!(m.init.counters().hung, 0, "what it was kept from is not counted, what it had is");
    m.pass_to_deadline();
    assert_eq!(m.init.counters().hung, 1);
}

#[test]
fn a_machine_that_stood_still_has_used_up_nobodys_time() {
    let mut m = watched("tty");
    does(&m, Doing::Runs);
    (0..8).for_each(|_| m.pass(1_000_000));
    assert_eq!(m.init.counters().hung, 0);
}

#[test]
fn only_a_program_whose_entry_says_so_is_watched() {
    let mut m = Machine::boot(vec![restarting(server("tty"))]);
    let pid = m.world.pid("tty").unwrap();
    let token = m.ask_with(pid, Request::Watched, vec![What::Notification(7)]);
    assert_eq!(m.world.answer(token).unwrap().unwrap_err().errno, EPERM);
    assert_eq!(m.errno(pid, Request::Alive), EPERM);
    assert_eq!(m.init.deadline(), FOREVER);
    let mut m = watched("tty");
    let pid = m.world.pid("tty").unwrap();
    let token = m.ask_with(pid, Request::Watched, vec![What::Junk]);
    assert_eq!(m.world.answer(token).unwrap().unwrap_err().errno, EINVAL);
    m.end(pid, FAULT);
    m.pass_to_deadline();
    assert_eq!(m.init.deadline(), FOREVER, "the next process has to ask for itself");
}

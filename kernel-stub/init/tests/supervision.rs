//! Starts, ends, restarts, power.

mod world;

use abi::{error::ENODEV, limits::FOREVER};
use init::system::Failure;
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
    for (status, byte) in [(OK, 0), (BAD, 3), (ExitStatus::Exited(256), 1), (FAULT, 142)] {
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

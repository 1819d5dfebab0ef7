//! Traces: who lets whom look, at what, for how long.

mod world;

use abi::error::{E2BIG, EINVAL, ENOENT, EPERM, ESRCH, Error};
use init_protocol::{
    limits::TRACES,
    manifest::Entry,
    request::{Reply, Request},
};
use world::*;

/// A machine with an operator, a server and a shell that may have children.
fn machine() -> (Machine, u32, u32, u32) {
    let operator = Entry { operator: true, ..parent("operator", 4) };
    let m = Machine::boot(vec![operator, server("tty"), parent("shell", 4)]);
    let pid = |name| m.world.pid(name).unwrap();
    let (operator, tty, shell) = (pid("operator"), pid("tty"), pid("shell"));
    (m, operator, tty, shell)
}

fn trace(m: &mut Machine, pid: u32, what: Vec<What>) -> Answer {
    let token = m.ask_with(pid, Request::Trace, what);
    m.world.answer(token).unwrap()
}

fn look(m: &mut Machine, pid: u32, whose: u32, index: u32) -> Result<What, i32> {
    match m.get(pid, Request::TraceOf { pid: whose, index }) {
        Ok((Reply::Done, Some(what))) => Ok(what),
        Err(Error { errno }) => Err(errno),
        other => panic!("{other:?}"),
    }
}

#[test]
fn an_operator_looks_at_anybody_and_gets_no_more_than_a_look() {
    let (mut m, operator, tty, shell) = machine();
    assert_eq!(look(&mut m, operator, tty, 0), Err(ENOENT));
    trace(&mut m, tty, vec![What::Page(1)]).unwrap();
    trace(&mut m, tty, vec![What::Page(2)]).unwrap();
    trace(&mut m, shell, vec![What::Page(3)]).unwrap();
    assert_eq!(look(&mut m, operator, tty, 0), Ok(What::Look(1)));
    assert_eq!(look(&mut m, operator, tty, 1), Ok(What::Look(2)));
    assert_eq!(look(&mut m, operator, shell, 0), Ok(What::Look(3)));
    for beyond in [2, u32::MAX] {
        assert_eq!(look(&mut m, operator, tty, beyond), Err(ENOENT));
    }
    assert_eq!(look(&mut m, operator, 999, 0), Err(ESRCH));
}

#[test]
fn ancestors_look_and_nobody_else() {
    let (mut m, operator, tty, shell) = machine();
    let child = m.spawn(shell, "child").unwrap();
    let grandchild = m.spawn(child, "grandchild").unwrap();
    let operators = m.spawn(operator, "operators").unwrap();
    for (pid, page) in [(tty, 1), (shell, 2), (child, 3), (grandchild, 4)] {
        trace(&mut m, pid, vec![What::Page(page)]).unwrap();
    }
    for (who, whose, page) in [(shell, child, 3), (shell, grandchild, 4), (child, grandchild, 4)] {
        assert_eq!(look(&mut m, who, whose, 0), Ok(What::Look(page)));
    }
    for (who, whose) in
        [(shell, tty), (tty, shell), (child, shell), (grandchild, child), (operators, tty), (child, child)]
    {
        assert_eq!(look(&mut m, who, whose, 0), Err(EPERM), "{who} at {whose}");
    }
}

#[test]
fn a_trace_is_a_page_and_there_are_so_many() {
    let (mut m, operator, tty, _) = machine();
    let open = m.world.0.borrow().open;
    for what in [
        vec![],
        vec![What::Junk],
        vec![What::File],
        vec![What::Junk, What::Page(1)],
        vec![What::Notification(1)],
    ] {
        assert_eq!(trace(&mut m, tty, what), Err(Error::new(EINVAL)));
    }
    assert_eq!(m.world.0.borrow().open, open, "what is refused is closed");
    for page in 0..TRACES as u32 {
        trace(&mut m, tty, vec![What::Page(page), What::Junk]).unwrap();
    }
    assert_eq!(trace(&mut m, tty, vec![What::Page(99)]), Err(Error::new(E2BIG)));
    assert_eq!(m.world.0.borrow().open, open + TRACES);
    assert_eq!(look(&mut m, operator, tty, TRACES as u32 - 1), Ok(What::Look(TRACES as u32 - 1)));
}

#[test]
fn traces_end_with_their_process() {
    let (mut m, operator, _, shell) = machine();
    let open = m.world.0.borrow().open;
    for status in [OK, FAULT] {
        let child = m.spawn(shell, "child").unwrap();
        trace(&mut m, child, vec![What::Page(1)]).unwrap();
        trace(&mut m, child, vec![What::Page(2)]).unwrap();
        m.end(child, status);
        assert_eq!(look(&mut m, operator, child, 0), Err(ESRCH), "its status is not told yet");
        m.get(shell, Request::Wait { pid: child }).unwrap();
        assert_eq!(look(&mut m, operator, child, 0), Err(ESRCH));
        assert_eq!(m.world.0.borrow().open, open);
    }
}

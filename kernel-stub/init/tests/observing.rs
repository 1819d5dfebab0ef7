//! Who is told of births and ends, who knows its callers, and parents that wait for any child.

mod world;

use abi::error::{ECHILD, EINVAL, ENODEV, EPERM, Error};
use init_protocol::{
    caller::Caller,
    limits::{ENDED, HAPPENED, OBSERVED},
    manifest::Entry,
    request::{Event, Reply, Request},
    status::ExitStatus,
};
use proptest::prelude::*;
use std::collections::BTreeMap;
use world::*;

/// A machine with a watcher that may observe, and a shell that may have children.
fn machine() -> (Machine, u32, u32) {
    let watcher = Entry { operator: true, ..server("watcher") };
    let m = Machine::boot(vec![watcher, parent("shell", 200)]);
    let (watcher, shell) = (m.world.pid("watcher").unwrap(), m.world.pid("shell").unwrap());
    (m, watcher, shell)
}

fn observe(m: &mut Machine, pid: u32) -> Answer {
    let token = m.ask_with(pid, Request::Observe, vec![What::Notification(7)]);
    m.world.answer(token).unwrap()
}

fn happened(m: &mut Machine, pid: u32) -> Vec<Event> {
    match m.get(pid, Request::Happened) {
        Ok((Reply::Happened(events), None)) => events,
        other => panic!("{other:?}"),
    }
}

fn born(pid: u32, parent: u32, family: u32) -> Event {
    Event::Born { pid, parent, family, operator: false }
}

#[test]
fn only_operators_observe_and_only_with_a_notification() {
    let (mut m, watcher, shell) = machine();
    let token = m.ask_with(shell, Request::Observe, vec![What::Notification(7)]);
    assert_eq!(m.world.answer(token).unwrap(), Err(Error::new(EPERM)));
    assert_eq!(m.errno(watcher, Request::Observe), EINVAL);
    assert_eq!(m.errno(watcher, Request::Happened), EPERM);
    let child = m.spawn(shell, "child").unwrap();
    observe(&mut m, watcher).unwrap();
    assert_eq!(m.errno(child, Request::Happened), EPERM);
}

#[test]
fn what_there_is_comes_first_then_what_happens() {
    let (mut m, watcher, shell) = machine();
    let first = m.spawn(shell, "first").unwrap();
    m.end(first, BAD);
    observe(&mut m, watcher).unwrap();
    let now = happened(&mut m, watcher);
    assert_eq!(
        now,
        [
            Event::Born { pid: watcher, parent: 1, family: 0, operator: true },
            born(shell, 1, 1),
            born(first, shell, 1),
            Event::Ended { pid: first, status: BAD },
        ]
    );
    let second = m.spawn(shell, "second").unwrap();
    let third = m.spawn(second, "third").unwrap();
    m.end(second, FAULT);
    assert_eq!(
        happened(&mut m, watcher),
        [
            born(second, shell, 1),
            born(third, second, 1),
            Event::Ended { pid: second, status: FAULT },
            Event::Ended { pid: third, status: ExitStatus::Exited(137) },
            Event::Forgotten { pid: third },
        ]
    );
    m.get(shell, Request::Wait { pid: first }).unwrap();
    m.get(shell, Request::Wait { pid: second }).unwrap();
    assert_eq!(
        happened(&mut m, watcher),
        [Event::Forgotten { pid: first }, Event::Forgotten { pid: second }]
    );
    assert_eq!(happened(&mut m, watcher), []);
}

#[test]
fn the_observer_is_signalled_before_anybody_is_answered() {
    let (mut m, watcher, shell) = machine();
    observe(&mut m, watcher).unwrap();
    happened(&mut m, watcher);
    m.world.0.borrow_mut().signalled.clear();
    m.spawn(shell, "child").unwrap();
    assert_eq!(m.world.0.borrow().signalled, [7]);
}

#[test]
fn the_observer_is_signalled_before_a_parent_knows_that_its_child_is_forgotten() {
    let (mut m, watcher, shell) = machine();
    observe(&mut m, watcher).unwrap();
    for which in [Request::Wait { pid: 0 }, Request::WaitChild { pid: 0, at_once: true }] {
        let child = m.spawn(shell, "child").unwrap();
        m.end(child, OK);
        happened(&mut m, watcher);
        m.world.0.borrow_mut().signalled.clear();
        let which = match which {
            Request::Wait { .. } => Request::Wait { pid: child },
            other => other,
        };
        m.get(shell, which).unwrap();
        assert!(m.world.0.borrow().signalled_before > 0);
        assert_eq!(happened(&mut m, watcher), [Event::Forgotten { pid: child }]);
    }
}

#[test]
fn an_observer_that_does_not_ask_is_one_no_longer() {
    let (mut m, watcher, shell) = machine();
    observe(&mut m, watcher).unwrap();
    let mut rounds = 0;
    while m.get(shell, Request::Version).is_ok() && rounds <= OBSERVED / 3 {
        let child = m.spawn(shell, "child").unwrap();
        m.end(child, OK);
        m.get(shell, Request::Wait { pid: child }).unwrap();
        rounds += 1;
    }
    assert_eq!(m.errno(watcher, Request::Happened), EPERM);
    assert!(m.world.log().contains("is not told any more"));
    // It may begin anew.
    observe(&mut m, watcher).unwrap();
    assert_eq!(happened(&mut m, watcher).len(), 2);
}

#[test]
fn a_dead_observer_is_forgotten_and_a_new_one_begins() {
    let (mut m, watcher, _) = machine();
    observe(&mut m, watcher).unwrap();
    m.end(watcher, BAD);
    m.world.0.borrow_mut().signalled.clear();
    let shell = m.world.pid("shell").unwrap();
    m.spawn(shell, "child").unwrap();
    assert_eq!(m.world.0.borrow().signalled, [0u32; 0]);
}

fn application(pid: u32) -> Caller {
    Caller { pid, provider: false }
}

#[test]
fn a_service_that_may_mint_knows_its_callers() {
    let (mut m, watcher, shell) = machine();
    let early = m.connect(shell, "watcher");
    let token = m.ask_with(watcher, Request::Register { name: "watcher".into() }, vec![What::Knowing(3)]);
    m.world.answer(token).unwrap().unwrap();
    assert_eq!(m.world.answer(early).unwrap(), Ok((Reply::Done, Some(What::Client(3, application(shell))))));
    let child = m.spawn(shell, "child").unwrap();
    let late = m.connect(child, "watcher");
    assert_eq!(m.world.answer(late).unwrap(), Ok((Reply::Done, Some(What::Client(3, application(child))))));
    let own = m.connect(watcher, "watcher");
    let server = Caller { pid: watcher, provider: true };
    assert_eq!(m.world.answer(own).unwrap(), Ok((Reply::Done, Some(What::Client(3, server)))));
}

#[test]
fn r55_who_asks_for_a_service_again_and_again_has_init_pay_once() {
    let (mut m, watcher, shell) = machine();
    m.ask_with(watcher, Request::Register { name: "watcher".into() }, vec![What::Knowing(3)]);
    for round in 0..3 {
        let child = m.spawn(shell, "child").unwrap();
        for _ in 0..10 {
            let asked = m.connect(child, "watcher");
            let own = What::Client(3, application(child));
            assert_eq!(m.world.answer(asked).unwrap(), Ok((Reply::Done, Some(own))));
        }
        assert_eq!(m.world.0.borrow().minted, round + 1);
        m.end(child, OK);
    }
    // With the service go the handles.
    let open = m.world.0.borrow().open;
    m.end(watcher, BAD);
    assert!(m.world.0.borrow().open < open);
    let asked = m.connect(shell, "watcher");
    assert_eq!(m.world.answer(asked).unwrap(), Err(Error::new(ENODEV)));
}

fn wait_child(m: &mut Machine, pid: u32, child: u32) -> u32 {
    m.ask(pid, Request::WaitChild { pid: child, at_once: false }) as u32
}

#[test]
fn a_parent_waits_for_any_child_and_is_told_of_each_once() {
    let (mut m, _, shell) = machine();
    let any = Request::WaitChild { pid: 0, at_once: true };
    assert_eq!(m.errno(shell, any.clone()), ECHILD);
    let (first, second) = (m.spawn(shell, "first").unwrap(), m.spawn(shell, "second").unwrap());
    assert_eq!(m.get(shell, any.clone()), Ok((Reply::Done, None)));
    let waiting = wait_child(&mut m, shell, 0);
    m.end(second, BAD);
    assert_eq!(
        m.world.answer(waiting.into()).unwrap(),
        Ok((Reply::Child { pid: second, status: BAD }, None))
    );
    m.end(first, OK);
    assert_eq!(m.get(shell, Request::WaitChild { pid: second, at_once: true }), Err(Error::new(ECHILD)));
    assert_eq!(m.get(shell, Request::WaitChild { pid: first, at_once: true }), Ok((Reply::Ended(OK), None)));
    assert_eq!(m.errno(shell, any), ECHILD);
}

#[test]
fn only_children_are_waited_for_as_children() {
    let (mut m, watcher, shell) = machine();
    let child = m.spawn(shell, "child").unwrap();
    let grandchild = m.spawn(child, "grandchild").unwrap();
    for (who, whom) in [(shell, grandchild), (watcher, child), (child, shell), (shell, 999)] {
        assert_eq!(m.errno(who, Request::WaitChild { pid: whom, at_once: true }), ECHILD);
    }
}

#[test]
fn whoever_waits_in_vain_is_told() {
    let (mut m, _, shell) = machine();
    let child = m.spawn(shell, "child").unwrap();
    let tokens: Vec<u32> = [child, 0, child, 0].map(|which| wait_child(&mut m, shell, which)).into();
    m.end(child, OK);
    let answers: Vec<Answer> = tokens.iter().map(|&token| m.world.answer(token.into()).unwrap()).collect();
    assert_eq!(answers[0], Ok((Reply::Ended(OK), None)));
    assert!(answers[1..].iter().all(|answer| *answer == Err(Error::new(ECHILD))), "{answers:?}");
    assert_eq!(m.waiting(), 0);
}

#[test]
fn a_parent_that_gave_up_leaves_the_status_for_the_next() {
    let (mut m, _, shell) = machine();
    let child = m.spawn(shell, "child").unwrap();
    let token = wait_child(&mut m, shell, 0);
    m.world.0.borrow_mut().gone.insert(token.into());
    m.end(child, BAD);
    let again = m.get(shell, Request::WaitChild { pid: 0, at_once: true });
    assert_eq!(again, Ok((Reply::Child { pid: child, status: BAD }, None)));
}

proptest! {
    /// Whatever happens, an observer that follows the events has the process table, parents first.
    #[test]
    fn r30_an_observer_knows_every_birth_and_end(
        steps in prop::collection::vec((0u8..5, any::<prop::sample::Index>()), 0..120), late in 0usize..120,
    ) {
        let (mut m, watcher, shell) = machine();
        let mut known: BTreeMap<u32, Option<ExitStatus>> = BTreeMap::new();
        let follow = |m: &mut Machine, known: &mut BTreeMap<u32, Option<ExitStatus>>| loop {
            let events = happened(m, watcher);
            assert!(events.len() <= HAPPENED);
            for event in &events {
                match *event {
                    Event::Born { pid, parent, .. } => {
                        assert!(parent == 1 || known.contains_key(&parent), "a birth before its parent's");
                        assert!(known.insert(pid, None).is_none());
                    }
                    Event::Ended { pid, status } => assert_eq!(known.insert(pid, Some(status)), Some(None)),
                    Event::Forgotten { pid } => assert!(matches!(known.remove(&pid), Some(Some(_)))),
                }
            }
            if events.is_empty() { break; }
        };
        let mut observing = false;
        for (number, (step, which)) in steps.iter().enumerate() {
            if number == late || number == 0 && late >= steps.len() {
                observe(&mut m, watcher).unwrap();
                observing = true;
            }
            let alive: Vec<u32> = {
                let state = m.world.0.borrow();
                let own = |body: &&Body| body.pid != watcher && body.pid != shell && body.ended.is_none();
                state.bodies.iter().filter(own).map(|body| body.pid).collect()
            };
            match step {
                0 | 1 => {
                    let parents: Vec<u32> = alive.iter().copied().chain([shell]).collect();
                    let _ = m.spawn(parents[which.index(parents.len())], "child");
                }
                2 if !alive.is_empty() => m.end(alive[which.index(alive.len())], BAD),
                3 => drop(m.get(shell, Request::WaitChild { pid: 0, at_once: true })),
                _ if observing => follow(&mut m, &mut known),
                _ => {}
            }
        }
        if observing {
            follow(&mut m, &mut known);
            let mut listed = BTreeMap::new();
            let mut after = 0;
            while let Ok((Reply::Processes(lines), _)) = m.get(shell, Request::List { after }) {
                let Some(last) = lines.last() else { break };
                after = last.pid;
                listed.extend(lines.into_iter().map(|line| (line.pid, line.ended)));
            }
            prop_assert_eq!(known, listed);
        }
    }
}

#[test]
fn a_status_that_newer_ones_displace_is_forgotten_aloud() {
    let (mut m, watcher, shell) = machine();
    observe(&mut m, watcher).unwrap();
    let children: Vec<u32> = (0..ENDED + 2)
        .map(|_| {
            let child = m.spawn(shell, "child").unwrap();
            m.end(child, OK);
            child
        })
        .collect();
    let mut forgotten = vec![];
    loop {
        let events = happened(&mut m, watcher);
        if events.is_empty() {
            break;
        }
        forgotten.extend(events.into_iter().filter_map(|event| match event {
            Event::Forgotten { pid } => Some(pid),
            _ => None,
        }));
    }
    assert_eq!(forgotten, children[..2]);
}

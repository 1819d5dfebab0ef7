//! Anything asked and anything ending, in any order: what must hold all the same.

mod world;

use std::collections::BTreeMap;

use init_protocol::{
    manifest::{Backoff, Entry, Restart},
    request::{Reply, Request, Spawn},
};
use proptest::prelude::*;
use world::*;

const CHILDREN: u64 = 3;

#[derive(Debug, Clone)]
enum Step {
    Ask { caller: u32, request: Request, handle: Option<What>, deaf: bool, full: bool },
    Die { index: usize, bad: bool },
    Notice,
    Pass(u64),
    FailSpawns(bool),
}

fn pid() -> impl Strategy<Value = u32> {
    // Numbers are given out from 2 on: most of these exist at some time.
    0u32..24
}

fn request() -> impl Strategy<Value = Request> {
    let name = prop_oneof![Just("a".to_owned()), Just("b".to_owned()), Just("nobody".to_owned())];
    prop_oneof![
        1 => Just(Request::Version),
        3 => name.clone().prop_map(|name| Request::Register { name }),
        3 => name.prop_map(|name| Request::Connect { name }),
        5 => any::<bool>().prop_map(|named| Request::Spawn(Spawn {
            handles: if named { vec!["in".into()] } else { vec![] },
            ..child("child")
        })),
        2 => (pid(), any::<bool>()).prop_map(|(pid, bad)| Request::Kill { pid, status: i64::from(bad) }),
        4 => pid().prop_map(|pid| Request::Wait { pid }),
        1 => pid().prop_map(|pid| Request::OpenProcess { pid }),
        1 => pid().prop_map(|after| Request::List { after }),
        1 => Just(Request::OpenFile { path: "etc/motd".into() }),
        1 => Just(Request::OnPowerOff),
        1 => Just(Request::Drained),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    let handle = proptest::option::of(prop_oneof![
        Just(What::Service(1)),
        Just(What::Notification(1)),
        Just(What::Junk)
    ]);
    let rarely = || proptest::bool::weighted(0.1);
    prop_oneof![
        12 => (pid(), request(), handle, rarely(), rarely()).prop_map(
            |(caller, request, handle, deaf, full)| Step::Ask { caller, request, handle, deaf, full }
        ),
        3 => (0usize..16, any::<bool>()).prop_map(|(index, bad)| Step::Die { index, bad }),
        3 => Just(Step::Notice),
        2 => (0u64..40).prop_map(Step::Pass),
        1 => rarely().prop_map(Step::FailSpawns),
    ]
}

fn boot() -> Machine {
    let restart = Restart::OnFailure(Backoff { first_ms: 5, longest_ms: 20, limit: 4, settled_ms: 30 });
    let children_quota = CHILDREN * (COST + (1 << 20));
    Machine::boot(vec![
        Entry { restart, children_quota, ..server("a") },
        Entry { restart, operator: true, ..server("b") },
        Entry { after: vec!["a".into()], restart, ..parent("c", CHILDREN) },
    ])
}

/// What must hold between two steps.
fn holds(m: &Machine, asked: &BTreeMap<u64, u32>) {
    let state = m.world.0.borrow();
    let alive: Vec<&Body> = state.bodies.iter().filter(|body| body.ended.is_none()).collect();
    let children = alive.iter().filter(|body| body.name == "child").count() as u64;
    assert!(children <= 2 * CHILDREN, "{children} children of two parents with room for {CHILDREN}");
    for name in ["a", "b", "c"] {
        assert!(alive.iter().filter(|body| body.name == name).count() <= 1, "{name} runs twice");
    }
    // Whoever asked, lives and is there to listen is answered, or init knows that it waits.
    let unanswered = asked.iter().filter(|(token, caller)| {
        !state.answers.contains_key(token)
            && !state.gone.contains(token)
            && alive.iter().any(|body| body.pid == **caller)
    });
    assert!(unanswered.count() <= m.waiting(), "a request was lost");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn nobody_is_forgotten_and_nothing_is_kept(steps in proptest::collection::vec(step(), 0..120)) {
        let mut m = boot();
        let mut asked = BTreeMap::new();
        for step in steps {
            match step {
                Step::Ask { caller, request, handle, deaf, full } => {
                    let token = m.next_token();
                    if deaf { m.world.0.borrow_mut().gone.insert(token); }
                    if full { m.world.0.borrow_mut().full.insert(token); }
                    m.ask_with(caller, request, handle.into_iter().collect());
                    asked.insert(token, caller);
                }
                Step::Die { index, bad } => {
                    let alive = m.world.0.borrow().bodies.iter().filter(|b| b.ended.is_none())
                        .map(|body| body.pid).nth(index);
                    if let Some(pid) = alive {
                        m.die(pid, if bad { FAULT } else { OK });
                    }
                }
                Step::Notice => m.notice(),
                Step::Pass(ms) => m.pass(ms),
                Step::FailSpawns(fail) => m.world.0.borrow_mut().fail = fail.then(no_memory),
            }
            holds(&m, &asked);
        }

        // Everybody ends well: nothing is started again, and nothing of anybody is left.
        loop {
            m.notice();
            let alive = m.world.0.borrow().bodies.iter().find(|b| b.ended.is_none()).map(|body| body.pid);
            match alive {
                Some(pid) => m.end(pid, OK),
                None if m.init.deadline() != abi::limits::FOREVER => drop(m.pass_to_deadline()),
                None => break,
            }
        }
        prop_assert_eq!((m.processes(), m.waiting()), (0, 0));
        prop_assert_eq!(m.world.0.borrow().open, 0, "handles are left");
    }

    #[test]
    fn every_end_is_told_to_whoever_waits(order in Just((0..6usize).collect::<Vec<_>>()).prop_shuffle()) {
        let mut m = Machine::boot(vec![parent("c", 6)]);
        let c = m.world.pid("c").unwrap();
        let children: Vec<u32> = (0..6).map(|_| m.spawn(c, "child").unwrap()).collect();
        let tokens: Vec<u64> = children.iter().map(|&pid| m.ask(c, Request::Wait { pid })).collect();
        for &index in &order {
            prop_assert_eq!(m.world.answer(tokens[index]), None);
            let status = init_protocol::status::ExitStatus::Exited(index as i64);
            m.end(children[index], status);
            prop_assert_eq!(m.world.answer(tokens[index]), Some(Ok((Reply::Ended(status), None))));
        }
        prop_assert_eq!((m.processes(), m.waiting()), (1, 0));
    }
}

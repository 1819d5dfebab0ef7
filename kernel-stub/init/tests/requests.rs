//! What may be asked, by whom, and what is answered.

mod world;

use abi::error::{
    E2BIG, EAGAIN, EBADMSG, EDEADLK, EDQUOT, EEXIST, EINVAL, EMFILE, ENAMETOOLONG, ENOENT, ENOMEM, EPERM,
    ESRCH, Error,
};
use init_protocol::{
    VERSION,
    limits::{CHILDREN, ENDED, LISTED, START_DATA, START_HANDLES, WAITING},
    manifest::{Entry, Kind},
    request::{Counters, Reply, Request, Spawn},
};
use world::*;

fn shell(children: u64) -> (Machine, u32) {
    let m = Machine::boot(vec![server("tty"), parent("shell", children)]);
    let shell = m.world.pid("shell").unwrap();
    (m, shell)
}

#[test]
fn only_live_processes_are_answered() {
    let (mut m, shell) = shell(0);
    assert_eq!(m.get(shell, Request::Version), Ok((Reply::Version(VERSION), None)));
    for nobody in [0, 1, 77] {
        assert_eq!(m.errno(nobody, Request::Version), EPERM);
    }
    let token = m.next_token();
    m.init.asked(u64::from(shell) | 1 << 32, token, Ok(Request::Version), vec![]);
    assert_eq!(m.world.answer(token).unwrap(), Err(Error::new(EPERM)), "a badge beyond all pids");
    let shell_dies = shell;
    m.end(shell_dies, OK);
    m.world.0.borrow_mut().answers.clear();
    assert_eq!(m.errno(shell, Request::Version), EPERM);
}

#[test]
fn what_cannot_be_read_is_answered_and_its_handles_closed() {
    let (mut m, shell) = shell(0);
    let open = m.world.0.borrow().open;
    let junk = vec![m.world.handle(What::Junk), m.world.handle(What::Service(3))];
    m.init.asked(u64::from(shell), 900, Err(Error::new(EBADMSG)), junk);
    assert_eq!(m.world.answer(900).unwrap(), Err(Error::new(EBADMSG)));
    m.ask_with(shell, Request::Version, vec![What::Junk, What::Junk]);
    assert_eq!(m.world.0.borrow().open, open);
}

#[test]
fn registering_is_for_providers_and_for_endpoints() {
    let (mut m, shell) = shell(1);
    let tty = m.world.pid("tty").unwrap();
    let errno = |answer: Answer| answer.unwrap_err().errno;
    assert_eq!(errno(m.register(shell, "tty", 1)), EPERM, "somebody else's service");
    assert_eq!(errno(m.register(tty, "disk", 1)), EPERM, "nobody's service");
    assert_eq!(errno(m.register(tty, &"x".repeat(65), 1)), ENAMETOOLONG);
    let register = || Request::Register { name: "tty".into() };
    assert_eq!(m.errno(tty, register()), EINVAL, "no handle");
    let token = m.ask_with(tty, register(), vec![What::Junk, What::Service(1)]);
    assert_eq!(m.world.answer(token).unwrap(), invalid(), "not an endpoint in slot 0");
    m.register(tty, "tty", 1).unwrap();
    assert_eq!(errno(m.register(tty, "tty", 2)), EEXIST);
    let token = m.connect(shell, "tty");
    assert_eq!(m.world.answer(token), Some(Ok((Reply::Done, Some(What::Service(1))))));
}

#[test]
fn a_child_of_a_provider_does_not_provide() {
    let mut m = Machine::boot(vec![Entry { children_quota: 1 << 30, ..server("tty") }]);
    let tty = m.world.pid("tty").unwrap();
    let child = m.spawn(tty, "child").unwrap();
    assert_eq!(m.register(child, "tty", 1).unwrap_err().errno, EPERM);
}

#[test]
fn connect_to_what_nobody_provides() {
    let (mut m, shell) = shell(0);
    assert_eq!(m.errno(shell, Request::Connect { name: "disk".into() }), ENOENT);
    assert_eq!(m.errno(shell, Request::Connect { name: "d".repeat(65) }), ENAMETOOLONG);
}

#[test]
fn connects_wait_in_order() {
    let (mut m, shell) = shell(0);
    let (first, second) = (m.connect(shell, "tty"), m.connect(shell, "tty"));
    m.world.0.borrow_mut().gone.insert(first);
    let tty = m.world.pid("tty").unwrap();
    m.register(tty, "tty", 4).unwrap();
    assert_eq!(m.world.answer(first), None, "who is gone is not answered");
    assert_eq!(m.world.answer(second), Some(Ok((Reply::Done, Some(What::Service(4))))));
    assert_eq!(m.waiting(), 0);
}

#[test]
fn wait_tells_the_status_once() {
    let (mut m, shell) = shell(2);
    let (a, b) = (m.spawn(shell, "a").unwrap(), m.spawn(shell, "b").unwrap());
    let early = m.ask(shell, Request::Wait { pid: a });
    assert_eq!(m.world.answer(early), None);
    m.end(a, BAD);
    assert_eq!(m.world.answer(early), Some(Ok((Reply::Ended(BAD), None))));
    assert_eq!(m.errno(shell, Request::Wait { pid: a }), ESRCH);
    m.end(b, FAULT);
    assert_eq!(m.get(shell, Request::Wait { pid: b }), Ok((Reply::Ended(FAULT), None)));
    assert_eq!(m.errno(shell, Request::Wait { pid: b }), ESRCH);
    assert!(m.world.log().contains("b (pid 5) killed by page fault"));
}

#[test]
fn an_answer_that_nobody_heard_is_kept() {
    let (mut m, shell) = shell(1);
    let child = m.spawn(shell, "child").unwrap();
    let gone = m.ask(shell, Request::Wait { pid: child });
    m.world.0.borrow_mut().gone.insert(gone);
    m.end(child, BAD);
    assert_eq!(m.get(shell, Request::Wait { pid: child }), Ok((Reply::Ended(BAD), None)));
}

#[test]
fn a_wait_for_oneself_and_for_strangers() {
    let (mut m, shell) = shell(2);
    let tty = m.world.pid("tty").unwrap();
    assert_eq!(m.errno(shell, Request::Wait { pid: shell }), EDEADLK);
    let a = m.spawn(shell, "a").unwrap();
    let b = m.spawn(a, "b").unwrap();
    for request in [
        |pid| Request::Wait { pid },
        |pid| Request::Kill { pid, status: 1 },
        |pid| Request::OpenProcess { pid },
    ] {
        assert_eq!(m.errno(shell, request(tty)), EPERM);
        assert_eq!(m.errno(b, request(a)), EPERM, "a child of its parent");
        assert_eq!(m.errno(tty, request(a)), EPERM);
        assert_eq!(m.errno(shell, request(1)), ESRCH, "init");
        assert_eq!(m.errno(shell, request(9999)), ESRCH);
    }
    assert_eq!(m.get(shell, Request::OpenProcess { pid: b }), Ok((Reply::Done, Some(What::Watch(3)))));
    m.get(shell, Request::Kill { pid: b, status: 5 }).unwrap();
    m.notice();
    assert_eq!(m.errno(shell, Request::Kill { pid: b, status: 5 }), ESRCH);
    assert_eq!(m.errno(shell, Request::OpenProcess { pid: b }), ESRCH);
    assert_eq!(m.world.pid("a"), Some(a));
}

#[test]
fn an_operator_may_end_anybody_but_its_children_may_not() {
    let op = Entry { operator: true, ..parent("op", 1) };
    let mut m = Machine::boot(vec![server("tty"), op]);
    let (tty, op) = (m.world.pid("tty").unwrap(), m.world.pid("op").unwrap());
    let child = m.spawn(op, "child").unwrap();
    assert_eq!(m.errno(child, Request::Kill { pid: tty, status: 1 }), EPERM);
    assert_eq!(m.errno(child, Request::PowerOff { status: 1 }), EPERM);
    m.get(op, Request::Kill { pid: tty, status: 1 }).unwrap();
    m.notice();
    assert_eq!(m.world.pid("tty"), None);
}

#[test]
fn power_off_is_not_for_everybody() {
    let (mut m, shell) = shell(0);
    assert_eq!(m.errno(shell, Request::PowerOff { status: 0 }), EPERM);
    let token = m.ask_with(shell, Request::OnPowerOff, vec![What::Notification(1)]);
    assert_eq!(m.world.answer(token).unwrap(), Err(Error::new(EPERM)));
    let tty = m.world.pid("tty").unwrap();
    let token = m.ask_with(tty, Request::OnPowerOff, vec![What::Service(1)]);
    assert_eq!(m.world.answer(token).unwrap(), invalid());
    assert_eq!(m.world.0.borrow().off, None);
}

#[test]
fn spawn_is_checked() {
    let (mut m, shell) = shell(1);
    let mut errno = |change: &dyn Fn(&mut Spawn)| {
        let mut spawn = child("child");
        change(&mut spawn);
        m.errno(shell, Request::Spawn(spawn))
    };
    assert_eq!(errno(&|s| s.file = "etc/motd".into()), ENOENT);
    assert_eq!(errno(&|s| s.file = "x".repeat(233)), ENAMETOOLONG);
    assert_eq!(errno(&|s| s.name = "x".repeat(65)), ENAMETOOLONG);
    assert_eq!(errno(&|s| s.name = "two\nlines".into()), EINVAL);
    assert_eq!(errno(&|s| s.args = vec![String::new(); 65]), E2BIG);
    assert_eq!(errno(&|s| s.args = vec!["x".repeat(8193)]), E2BIG);
    assert_eq!(errno(&|s| s.env = vec![("x".repeat(8000), "y".repeat(193))]), E2BIG);
    assert_eq!(errno(&|s| s.quota = 0), EINVAL);
    assert_eq!(errno(&|s| s.quota = u64::MAX), EDQUOT);
    assert_eq!(errno(&|s| s.quota = (1 << 20) + 1), EDQUOT);
    assert_eq!(errno(&|s| s.priority = 21), EPERM);
    assert_eq!(errno(&|s| s.handles = vec!["stdin".into()]), EINVAL, "a name without a handle");
    assert_eq!(m.world.starts("child"), 0);
    let token = m.ask_with(shell, Request::Spawn(child("child")), vec![What::Junk]);
    assert_eq!(m.world.answer(token).unwrap(), invalid(), "a handle without a name");
    let with_handle = Spawn { name: String::new(), handles: vec!["in".into()], ..child("") };
    let token = m.ask_with(shell, Request::Spawn(with_handle), vec![What::Junk]);
    m.world.answer(token).unwrap().unwrap();
    assert_eq!(m.world.0.borrow().bodies.last().unwrap().handles, ["in"]);
    assert_eq!(m.world.starts("child"), 1, "the file's name is the default");
}

#[test]
fn what_is_given_goes_with_the_next_program_or_with_its_giver() {
    let (mut m, shell) = shell(9);
    let give = |m: &mut Machine, afresh, names: &[&str], handles, data: &[u8]| {
        let names: Vec<String> = names.iter().map(|&name| name.into()).collect();
        let request = Request::Give { afresh, names, data: data.to_vec() };
        let token = m.ask_with(shell, request, vec![What::Junk; handles]);
        m.world.answer(token).unwrap().map(drop)
    };
    let started = |m: &Machine| {
        let state = m.world.0.borrow();
        let body = state.bodies.last().unwrap();
        (body.handles.clone(), body.data.clone())
    };
    assert_eq!(give(&mut m, true, &["a", "b"], 2, b"x"), Ok(()));
    assert_eq!(give(&mut m, false, &["c"], 1, b"yz"), Ok(()));
    assert_eq!(give(&mut m, false, &["d"], 0, b""), Err(Error::new(EINVAL)));
    m.spawn(shell, "one").unwrap();
    assert_eq!(started(&m), (vec!["a".to_owned(), "b".into(), "c".into()], b"xyz".to_vec()));
    m.spawn(shell, "two").unwrap();
    assert_eq!(started(&m), (vec![], vec![]));
    // Too much is refused, and what is there stays; what is refused to be started has had it.
    let names = ["n"; START_HANDLES];
    assert_eq!(give(&mut m, true, &names, START_HANDLES, b""), Ok(()));
    assert_eq!(give(&mut m, false, &["one"], 1, b""), Err(Error::new(E2BIG)));
    assert_eq!(give(&mut m, false, &[], 0, &[0; START_DATA + 1]), Err(Error::new(E2BIG)));
    m.spawn(shell, "three").unwrap();
    assert_eq!(started(&m).0.len(), START_HANDLES);
    assert_eq!(give(&mut m, true, &["a"], 1, b"x"), Ok(()));
    m.ask(shell, Request::Spawn(Spawn { quota: 0, ..child("child") }));
    m.spawn(shell, "four").unwrap();
    assert_eq!(started(&m), (vec![], vec![]));
    assert_eq!(give(&mut m, true, &["a"], 1, b"x"), Ok(()));
    assert_eq!(give(&mut m, true, &[], 0, b""), Ok(()));
    m.spawn(shell, "five").unwrap();
    assert_eq!(started(&m), (vec![], vec![]));
}

#[test]
fn the_budget_of_children_comes_back_when_they_end() {
    let (mut m, shell) = shell(2);
    let a = m.spawn(shell, "a").unwrap();
    let b = m.spawn(a, "b").unwrap();
    assert_eq!(m.spawn(shell, "c").unwrap_err().errno, EDQUOT);
    assert_eq!(m.spawn(b, "c").unwrap_err().errno, EDQUOT, "descendants use the same budget");
    m.end(b, OK);
    let c = m.spawn(shell, "c").unwrap();
    m.end(a, OK);
    m.end(c, OK);
    m.spawn(shell, "d").unwrap();
    m.spawn(shell, "e").unwrap();
    assert_eq!(m.spawn(shell, "f").unwrap_err().errno, EDQUOT);
    let log = m.world.log();
    assert_eq!(log.matches("is not started for shell").count(), 1, "once: {log}");
    assert!(log.contains("children_quota") && log.contains("2 of"), "{log}");
}

#[test]
fn a_machine_without_memory_for_a_child_says_so() {
    let (mut m, shell) = shell(2);
    m.world.0.borrow_mut().fail = Some(no_memory());
    for _ in 0..2 {
        assert_eq!(m.spawn(shell, "a").unwrap_err().errno, ENOMEM);
    }
    let log = m.world.log();
    assert_eq!(log.matches("the machine has not that much memory left").count(), 1, "{log}");
}

#[test]
fn a_child_that_nobody_heard_of_is_ended() {
    for deaf in [true, false] {
        let (mut m, shell) = shell(1);
        let token = m.next_token();
        let mut state = m.world.0.borrow_mut();
        if deaf {
            state.gone.insert(token)
        } else {
            state.full.insert(token)
        };
        drop(state);
        m.ask(shell, Request::Spawn(child("child")));
        if !deaf {
            assert_eq!(m.world.answer(token).unwrap(), Err(Error::new(EMFILE)));
        }
        m.notice();
        assert_eq!(m.world.pid("child"), None);
        m.spawn(shell, "another").unwrap();
    }
}

#[test]
fn a_child_without_a_handle_for_its_parent_is_ended() {
    let (mut m, shell) = shell(1);
    m.world.0.borrow_mut().no_handles = true;
    assert_eq!(m.errno(shell, Request::Spawn(child("child"))), EMFILE);
    m.notice();
    assert_eq!(m.world.pid("child"), None);
}

#[test]
fn children_have_a_number_too() {
    let (mut m, shell) = shell(10_000);
    let pids: Vec<u32> = (0..CHILDREN).map(|_| m.spawn(shell, "child").unwrap()).collect();
    assert_eq!(m.spawn(shell, "child").unwrap_err().errno, EDQUOT);
    m.end(pids[100], OK);
    m.spawn(shell, "child").unwrap();
    assert_eq!(m.spawn(shell, "child").unwrap_err().errno, EDQUOT);
}

#[test]
fn only_the_parents_wait_takes_the_status() {
    for early in [true, false] {
        let (mut m, shell) = shell(2);
        let a = m.spawn(shell, "a").unwrap();
        let b = m.spawn(a, "b").unwrap();
        let token = early.then(|| m.ask(shell, Request::Wait { pid: b }));
        m.end(b, BAD);
        let token = token.unwrap_or_else(|| m.ask(shell, Request::Wait { pid: b }));
        let ended = Ok((Reply::Ended(BAD), None));
        assert_eq!(m.world.answer(token), Some(ended.clone()), "the grandparent");
        assert_eq!(m.get(a, Request::Wait { pid: b }), ended);
        assert_eq!(m.errno(a, Request::Wait { pid: b }), ESRCH);
    }
}

#[test]
fn a_dead_callers_connect_is_forgotten() {
    let (mut m, shell) = shell(0);
    let token = m.connect(shell, "tty");
    assert_eq!(m.waiting(), 1);
    m.end(shell, OK);
    assert_eq!(m.waiting(), 0);
    let tty = m.world.pid("tty").unwrap();
    m.register(tty, "tty", 1).unwrap();
    assert_eq!(m.world.answer(token), None);
}

#[test]
fn statuses_of_many_children_are_kept_within_limits() {
    let (mut m, shell) = shell(4);
    let old = m.spawn(shell, "old").unwrap();
    let mut pids = vec![];
    for _ in 0..ENDED + 10 {
        let pid = m.spawn(shell, "child").unwrap();
        m.end(pid, OK);
        pids.push(pid);
    }
    assert_eq!(m.processes(), 2 + 1 + ENDED);
    m.end(old, BAD);
    assert_eq!(m.get(shell, Request::Wait { pid: old }), Ok((Reply::Ended(BAD), None)), "ended last");
    assert_eq!(m.errno(shell, Request::Wait { pid: pids[0] }), ESRCH);
    let newest = *pids.last().unwrap();
    assert_eq!(m.get(shell, Request::Wait { pid: newest }), Ok((Reply::Ended(OK), None)));
    m.end(shell, OK);
    assert_eq!(m.processes(), 1);
}

#[test]
fn too_many_waits_answer_the_oldest() {
    let (mut m, shell) = shell(1);
    let child = m.spawn(shell, "child").unwrap();
    let tokens: Vec<u64> = (0..WAITING + 2).map(|_| m.ask(shell, Request::Wait { pid: child })).collect();
    for (index, &token) in tokens.iter().enumerate() {
        let expected = (index < 2).then_some(Err(Error::new(EAGAIN)));
        assert_eq!(m.world.answer(token), expected, "{index}");
    }
    assert_eq!(m.waiting(), WAITING);
    m.end(shell, OK);
    assert_eq!(m.waiting(), 0, "waits of the dead are forgotten");
}

#[test]
fn the_list_comes_in_parts() {
    let (mut m, shell) = shell(100);
    for _ in 0..40 {
        m.spawn(shell, "child").unwrap();
    }
    let mut seen = vec![];
    loop {
        let after = seen.last().copied().unwrap_or(0);
        let Ok((Reply::Processes(part), None)) = m.get(shell, Request::List { after }) else { panic!() };
        assert!(part.len() <= LISTED);
        assert!(
            postcard::to_allocvec(&Reply::Processes(part.clone())).unwrap().len() <= abi::message::MAX_BYTES
        );
        if part.is_empty() {
            break;
        }
        seen.extend(part.iter().map(|process| process.pid));
    }
    assert_eq!(seen, (2..=43).collect::<Vec<u32>>());
    assert_eq!(m.get(shell, Request::List { after: u32::MAX }), Ok((Reply::Processes(vec![]), None)));
}

#[test]
fn the_longest_list_fits_a_message() {
    let line = init_protocol::request::Process {
        pid: u32::MAX,
        parent: u32::MAX,
        name: "x".repeat(64),
        ended: Some(init_protocol::status::ExitStatus::Faulted {
            vector: u32::MAX,
            error: u64::MAX,
            address: u64::MAX,
            instruction: u64::MAX,
        }),
    };
    let reply = Reply::Processes(vec![line; LISTED]);
    assert!(postcard::to_allocvec(&reply).unwrap().len() <= abi::message::MAX_BYTES);
}

#[test]
fn files() {
    let mut m = Machine::boot(vec![entry("app", Kind::Application)]);
    let app = m.world.pid("app").unwrap();
    let open = |path: &str| Request::OpenFile { path: path.into() };
    assert_eq!(m.get(app, open("etc/motd")), Ok((Reply::File { length: 5 }, Some(What::File))));
    assert_eq!(m.errno(app, open("../etc")), ENOENT);
    assert_eq!(m.errno(app, open(&"x".repeat(233))), ENAMETOOLONG);
}

#[test]
fn counters_count() {
    let (mut m, shell) = shell(1);
    let child = m.spawn(shell, "child").unwrap();
    m.spawn(shell, "another").unwrap_err();
    m.world.0.borrow_mut().fail = Some(no_memory());
    m.ask(shell, Request::Wait { pid: child });
    for _ in 0..WAITING {
        m.connect(shell, "tty");
    }
    m.end(child, FAULT);
    m.spawn(shell, "third").unwrap_err();
    let expected = Counters {
        requests: 5 + WAITING as u64,
        refused: 2,
        displaced: 1,
        started: 3,
        ended: 1,
        faulted: 1,
        unstarted: 1,
        restarted: 0,
        hung: 0,
        processes: 3,
        waiting: WAITING as u64,
    };
    assert_eq!(m.get(shell, Request::Counters), Ok((Reply::Counters(expected), None)));
}

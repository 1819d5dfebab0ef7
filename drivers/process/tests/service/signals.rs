//! Signals, and who may send them.

use crate::family::{ME, OWN, STREAM, ended, kill, service, watch};
use abi::error::{EINVAL, ENOSYS, EPERM, ESRCH, Error};
use init_protocol::status::SIGNALED;
use process::service::{Effect, Opened, Service};
use process_protocol::signal::{SIGCHLD, SIGKILL, SIGSTOP, SIGTERM, SIGUSR1, SIGUSR2};
use process_protocol::{Request, SignalSet, note};

#[test]
fn watching_and_signalling_are_for_the_family_and_for_operators() {
    let mut service = service();
    for (pid, verdict) in [(10, Ok(())), (12, Ok(())), (20, Err(EPERM)), (1, Err(EPERM)), (0, Err(ESRCH))] {
        assert_eq!(watch(&mut service, pid, note::EXIT), verdict, "{pid}");
        assert_eq!(kill(&mut service, pid, 0), verdict, "{pid}");
    }
    service.open(OWN + 1, 30, Opened::Own).unwrap();
    service.ask(OWN + 1, &Request::Kill { pid: 20, signal: 0 }).unwrap();
    // A process may signal itself, and its elders.
    service.open(OWN + 2, 12, Opened::Own).unwrap();
    service.ask(OWN + 2, &Request::Kill { pid: 10, signal: 0 }).unwrap();
}

#[test]
fn requests_are_for_their_files() {
    let mut service = service();
    let on =
        |service: &mut Service<u32>, file, request| service.ask(file, &request).map_err(|error| error.errno);
    assert_eq!(on(&mut service, STREAM, Request::Take), Err(EINVAL));
    assert_eq!(on(&mut service, OWN, Request::Unwatch { pid: 11 }), Err(EINVAL));
    assert_eq!(watch(&mut service, 11, note::CHILD), Err(EINVAL));
    assert_eq!((kill(&mut service, 11, 65), kill(&mut service, 11, SIGSTOP)), (Err(EINVAL), Err(ENOSYS)));
    assert_eq!(service.open(7, 99, Opened::Own), Err(Error::new(ESRCH)));
    for signal in [0, 65, 255] {
        assert_eq!(service.open(7, ME, Opened::Attempts(signal)), Err(Error::new(EINVAL)));
    }
    assert_eq!(service.effects(), []);
}

#[test]
fn default_actions_end_the_process_or_come_to_nothing() {
    let mut service = service();
    kill(&mut service, 11, SIGTERM).unwrap();
    kill(&mut service, 11, SIGCHLD).unwrap();
    assert_eq!(service.effects(), [Effect::End { pid: 11, signal: SIGTERM }]);
    service.happened(&ended(11, SIGNALED + 15));
    service.effects();
    kill(&mut service, 11, SIGKILL).unwrap();
    assert_eq!(service.effects(), [], "it has ended: there is nobody to end");
}

#[test]
fn told_signals_wait_until_they_are_taken() {
    let mut service = service();
    let told = SignalSet::of(SIGUSR1).union(SignalSet::of(SIGUSR2));
    service.ask(OWN, &Request::Dispose { ignored: SignalSet::EMPTY, told }).unwrap();
    service.effects();
    kill(&mut service, ME, SIGUSR2).unwrap();
    assert_eq!(service.effects(), [Effect::Level { file: OWN, more: true }]);
    kill(&mut service, ME, SIGUSR1).unwrap();
    assert_eq!(service.level(OWN), 2);
    assert_eq!(service.ask(OWN, &Request::Take), Ok(told));
    assert_eq!((service.level(OWN), service.ask(OWN, &Request::Take)), (0, Ok(SignalSet::EMPTY)));
    service.ask(OWN, &Request::Default { signal: SIGUSR1 }).unwrap();
    assert!(service.effects().contains(&Effect::End { pid: ME, signal: SIGUSR1 }));
}

#[test]
fn a_child_that_ends_sends_sigchld() {
    let mut service = service();
    service.open(300, ME, Opened::Attempts(SIGCHLD)).unwrap();
    service.happened(&ended(11, 0));
    service.happened(&ended(20, 0));
    assert_eq!(service.effects(), [Effect::Attempt(300)]);
}

#[test]
fn r28_attempts_count_whatever_becomes_of_the_signal() {
    let mut service = service();
    service.open(300, 11, Opened::Attempts(SIGUSR1)).unwrap();
    service.open(301, 11, Opened::Attempts(SIGUSR2)).unwrap();
    service.open(302, 12, Opened::Attempts(SIGUSR1)).unwrap();
    service.open(303, 11, Opened::Own).unwrap();
    let usr1 = SignalSet::of(SIGUSR1);
    for (ignored, told) in
        [(usr1, SignalSet::EMPTY), (SignalSet::EMPTY, usr1), (SignalSet::EMPTY, SignalSet::EMPTY)]
    {
        service.ask(303, &Request::Dispose { ignored, told }).unwrap();
        service.effects();
        kill(&mut service, 11, SIGUSR1).unwrap();
        let attempts: Vec<_> =
            service.effects().into_iter().filter(|effect| matches!(effect, Effect::Attempt(_))).collect();
        assert_eq!(attempts, [Effect::Attempt(300)], "ignored {ignored:?}, told {told:?}");
    }
    kill(&mut service, 11, 0).unwrap();
    assert_eq!(service.effects(), [], "number 0 is no attempt");
}

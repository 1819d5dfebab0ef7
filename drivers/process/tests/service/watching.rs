//! What is told of processes that are watched.

use crate::family::{ALL, STREAM, born, ended, read, record, service, watch};
use abi::error::{ENOENT, ENOMEM, ESRCH, Error};
use init_protocol::request::Event;
use init_protocol::status::SIGNALED;
use process::service::{Opened, Service};
use process_protocol::{MAX_WATCHED, MAX_WATCHED_BY_ALL, Record, Request, note};

#[test]
fn r29_an_end_is_told_with_its_wait_status() {
    let mut service = service();
    watch(&mut service, 11, note::EXIT).unwrap();
    watch(&mut service, 12, note::EXIT).unwrap();
    service.happened(&ended(12, 3));
    service.happened(&ended(11, SIGNALED + 9));
    assert_eq!(read(&mut service), [record(12, note::EXIT, 0x300), record(11, note::EXIT, 9)]);
    assert_eq!(read(&mut service), []);
}

#[test]
fn r29_one_that_has_ended_and_was_not_waited_for_still_fires() {
    let mut service = service();
    service.happened(&ended(11, 7));
    watch(&mut service, 11, note::EXIT).unwrap();
    assert_eq!(read(&mut service), [record(11, note::EXIT, 0x700)]);
}

#[test]
fn r29_no_such_process_is_esrch() {
    let mut service = service();
    assert_eq!(watch(&mut service, 99, note::EXIT), Err(ESRCH));
    service.happened(&ended(11, 7));
    service.happened(&Event::Forgotten { pid: 11 });
    assert_eq!(watch(&mut service, 11, note::EXIT), Err(ESRCH));
}

#[test]
fn r29_an_end_that_was_not_asked_for_is_silent_and_frees_the_watch() {
    let mut service = service();
    watch(&mut service, 11, note::FORK).unwrap();
    service.effects();
    service.happened(&ended(11, 7));
    assert_eq!(service.effects(), [], "SIGCHLD is for nobody who counts it");
    assert_eq!((read(&mut service), service.load().2), (vec![], 0));
}

#[test]
fn r30_a_child_is_watched_from_its_birth_though_nobody_has_looked() {
    let mut service = service();
    watch(&mut service, 11, ALL).unwrap();
    // Born, started a child of its own, both dead, all forgotten before the first look.
    for event in [born(50, 11, 1), born(51, 50, 1), ended(51, 1), ended(50, 2)] {
        service.happened(&event);
    }
    for pid in [51, 50] {
        service.happened(&Event::Forgotten { pid });
    }
    assert_eq!(
        read(&mut service),
        [
            record(11, note::FORK, 0),
            record(50, note::CHILD, 11),
            record(50, note::EXEC | note::FORK | note::EXIT, 0x200),
            record(51, note::CHILD, 50),
            record(51, note::EXEC | note::EXIT, 0x100),
        ]
    );
    assert_eq!(service.load().2, 1, "only the one that lives is still watched");
}

#[test]
fn r30_children_of_one_that_is_not_tracked_are_nobodys() {
    let mut service = service();
    watch(&mut service, 11, note::FORK | note::EXIT).unwrap();
    service.happened(&born(50, 11, 1));
    service.happened(&ended(50, 0));
    assert_eq!(read(&mut service), [record(11, note::FORK, 0)]);
}

#[test]
fn r30_a_child_that_cannot_be_watched_is_a_trackerr_of_its_parent() {
    let mut service = service();
    watch(&mut service, 11, note::TRACK | note::EXIT).unwrap();
    for pid in 1000..1000 + MAX_WATCHED as u32 - 1 {
        service.happened(&born(pid, 10, 1));
        watch(&mut service, pid, note::EXIT).unwrap();
    }
    assert_eq!(watch(&mut service, 12, note::EXIT), Err(ENOMEM), "R55");
    service.happened(&born(50, 11, 1));
    service.happened(&ended(50, 0));
    assert_eq!(read(&mut service), [record(11, note::TRACKERR, 0)]);
    // There is room again: the next one is followed.
    service.ask(STREAM, &Request::Unwatch { pid: 1000 }).unwrap();
    service.happened(&born(51, 11, 1));
    assert_eq!(read(&mut service), [record(51, note::CHILD, 11)]);
}

#[test]
fn r55_one_process_cannot_take_all_the_room() {
    let mut service = service();
    let watch_many = |service: &mut Service<u32>, streams: std::ops::Range<u32>, pid: u32| -> usize {
        let mut watched = 0;
        for stream in streams {
            service.open(1_000_000 + pid * 1000 + stream, pid, Opened::Stream).unwrap();
            for target in 1000..1000 + MAX_WATCHED as u32 / 2 {
                let request = Request::Watch { pid: target, what: note::EXIT };
                match service.ask(1_000_000 + pid * 1000 + stream, &request) {
                    Ok(_) => watched += 1,
                    Err(error) => assert_eq!(error.errno, ENOMEM),
                }
            }
        }
        watched
    };
    for target in 1000..1000 + MAX_WATCHED as u32 / 2 {
        service.happened(&born(target, 10, 1));
    }
    assert_eq!(watch_many(&mut service, 0..4, 11), MAX_WATCHED, "its own limit");
    assert_eq!(watch_many(&mut service, 0..1, 12), MAX_WATCHED / 2, "others have theirs");
    let all: usize = (1000..1020).map(|pid| watch_many(&mut service, 0..2, pid)).sum();
    assert_eq!(all + MAX_WATCHED * 3 / 2, MAX_WATCHED_BY_ALL, "together they have one too");
}

#[test]
fn r35_what_is_watched_no_longer_is_silent_at_once() {
    let mut service = service();
    watch(&mut service, 11, ALL).unwrap();
    service.happened(&born(50, 11, 1));
    for pid in [11, 50] {
        service.ask(STREAM, &Request::Unwatch { pid }).unwrap();
    }
    service.happened(&ended(50, 0));
    service.happened(&ended(11, 0));
    assert_eq!((read(&mut service), service.level(STREAM)), (vec![], 0));
    let again = service.ask(STREAM, &Request::Unwatch { pid: 50 });
    assert_eq!(again, Err(Error::new(ENOENT)));
}

#[test]
fn r59_a_million_births_are_one_record() {
    let mut service = service();
    watch(&mut service, 11, note::FORK).unwrap();
    for round in 0..10_000 {
        service.happened(&born(50 + round, 11, 1));
        service.happened(&ended(50 + round, 0));
        service.happened(&Event::Forgotten { pid: 50 + round });
    }
    assert_eq!((service.level(STREAM), read(&mut service)), (1, vec![record(11, note::FORK, 0)]));
}

#[test]
fn what_its_reader_did_not_get_is_read_by_the_next() {
    let mut service = service();
    watch(&mut service, 11, ALL).unwrap();
    service.happened(&born(50, 11, 1));
    service.happened(&ended(50, 2));
    for most in 0..5 {
        let taken = service.take(STREAM, most).unwrap();
        assert_eq!(taken.len(), most.min(3));
        service.put_back(STREAM);
        assert_eq!(service.level(STREAM), 3);
    }
    let one_by_one: Vec<Record> = (0..3).flat_map(|_| service.take(STREAM, 1).unwrap()).collect();
    assert_eq!(
        one_by_one,
        [record(11, note::FORK, 0), record(50, note::CHILD, 11), record(50, note::EXEC | note::EXIT, 0x200)]
    );
}

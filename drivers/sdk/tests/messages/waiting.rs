//! Opens and controls wait, too.

use crate::fake::Got;
use crate::office::bench;
use abi::error::{EAGAIN, EBADF, Error};
use abi::flag::O_RDWR;
use driver_sdk::{Control, ControlReply};

#[test]
fn opening_beside_a_file_waits_until_there_is_something() {
    let (mut bench, one, _) = bench();
    assert_eq!(bench.open_at(one, "next", O_RDWR, 1), Err(Error::new(EAGAIN)));
    assert_eq!(bench.engine.load(), (2, 0));
    let waits: Vec<u64> = (0..3).map(|_| bench.begin_open(Some(one), "next", O_RDWR, 1, 0)).collect();
    assert_eq!(bench.engine.load(), (5, 3));
    bench.control(one, Control::Listen(2)).unwrap();
    assert!(bench.opened(waits[0]).is_ok() && bench.opened(waits[1]).is_ok());
    assert_eq!(bench.got(waits[2]), None);
    // R51: who waits beside a file that is closed is told.
    bench.close(one);
    assert_eq!(bench.got(waits[2]), Some(Got::Errno(EBADF)));
    assert_eq!(bench.engine.load(), (3, 0));
}

#[test]
fn what_was_opened_for_the_dead_goes_back() {
    let (mut bench, one, _) = bench();
    let dead = bench.begin_open(Some(one), "next", O_RDWR, 1, 0);
    let alive = bench.begin_open(Some(one), "next", O_RDWR, 1, 0);
    // Its caller gave up; the client lives.
    bench.link().dead.insert(dead);
    bench.control(one, Control::Listen(1)).unwrap();
    assert!(bench.opened(alive).is_ok(), "its closing gave it back");
    assert_eq!(bench.engine.driver().opened.len(), 4);
    assert_eq!(bench.engine.driver().announced, 0);
}

#[test]
fn those_who_died_waiting_are_found() {
    let (mut bench, one, _) = bench();
    for client in 10..40 {
        bench.begin_open(Some(one), "next", O_RDWR, client, 0);
        bench.link().dead_clients.insert(client);
    }
    assert!(bench.engine.load().1 <= 8, "{:?}", bench.engine.load());
    bench.control(one, Control::Listen(9)).unwrap();
    assert_eq!(bench.engine.load(), (2, 0), "nothing was opened for them");
    assert_eq!(bench.engine.driver().announced, 9);
}

#[test]
fn controls_wait_too() {
    let (mut bench, one, _) = bench();
    let now = bench.begin_control(one, Control::Sync, 1);
    assert_eq!(bench.got(now), Some(Got::Errno(EAGAIN)));
    let waits = bench.begin_control(one, Control::Sync, 0);
    assert_eq!(bench.got(waits), None);
    bench.control(one, Control::Listen(3)).unwrap();
    assert_eq!(bench.got(waits), Some(Got::Control(ControlReply::Number(3))));
}

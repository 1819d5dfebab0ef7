//! The timer service as its clients see it.

#[path = "../../sdk/tests/fake/mod.rs"]
mod fake;

use abi::error::{EBADF, EINVAL, ENOENT, Error};
use abi::flag::{CLOCK_MONOTONIC, O_RDWR};
use driver_sdk::{Arm, Control, ControlReply, FileId};
use fake::{Bench, Got};
use timer::driver::Timers;

const MS: i64 = 1_000_000;

fn arm(first: i64, period: Option<i64>) -> Control {
    Control::Arm(Arm { first, period, absolute: false, clock: CLOCK_MONOTONIC as u32 })
}

struct Service(Bench<Timers>);

impl Service {
    fn new() -> Service {
        Service(Bench::new(Timers::new()))
    }

    fn open(&mut self) -> FileId {
        self.0.open("/dev/timer", O_RDWR, 1).expect("a timer")
    }

    fn arm(&mut self, file: FileId, first: i64, period: Option<i64>) {
        assert_eq!(self.0.control(file, arm(first, period)), Ok(ControlReply::Done));
    }

    fn at(&mut self, now: i64) {
        self.0.engine.set_time(now as u64);
        if self.0.engine.deadline() <= now as u64 {
            self.0.engine.expired();
        }
    }

    fn occurrences(&mut self, file: FileId) -> u64 {
        self.0.source(file).occurrences
    }
}

#[test]
fn r25_expirations_are_occurrences() {
    let mut service = Service::new();
    let (once, often) = (service.open(), service.open());
    service.arm(once, 2 * MS, None);
    service.arm(often, MS, Some(MS));
    assert_eq!(service.0.engine.deadline(), MS as u64);
    service.at(MS - 1);
    assert_eq!((service.occurrences(once), service.occurrences(often)), (0, 0), "never early");
    service.at(MS);
    assert_eq!((service.occurrences(once), service.occurrences(often)), (0, 1));
    service.at(10 * MS);
    assert_eq!((service.occurrences(once), service.occurrences(often)), (1, 10));
}

#[test]
fn an_idle_service_never_wakes() {
    let mut service = Service::new();
    let file = service.open();
    assert_eq!(service.0.engine.deadline(), u64::MAX);
    service.arm(file, MS, Some(MS));
    assert_eq!(service.0.control(file, Control::Disarm), Ok(ControlReply::Done));
    assert_eq!(service.0.engine.deadline(), u64::MAX);
    service.at(5 * MS);
    assert_eq!(service.occurrences(file), 0);
}

#[test]
fn r26_what_is_invalid_leaves_the_timer_as_it_was() {
    let mut service = Service::new();
    let file = service.open();
    service.arm(file, 3 * MS, None);
    assert_eq!(service.0.control(file, arm(-1, None)), Err(Error::new(EINVAL)));
    assert_eq!(service.0.control(file, Control::Available), Err(Error::new(EINVAL)));
    assert_eq!(service.0.engine.deadline(), 3 * MS as u64);
}

#[test]
fn a_closed_timer_does_not_run() {
    let mut service = Service::new();
    let (closed, open) = (service.open(), service.open());
    service.arm(closed, MS, Some(MS));
    service.arm(open, 5 * MS, None);
    service.0.close(closed);
    assert_eq!(service.0.engine.deadline(), 5 * MS as u64);
    assert_eq!(service.0.engine.driver().running(), 1);
    assert_eq!(service.0.control(closed, arm(MS, None)), Err(Error::new(EBADF)));
}

#[test]
fn r26_a_thousand_greedy_timers_leave_most_of_the_cpu_to_others() {
    let mut service = Service::new();
    let files: Vec<FileId> = (0..1000).map(|_| service.open()).collect();
    for &file in &files {
        service.arm(file, 0, Some(0));
    }
    service.0.link().post_takes = 5_000;
    let (mut now, mut worked) = (0, 0);
    for _ in 0..100 {
        service.0.link().clock.set(now);
        service.0.engine.set_time(now);
        service.0.engine.expired();
        let end = service.0.link().clock.get();
        worked += end - now;
        now = service.0.engine.deadline();
        assert!(now >= end);
    }
    assert!(worked <= now / 3 + 1, "{worked} of {now} ns");
    // All get their turn, and what they count is no less for the waiting.
    for &file in &files {
        assert!(service.occurrences(file) > now / 2);
    }
}

#[test]
fn it_is_no_file() {
    let mut service = Service::new();
    assert_eq!(service.0.open("/dev/tty", O_RDWR, 1), Err(Error::new(ENOENT)));
    let file = service.open();
    assert_eq!(service.0.try_read(file, 8), Got::Errno(EINVAL));
    assert_eq!(service.0.try_write(file, b"8"), Got::Errno(EINVAL));
}

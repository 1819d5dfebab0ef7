//! What the C programs in `tests/guest/c` do, in Rust: the outputs are compared.
#![no_std]
#![no_main]
#![forbid(unsafe_code)]

extern crate alloc;

mod devpoll;
mod epoll;
mod files;
mod kqueue;
mod poll;
mod pthread;
mod select;
mod signal;
mod socket;

use core::time::Duration;

use libkq::Result;
use libkq::flag::{O_NONBLOCK, O_RDWR};

rt::entry!(main);

const NOW: Option<Duration> = Some(Duration::ZERO);

/// A C program's name, and what it does.
type Twin = (&'static str, fn() -> Result<()>);

const TWINS: &[Twin] = &[
    ("devpoll", devpoll::run),
    ("epoll", epoll::run),
    ("files", files::run),
    ("kqueue", kqueue::run),
    ("poll", poll::run),
    ("pthread", pthread::run),
    ("select", select::run),
    ("signal", signal::run),
    ("socket", socket::run),
];

fn main(start: &rt::Start) -> i32 {
    let Some((_, run)) = TWINS.iter().find(|(name, _)| *name == start.arg(1)) else {
        rt::log!("no twin is called {}", start.arg(1));
        return 1;
    };
    rt::log!("begin");
    let ended = run();
    rt::log!("end");
    ended.map_or_else(|error| error.errno, |()| 0)
}

/// A file that gives back what is written to it.
fn open_template() -> Result<i32> {
    libkq::open("/dev/template", O_RDWR | O_NONBLOCK)
}

fn write_hello(fd: i32) -> Result<()> {
    libkq::write(fd, b"hello").map(|count| rt::log!("wrote {count}"))
}

/// How C's `%#x` writes a number.
fn hex(number: u32) -> alloc::string::String {
    if number == 0 { "0".into() } else { alloc::format!("{number:#x}") }
}

/// -1 and whether the error is this one, as the C programs tell of what must fail.
fn refused<T>(what: &str, result: Result<T>, errno: i32) {
    match result {
        Err(error) => rt::log!("{what} -1 {}", i32::from(error.errno == errno)),
        Ok(_) => rt::log!("{what} went well"),
    }
}

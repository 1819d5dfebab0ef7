//! The twin of `epoll.c`.

use alloc::string::String;

use libkq::{EpollEvent, EpollFlags, EpollOp, Result, epoll_create1, epoll_ctl, epoll_wait};
use rt::abi::error::{EFAULT, EINVAL, Error};

use crate::{NOW, hex, open_template, refused, write_hello};

fn told(what: &str, result: Result<()>) {
    match result {
        Ok(()) => rt::log!("{what} 0 0"),
        Err(error) => rt::log!("{what} -1 {}", error.errno),
    }
}

pub fn run() -> Result<()> {
    let (set, file) = (epoll_create1(libkq::epoll::CLOEXEC)?, open_template()?);
    let control = |what: &str, op, fd, events, data| {
        told(what, epoll_ctl(set, op, fd, EpollEvent::new(events, data)));
    };
    let wait = |what: &str, timeout| -> Result<()> {
        let mut events = [EpollEvent::default(); 4];
        let count = epoll_wait(set, &mut events, timeout)?;
        let event = |event: &EpollEvent| alloc::format!(" {}:{}", hex(event.events().bits()), event.data());
        rt::log!("{what} {count}{}", events[..count].iter().map(event).collect::<String>());
        Ok(())
    };
    let (input, output, none) = (EpollFlags::IN, EpollFlags::OUT, EpollFlags::empty());
    control("add", EpollOp::Add, file, input | output, 7);
    wait("writable", None)?;
    write_hello(file)?;
    wait("both", None)?;
    control("again", EpollOp::Add, file, input, 8);
    control("modify", EpollOp::Modify, file, input | EpollFlags::ONESHOT, 9);
    wait("once", None)?;
    wait("silent", NOW)?;
    control("edge", EpollOp::Modify, file, input | EpollFlags::ET, 10);
    wait("edge", None)?;
    wait("no edge", NOW)?;
    let again = libkq::dup(file)?;
    control("duplicate", EpollOp::Add, again, input, 11);
    wait("duplicate", None)?;
    control("delete", EpollOp::Delete, again, none, 0);
    control("delete again", EpollOp::Delete, again, none, 0);
    control("itself", EpollOp::Add, set, input, 0);
    control("no descriptor", EpollOp::Add, 999, input, 0);
    told("no operation", EpollOp::try_from(4).map(drop));
    // What the types of Rust leave no room for.
    refused("no event", Err::<(), _>(Error::new(EFAULT)), EFAULT);
    refused("no room", epoll_wait(set, &mut [], NOW), EINVAL);
    refused("no list", Err::<(), _>(Error::new(EFAULT)), EFAULT);
    refused("no flag", epoll_create1(1), EINVAL);
    Ok(())
}

//! The twin of `devpoll.c`.

use alloc::string::String;

use libkq::flag::O_RDWR;
use libkq::{Conditions, PollFd, Result, process};
use rt::abi::error::{EFAULT, EINVAL, Error};

use crate::{NOW, hex, open_template, refused, write_hello};

pub fn run() -> Result<()> {
    let (set, file) = (libkq::open("/dev/poll", O_RDWR)?, open_template()?);
    let entry = |what: &str, fd, events| {
        let written = process().devpoll_write(set, &[PollFd::new(fd, events)]);
        rt::log!("{what} {}", i32::from(written.is_ok()));
    };
    let wait = |what: &str, timeout| -> Result<()> {
        let mut list = [PollFd::default(); 4];
        let count = process().devpoll_poll(set, &mut list, timeout, None)?;
        let event = |entry: &PollFd| alloc::format!(" {}", hex(entry.revents.bits().into()));
        rt::log!("{what} {count}{}", list[..count].iter().map(event).collect::<String>());
        Ok(())
    };
    let polled = |what: &str| -> Result<()> {
        let interest = process().devpoll_is_polled(set, file)?;
        rt::log!(
            "{what} {} {}",
            i32::from(interest.is_some()),
            hex(interest.unwrap_or_default().bits().into())
        );
        Ok(())
    };
    entry("add", file, Conditions::IN);
    wait("nothing yet", NOW)?;
    polled("is polled")?;
    entry("widen", file, Conditions::OUT);
    polled("is polled")?;
    wait("writable", None)?;
    write_hello(file)?;
    wait("both", None)?;
    entry("remove", file, Conditions::REMOVE);
    polled("is not polled")?;
    entry("a closed number", 999, Conditions::IN);
    wait("a closed number", None)?;
    // What the types of Rust leave no room for.
    refused("no entry", Err::<(), _>(Error::new(EINVAL)), EINVAL);
    refused("no question", Err::<(), _>(Error::new(EFAULT)), EFAULT);
    Ok(())
}

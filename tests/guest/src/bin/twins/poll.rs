//! The twin of `poll.c`.

use alloc::string::String;
use alloc::vec;
use core::time::Duration;

use libkq::{Conditions, PollFd, Result, poll};
use rt::abi::error::{EFAULT, EINVAL, Error};

use crate::{NOW, hex, open_template, refused, write_hello};

fn revents(list: &[PollFd]) -> String {
    list.iter().map(|entry| alloc::format!(" {}", hex(entry.revents.bits().into()))).collect()
}

pub fn run() -> Result<()> {
    let file = open_template()?;
    let mut list = [PollFd::default(); 5];
    list[0] = PollFd::new(file, Conditions::IN);
    list[1] = PollFd { revents: Conditions::from_bits_retain(99), ..PollFd::new(-7, Conditions::IN) };
    let count = poll(&mut list[..2], NOW, None)?;
    rt::log!("nothing yet {count}{}", revents(&list[..2]));
    write_hello(file)?;
    list[2] = PollFd::new(file, Conditions::IN | Conditions::OUT);
    list[3] = PollFd::new(999, Conditions::empty());
    list[4] = PollFd::new(file, Conditions::empty());
    let count = poll(&mut list, None, None)?;
    rt::log!("ready {count}:{}", revents(&list));
    rt::log!("asked {}", hex(list[2].events.bits().into()));
    rt::log!("sleep {}", poll(&mut [], Some(Duration::from_millis(1)), None)?);
    // What the types of Rust leave no room for.
    refused("no list", Err::<(), _>(Error::new(EFAULT)), EFAULT);
    refused("too many", poll(&mut vec![PollFd::default(); 1_000_000], NOW, None), EINVAL);
    list[0].revents = Conditions::empty();
    let count = poll(&mut list[..1], Some(Duration::from_secs(1)), None)?;
    rt::log!("ppoll {count}{}", revents(&list[..1]));
    libkq::close(file)?;
    let count = poll(&mut list[..1], None, None)?;
    rt::log!("closed {count} {}", i32::from(list[0].revents == Conditions::NVAL));
    Ok(())
}

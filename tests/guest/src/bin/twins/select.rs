//! The twin of `select.c`.

use core::time::Duration;

use libkq::{FdSet, Result, select};
use rt::abi::error::{EBADF, EINVAL, Error};

use crate::{NOW, open_template, refused, write_hello};

pub fn run() -> Result<()> {
    let (file, other) = (open_template()?, open_template()?);
    let mut read: FdSet = [file, other].into_iter().collect();
    let has = |set: &FdSet, fd| i32::from(set.contains(fd));
    let count = select(other + 1, [Some(&mut read), None, None], NOW, None)?;
    rt::log!("nothing yet {count} {} {}", has(&read, file), has(&read, other));
    write_hello(other)?;
    read.insert(file);
    read.insert(other);
    let mut write: FdSet = [file].into_iter().collect();
    let mut except: FdSet = [other].into_iter().collect();
    let count = select(other + 1, [Some(&mut read), Some(&mut write), Some(&mut except)], None, None)?;
    rt::log!(
        "ready {count}: {} {} {} {}",
        has(&read, file),
        has(&read, other),
        has(&write, file),
        has(&except, other)
    );
    read.insert(900);
    let closed = select(901, [Some(&mut read), None, None], NOW, None).unwrap_err();
    rt::log!("a closed number -1 {}, untouched {}", i32::from(closed == Error::new(EBADF)), has(&read, 900));
    refused("a negative count", select(-1, [None, None, None], NOW, None), EINVAL);
    // What the types of Rust leave no room for.
    refused("no time", Err::<Duration, _>(Error::new(EINVAL)), EINVAL);
    read.remove(900);
    rt::log!("pselect {}", select(other + 1, [Some(&mut read), None, None], None, None)?);
    Ok(())
}

//! What keyboards, mice and tablets tell.

use alloc::vec::Vec;

use crate::Outcome;
use crate::failure::{ensure, equal};
use crate::looks::PATIENTLY;
use input::record::{self, Record};
use libkq::{Conditions, Descriptor, PollFd};

/// Reads records until this one; returns those before it.
#[track_caller]
pub fn until_told(file: &Descriptor, wanted: (u16, u16, i32)) -> Outcome<Vec<Record>> {
    let mut before = Vec::new();
    let mut bytes = [0; record::SIZE];
    loop {
        let mut list = [PollFd::new(file.number(), Conditions::IN)];
        equal(libkq::poll(&mut list, PATIENTLY, None)?, 1)?;
        equal(file.read(&mut bytes)?, record::SIZE)?;
        let told = Record::from_bytes(bytes);
        ensure(told.time > 0 && told.time <= rt::clock::now_ns(), "it was told when it came")?;
        if (told.kind, told.code, told.value) == wanted {
            return Ok(before);
        }
        before.push(told);
    }
}

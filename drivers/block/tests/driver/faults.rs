//! Devices that err and lie.

use crate::desk::{Desk, FLUSH, data};
use crate::fake::Got;
use abi::error::{EIO, Error};
use driver_sdk::Driver;

#[test]
fn errors_of_the_device_are_told() {
    let mut desk = Desk::new(100, FLUSH);
    let file = desk.open();
    desk.failing = Some(0);
    assert_eq!(desk.read_at(file, 100, 4), Got::Errno(EIO));
    assert_eq!(desk.write_at(file, b"x", 9000), Got::Errno(EIO), "what is around it cannot be read");
    desk.failing = None;
    assert_eq!(desk.read_at(file, 100, 4), data(&desk.bytes.clone()[100..104]), "another time it can");
    desk.failing = Some(1);
    assert_eq!(desk.write_at(file, b"lost", 100), Got::Count(4), "it is not known yet");
    assert_eq!(desk.sync(file), Err(Error::new(EIO)));
    assert_eq!(desk.sync(file), Ok(()), "told once");
    desk.failing = Some(4);
    assert_eq!(desk.write_at(file, b"kept", 100), Got::Count(4));
    assert_eq!(desk.sync(file), Err(Error::new(EIO)));
    desk.failing = None;
    desk.done.clear();
    assert_eq!(desk.sync(file), Ok(()));
    assert_eq!(desk.done, [(4, 0)], "what could not be made safe is made safe later");
    assert_eq!(desk.bytes[100..104], *b"kept");
}

#[test]
fn a_device_that_lies_is_the_end() {
    let mut desk = Desk::new(100, 0);
    let file = desk.open();
    let waiting = desk.begin_read(file, 0, 4, 0);
    desk.look();
    desk.side.used(u32::from(desk.asked[0].head), 4098);
    desk.interrupt();
    assert_eq!(desk.bench.engine.driver().lost(), Some(Error::new(EIO)));
    assert_eq!(desk.bench.got(waiting), None);
}

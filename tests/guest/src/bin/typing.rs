//! Keyboard and mouse at the PS/2 controller. Runs with the manifest `ps2`; what the host types, and at which line of the log, stands in
//! the table of guest tests.
#![no_std]
#![no_main]
#![forbid(unsafe_code)]

extern crate alloc;

use alloc::vec;
use alloc::vec::Vec;

use abi::error::{EAGAIN, EINVAL, ENOENT, ESPIPE};
use guest_tests::bereavement::{is_told, open_again};
use guest_tests::failure::{ensure, equal, refused};
use guest_tests::looks::{next, ready};
use guest_tests::records::until_told;
use guest_tests::{Outcome, Suite};
use input::record::{self, Record};
use libkq::flag::{O_NONBLOCK, O_RDONLY};
use libkq::{Descriptor, KEvent, Queue, process};

rt::entry!(main);

const KEYBOARD: &str = "/dev/ps2/keyboard";
const MOUSE: &str = "/dev/ps2/mouse";

fn main(start: &rt::Start) -> i32 {
    let mut suite = Suite::new(start);
    suite.table(&[
        ("keys_are_told_to_each_reader", keys_are_told),
        ("the_mouse_tells_where_it_goes", the_mouse_tells),
        ("only_the_two_are_there", only_the_two),
        ("r57_the_dead_driver_is_told_and_the_next_one_types", the_next_one_types),
    ]);
    suite.finish()
}

fn open(path: &str) -> Outcome<Descriptor> {
    Ok(Descriptor::open(path, O_RDONLY | O_NONBLOCK)?)
}

fn parts(told: &[Record]) -> Vec<(u16, u16, i32)> {
    told.iter().map(|told| (told.kind, told.code, told.value)).collect()
}

const END: (u16, u16, i32) = (record::SYN, record::REPORT, 0);

/// A is key 30; the arrow that points up is 103, and came later than the first keyboards.
fn keys_are_told() -> Outcome {
    let (one, other) = (open(KEYBOARD)?, open(KEYBOARD)?);
    let queue = Queue::new()?;
    queue.apply(&[KEvent::read(one.number()).add()])?;
    equal(ready(&queue)?, vec![])?;
    rt::log!("typing: a");
    let event = next(&queue)?;
    ensure(event.data > 0 && event.data % record::SIZE as i64 == 0, "whole records")?;
    for reader in [&one, &other] {
        equal(until_told(reader, (record::KEY, 30, 1))?, vec![])?;
        // It may repeat while the host holds it down.
        let before = parts(&until_told(reader, (record::KEY, 30, 0))?);
        ensure(before.iter().all(|told| [END, (record::KEY, 30, 2)].contains(told)), "one key")?;
        until_told(reader, END)?;
    }
    rt::log!("typing: up");
    until_told(&one, (record::KEY, 103, 1))?;
    until_told(&one, (record::KEY, 103, 0))?;
    until_told(&one, END)?;
    equal(ready(&queue)?, vec![])
}

fn the_mouse_tells() -> Outcome {
    let (mouse, keyboard) = (open(MOUSE)?, open(KEYBOARD)?);
    rt::log!("typing: move");
    let moves = until_told(&mouse, END)?;
    equal(parts(&moves), vec![(record::REL, 0, 5), (record::REL, 1, -3)])?;
    rt::log!("typing: wheel");
    equal(parts(&until_told(&mouse, END)?), vec![(record::REL, 8, 1)])?;
    rt::log!("typing: press");
    equal(parts(&until_told(&mouse, END)?), vec![(record::KEY, 0x110, 1)])?;
    equal(parts(&until_told(&mouse, END)?), vec![(record::KEY, 0x110, 0)])?;
    refused(mouse.read(&mut [0; 64]), EAGAIN)?;
    refused(keyboard.read(&mut [0; 64]), EAGAIN)
}

fn only_the_two() -> Outcome {
    refused(Descriptor::open("/dev/ps2", O_RDONLY), ENOENT)?;
    refused(Descriptor::open("/dev/ps2/tablet", O_RDONLY), ENOENT)?;
    let mouse = open(MOUSE)?;
    refused(mouse.read(&mut [0; record::SIZE - 1]), EINVAL)?;
    refused(process().read_at(mouse.number(), &mut [0; 64], 0), ESPIPE)
}

/// It finds the devices as another one left them.
fn the_next_one_types() -> Outcome {
    is_told(Descriptor::open(MOUSE, O_RDONLY)?, MOUSE, "ps2")?;
    let (keyboard, mouse) = (open_again(KEYBOARD, O_RDONLY)?, open_again(MOUSE, O_RDONLY)?);
    rt::log!("typing: a");
    until_told(&keyboard, (record::KEY, 30, 0))?;
    rt::log!("typing: move");
    until_told(&mouse, (record::REL, 0, 5)).map(drop)
}

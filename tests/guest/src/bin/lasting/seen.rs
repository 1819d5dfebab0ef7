//! What those who wait see of their driver's death.

use alloc::boxed::Box;
use alloc::format;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicU32, Ordering};

use abi::error::ENODEV;
use guest_tests::bereavement::open_again;
use guest_tests::books::sum;
use guest_tests::failure::{ensure, equal, refused};
use guest_tests::looks::{NOW, PATIENTLY};
use guest_tests::suite::Test;
use guest_tests::{Outcome, a_moment, operator};
use libkq::flag::{O_DURABLE, O_NONBLOCK, O_RDWR};
use libkq::{
    Conditions, Descriptor, EpollEvent, EpollFlags, EpollSet, FdSet, Filter, KEvent, PollFd, Queue, process,
};
use rt::thread::Builder;

use crate::serial::{ASKED, MAKE, NUMBER};
use guest_tests::books;

/// The driver that is always started again, and the one that is once.
pub const SERIAL: &str = "serial";
pub const MORTAL: &str = "mortal";

pub const TESTS: &[Test] = &[
    ("five_interfaces_and_a_read_see_nothing_but_time", five_interfaces_see_nothing_but_time),
    ("an_edge_that_was_told_is_not_told_again", an_edge_that_was_told_is_not_told_again),
    ("an_edge_that_was_not_told_is_not_lost", an_edge_that_was_not_told_is_not_lost),
    ("r57_who_is_given_up_is_gone_once", r57_who_is_given_up_is_gone_once),
];

/// A durable descriptor of a driver.
pub fn durable(service: &str) -> Outcome<Descriptor> {
    open_again(&format!("/dev/{service}"), O_RDWR | O_DURABLE)
}

/// Asks a driver for something that may be asked twice, until it was asked.
pub fn ask(file: &Descriptor, what: u8, number: u64) -> Outcome {
    loop {
        match ask_once(file, what, number) {
            // It died over it.
            Err(error) if error.errno == abi::error::EIO => {}
            done => return Ok(done?),
        }
    }
}

/// The same once.
pub fn ask_once(file: &Descriptor, what: u8, number: u64) -> abi::error::Result<()> {
    let mut asked = [what; ASKED];
    asked[1..].copy_from_slice(&number.to_le_bytes());
    file.write_all(&asked)
}

/// The number at a position, waiting for it.
pub fn number(file: &Descriptor, at: u64) -> Outcome<u64> {
    let mut bytes = [0; NUMBER];
    let read = process().read_at(file.number(), &mut bytes, at)?;
    equal(read.count, NUMBER)?;
    Ok(u64::from_le_bytes(bytes))
}

/// Kills a driver, and waits until there is another one that has taken what was left.
pub fn replace(service: &str) -> Outcome {
    operator::kill(service)?;
    until_back(service)
}

/// Waits until a driver answers opens, and nothing waits for one.
pub fn until_back(service: &str) -> Outcome {
    open_again(&format!("/dev/{service}"), O_RDWR | O_NONBLOCK)?;
    while sum(|stats| stats.orphans)? > 0 {
        a_moment();
    }
    Ok(())
}

type Wait = Box<dyn FnOnce() -> Outcome + Send>;

/// A wait in each interface, and one in a read.
fn waits(fd: i32) -> Vec<Wait> {
    vec_of(fd, [kevent, poll, select, epoll, devpoll, read])
}

fn vec_of(fd: i32, waits: [fn(i32) -> Outcome; 6]) -> Vec<Wait> {
    waits.into_iter().map(|wait| Box::new(move || wait(fd)) as Wait).collect()
}

fn kevent(fd: i32) -> Outcome {
    let queue = Queue::new()?;
    queue.apply(&[KEvent::read(fd).add()])?;
    let mut events = [KEvent::default(); 4];
    let told = queue.wait(&mut events, PATIENTLY)?;
    equal(told.len(), 1)?;
    ensure(told[0].filter == Filter::READ && !told[0].is_eof(), "it can be read, and is not at its end")?;
    equal(told[0].data, 1)
}

fn poll(fd: i32) -> Outcome {
    let mut list = [PollFd::new(fd, Conditions::IN)];
    equal(libkq::poll(&mut list, PATIENTLY, None)?, 1)?;
    equal(list[0].revents, Conditions::IN)
}

fn select(fd: i32) -> Outcome {
    let mut reading: FdSet = [fd].into_iter().collect();
    equal(libkq::select(fd + 1, [Some(&mut reading), None, None], PATIENTLY, None)?, 1)
}

fn epoll(fd: i32) -> Outcome {
    let set = EpollSet::new()?;
    set.add(fd, EpollFlags::IN, 7)?;
    let mut events = [EpollEvent::default(); 4];
    let told = set.wait(&mut events, PATIENTLY)?;
    equal(told.len(), 1)?;
    equal((told[0].events(), told[0].data()), (EpollFlags::IN, 7))
}

fn devpoll(fd: i32) -> Outcome {
    let set = Descriptor::open("/dev/poll", O_RDWR)?;
    process().devpoll_write(set.number(), &[PollFd::new(fd, Conditions::IN)])?;
    let mut list = [PollFd::default(); 4];
    equal(process().devpoll_poll(set.number(), &mut list, PATIENTLY, None)?, 1)?;
    equal(list[0].revents, Conditions::IN)
}

fn read(fd: i32) -> Outcome {
    let mut bytes = [0; NUMBER];
    equal(libkq::read(fd, &mut bytes)?, NUMBER)?;
    equal(u64::from_le_bytes(bytes), 0)
}

fn five_interfaces_see_nothing_but_time() -> Outcome {
    // What the library keeps for its threads is there when the books are opened.
    (0..2).try_for_each(|_| nothing_but_time())?;
    let books = books::open()?;
    (0..2).try_for_each(|_| nothing_but_time())?;
    books.are_balanced()
}

fn nothing_but_time() -> Outcome {
    let (file, plain) = (durable(SERIAL)?, open_again("/dev/serial", O_RDWR)?);
    let told = Arc::new(AtomicU32::new(0));
    let mut threads = Vec::new();
    for wait in waits(file.number()) {
        let told = told.clone();
        threads.push(Builder::new().spawn(move || -> Outcome {
            let waited = wait();
            told.fetch_add(1, Ordering::SeqCst);
            waited
        })?);
    }
    let queue = Queue::new()?;
    queue.apply(&[KEvent::read(plain.number()).add()])?;
    // For them to get into their waits.
    (0..5).for_each(|_| a_moment());
    replace(SERIAL)?;
    replace(SERIAL)?;
    let mut events = [KEvent::default(); 4];
    let seen = queue.wait(&mut events, PATIENTLY)?;
    equal(seen.len(), 1)?;
    ensure(seen[0].is_eof() && seen[0].fflags == ENODEV as u32, "who is not durable is at its end")?;
    refused(plain.read(&mut [0; NUMBER]), ENODEV)?;
    (0..5).for_each(|_| a_moment());
    equal(told.load(Ordering::SeqCst), 0)?;
    ask(&file, MAKE, 1)?;
    threads.into_iter().try_for_each(|thread| thread.join()?)?;
    equal(queue.wait(&mut events, NOW)?.len(), 0)
}

fn an_edge_that_was_told_is_not_told_again() -> Outcome {
    let file = durable(SERIAL)?;
    let (queue, set) = (Queue::new()?, EpollSet::new()?);
    queue.apply(&[KEvent::read(file.number()).add().clear()])?;
    set.add(file.number(), EpollFlags::IN | EpollFlags::ET, 1)?;
    let (mut events, mut items) = ([KEvent::default(); 4], [EpollEvent::default(); 4]);
    for round in 1..4 {
        ask(&file, MAKE, round)?;
        equal(queue.wait(&mut events, PATIENTLY)?.len(), 1)?;
        equal(set.wait(&mut items, PATIENTLY)?.len(), 1)?;
        replace(SERIAL)?;
        // What is there was there, and was told.
        equal(number(&file, round - 1)?, round - 1)?;
        equal(queue.wait(&mut events, NOW)?.len(), 0)?;
        equal(set.wait(&mut items, NOW)?.len(), 0)?;
    }
    Ok(())
}

fn an_edge_that_was_not_told_is_not_lost() -> Outcome {
    let file = durable(SERIAL)?;
    let queue = Queue::new()?;
    queue.apply(&[KEvent::read(file.number()).add().clear()])?;
    let mut events = [KEvent::default(); 4];
    for round in 1..4 {
        ask(&file, MAKE, round)?;
        replace(SERIAL)?;
        let told = queue.wait(&mut events, PATIENTLY)?;
        equal(told.len(), 1)?;
        equal(told[0].data, round as i64)?;
        equal(queue.wait(&mut events, NOW)?.len(), 0)?;
    }
    Ok(())
}

/// The driver `mortal` is started again once.
fn r57_who_is_given_up_is_gone_once() -> Outcome {
    let file = durable(MORTAL)?;
    let (queue, set) = (Queue::new()?, EpollSet::new()?);
    queue.apply(&[KEvent::read(file.number()).add().clear()])?;
    set.add(file.number(), EpollFlags::IN, 1)?;
    let mut events = [KEvent::default(); 4];
    let number = file.number();
    let reader = Builder::new().spawn(move || refused(process().read(number, &mut [0; 64]), ENODEV))?;
    (0..5).for_each(|_| a_moment());
    replace(MORTAL)?;
    equal(queue.wait(&mut events, NOW)?.len(), 0)?;
    operator::kill(MORTAL)?;
    let told = queue.wait(&mut events, PATIENTLY)?;
    equal(told.len(), 1)?;
    ensure(told[0].is_eof() && told[0].fflags == ENODEV as u32, "ENODEV")?;
    equal(queue.wait(&mut events, NOW)?.len(), 0)?;
    let mut items = [EpollEvent::default(); 4];
    ensure(set.wait(&mut items, PATIENTLY)?[0].events().contains(EpollFlags::HUP), "HUP")?;
    reader.join()??;
    refused(ask_once(&file, MAKE, 1), ENODEV)?;
    refused(Descriptor::open("/dev/mortal", O_RDWR | O_DURABLE), ENODEV)?;
    equal(sum(|stats| stats.orphans)?, 0)
}

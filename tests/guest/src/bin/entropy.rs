//! The entropy source on the machine: bytes, readiness, and what its clients see when its driver, or the bus, dies. Runs with
//! the manifest `devices` and a virtio entropy source.
#![no_std]
#![no_main]
#![forbid(unsafe_code)]

extern crate alloc;

use core::time::Duration;

use abi::error::{EAGAIN, EBADF, EINVAL, ENOENT, ESPIPE};
use guest_tests::bereavement::{is_told, kill, open_again};
use guest_tests::failure::{ensure, equal, refused};
use guest_tests::{Failure, Outcome, PATIENCE, Suite};
use libkq::control::Whence;
use libkq::flag::{O_NONBLOCK, O_RDONLY, O_RDWR};
use libkq::{Conditions, Descriptor, KEvent, PollFd, Queue, process};
use rt::thread::Builder;

const PATH: &str = "/dev/random";
const PATIENTLY: Option<Duration> = Some(Duration::from_nanos(PATIENCE));

rt::entry!(main);

fn main(start: &rt::Start) -> i32 {
    let mut suite = Suite::new(start);
    suite.table(&[
        ("bytes_are_random", bytes_are_random),
        ("what_is_read_comes_again", what_is_read_comes_again),
        ("many_readers_get_what_they_ask_for", many_readers),
        ("what_is_no_reading_is_refused", what_is_no_reading),
        ("r57_a_dead_driver_serves_again", a_dead_driver_serves_again),
        ("r57_a_dead_bus_takes_its_drivers_along", a_dead_bus),
    ]);
    if start.arg(1) == "withheld" {
        suite.test("withheld_r57_who_waits_is_told_of_the_death", who_waits_is_told);
    }
    suite.finish()
}

fn read_exactly(random: &Descriptor, count: usize, mut look: impl FnMut(&[u8])) -> Outcome {
    let (mut bytes, mut total) = ([0; 1000], 0);
    while total < count {
        let wanted = bytes.len().min(count - total);
        let got = random.read(&mut bytes[..wanted])?;
        ensure((1..=wanted).contains(&got), "something, and no more than asked for")?;
        look(&bytes[..got]);
        total += got;
    }
    Ok(())
}

fn bytes_are_random() -> Outcome {
    let random = Descriptor::open(PATH, O_RDONLY)?;
    let mut counts = [0u32; 256];
    read_exactly(&random, 65536, |bytes| bytes.iter().for_each(|&byte| counts[usize::from(byte)] += 1))?;
    // Each value 256 times in the mean, with a deviation of 16: ten of these are not chance.
    let (least, most) = (counts.iter().min(), counts.iter().max());
    ensure(least > Some(&96) && most < Some(&416), "all values are about as frequent")
}

fn what_is_read_comes_again() -> Outcome {
    let random = Descriptor::open(PATH, O_RDONLY | O_NONBLOCK)?;
    let (level, edges) = (Queue::new()?, Queue::new()?);
    level.apply(&[KEvent::read(random.number()).add()])?;
    edges.apply(&[KEvent::read(random.number()).add().clear()])?;
    let mut events = [KEvent::default(); 2];
    for _ in 0..50 {
        let event = *level.wait(&mut events, PATIENTLY)?.first().ok_or(Failure::new("nothing came"))?;
        ensure(event.data > 0, "as many bytes as there are")?;
        // All of them, and what comes in meanwhile: the device brings more, which is an edge.
        let mut bytes = [0; 4096];
        let mut got = 0;
        while got < 8192 {
            match random.read(&mut bytes) {
                Ok(count) => got += count,
                Err(error) if error.errno == EAGAIN => break,
                Err(error) => return Err(error.into()),
            }
        }
        equal(edges.wait(&mut events, PATIENTLY)?.len(), 1)?;
        let mut list = [PollFd::new(random.number(), Conditions::IN)];
        equal(libkq::poll(&mut list, PATIENTLY, None)?, 1)?;
        ensure(list[0].revents == Conditions::IN, "poll says IN")?;
    }
    Ok(())
}

fn many_readers() -> Outcome {
    let mut threads = alloc::vec::Vec::new();
    for _ in 0..8 {
        threads.push(Builder::new().spawn(|| {
            let random = Descriptor::open(PATH, O_RDONLY)?;
            read_exactly(&random, 20_000, |_| ())
        })?);
    }
    threads.into_iter().try_for_each(|thread| thread.join()?)
}

fn what_is_no_reading() -> Outcome {
    refused(Descriptor::open("/dev/random/more", O_RDONLY), ENOENT)?;
    let random = Descriptor::open(PATH, O_RDWR)?;
    for offset in [0, 1, 1 << 40] {
        refused(process().read_at(random.number(), &mut [0; 4], offset), ESPIPE)?;
    }
    refused(process().seek(random.number(), 1, Whence::Start), ESPIPE)?;
    refused(random.write_all(b"no seed"), EINVAL)?;
    refused(process().truncate(random.number(), 0), EINVAL)?;
    let reader = Descriptor::open(PATH, O_RDONLY)?;
    refused(reader.write_all(b"no seed"), EBADF)?;
    equal(reader.read(&mut [])?, 0)
}

fn a_dead_driver_serves_again() -> Outcome {
    for _ in 0..3 {
        let random = open_again(PATH, O_RDONLY)?;
        read_exactly(&random, 5000, |_| ())?;
        kill("random")?;
    }
    read_exactly(&open_again(PATH, O_RDONLY)?, 20_000, |_| ())
}

fn a_dead_bus() -> Outcome {
    let random = open_again(PATH, O_RDONLY)?;
    read_exactly(&random, 5000, |_| ())?;
    let queue = Queue::new()?;
    // No edge comes while nobody reads, so the event that comes is the end.
    queue.apply(&[KEvent::read(random.number()).add().clear()])?;
    let mut events = [KEvent::default(); 1];
    queue.wait(&mut events, PATIENTLY)?;
    kill("pci")?;
    while !queue.wait(&mut events, PATIENTLY)?.first().ok_or(Failure::new("nothing came"))?.is_eof() {}
    read_exactly(&open_again(PATH, O_RDONLY)?, 20_000, |_| ())
}

/// The device gives 4096 bytes and then none for an hour.
fn who_waits_is_told() -> Outcome {
    let random = Descriptor::open(PATH, O_RDONLY)?;
    read_exactly(&random, 4096, |_| ())?;
    is_told(random, PATH, "random")?;
    for _ in 0..2 {
        is_told(open_again(PATH, O_RDONLY)?, PATH, "random")?;
    }
    Ok(())
}

//! The entropy source on the machine: bytes, readiness, and what its clients see when its driver dies. Runs with the manifest
//! `devices` and a virtio entropy source.
#![no_std]
#![no_main]
#![forbid(unsafe_code)]

extern crate alloc;

use guest_tests::failure::{ensure, equal};
use guest_tests::{Outcome, Suite};
use libkq::Descriptor;
use libkq::flag::O_RDONLY;

rt::entry!(main);

fn main(start: &rt::Start) -> i32 {
    let mut suite = Suite::new(start);
    suite.table(&[("bytes_are_random", bytes_are_random)]);
    suite.finish()
}

fn bytes_are_random() -> Outcome {
    let random = Descriptor::open("/dev/random", O_RDONLY)?;
    let mut counts = [0u32; 256];
    let mut bytes = [0; 1000];
    let mut total = 0;
    while total < 65536 {
        let count = random.read(&mut bytes)?;
        ensure(count > 0, "there is no end")?;
        bytes[..count].iter().for_each(|&byte| counts[usize::from(byte)] += 1);
        total += count as u32;
    }
    equal(counts.iter().sum::<u32>(), total)?;
    // Each value 256 times in the mean, with a deviation of 16: ten of these are not chance.
    let (least, most) = (counts.iter().min(), counts.iter().max());
    ensure(least > Some(&96) && most < Some(&416), "all values are about as frequent")
}

//! The least that must work: started, arguments, heap, a thread, the clock, a small process.
#![no_std]
#![no_main]
#![forbid(unsafe_code)]

extern crate alloc;

use alloc::vec::Vec;

use guest_tests::failure::{ensure, equal};
use guest_tests::mini::{self, Plan};
use guest_tests::{Outcome, Suite};

rt::entry!(main);

fn main(start: &rt::Start) -> i32 {
    let mut suite = Suite::new(start);
    suite.table(&[
        ("the_heap_grows", the_heap_grows),
        ("a_thread_gives_its_result", a_thread_gives_its_result),
        ("the_clock_runs", the_clock_runs),
        ("a_small_process_ends", a_small_process_ends),
    ]);
    suite.finish()
}

fn the_heap_grows() -> Outcome {
    let blocks: Vec<Vec<u8>> = (0..200).map(|i| alloc::vec![i as u8; 1 << (i % 16)]).collect();
    for (i, block) in blocks.iter().enumerate() {
        ensure(block.iter().all(|&byte| byte == i as u8), "a block holds what was written")?;
    }
    Ok(())
}

fn a_thread_gives_its_result() -> Outcome {
    let thread = rt::thread::spawn(|| 6 * 7)?;
    equal(thread.join()?, 42)
}

fn the_clock_runs() -> Outcome {
    let before = rt::clock::now_ns();
    rt::thread::sleep(2_000_000);
    ensure(rt::clock::now_ns() >= before + 2_000_000, "a sleep of 2 ms takes at least 2 ms")
}

fn a_small_process_ends() -> Outcome {
    let child = Plan::new(mini::exits()).words(&[7]).start()?;
    equal(child.ended()?.code, 7)
}

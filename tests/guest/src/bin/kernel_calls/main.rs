//! Every system call: what it gives, and every error that is documented, on one machine with no process but init and
//! this one.
#![no_std]
#![no_main]
#![deny(unsafe_code)]

extern crate alloc;

mod endings;
mod endpoints;
mod faults;
mod futexes;
mod handles;
mod memory;
mod notifications;
mod processes;
mod quotas;
mod registers;
mod scheduling;
mod system;
mod threads;
mod transfers;
mod wrong_handles;

use guest_tests::Suite;
use guest_tests::suite::Test;

rt::entry!(main);

fn main(start: &rt::Start) -> i32 {
    let mut suite = Suite::new(start);
    for table in [
        system::TESTS,
        handles::TESTS,
        wrong_handles::TESTS,
        notifications::TESTS,
        endpoints::TESTS,
        transfers::TESTS,
        endings::TESTS,
        futexes::TESTS,
        memory::TESTS,
        threads::TESTS,
        scheduling::TESTS,
        processes::TESTS,
        quotas::TESTS,
        registers::TESTS,
        faults::TESTS,
    ] {
        suite.table(table);
    }
    suite.finish()
}

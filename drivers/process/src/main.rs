//! The process service's process: service `process`.
#![cfg_attr(target_os = "none", no_std, no_main)]
#![forbid(unsafe_code)]

#[cfg(target_os = "none")]
extern crate alloc;

#[cfg(target_os = "none")]
mod init;

#[cfg(target_os = "none")]
mod program {
    use driver_sdk::{Filters, Setup};
    use process::driver::Processes;

    use crate::init::Machine;

    rt::entry!(main);

    fn main(start: &rt::Start) -> i32 {
        let filters = Filters::READ | Filters::SIGNAL;
        let setup = Setup { service: process_protocol::SERVICE, filters, sources: 4096, interrupt: None };
        driver_sdk::run(start, setup, Ok(Processes::new(Machine::default())))
    }
}

#[cfg(not(target_os = "none"))]
fn main() {}

//! The timer driver's process: service `timer`.
#![cfg_attr(target_os = "none", no_std, no_main)]
#![forbid(unsafe_code)]

#[cfg(target_os = "none")]
mod program {
    use driver_sdk::{Filters, Setup};
    use timer::driver::Timers;

    rt::entry!(main);

    fn main(start: &rt::Start) -> i32 {
        let setup = Setup { service: "timer", filters: Filters::TIMER, sources: 16384, interrupt: None };
        driver_sdk::run(start, setup, Ok(Timers::new()))
    }
}

#[cfg(not(target_os = "none"))]
fn main() {}

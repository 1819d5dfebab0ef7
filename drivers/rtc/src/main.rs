//! The clock's process: service `rtc`.
#![cfg_attr(target_os = "none", no_std, no_main)]
#![forbid(unsafe_code)]

#[cfg(target_os = "none")]
mod program {
    use driver_sdk::{Filters, Ports, Setup};
    use rtc::driver::Clock;

    rt::entry!(main);

    fn main(start: &rt::Start) -> i32 {
        let setup =
            Setup { service: "rtc", filters: Filters::READ, sources: 256, interrupt: Some("irq:clock") };
        driver_sdk::run(start, setup, Ok(Clock::new(Ports::new(0x70, 2))))
    }
}

#[cfg(not(target_os = "none"))]
fn main() {}

//! The process of keyboard and mouse: service `ps2`.
#![cfg_attr(target_os = "none", no_std, no_main)]
#![forbid(unsafe_code)]

#[cfg(target_os = "none")]
mod program {
    use driver_sdk::{Filters, Ports, Setup};
    use ps2::controller::Time;
    use ps2::driver::Ps2;

    rt::entry!(main);

    struct Clock;

    impl Time for Clock {
        fn now(&self) -> u64 {
            rt::clock::now_ns()
        }

        fn pause(&self) {
            rt::thread::sleep(20_000);
        }
    }

    fn main(start: &rt::Start) -> i32 {
        let setup =
            Setup { service: "ps2", filters: Filters::READ, sources: 256, interrupt: Some("irq:keyboard") };
        let driver = match Ps2::new(Ports::new(0x60, 5), Clock) {
            Ok(driver) => driver,
            Err(fault) => {
                rt::log!("ps2: {fault}");
                // Starting again would find the same.
                return 0;
            }
        };
        let found = driver.found();
        rt::log!("ps2: there is {found}");
        if !found.keyboard && !found.mouse {
            return 0;
        }
        driver_sdk::run(start, setup, Ok(driver))
    }
}

#[cfg(not(target_os = "none"))]
fn main() {}

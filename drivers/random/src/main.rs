//! The entropy source's process: the first virtio entropy source of the machine as service `random`.
#![cfg_attr(target_os = "none", no_std, no_main)]
#![forbid(unsafe_code)]

#[cfg(target_os = "none")]
mod program {
    use driver_sdk::{Filters, Function, Setup};
    use random::Random;
    use virtio::kind;

    rt::entry!(main);

    fn main(start: &rt::Start) -> i32 {
        let setup = Setup { service: "random", filters: Filters::READ, sources: 256, interrupt: None };
        driver_sdk::run_on(start, setup, virtio::wanted(kind::ENTROPY, 0), |function: &Function| {
            let device = virtio::open(function)?;
            Random::new(device, |size| function.dma(size))
        })
    }
}

#[cfg(not(target_os = "none"))]
fn main() {}

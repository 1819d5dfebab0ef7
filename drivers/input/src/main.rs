//! A virtio input device's process. Its argument is its name, which is its service and the end of its path: `input0` is the first
//! one of the machine, `input1` the second.
#![cfg_attr(target_os = "none", no_std, no_main)]
#![forbid(unsafe_code)]

#[cfg(target_os = "none")]
extern crate alloc;

#[cfg(target_os = "none")]
mod program {
    use alloc::format;
    use driver_sdk::{Filters, Function, Setup};
    use input::driver::Input;
    use virtio::kind;

    rt::entry!(main);

    fn main(start: &rt::Start) -> i32 {
        let name = start.arg(1);
        let Some(number) = name.strip_prefix("input").and_then(|number| number.parse().ok()) else {
            rt::log!("input: its argument is its name, input0, input1, and not {name:?}");
            return 1;
        };
        let setup = Setup { service: name, filters: Filters::READ, sources: 256, interrupt: None };
        driver_sdk::run_on(start, setup, virtio::wanted(kind::INPUT, number), |function: &Function| {
            let device = virtio::open(function)?;
            Input::new(device, format!("/dev/{name}"), |size| function.dma(size))
        })
    }
}

#[cfg(not(target_os = "none"))]
fn main() {}

//! The pipe driver's process: service `pipe`, paths `/dev/pipe` and `/run/fifo`.
#![cfg_attr(target_os = "none", no_std, no_main)]
#![forbid(unsafe_code)]

#[cfg(target_os = "none")]
mod program {
    use driver_sdk::Setup;
    use pipe::driver::FILTERS;
    use pipe::pipes::Pipes;

    rt::entry!(main);

    fn main(start: &rt::Start) -> i32 {
        let setup = Setup { service: "pipe", filters: FILTERS, sources: 1 << 17, interrupt: None };
        driver_sdk::run(start, setup, Ok(Pipes::new()))
    }
}

#[cfg(not(target_os = "none"))]
fn main() {}

//! The files' process: service `files`, paths `/tmp` and `/data`.
#![cfg_attr(target_os = "none", no_std, no_main)]
#![forbid(unsafe_code)]

#[cfg(target_os = "none")]
mod program {
    use driver_sdk::{Filters, Setup};
    use files::driver::Files;

    rt::entry!(main);

    fn main(start: &rt::Start) -> i32 {
        let filters = Filters::READ.union(Filters::WRITE).union(Filters::VNODE);
        let setup = Setup { service: "files", filters, sources: 4096, interrupt: None };
        driver_sdk::run(start, setup, Ok(Files::default()))
    }
}

#[cfg(not(target_os = "none"))]
fn main() {}

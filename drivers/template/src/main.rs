//! The template driver's process: service `template`, path `/dev/template`.
#![cfg_attr(target_os = "none", no_std, no_main)]
#![forbid(unsafe_code)]

#[cfg(target_os = "none")]
mod program {
    use driver_sdk::Setup;
    use template::driver::{FILTERS, Template};

    rt::entry!(main);

    fn main(start: &rt::Start) -> i32 {
        let setup = Setup { service: "template", filters: FILTERS, sources: 1024, interrupt: None };
        driver_sdk::run(start, setup, Ok(Template::default()))
    }
}

#[cfg(not(target_os = "none"))]
fn main() {}

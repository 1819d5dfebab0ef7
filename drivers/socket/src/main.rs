//! The sockets' process: service `socket`, paths `/dev/socket/…`.
#![cfg_attr(target_os = "none", no_std, no_main)]
#![forbid(unsafe_code)]

#[cfg(target_os = "none")]
mod program {
    use driver_sdk::Setup;
    use driver_sdk::sockets::FILTERS;
    use socket::driver::Service;

    rt::entry!(main);

    fn main(start: &rt::Start) -> i32 {
        let setup = Setup { service: "socket", filters: FILTERS, sources: 1024, interrupt: None };
        driver_sdk::run(start, setup, Ok(Service::default()))
    }
}

#[cfg(not(target_os = "none"))]
fn main() {}

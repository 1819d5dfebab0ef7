//! The network card's process: the first virtio network card of the machine, and sockets over it, as service `net`.
#![cfg_attr(target_os = "none", no_std, no_main)]
#![forbid(unsafe_code)]

#[cfg(target_os = "none")]
mod program {
    use driver_sdk::sockets::FILTERS;
    use driver_sdk::{Function, Setup};
    use net::card::Virtio;
    use net::driver::Service;
    use net::sockets::Sockets;
    use net::stack::Stack;
    use rt::clock::now_ns;
    use virtio::kind;

    rt::entry!(main);

    fn main(start: &rt::Start) -> i32 {
        let setup = Setup { service: "net", filters: FILTERS, sources: 1024, interrupt: None };
        driver_sdk::run_on(start, setup, virtio::wanted(kind::NETWORK, 0), |function: &Function| {
            let device = virtio::open(function)?;
            let card = Virtio::new(device, |size| function.dma(size))?;
            let now = now_ns();
            Ok(Service::new(Sockets::new(Stack::new(card, now, now))))
        })
    }
}

#[cfg(not(target_os = "none"))]
fn main() {}

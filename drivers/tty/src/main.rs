//! The terminal driver's process: the first serial port as service `tty`.
#![cfg_attr(target_os = "none", no_std, no_main)]
#![forbid(unsafe_code)]

#[cfg(target_os = "none")]
mod program {
    use driver_sdk::{Filters, Ports, Setup};
    use tty::driver::Tty;
    use tty::uart::registers::Registers;

    rt::entry!(main);

    struct Com1(Ports);

    impl Registers for Com1 {
        fn read(&mut self, offset: u16) -> u8 {
            self.0.read(offset)
        }

        fn write(&mut self, offset: u16, value: u8) {
            self.0.write(offset, value);
        }
    }

    fn main(start: &rt::Start) -> i32 {
        let setup = Setup {
            service: "tty",
            filters: Filters::READ | Filters::WRITE | Filters::HANGUP,
            sources: 1024,
            interrupt: Some("irq:com1"),
        };
        driver_sdk::run(start, setup, Tty::new(Com1(Ports::new(0x3f8, 8))))
    }
}

#[cfg(not(target_os = "none"))]
fn main() {}

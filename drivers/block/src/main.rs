//! A disk's process. Its argument is the disk's name, which is its service and the end of its path: `vda` is the first virtio
//! block device of the machine, `vdb` the second.
#![cfg_attr(target_os = "none", no_std, no_main)]
#![forbid(unsafe_code)]

#[cfg(target_os = "none")]
extern crate alloc;

#[cfg(target_os = "none")]
mod program {
    use alloc::format;
    use block::disk::Disk;
    use block::driver::Block;
    use driver_sdk::{Filters, Function, Setup};
    use virtio::kind;

    rt::entry!(main);

    fn main(start: &rt::Start) -> i32 {
        let name = start.arg(1);
        let Some(number @ b'a'..=b'z') = name.strip_prefix("vd").and_then(|rest| rest.bytes().next()) else {
            rt::log!("block: its argument is the disk's name, vda to vdz, and not {name:?}");
            return 1;
        };
        let filters = Filters::READ | Filters::WRITE;
        let setup = Setup { service: name, filters, sources: 256, interrupt: None };
        let wanted = virtio::wanted(kind::BLOCK, u32::from(number - b'a'));
        driver_sdk::run_on(start, setup, wanted, |function: &Function| {
            let device = virtio::open(function)?;
            Ok(Block::new(Disk::new(device, |size| function.dma(size))?, format!("/dev/{name}")))
        })
    }
}

#[cfg(not(target_os = "none"))]
fn main() {}

//! Shows what the first sectors of a disk begin with: `cargo xtask run --manifest devices --device virtio-blk-pci --app sectors`.
#![cfg_attr(target_os = "none", no_std, no_main)]
#![cfg_attr(not(target_os = "none"), allow(dead_code))]

use libkq::flag::O_RDONLY;
use libkq::{Descriptor, Result};

/// Bytes of a sector.
const SECTOR: usize = 512;

#[cfg(target_os = "none")]
rt::entry!(main);

#[cfg(target_os = "none")]
fn main(_: &rt::Start) -> i32 {
    match show() {
        Ok(()) => 0,
        Err(error) => {
            rt::log!("sectors: /dev/vda: {error}");
            1
        }
    }
}

fn show() -> Result<()> {
    let disk = Descriptor::open("/dev/vda", O_RDONLY)?;
    let mut bytes = [0; SECTOR];
    for sector in 0..4 {
        // The next one: a disk has an offset, as a file.
        let count = disk.read(&mut bytes)?;
        rt::log!("sectors: {sector}: {count} bytes, {:02x?}…", &bytes[..8]);
    }
    Ok(())
}

#[cfg(not(target_os = "none"))]
fn main() {}

//! Throws five dice with an entropy source: `cargo xtask run --manifest devices --device virtio-rng-pci --app dice`.
#![cfg_attr(target_os = "none", no_std, no_main)]
#![cfg_attr(not(target_os = "none"), allow(dead_code))]

use libkq::flag::O_RDONLY;
use libkq::{Descriptor, Result};

#[cfg(target_os = "none")]
rt::entry!(main);

#[cfg(target_os = "none")]
fn main(_: &rt::Start) -> i32 {
    match throw() {
        Ok(dice) => {
            rt::log!("dice: {dice:?}");
            0
        }
        Err(error) => {
            rt::log!("dice: /dev/random: {error}");
            1
        }
    }
}

fn throw() -> Result<[u8; 5]> {
    let random = Descriptor::open("/dev/random", O_RDONLY)?;
    let (mut dice, mut count, mut bytes) = ([0; 5], 0, [0; 16]);
    while count < dice.len() {
        let got = random.read(&mut bytes)?;
        // Of the last four of 256 values no die is made: each side has its 42.
        for byte in bytes[..got].iter().filter(|&&byte| byte < 252).take(dice.len() - count) {
            dice[count] = byte % 6 + 1;
            count += 1;
        }
    }
    Ok(dice)
}

#[cfg(not(target_os = "none"))]
fn main() {}

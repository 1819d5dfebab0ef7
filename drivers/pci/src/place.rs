//! Addresses for a function that was plugged in: the firmware, which gives them at boot, is not there any more.

use crate::bar::{Bar, COUNT};
use crate::config::{BARS, ConfigSpace};
use crate::fault::Fault;
use abi::memory::PAGE;
use pci_protocol::Address;

/// Addresses behind a port that are nobody's yet.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Room {
    windows: [Option<(u64, u64)>; 2],
}

impl Room {
    /// All that is in these windows, the first of which is below 4 GiB.
    pub fn new(windows: [Option<(u64, u64)>; 2]) -> Room {
        Room { windows }
    }

    /// A place at a multiple of the length, with pages of its own.
    fn take(&mut self, length: u64, is_wide: bool) -> Option<u64> {
        for window in &mut self.windows {
            let Some((first, end)) = *window else { continue };
            let base = first.next_multiple_of(length.max(PAGE));
            let next = base.checked_add(length.max(PAGE)).filter(|&next| next <= end);
            let reaches = is_wide || end <= 1 << 32;
            if let (Some(next), true) = (next, reaches) {
                *window = Some((next, end));
                return Some(base);
            }
        }
        None
    }
}

/// Gives a function that does not answer yet its addresses, the longest range first. Ports get none.
pub fn assign(
    config: &mut impl ConfigSpace,
    address: Address,
    bars: &mut [Option<Bar>; COUNT],
    room: &mut Room,
) -> Result<(), Fault> {
    let mut order: [usize; COUNT] = core::array::from_fn(|bar| bar);
    order.sort_by_key(|&bar| core::cmp::Reverse(bars[bar].map_or(0, |bar| bar.length)));
    for at in order {
        let register = BARS + 4 * at as u16;
        let Some(bar) = &mut bars[at] else { continue };
        bar.base = match bar.is_memory {
            true => room.take(bar.length, bar.is_wide).ok_or(Fault::NoRoom(at as u8))?,
            false => 0,
        };
        config.write(address, register, bar.base as u32);
        if bar.is_wide {
            config.write(address, register + 4, (bar.base >> 32) as u32);
        }
    }
    Ok(())
}

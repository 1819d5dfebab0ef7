//! Where the structures of a device are: its vendor-specific capabilities (4.1.4).

use crate::fault::Fault;

/// Where a structure is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Place {
    /// In which BAR.
    pub bar: u8,
    /// First byte.
    pub offset: u32,
    /// Bytes.
    pub length: u32,
}

/// Where all structures are.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Layout {
    /// Set-up.
    pub common: Place,
    /// What queues are notified by.
    pub notify: Place,
    /// Bytes between two queues' notifications.
    pub multiplier: u32,
    /// Why it interrupted.
    pub status: Place,
    /// What only this type of device has.
    pub config: Option<Place>,
}

/// Bytes of the structure for set-up as far as they are used.
pub const COMMON: u32 = 0x38;
const VENDOR_SPECIFIC: u8 = 9;
const HAS_CAPABILITIES: u8 = 1 << 4;
const FIRST: usize = 0x40;
/// Capabilities that fit: more are a circle.
const MOST: usize = 48;

/// Reads the capabilities of a function from its configuration space. Of several of a kind the first counts.
pub fn read(config: &[u8]) -> Result<Layout, Fault> {
    let (mut common, mut notify, mut status, mut device) = (None, None, None, None);
    let byte = |at: usize| config.get(at).copied();
    let word = |at: usize| {
        let bytes = config.get(at..at.checked_add(4)?)?;
        Some(u32::from_le_bytes(bytes.try_into().ok()?))
    };
    let has_any = byte(6).is_some_and(|status| status & HAS_CAPABILITIES != 0);
    let mut next = if has_any { usize::from(byte(0x34).unwrap_or(0) & !3) } else { 0 };
    for _ in 0..MOST {
        let (Some(id), Some(following)) = (byte(next), byte(next + 1)) else { break };
        if next < FIRST {
            break;
        }
        if id == VENDOR_SPECIFIC
            && let (Some(kind), Some(bar)) = (byte(next + 3), byte(next + 4))
            && let (Some(offset), Some(length)) = (word(next + 8), word(next + 12))
        {
            let place = Place { bar, offset, length };
            match kind {
                1 => common = common.or(Some(place)),
                2 => notify = notify.or(word(next + 16).map(|multiplier| (place, multiplier))),
                3 => status = status.or(Some(place)),
                4 => device = device.or(Some(place)),
                _ => {}
            }
        }
        next = usize::from(following & !3);
    }
    let check = |what: &'static str, place: Place, least: u32| {
        let ends = place.offset.checked_add(place.length).is_some();
        if place.bar < 6 && place.length >= least && ends {
            Ok(place)
        } else {
            Err(Fault::BadStructure(what))
        }
    };
    let (notify, multiplier) = notify.ok_or(Fault::NoStructure("notification structure"))?;
    Ok(Layout {
        common: check("common structure", common.ok_or(Fault::NoStructure("common structure"))?, COMMON)?,
        notify: check("notification structure", notify, 2)?,
        multiplier,
        status: check("interrupt status", status.ok_or(Fault::NoStructure("interrupt status"))?, 1)?,
        config: device.map(|place| check("device structure", place, 1)).transpose()?,
    })
}

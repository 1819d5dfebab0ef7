//! Which interrupt line of the q35 machine a pin leads to.
//!
//! The firmware tells it in a program (ACPI's `_PRT`), for which there is no interpreter here; this is what that of QEMU's q35
//! says with I/O APICs in use (ICH9 data sheet, 5.8 and 10.1.34; the lines PIRQA to PIRQH are global interrupts 16 to 23).

/// Global interrupt of PIRQA.
const FIRST: u32 = 16;

/// The global system interrupt of pin 1 to 4 (A to D) of a device of bus 0.
pub fn line(device: u8, pin: u8) -> Option<u32> {
    let pin = u32::from(pin.checked_sub(1).filter(|&pin| pin < 4)?);
    match u32::from(device) {
        // PIRQE to PIRQH, one further for each device.
        device @ 0..0x19 => Some(FIRST + 4 + (device + pin) % 4),
        // What the chip set has itself.
        0x19..0x1e => Some(FIRST + 4 + pin),
        0x1e..0x20 => Some(FIRST + pin),
        _ => None,
    }
}

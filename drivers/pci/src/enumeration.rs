//! What is on the bus: every function behind every bridge, with what is wrong with it.

use crate::bar::{self, Bar};
use crate::capability::{self, Capabilities};
use crate::config::{BUSES, ConfigSpace, HEADER, INTERRUPT, identity};
use crate::fault::Fault;
use alloc::vec::Vec;
use pci_protocol::{Address, Identity};

/// Functions that are kept; a machine with more has more than anybody needs here.
pub const MOST: usize = 512;
/// Base class of bridges.
const BRIDGE: u32 = 0x06;

/// A function.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Found {
    /// Where it is.
    pub address: Address,
    /// What it is.
    pub identity: Identity,
    /// What it has, or why nobody can have it.
    pub kind: Result<Kind, Fault>,
}

/// What a function is to its bus.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// Something for a driver.
    Device(Device),
    /// It leads to another bus, or is a part of the machine: it is left alone.
    Bridge,
}

/// What a driver can get of a function.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Device {
    /// Its registers.
    pub bars: [Option<Bar>; bar::COUNT],
    /// What it can do.
    pub capabilities: Capabilities,
    /// Its interrupt pin, 1 to 4.
    pub pin: Option<u8>,
}

/// Finds every function of the buses from 0 to `last`.
pub fn enumerate(config: &mut impl ConfigSpace, last: u8) -> Vec<Found> {
    let mut found: Vec<Found> = Vec::new();
    let mut known = [false; 256];
    let mut buses = Vec::from([0u8]);
    known[0] = true;
    while let Some(bus) = buses.pop() {
        for device in 0..32 {
            for function in 0..8 {
                let address = Address::new(bus, device, function);
                let Some(identity) = identity(config, address) else {
                    // Without function 0 there are no others.
                    if function == 0 { break } else { continue }
                };
                if found.len() == MOST {
                    return settle(found);
                }
                let header = (config.read(address, HEADER) >> 16) as u8;
                let kind = match header & 0x7f {
                    0 if identity.class >> 16 == BRIDGE => Ok(Kind::Bridge),
                    0 => device_of(config, address).map(Kind::Device),
                    1 => bridge(config, address, last, &mut known, &mut buses),
                    other => Err(Fault::Header(other)),
                };
                found.push(Found { address, identity, kind });
                // Whether there are more functions is said by function 0.
                if function == 0 && header & 0x80 == 0 {
                    break;
                }
            }
        }
    }
    settle(found)
}

/// Finds the functions of what is plugged into a port: device 0 of the bus behind it. A bridge among them leads nowhere.
pub fn plugged_in(config: &mut impl ConfigSpace, bus: u8) -> Vec<Found> {
    let mut found = Vec::new();
    for function in 0..8 {
        let address = Address::new(bus, 0, function);
        let Some(identity) = identity(config, address) else { if function == 0 { break } else { continue } };
        let header = (config.read(address, HEADER) >> 16) as u8;
        let kind = match header & 0x7f {
            0 if identity.class >> 16 == BRIDGE => Ok(Kind::Bridge),
            0 => device_of(config, address).map(Kind::Device),
            1 => Ok(Kind::Bridge),
            other => Err(Fault::Header(other)),
        };
        found.push(Found { address, identity, kind });
        if function == 0 && header & 0x80 == 0 {
            break;
        }
    }
    found
}

fn device_of(config: &mut impl ConfigSpace, address: Address) -> Result<Device, Fault> {
    let bars = bar::measure(config, address)?;
    let capabilities = capability::read(config, address)?;
    if let Some(messages) = capabilities.messages {
        messages.check(&bars)?;
    }
    let pin = match (config.read(address, INTERRUPT) >> 8) as u8 {
        0 => None,
        pin @ 1..=4 => Some(pin),
        pin => return Err(Fault::Pin(pin)),
    };
    Ok(Device { bars, capabilities, pin })
}

fn bridge(
    config: &impl ConfigSpace,
    address: Address,
    last: u8,
    known: &mut [bool; 256],
    buses: &mut Vec<u8>,
) -> Result<Kind, Fault> {
    let secondary = (config.read(address, BUSES) >> 8) as u8;
    match secondary {
        // The firmware has not connected it.
        0 => Ok(Kind::Bridge),
        bus if bus > last || known[usize::from(bus)] => Err(Fault::Bus(bus)),
        bus => {
            known[usize::from(bus)] = true;
            buses.push(bus);
            Ok(Kind::Bridge)
        }
    }
}

/// In the order of addresses, and of two whose registers overlap neither can be had: each would reach the other's.
fn settle(mut found: Vec<Found>) -> Vec<Found> {
    found.sort_by_key(|function| function.address);
    let ranges: Vec<(Address, u8, Bar)> = found
        .iter()
        .filter_map(|function| match function.kind {
            Ok(Kind::Device(device)) => Some((function.address, device.bars)),
            _ => None,
        })
        .flat_map(|(address, bars)| {
            bars.into_iter().enumerate().filter_map(move |(at, bar)| Some((address, at as u8, bar?)))
        })
        .collect();
    for function in &mut found {
        let meets = |&&(address, _, bar): &&(Address, u8, Bar)| {
            address == function.address
                && ranges.iter().any(|&(other, _, with)| other != address && bar.meets(&with))
        };
        if let Some(&(_, bar, _)) = ranges.iter().find(meets) {
            function.kind = Err(Fault::BarOverlap(bar));
        }
    }
    found
}

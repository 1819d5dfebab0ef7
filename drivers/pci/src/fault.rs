//! What can be wrong with configuration space.

use core::fmt;

/// Why nobody can have a function.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fault {
    /// A header type that does not exist.
    Header(u8),
    /// A capability lies in the header.
    CapabilityPlace(u8),
    /// Capabilities lead in a circle.
    CapabilityCircle,
    /// A capability does not end within configuration space.
    CapabilityEnd(u8),
    /// A BAR of a kind that does not exist, or the upper half of none.
    BarKind(u8),
    /// A BAR's size is none, or its address is not a multiple of it, or it ends beyond all addresses.
    BarPlace(u8),
    /// A BAR lies where another function's is.
    BarOverlap(u8),
    /// There are no addresses left for a BAR of what was plugged in.
    NoRoom(u8),
    /// The interrupt table, or the bits of pending interrupts, are not within a BAR.
    InterruptTable,
    /// The interrupt pin does not exist.
    Pin(u8),
    /// A bridge leads to a bus that is not there, or is behind another bridge as well.
    Bus(u8),
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Fault::Header(kind) => write!(f, "its header is of no known type ({kind:#x})"),
            Fault::CapabilityPlace(at) => write!(f, "a capability at {at:#x} is within the header"),
            Fault::CapabilityCircle => write!(f, "its capabilities lead in a circle"),
            Fault::CapabilityEnd(at) => write!(f, "the capability at {at:#x} does not end"),
            Fault::BarKind(bar) => write!(f, "BAR {bar} is of no known kind"),
            Fault::BarPlace(bar) => write!(f, "BAR {bar} has no possible size and address"),
            Fault::BarOverlap(bar) => write!(f, "BAR {bar} overlaps another function's"),
            Fault::NoRoom(bar) => write!(f, "there are no addresses left for its BAR {bar}"),
            Fault::InterruptTable => write!(f, "its interrupt table is in none of its BARs"),
            Fault::Pin(pin) => write!(f, "it has no interrupt pin {pin}"),
            Fault::Bus(bus) => write!(f, "it leads to bus {bus}, which is not there or another's"),
        }
    }
}

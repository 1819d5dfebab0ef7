//! What drivers and the PCI bus driver say to each other.
//!
//! A driver [claims](Request::Claim) a function on the service's endpoint and gets a handle that *is* the function: it asks
//! for everything else there, and the function is returned when the last duplicate of the handle is closed, which the driver's
//! death does too. Requests and replies are `postcard` documents; word 0 of a reply is 0 or an errno.
//!
//! | label | on | request | reply |
//! |---|---|---|---|
//! | [`BUS`](label::BUS) | service | [`Request`] | [`Reply`]; of a claim: handle 0 = the function, handle 1 = the bus driver's process, to be watched; of `Await`, asked with handle 0 = notification: handle 0 = what is closed to give up, handle 1 = the bus driver's process |
//! | [`FUNCTION`](label::FUNCTION) | function | [`FunctionRequest`]; of `Lend`: handle 0 = memory; of `Watch`: handle 0 = notification | [`FunctionReply`]; of `Window`: handle 0 = memory; of `Interrupt`: handle 0 = interrupt |
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

use alloc::vec::Vec;
use core::fmt;
use serde::{Deserialize, Serialize};

/// Name of the service.
pub const SERVICE: &str = "pci";
/// Bytes of configuration space that a driver is shown.
pub const CONFIG: usize = 256;
/// Functions in one answer.
pub const LISTED: usize = 64;
/// Pieces of memory that may be lent to one function.
pub const LENT: usize = 64;
/// Drivers that may wait for functions.
pub const AWAITED: usize = 64;
/// Interrupts that one claim of a function is given, those included that it gave up: a machine has some two hundred for all.
pub const INTERRUPTS: usize = 16;

/// Labels of requests; replies have that of their request.
pub mod label {
    /// To the bus.
    pub const BUS: u32 = 0x5043_4901;
    /// To a function.
    pub const FUNCTION: u32 = 0x5043_4902;
}

/// Where a function is (PCI Local Bus 3.0, 3.2.2.3.2): bus, device (5 bits), function (3 bits).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub struct Address(u16);

impl Address {
    /// Of a device and function that exist (below 32 and 8).
    pub const fn new(bus: u8, device: u8, function: u8) -> Address {
        Address((bus as u16) << 8 | (device as u16 & 0x1f) << 3 | function as u16 & 7)
    }

    /// The bus.
    pub const fn bus(self) -> u8 {
        (self.0 >> 8) as u8
    }

    /// The device on its bus.
    pub const fn device(self) -> u8 {
        (self.0 >> 3) as u8 & 0x1f
    }

    /// The function of its device.
    pub const fn function(self) -> u8 {
        self.0 as u8 & 7
    }

    /// All of it, in the order of addresses: what configuration space is indexed by.
    pub const fn number(self) -> u16 {
        self.0
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:02x}:{:02x}.{}", self.bus(), self.device(), self.function())
    }
}

/// What a function says it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Identity {
    /// Who made it.
    pub vendor: u16,
    /// Which of the vendor's devices.
    pub device: u16,
    /// Base class, subclass, programming interface, from the high byte of 24 bits down.
    pub class: u32,
    /// Revision.
    pub revision: u8,
    /// Vendor and device of the board.
    pub subsystem: (u16, u16),
}

/// Which function a driver wants.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Wanted {
    /// Of this vendor.
    pub vendor: u16,
    /// Any of these devices.
    pub devices: Vec<u16>,
    /// How many that fit are somebody else's: in the order of their addresses, those behind them that were plugged in later. Who
    /// was unplugged keeps the place.
    pub skip: u32,
}

/// A request to the bus.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Request {
    /// → [`Reply::Functions`]: up to [`LISTED`] behind an address, in their order.
    Functions {
        /// The last one of the answer before.
        after: Option<Address>,
    },
    /// Takes a function: → [`Reply::Claimed`]. EPERM: the caller is no server or driver of the manifest itself; ENODEV: there is none like that; EBUSY: it is another's; EIO: its
    /// configuration space makes no sense. Waits while a function is being reset after its last driver.
    Claim(Wanted),
    /// After ENODEV: has the notification in slot 0 signalled once such a function can be claimed. → [`Reply::Waiting`] with
    /// a handle; when that is closed the waiting is over. EINVAL: slot 0 is empty; ENOSPC: too many wait.
    Await(Wanted),
}

/// An answer of the bus.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Reply {
    /// Functions that there are.
    Functions(Vec<Listed>),
    /// The function is the caller's.
    Claimed {
        /// Where it is.
        address: Address,
        /// What it is.
        identity: Identity,
    },
    /// The caller will be told.
    Waiting,
}

/// A function in a list.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Listed {
    /// Where it is.
    pub address: Address,
    /// What it is.
    pub identity: Identity,
    /// Whose it is.
    pub state: State,
}

/// Whose a function is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum State {
    /// Nobody's.
    Free,
    /// A driver's.
    Claimed,
    /// On its way back: it is being reset.
    Resetting,
    /// It is unplugged, or about to be: its driver was told and has not returned it yet.
    Leaving,
    /// It was unplugged; never in a list.
    Absent,
    /// Nobody can have it: a bridge, or its configuration space makes no sense.
    Unusable,
}

/// A request to a function.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum FunctionRequest {
    /// → [`FunctionReply::Config`]: the first [`CONFIG`] bytes of its configuration space.
    Config,
    /// Gets registers: → [`FunctionReply::Window`] with the pages around them in slot 0. EINVAL: not inside of that BAR, or no
    /// memory; EPERM: its interrupt table is there, which is the bus's.
    Window {
        /// Which BAR.
        bar: u8,
        /// First byte in it.
        offset: u32,
        /// Bytes.
        length: u32,
    },
    /// Gets an interrupt: → [`FunctionReply::Interrupt`] with it in slot 0. A message of MSI-X where the function has it,
    /// otherwise its line, which has entry 0 only. EINVAL: no such entry; ENODEV: it cannot interrupt; ENOSPC:
    /// this claim was given [`INTERRUPTS`].
    Interrupt {
        /// Entry of the function's table.
        entry: u16,
        /// The CPU that it interrupts.
        cpu: u32,
    },
    /// The function will reach the memory in slot 0: the bus keeps it from being freed until that is over. → `Done`.
    Lend,
    /// Lets the function reach memory by itself, or no longer. → `Done`.
    Master(bool),
    /// Has the notification in slot 0 signalled once the function is unplugged, or is to be: then its owner puts things in order
    /// and closes it. Whether it is still there tells [`FunctionRequest::Config`]: ENODEV when it is not. → `Done`.
    Watch,
}

/// An answer of a function.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum FunctionReply {
    /// It is done.
    Done,
    /// Configuration space.
    Config(Vec<u8>),
    /// Registers.
    Window {
        /// Where in the memory they begin.
        offset: u32,
    },
    /// An interrupt.
    Interrupt {
        /// A message, not shared with anybody and never lost; otherwise a line, level-triggered.
        message: bool,
    },
}

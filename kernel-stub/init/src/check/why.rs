//! What can be wrong with an entry.

use alloc::string::String;
use core::fmt;

use abi::limits::PRIORITIES;
use init_protocol::limits::{LEAST_QUOTA, NAME, STRINGS};

use super::{ENTRIES, STRING_BYTES};

/// Why an entry is skipped.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Why {
    /// There are too many before it.
    TooMany,
    /// Its name is not one.
    Name,
    /// An entry before it has its name.
    SameName,
    /// The archive has no such file.
    NoFile(String),
    /// Too many or too long arguments or environment variables.
    Strings,
    /// There is no such priority.
    Priority(u8),
    /// A quota that no program can start with.
    Quota(u64),
    /// The name of a service is not one.
    Service(String),
    /// Only drivers are given devices.
    NoDriver,
    /// Applications provide no services.
    NoServer,
    /// A first wait of nothing, or beyond the longest.
    Backoff {
        /// First wait in milliseconds.
        first: u32,
        /// Longest wait in milliseconds.
        longest: u32,
    },
    /// Another entry provides the service.
    SameService {
        /// The service.
        service: String,
        /// Who provides it.
        other: String,
    },
    /// Another entry has the device.
    SameDevice {
        /// The device.
        device: String,
        /// Who has it.
        other: String,
    },
    /// The manifest describes no such device.
    NoDevice(String),
    /// The device is named twice, or its ports or memory cannot be.
    Device(String),
    /// It waits for a service that nobody provides, or only somebody who waits for this entry.
    WaitsInVain(String),
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Why::TooMany => write!(f, "only {ENTRIES} entries are started"),
            Why::Name => write!(f, "its name is not 1 to {NAME} bytes in one printable word"),
            Why::SameName => write!(f, "an entry before it has the same name"),
            Why::NoFile(file) => write!(f, "the archive has no file \"{file}\""),
            Why::Strings => write!(
                f,
                "more than {STRINGS} arguments or variables, or more than {STRING_BYTES} bytes of them"
            ),
            Why::Priority(found) => write!(f, "priority {found}, the highest is {}", PRIORITIES - 1),
            Why::Quota(found) => write!(f, "quota of {found} bytes, the least is {LEAST_QUOTA}"),
            Why::Service(name) => write!(f, "\"{name}\" cannot name a service"),
            Why::NoDriver => write!(f, "it is given devices and is not a driver"),
            Why::NoServer => write!(f, "it provides services and is an application"),
            Why::Backoff { first, longest } => {
                write!(f, "restart waits of {first} to {longest} ms are not 1 or more and growing")
            }
            Why::SameService { service, other } => write!(f, "service {service} is provided by {other}"),
            Why::SameDevice { device, other } => write!(f, "device {device} is given to {other}"),
            Why::NoDevice(device) => write!(f, "there is no device \"{device}\""),
            Why::Device(device) => write!(f, "device {device} is named twice or impossible"),
            Why::WaitsInVain(service) => {
                write!(f, "it waits for service {service}, which nobody provides before it is started")
            }
        }
    }
}

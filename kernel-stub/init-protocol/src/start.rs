//! What a program is told when it starts, besides [`abi::start::StartHeader`].

use alloc::{string::String, vec::Vec};

use serde::{Deserialize, Serialize};

/// Follows the start header, in `postcard`.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct StartDocument {
    /// The process's number: what init and the process table call it.
    pub pid: u32,
    /// Arguments; the first one is the program's name.
    pub args: Vec<String>,
    /// Environment: (name, value).
    pub env: Vec<(String, String)>,
    /// Handles that the program was given: (name, handle). A device `com1` of the manifest appears as its interrupt
    /// line `irq:com1` and, when it has any, its memory `memory:com1`; its I/O ports are granted and have no handle.
    pub handles: Vec<(String, u64)>,
    /// What else it is told, in a form that is between the two programs.
    pub data: Vec<u8>,
}

impl StartDocument {
    /// The handle of this name.
    pub fn handle(&self, name: &str) -> Option<abi::Handle> {
        self.handles.iter().find(|(n, _)| n == name).map(|&(_, handle)| abi::Handle(handle))
    }

    /// The environment variable of this name.
    pub fn env(&self, name: &str) -> Option<&str> {
        self.env.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_str())
    }
}

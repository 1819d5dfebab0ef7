//! What is started at boot: the file `manifest` of the boot archive, a [`Manifest`] in `postcard`.
//!
//! Field names and defaults are made for writing it as TOML:
//!
//! ```toml
//! [[devices]]
//! name = "com1"
//! ports = [{ first = 0x3f8, count = 8 }]
//! irq = { line = 4 }
//!
//! [[entries]]
//! name = "tty"
//! file = "bin/tty"
//! kind = "driver"
//! devices = ["com1"]
//! provides = ["tty"]
//! priority = 40
//! cpus = 0b1
//! restart = { on_failure = { first_ms = 10, longest_ms = 1000, limit = 5, settled_ms = 10000 } }
//!
//! [[entries]]
//! name = "kqcat"
//! file = "bin/kqcat"
//! kind = "application"
//! essential = true
//! after = ["event", "tty"]
//! ```

use alloc::{string::String, vec::Vec};

use serde::{Deserialize, Serialize};

/// Name of the manifest's file in the boot archive.
pub const FILE: &str = "manifest";

/// What is started at boot.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// [`VERSION`](crate::VERSION).
    #[serde(default = "version")]
    pub version: u32,
    /// Devices that entries can be given by name.
    #[serde(default)]
    pub devices: Vec<Device>,
    /// Programs, started in this order.
    #[serde(default)]
    pub entries: Vec<Entry>,
}

/// What a device consists of. A device is given to at most one entry.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Device {
    /// What entries call it.
    pub name: String,
    /// I/O ports.
    #[serde(default)]
    pub ports: Vec<Ports>,
    /// Interrupt line.
    #[serde(default)]
    pub irq: Option<Irq>,
    /// Registers in memory.
    #[serde(default)]
    pub memory: Option<Registers>,
    /// The right to make interrupt lines, device memory and ports, all that there are: for the driver of a bus, which finds
    /// its devices itself. Whoever has it is trusted as init is.
    #[serde(default)]
    pub hardware: bool,
}

/// A range of I/O ports.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ports {
    /// First port.
    pub first: u16,
    /// How many.
    pub count: u16,
}

/// An interrupt line.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Irq {
    /// Global system interrupt.
    pub line: u32,
    /// Level-triggered rather than edge.
    #[serde(default)]
    pub level: bool,
    /// Active low rather than high.
    #[serde(default)]
    pub active_low: bool,
}

/// A range of physical addresses; both are multiples of [`abi::memory::PAGE`].
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Registers {
    /// First address.
    pub address: u64,
    /// Bytes.
    pub length: u64,
}

/// A program that is started at boot.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// What logs and the process table call it; unique.
    pub name: String,
    /// Its ELF file in the boot archive.
    pub file: String,
    /// Arguments after the name.
    #[serde(default)]
    pub args: Vec<String>,
    /// Environment.
    #[serde(default)]
    pub env: Vec<(String, String)>,
    /// What it may be given.
    pub kind: Kind,
    /// Names of [`Device`]s; drivers only.
    #[serde(default)]
    pub devices: Vec<String>,
    /// Services that it may register.
    #[serde(default)]
    pub provides: Vec<String>,
    /// Services that must be registered before it is started.
    #[serde(default)]
    pub after: Vec<String>,
    /// Highest priority of its threads, and the priority of the first one.
    #[serde(default = "priority")]
    pub priority: u8,
    /// CPUs that its first thread may run on (bit n is CPU n), 0 for all. CPUs that the machine lacks are ignored.
    #[serde(default)]
    pub cpus: u64,
    /// Quota in bytes.
    #[serde(default = "quota")]
    pub quota: u64,
    /// Bytes of quota that all live processes it starts may have together, 0 when it may start none.
    #[serde(default)]
    pub children_quota: u64,
    /// What to do when it fails: a fault, or an end with a status other than 0.
    #[serde(default)]
    pub restart: Restart,
    /// Milliseconds in which its loop must come round when it is asked, or it hangs and is ended; 0: it is not watched. What
    /// better threads take from it does not count.
    #[serde(default)]
    pub watchdog_ms: u32,
    /// Its end (after all restarts) powers the machine off with its status.
    #[serde(default)]
    pub essential: bool,
    /// May kill, wait for and watch processes that are not its descendants, and power off.
    #[serde(default)]
    pub operator: bool,
}

/// What a program may be given.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Provides services.
    Server,
    /// Provides services and is given devices.
    Driver,
    /// Uses services.
    Application,
}

/// What to do when a program fails.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Restart {
    /// Leave it dead.
    #[default]
    Never,
    /// Start it again, later each time.
    OnFailure(Backoff),
}

/// How long to wait before a restart: `first_ms`, then twice as long each time.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Backoff {
    /// The first wait in milliseconds.
    #[serde(default = "first_ms")]
    pub first_ms: u32,
    /// The longest wait in milliseconds.
    #[serde(default = "longest_ms")]
    pub longest_ms: u32,
    /// Restarts in a row before init gives up.
    #[serde(default = "limit")]
    pub limit: u32,
    /// After a life of so many milliseconds the count begins anew.
    #[serde(default = "settled_ms")]
    pub settled_ms: u32,
}

impl Default for Manifest {
    fn default() -> Manifest {
        Manifest { version: version(), devices: Vec::new(), entries: Vec::new() }
    }
}

impl Default for Backoff {
    fn default() -> Backoff {
        Backoff { first_ms: first_ms(), longest_ms: longest_ms(), limit: limit(), settled_ms: settled_ms() }
    }
}

fn version() -> u32 {
    crate::VERSION
}

fn priority() -> u8 {
    20
}

fn quota() -> u64 {
    16 << 20
}

fn first_ms() -> u32 {
    10
}

fn longest_ms() -> u32 {
    2000
}

fn limit() -> u32 {
    8
}

fn settled_ms() -> u32 {
    10_000
}

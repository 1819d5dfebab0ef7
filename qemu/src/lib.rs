//! The host tool, `cargo xtask`: builds the guest's software, puts it into a boot image, runs it in QEMU, tests, measures.
//!
//! - [`commands`]: what can be asked, one file each;
//! - [`software`]: from sources to a kernel file and a boot archive;
//! - [`machine`]: one run of QEMU: command line, console, time limit, exit status;
//! - [`drivers`]: how long drivers are, and where `unsafe` stands;
//! - [`policies`]: whom an arrival should wake, measured;
//! - [`web`]: the web server under load, one worker woken or all;
//! - [`suite`]: everything that `cargo xtask test` runs and how it is told.
//!
//! Principles: a run never outlives the tool and never outlasts its time limit; the host terminal is always given back
//! as it was; what the guest says is passed on, but for line ends, byte for byte; an error says what was asked, what was found, what to do.
#![deny(unsafe_code)]

pub mod budget;
pub mod commands;
pub mod drivers;
pub mod failure;
pub mod machine;
pub mod measure;
pub mod policies;
pub mod progress;
pub mod software;
pub mod suite;
pub mod web;
pub mod workspace;

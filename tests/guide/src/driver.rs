//! The process of the guide's driver.
#![cfg_attr(target_os = "none", no_std, no_main)]
#![forbid(unsafe_code)]

include!(concat!(env!("OUT_DIR"), "/driver.rs"));

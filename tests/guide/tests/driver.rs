//! The guide's own tests of its driver.

include!(concat!(env!("OUT_DIR"), "/tests.rs"));

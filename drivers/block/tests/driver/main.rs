//! The disk's driver: a device on one side, programs on the other.

mod desk;
#[path = "../../../sdk/tests/fake/mod.rs"]
mod fake;
mod faults;
mod holds;
#[path = "../../../virtio/tests/model/mod.rs"]
mod model;
mod reads;
mod writes;

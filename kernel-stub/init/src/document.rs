//! What a program finds on its start page after the header.

use alloc::{format, string::String, vec::Vec};

use abi::error::{E2BIG, Error, Result};
use init_protocol::{limits::START_DOCUMENT, manifest::Device, start::StartDocument};

use crate::system::Plan;

/// The document of a program, encoded. `handles` are numbers in its own table.
pub fn encode(plan: &Plan<'_>, handles: Vec<(String, u64)>) -> Result<Vec<u8>> {
    let mut args = Vec::with_capacity(1 + plan.args.len());
    args.push(String::from(plan.name));
    args.extend_from_slice(plan.args);
    let mut env = plan.env.to_vec();
    env.extend(plan.devices.iter().filter_map(ports));
    let document = StartDocument { pid: plan.pid, args, env, handles, data: plan.data.to_vec() };
    match postcard::to_allocvec(&document) {
        Ok(bytes) if bytes.len() <= START_DOCUMENT => Ok(bytes),
        _ => Err(Error::new(E2BIG)),
    }
}

/// Ports are granted without a handle, so a variable tells which: `ports:com1` is `0x3f8+8`.
fn ports(device: &Device) -> Option<(String, String)> {
    let ranges: Vec<String> =
        device.ports.iter().map(|ports| format!("{:#x}+{}", ports.first, ports.count)).collect();
    (!ranges.is_empty()).then(|| (format!("ports:{}", device.name), ranges.join(",")))
}

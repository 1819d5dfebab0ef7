//! The driver's trace, for whoever looks.

use super::mapped::Shared;
use abi::error::Result;
use alloc::sync::Arc;
use event_protocol::shared::Kept;
use event_protocol::trace::{SIZE, Trace, Writer};
use rt::sys::Memory;

/// A trace that init shows.
pub fn begin() -> Result<Kept<Shared, Trace>> {
    let memory = Memory::create(SIZE)?;
    let trace = Arc::new(Shared::map(&memory)?).keep_trace()?;
    trace.begin(Writer::Driver);
    // Where nobody keeps it, it is shown only at the end.
    _ = rt::init::trace(&memory);
    Ok(trace)
}

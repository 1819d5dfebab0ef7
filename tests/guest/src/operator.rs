//! What an operator does: to find programs of the machine by their names, and to end them.

use init_protocol::request::Process;
use rt::init;

use crate::{Failure, Outcome};

/// The process of this name that runs.
pub fn find(name: &str) -> Outcome<Option<Process>> {
    let mut after = 0;
    loop {
        let processes = init::list(after)?;
        let Some(last) = processes.last() else { return Ok(None) };
        after = last.pid;
        let running = |process: &Process| process.name == name && process.ended.is_none();
        if let Some(found) = processes.into_iter().find(running) {
            return Ok(Some(found));
        }
    }
}

/// Ends it.
pub fn kill(name: &str) -> Outcome {
    let process = find(name)?.ok_or(Failure::new("no such process"))?;
    Ok(init::kill(process.pid, 9)?)
}

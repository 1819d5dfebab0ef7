//! The processes that there are, as init tells of them.

use abi::error::{EPERM, ESRCH, Error, Result};
use alloc::collections::BTreeMap;
use init_protocol::request::Event;
use init_protocol::status::ExitStatus;

use crate::mailbox::Mailbox;

/// init's number.
const INIT: u32 = 1;

/// A process that lives, or whose parent has yet to be told how it ended.
#[derive(Debug)]
pub struct Process {
    /// Who started it.
    pub parent: u32,
    /// How it ended; [`None`] while it lives.
    pub ended: Option<ExitStatus>,
    /// Its signals.
    pub mailbox: Mailbox,
    family: u32,
    operator: bool,
}

/// All processes but init.
#[derive(Debug, Default)]
pub struct Processes(BTreeMap<u32, Process>);

impl Processes {
    /// None.
    pub const fn new() -> Processes {
        Processes(BTreeMap::new())
    }

    /// Puts down what init tells.
    pub fn happened(&mut self, event: &Event) {
        match *event {
            Event::Born { pid, parent, family, operator } => {
                let process = Process { parent, ended: None, mailbox: Mailbox::default(), family, operator };
                self.0.insert(pid, process);
            }
            Event::Ended { pid, status } => {
                if let Some(process) = self.0.get_mut(&pid) {
                    process.ended = Some(status);
                }
            }
            Event::Forgotten { pid } => drop(self.0.remove(&pid)),
        }
    }

    /// Those that there are now were there before the service.
    pub fn were_there(&mut self) {
        self.0.values_mut().for_each(|process| process.mailbox = Mailbox::unknown());
    }

    /// All that live, with their numbers.
    pub fn all_alive(&mut self) -> impl Iterator<Item = (u32, &mut Process)> {
        self.0.iter_mut().filter(|(_, process)| process.ended.is_none()).map(|(&pid, process)| (pid, process))
    }

    /// A process.
    pub fn get(&self, pid: u32) -> Option<&Process> {
        self.0.get(&pid)
    }

    /// A process, while it lives.
    pub fn alive(&mut self, pid: u32) -> Option<&mut Process> {
        self.0.get_mut(&pid).filter(|process| process.ended.is_none())
    }

    /// Whether `caller` may watch and signal `pid`: it is of its own family, or the caller is an operator.
    pub fn may(&self, caller: u32, pid: u32) -> Result<&Process> {
        let process = match self.0.get(&pid) {
            Some(process) => process,
            None if pid == INIT => return Err(Error::new(EPERM)),
            None => return Err(Error::new(ESRCH)),
        };
        let own = self.0.get(&caller).ok_or(Error::new(EPERM))?;
        if own.operator || own.family == process.family { Ok(process) } else { Err(Error::new(EPERM)) }
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

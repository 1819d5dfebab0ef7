//! New objects, paid for before they are made.

use super::Objects;
use crate::{
    arena::Id,
    endpoint::Endpoint,
    handle_table::HandleTable,
    notification::Notification,
    object::{Memory, Object},
    process::{Life, Process},
    quota::{Account, Charge},
    thread::{NO_THREAD, Outcome, Thread, Wait},
    thread_queue::ThreadQueue,
    watch::NO_WATCH,
};
use abi::{
    Handle, Rights,
    error::{EAGAIN, ENOMEM, ESRCH, Error, Result},
    limits::cost,
    status::ProcessStatus,
};
use alloc::sync::Arc;

impl Objects {
    /// Makes an endpoint that `process` owns.
    pub fn create_endpoint(&mut self, process: Id<Process>) -> Result<Handle> {
        self.process_mut(process)?.handles.reserve()?;
        let charge = self.charge(process, cost::ENDPOINT)?;
        let endpoint = Endpoint {
            owner: Some(process),
            maker: process,
            callers: ThreadQueue::new(),
            receivers: ThreadQueue::new(),
            notices: (None, None),
            references: 0,
            charge: Some(charge),
        };
        let id = self.endpoints.insert(endpoint).ok_or(Error::new(ENOMEM))?;
        let object = Object::Endpoint { id, badge: 0, record: None };
        self.insert_handle(process, object, object.all_rights())
    }

    /// Makes a notification.
    pub fn create_notification(&mut self, process: Id<Process>) -> Result<Handle> {
        self.process_mut(process)?.handles.reserve()?;
        let charge = self.charge(process, cost::NOTIFICATION)?;
        let notification = Notification {
            word: 0,
            waiters: ThreadQueue::new(),
            bound: None,
            references: 0,
            first_watch: NO_WATCH,
            charge: Some(charge),
        };
        let id = self.notifications.insert(notification).ok_or(Error::new(ENOMEM))?;
        let object = Object::Notification { id, mask: 0 };
        self.insert_handle(process, object, object.all_rights())
    }

    /// Makes a memory object of pages that the kernel holds as `block` and has charged.
    pub fn create_memory(
        &mut self,
        process: Id<Process>,
        block: u64,
        size: u64,
        charge: Charge,
        rights: Rights,
    ) -> core::result::Result<Handle, (Error, Memory)> {
        let memory = Memory { block, size, references: 0, charge: Some(charge) };
        let reserved = self.process_mut(process).and_then(|process| process.handles.reserve());
        if let Err(error) = reserved {
            return Err((error, memory));
        }
        if self.memories.len() as u32 >= 1 << 20 {
            return Err((Error::new(ENOMEM), memory));
        }
        match self.memories.insert(memory) {
            Some(id) => Ok(self.insert_handle(process, Object::Memory(id), rights).unwrap_or(Handle::NONE)),
            None => unreachable!("the arena was checked to have room"),
        }
    }

    /// Makes a process with an address space that the kernel holds as `block`. The id is not yet named by a handle.
    pub fn create_process(
        &mut self,
        account: Arc<Account>,
        block: u64,
        highest_priority: u8,
        creator: Option<(Id<Process>, Charge)>,
    ) -> Result<Id<Process>> {
        let table = account.charge(0)?;
        let process = Process {
            handles: HandleTable::new(table),
            block,
            first_thread: NO_THREAD,
            threads: 0,
            highest_priority,
            account,
            life: Life::Alive,
            status: ProcessStatus::default(),
            references: 0,
            first_watch: NO_WATCH,
            started: false,
            creator,
        };
        self.processes.insert(process).ok_or(Error::new(EAGAIN))
    }

    /// Makes a thread, suspended. The id is not yet named by a handle. `EAGAIN` beyond the system's limit.
    pub fn create_thread(&mut self, process: Id<Process>, block: u64) -> Result<Id<Thread>> {
        let owner = self.process(process)?;
        if owner.life != Life::Alive {
            return Err(Error::new(ESRCH));
        }
        let (charge, sibling) = (owner.account.charge(cost::THREAD)?, owner.first_thread);
        let thread = Thread {
            process,
            block,
            wait: Wait::Not,
            outcome: Outcome::Success,
            next: NO_THREAD,
            prev: NO_THREAD,
            bound: None,
            token: 0,
            deadline: None,
            dead: false,
            ended: false,
            suspended: true,
            parked: true,
            handles: 0,
            first_watch: NO_WATCH,
            sibling,
            charge: Some(charge),
        };
        let id = self.threads.insert(thread).ok_or(Error::new(EAGAIN))?;
        let threads = self.threads.len();
        for queue in &mut self.deadlines {
            queue.reserve(threads);
        }
        if let Ok(owner) = self.process_mut(process) {
            owner.first_thread = id.index();
            owner.threads += 1;
        }
        Ok(id)
    }

    /// Lets a suspended thread run, which starts its process. Returns whether it is to be made ready.
    pub fn resume(&mut self, index: u32) -> bool {
        let Some(thread) = self.threads.at_mut(index) else { return false };
        thread.suspended = false;
        let (process, parked) = (thread.process, core::mem::replace(&mut thread.parked, false));
        if let Ok(process) = self.process_mut(process) {
            process.started = true;
        }
        parked
    }
}

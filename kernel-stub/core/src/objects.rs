//! All objects of the system and the operations on them. The kernel holds one lock around this.

use crate::{
    arena::{Arena, Id},
    deadline::DeadlineQueue,
    endpoint::{Badge, Endpoint},
    futex,
    handle_table::{Entry, HandleTable},
    irq::Irq,
    notification::Notification,
    object::{Garbage, Memory, Object, Watch},
    process::{Life, Process},
    quota::{Account, Charge},
    thread::{NO_THREAD, Outcome, Thread, Wait},
    thread_queue::ThreadQueue,
    thread_table::ThreadTable,
};
use abi::{
    Handle, Rights,
    error::{EAGAIN, EBADF, EINVAL, ENOMEM, EPERM, EPIPE, ESRCH, Error, Result},
    limits::{FOREVER, MAX_CPUS, cost},
    status::{ProcessStatus, State},
};
use alloc::{sync::Arc, vec::Vec};

/// Threads in the system: the index fits a reply token.
pub const MAX_THREADS: u32 = 4096;

/// Every object, and the threads between two waits.
pub struct Objects {
    /// Threads.
    pub threads: ThreadTable,
    /// Processes.
    pub processes: Arena<Process>,
    /// Endpoints.
    pub endpoints: Arena<Endpoint>,
    /// Badges of endpoints.
    pub badges: Arena<Badge>,
    /// Notifications.
    pub notifications: Arena<Notification>,
    /// Memory objects.
    pub memories: Arena<Memory>,
    /// Interrupt lines.
    pub irqs: Arena<Irq>,
    /// Queues of futex waiters.
    pub futexes: [ThreadQueue; futex::BUCKETS],
    /// Deadlines by CPU.
    pub deadlines: [DeadlineQueue; MAX_CPUS],
    /// Threads whose wait an operation ended on the side, for the kernel to make ready: [`Objects::next_woken`].
    pub woken: ThreadQueue,
    /// What the kernel has to free.
    pub garbage: Vec<Garbage>,
    /// `woken` or `garbage` is not empty: one thing to look at before the lock is given up.
    pub unsettled: bool,
    /// Calls so far: reply tokens never repeat.
    pub calls: u64,
    /// Handles in all processes.
    pub handle_count: u64,
    /// Watches that have not fired.
    pub watches: u64,
}

impl Default for Objects {
    fn default() -> Self {
        Self::new()
    }
}

impl Objects {
    /// No objects.
    pub const fn new() -> Self {
        Objects {
            threads: ThreadTable::new(MAX_THREADS),
            processes: Arena::new(1 << 16),
            endpoints: Arena::new(1 << 20),
            badges: Arena::new(1 << 24),
            notifications: Arena::new(1 << 20),
            memories: Arena::new(1 << 20),
            irqs: Arena::new(256),
            futexes: [const { ThreadQueue::new() }; futex::BUCKETS],
            deadlines: [const { DeadlineQueue::new() }; MAX_CPUS],
            woken: ThreadQueue::new(),
            garbage: Vec::new(),
            unsettled: false,
            calls: 0,
            handle_count: 0,
            watches: 0,
        }
    }

    /// A process that has not gone: `ESRCH`.
    pub fn process(&self, id: Id<Process>) -> Result<&Process> {
        self.processes.get(id).ok_or(Error::new(ESRCH))
    }

    /// The same for change.
    pub fn process_mut(&mut self, id: Id<Process>) -> Result<&mut Process> {
        self.processes.get_mut(id).ok_or(Error::new(ESRCH))
    }

    /// Looks a handle of a process that is alive up.
    #[inline(always)]
    pub fn lookup(&self, process: Id<Process>, handle: Handle) -> Result<Entry> {
        match self.processes.at(process.index()) {
            Some(process) => process.handles.get(handle).copied(),
            None => Err(Error::new(EBADF)),
        }
    }

    // ---- waits

    /// Drops the deadline of a thread that has one.
    #[cold]
    pub(crate) fn drop_deadline(&mut self, index: u32) {
        if let Some(slot) = self.threads.at(index).and_then(|thread| thread.deadline) {
            self.deadlines[slot.cpu as usize].remove(&mut self.threads, slot.cpu, slot.position);
        }
    }

    /// Gives a waiting thread a deadline on a CPU's timer. Returns whether it is now the earliest there.
    pub fn set_deadline(&mut self, thread: u32, cpu: u8, at: u64) -> bool {
        if at == FOREVER {
            return false;
        }
        let queue = &mut self.deadlines[cpu as usize];
        queue.insert(&mut self.threads, cpu, thread, at);
        queue.earliest() == Some(at)
    }

    /// Ends a wait of a thread that is in no queue any more.
    #[inline(always)]
    pub fn end_wait(&mut self, index: u32) {
        let Some(thread) = self.threads.at_mut(index) else { return };
        thread.wait = Wait::Not;
        if thread.deadline.is_some() {
            self.drop_deadline(index);
        }
    }

    /// Takes a thread out of whatever it waits in.
    pub fn cancel_wait(&mut self, index: u32) {
        let Some(thread) = self.threads.at(index) else { return };
        let process = thread.process;
        match thread.wait {
            Wait::Not | Wait::Reply { .. } => {}
            Wait::Call { endpoint, .. } => {
                if let Some(endpoint) = self.endpoints.get_mut(endpoint) {
                    endpoint.callers.remove(&mut self.threads, index);
                }
            }
            Wait::Recv { endpoint } => {
                if let Some(endpoint) = self.endpoints.get_mut(endpoint) {
                    endpoint.receivers.remove(&mut self.threads, index);
                }
            }
            Wait::Notification { notification } => {
                if let Some(notification) = self.notifications.get_mut(notification) {
                    notification.waiters.remove(&mut self.threads, index);
                }
            }
            Wait::Futex { address } => {
                self.futexes[futex::bucket(process, address)].remove(&mut self.threads, index);
            }
        }
        self.end_wait(index);
    }

    /// Puts a thread whose wait has ended on the list that the kernel makes ready.
    pub fn wake_later(&mut self, index: u32, outcome: Outcome) {
        if let Some(thread) = self.threads.at_mut(index) {
            thread.outcome = outcome;
        }
        self.woken.push(&mut self.threads, index, Wait::Not);
        self.unsettled = true;
    }

    fn discard(&mut self, garbage: Garbage) {
        self.garbage.push(garbage);
        self.unsettled = true;
    }

    /// The next thread to make ready, with what its wait ended with.
    pub fn next_woken(&mut self) -> Option<(u32, Outcome)> {
        self.woken.pop(&mut self.threads).map(|(index, thread)| (index, thread.outcome))
    }

    // ---- handles

    /// Counts one more handle to an object.
    pub fn retain(&mut self, object: Object) {
        match object {
            Object::Endpoint { record: Some(badge), .. } => {
                if let Some(badge) = self.badges.get_mut(badge) {
                    badge.handles += 1;
                }
            }
            Object::Endpoint { id, record: None, .. } => {
                if let Some(endpoint) = self.endpoints.get_mut(id) {
                    endpoint.references += 1;
                }
            }
            Object::Notification { id, .. } => {
                if let Some(notification) = self.notifications.get_mut(id) {
                    notification.references += 1;
                }
            }
            Object::Memory(id) => {
                if let Some(memory) = self.memories.get_mut(id) {
                    memory.references += 1;
                }
            }
            Object::Process(id) => {
                if let Some(process) = self.processes.get_mut(id) {
                    process.references += 1;
                }
            }
            Object::Thread(id) => {
                if let Some(thread) = self.threads.get_mut(id) {
                    thread.handles += 1;
                }
            }
            Object::Irq(id) => {
                if let Some(irq) = self.irqs.get_mut(id) {
                    irq.references += 1;
                }
            }
            Object::Hardware => {}
        }
    }

    /// Counts one handle less; what nobody refers to any more goes.
    pub fn release(&mut self, object: Object) {
        match object {
            Object::Endpoint { record: Some(badge), .. } => self.release_badge(badge),
            Object::Endpoint { id, record: None, .. } => self.release_endpoint(id),
            Object::Notification { id, .. } => self.release_notification(id),
            Object::Memory(id) => self.release_memory(id),
            Object::Process(id) => {
                if let Some(process) = self.processes.get_mut(id) {
                    process.references -= 1;
                }
                self.forget_process(id);
                self.abandon_process(id);
            }
            Object::Thread(id) => {
                let owner = self.threads.get_mut(id).map(|thread| {
                    thread.handles -= 1;
                    thread.process
                });
                self.forget_thread(id);
                if let Some(owner) = owner {
                    self.abandon_process(owner);
                }
            }
            Object::Irq(id) => {
                let last = self.irqs.get_mut(id).is_some_and(|irq| {
                    irq.references -= 1;
                    irq.references == 0
                });
                if last && let Some(irq) = self.irqs.remove(id) {
                    if let Some(notification) = irq.notification {
                        self.release_notification(notification);
                    }
                    self.discard(Garbage::Irq(irq));
                }
            }
            Object::Hardware => {}
        }
    }

    /// Gives a process a handle to an object, counted.
    pub fn insert_handle(&mut self, process: Id<Process>, object: Object, rights: Rights) -> Result<Handle> {
        let handle = self.process_mut(process)?.handles.insert(Entry { object, rights })?;
        self.retain(object);
        self.handle_count += 1;
        Ok(handle)
    }

    /// Closes a handle.
    pub fn close(&mut self, process: Id<Process>, handle: Handle) -> Result<()> {
        let entry = self.process_mut(process)?.handles.remove(handle)?;
        self.closed(entry);
        Ok(())
    }

    fn closed(&mut self, entry: Entry) {
        self.handle_count -= 1;
        if entry.rights.contains(Rights::RECEIVE)
            && let Object::Endpoint { id, .. } = entry.object
        {
            self.close_receive(id);
        }
        self.release(entry.object);
    }

    /// Duplicates a handle with fewer rights, and a badge where it has none yet.
    pub fn duplicate(
        &mut self,
        process: Id<Process>,
        handle: Handle,
        mask: Rights,
        badge: u64,
    ) -> Result<Handle> {
        let entry = self.lookup(process, handle)?.needs(Rights::DUPLICATE)?;
        let rights = entry.rights & (mask - Rights::RECEIVE);
        if badge == 0 {
            return self.insert_handle(process, entry.object, rights);
        }
        entry.needs(Rights::MINT)?;
        let rights = rights - Rights::MINT;
        match entry.object {
            Object::Endpoint { id, record: None, .. } => {
                self.process_mut(process)?.handles.reserve()?;
                let charge = self.charge(process, cost::BADGE)?;
                let record =
                    Badge { value: badge, endpoint: id, handles: 0, next: None, charge: Some(charge) };
                let record = self.badges.insert(record).ok_or(Error::new(ENOMEM))?;
                if let Some(endpoint) = self.endpoints.get_mut(id) {
                    endpoint.references += 1;
                }
                self.insert_handle(process, Object::Endpoint { id, badge, record: Some(record) }, rights)
            }
            Object::Notification { id, mask: 0 } => {
                self.insert_handle(process, Object::Notification { id, mask: badge }, rights)
            }
            Object::Endpoint { .. } | Object::Notification { .. } => Err(Error::new(EPERM)),
            _ => Err(Error::new(EINVAL)),
        }
    }

    /// Duplicates a handle into another process.
    pub fn grant(
        &mut self,
        from: Id<Process>,
        handle: Handle,
        to: Id<Process>,
        mask: Rights,
    ) -> Result<Handle> {
        let entry = self.lookup(from, handle)?.needs(Rights::TRANSFER | Rights::DUPLICATE)?;
        if self.process(to)?.life != Life::Alive {
            return Err(Error::new(ESRCH));
        }
        self.insert_handle(to, entry.object, entry.rights & (mask - Rights::RECEIVE))
    }

    /// Charges the account of a process.
    pub fn charge(&self, process: Id<Process>, amount: u64) -> Result<Charge> {
        self.process(process)?.account.charge(amount)
    }

    // ---- making objects

    /// Makes an endpoint that `process` owns.
    pub fn create_endpoint(&mut self, process: Id<Process>) -> Result<Handle> {
        self.process_mut(process)?.handles.reserve()?;
        let charge = self.charge(process, cost::ENDPOINT)?;
        let endpoint = Endpoint {
            owner: Some(process),
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

    /// Drops one reference to a memory object; the last one makes it garbage.
    pub fn release_memory(&mut self, id: Id<Memory>) {
        let last = self.memories.get_mut(id).is_some_and(|memory| {
            memory.references -= 1;
            memory.references == 0
        });
        if last && let Some(memory) = self.memories.remove(id) {
            self.discard(Garbage::Memory(memory));
        }
    }

    /// Makes a process with an address space that the kernel holds as `block`. The id is not yet named by a handle.
    pub fn create_process(
        &mut self,
        account: Arc<Account>,
        block: u64,
        highest_priority: u8,
        charge: Option<Charge>,
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
            watches: Vec::new(),
            charge,
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
            watches: Vec::new(),
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

    // ---- ends

    /// Removes a thread that is on no CPU and in no run queue. Returns whether it was the last of its process.
    pub fn end_thread(&mut self, index: u32) -> bool {
        let Some(id) = self.threads.id_at(index) else { return false };
        self.cancel_wait(index);
        let Some(thread) = self.threads.at_mut(index) else { return false };
        thread.dead = true;
        thread.ended = true;
        let (process, block, sibling, bound) =
            (thread.process, thread.block, thread.sibling, thread.bound.take());
        let watches = core::mem::take(&mut thread.watches);
        if let Some(notification) = bound.and_then(|bound| self.notifications.get_mut(bound)) {
            notification.bound = None;
        }
        for watch in watches {
            self.fire(watch);
        }
        self.discard(Garbage::ThreadBlock { block, index });
        self.unlink_sibling(process, index, sibling);
        let last = match self.processes.get_mut(process) {
            Some(process) => {
                process.threads -= 1;
                process.threads == 0
            }
            None => false,
        };
        if last {
            self.begin_closing(process);
        }
        self.forget_thread(id);
        last
    }

    fn unlink_sibling(&mut self, process: Id<Process>, index: u32, sibling: u32) {
        let Some(process) = self.processes.get_mut(process) else { return };
        if process.first_thread == index {
            process.first_thread = sibling;
            return;
        }
        let mut at = process.first_thread;
        while let Some(thread) = self.threads.at_mut(at) {
            if thread.sibling == index {
                thread.sibling = sibling;
                return;
            }
            at = thread.sibling;
        }
    }

    /// The process has no thread left: callers that wait for its replies get `EPIPE`, its handles are to be closed.
    pub fn begin_closing(&mut self, id: Id<Process>) {
        if let Some(process) = self.processes.get_mut(id) {
            process.life = Life::Closing(0);
            if process.status.state == State::Alive as u32 {
                // Its last thread ended by itself.
                process.status.state = State::Exited as u32;
            }
        }
        for index in 0..self.threads.capacity() {
            if self.threads.at(index).is_some_and(|t| t.wait == (Wait::Reply { server: id })) {
                self.end_wait(index);
                self.wake_later(index, Outcome::Error(EPIPE));
            }
        }
    }

    /// Closes up to `budget` handles of a process without threads. Returns whether none is left.
    pub fn close_some(&mut self, id: Id<Process>, budget: usize) -> bool {
        for _ in 0..budget {
            let Some(process) = self.processes.get_mut(id) else { return true };
            let Life::Closing(from) = process.life else { return true };
            match process.handles.take_any(from) {
                Some((entry, next)) => {
                    process.life = Life::Closing(next);
                    self.closed(entry);
                }
                None => return true,
            }
        }
        false
    }

    /// The process is gone but for its status: watches fire, its quota goes back when the last charge does.
    pub fn finish_process(&mut self, id: Id<Process>) {
        let Some(process) = self.processes.get_mut(id) else { return };
        process.life = Life::Dead;
        let watches = core::mem::take(&mut process.watches);
        // A table without chunks on an account of nothing: the process's own account is let go now.
        let empty = Account::root(0);
        if let Ok(charge) = empty.charge(0) {
            process.handles = HandleTable::new(charge);
        }
        process.account = empty;
        for watch in watches {
            self.fire(watch);
        }
        self.forget_process(id);
    }

    fn forget_process(&mut self, id: Id<Process>) {
        let gone = self
            .processes
            .get(id)
            .is_some_and(|process| process.references == 0 && process.life == Life::Dead);
        if gone {
            self.processes.remove(id);
        }
    }

    /// A process without handles to it that has no thread, or only parked ones without handles, can never run again.
    fn abandon_process(&mut self, id: Id<Process>) {
        let Some(process) = self.processes.get(id) else { return };
        if process.references > 0 || process.life != Life::Alive {
            return;
        }
        let mut index = process.first_thread;
        while let Some(thread) = self.threads.at(index) {
            if !thread.parked || thread.handles > 0 {
                return;
            }
            index = thread.sibling;
        }
        self.discard(Garbage::Abandoned(id));
    }

    fn forget_thread(&mut self, id: Id<Thread>) {
        if self.threads.get(id).is_some_and(|thread| thread.handles == 0 && thread.ended) {
            self.threads.remove(id);
        }
    }

    /// Arranges that `bits` are signalled when the target ends; at once when it has.
    pub fn watch(
        &mut self,
        watcher: Id<Process>,
        target: Object,
        notification: Id<Notification>,
        bits: u64,
    ) -> Result<()> {
        let charge = self.charge(watcher, cost::WATCH)?;
        let word = self.notifications.get_mut(notification).ok_or(Error::new(EINVAL))?;
        word.references += 1;
        self.watches += 1;
        let watch = Watch { notification, bits, charge: Some(charge) };
        let list = match target {
            Object::Process(id) => {
                self.processes.get_mut(id).filter(|p| p.life != Life::Dead).map(|p| &mut p.watches)
            }
            Object::Thread(id) => self.threads.get_mut(id).filter(|t| !t.ended).map(|t| &mut t.watches),
            _ => None,
        };
        match list {
            Some(list) => list.push(watch),
            None => self.fire(watch),
        }
        Ok(())
    }
}

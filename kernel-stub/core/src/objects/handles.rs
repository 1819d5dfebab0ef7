//! Handles: what they name is counted, and goes with the last one.

use super::Objects;
use crate::{
    arena::Id,
    endpoint::Badge,
    handle_table::Entry,
    object::{Garbage, Object},
    process::{Life, Process},
};
use abi::{
    Handle, Rights,
    error::{EBADF, EINVAL, ENOMEM, EPERM, ESRCH, Error, Result},
    limits::cost,
};

impl Objects {
    /// Looks a handle of a process that is alive up.
    #[inline(always)]
    pub fn lookup(&self, process: Id<Process>, handle: Handle) -> Result<Entry> {
        match self.processes.at(process.index()) {
            Some(process) => process.handles.get(handle).copied(),
            None => Err(Error::new(EBADF)),
        }
    }

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

    pub(super) fn closed(&mut self, entry: Entry) {
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
}

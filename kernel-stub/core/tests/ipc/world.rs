//! Processes and what they have, for tests.

use abi::{Handle, TransferSlot};
use kernel_core::Objects;
use kernel_core::arena::Id;
use kernel_core::endpoint::Endpoint;
use kernel_core::notification::Notification;
use kernel_core::object::Object;
use kernel_core::process::Process;
use kernel_core::quota::Account;
use kernel_core::thread::{Outcome, Thread};

pub struct World {
    pub objects: Objects,
}

impl World {
    pub fn new() -> World {
        World { objects: Objects::new() }
    }

    pub fn process(&mut self) -> Id<Process> {
        self.process_with(1 << 20)
    }

    pub fn process_with(&mut self, quota: u64) -> Id<Process> {
        self.objects.create_process(Account::root(quota), 1, 63, None).unwrap()
    }

    pub fn thread(&mut self, process: Id<Process>) -> u32 {
        self.objects.create_thread(process, 0).unwrap().index()
    }

    pub fn endpoint(&mut self, process: Id<Process>) -> (Handle, Id<Endpoint>) {
        let handle = self.objects.create_endpoint(process).unwrap();
        match self.objects.lookup(process, handle).unwrap().object {
            Object::Endpoint { id, .. } => (handle, id),
            other => panic!("{other:?}"),
        }
    }

    pub fn notification(&mut self, process: Id<Process>) -> (Handle, Id<Notification>) {
        let handle = self.objects.create_notification(process).unwrap();
        match self.objects.lookup(process, handle).unwrap().object {
            Object::Notification { id, .. } => (handle, id),
            other => panic!("{other:?}"),
        }
    }

    pub fn transfer(
        &mut self,
        from: Id<Process>,
        to: Id<Process>,
        slots: &mut [TransferSlot],
        accept: usize,
    ) -> abi::error::Result<()> {
        let moved = self.objects.transfer(from, to, slots, accept)?;
        self.objects.let_go(moved);
        Ok(())
    }

    pub fn woken(&mut self) -> Vec<(u32, Outcome)> {
        std::iter::from_fn(|| self.objects.next_woken()).collect()
    }

    pub fn end(&mut self, process: Id<Process>) {
        let own = |id: &Id<Thread>| {
            self.objects.threads.get(*id).is_some_and(|thread| thread.process == process && !thread.dead)
        };
        let threads: Vec<_> = self.objects.threads.ids().filter(own).collect();
        let had_none = threads.is_empty();
        for thread in threads {
            self.objects.end_thread(thread.index());
        }
        if had_none {
            self.objects.begin_closing(process);
        }
        while !self.objects.close_some(process, 3) {}
        self.objects.finish_process(process);
    }
}

pub fn errno<T: std::fmt::Debug>(result: abi::error::Result<T>) -> i32 {
    result.unwrap_err().errno
}

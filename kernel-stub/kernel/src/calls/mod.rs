//! System calls: from numbers and registers to operations on objects, and back.
//!
//! A handler sees the registers as a [`Call`]; user addresses go through [`crate::user`] and handles through the
//! process's table before anything happens with them, and what fails has changed nothing.

mod clock;
mod handle;
mod hardware;
mod ipc;
mod memory;
mod notification;
mod observe;
mod process;
pub mod thread;

use crate::{
    arch::{self, frame::Frame},
    block::ThreadBlock,
    objects::{self, ObjectsGuard},
    sched::{self, Next},
    shootdown,
    space::ProcessBlock,
};
use abi::{
    Handle, Rights,
    error::{EINVAL, ENOMEM, ENOSYS, Error, Result},
    handle::Kind,
    number::*,
};
use core::sync::atomic::Ordering;
use kernel_core::{arena::Id, handle_table::Entry, object::Object, process::Process};

/// Bytes of a `syscall` instruction.
const SYSCALL_LENGTH: u64 = 2;

/// One system call of the running thread. The entry code passes it in two registers, both the address of the thread's
/// block, which begins with the frame.
#[repr(C)]
pub struct Call<'a> {
    /// Its registers.
    pub frame: &'a mut Frame,
    /// The thread.
    pub thread: &'static ThreadBlock,
}

/// What a handler leaves behind, if it comes back. One that gives the CPU away ends the kernel entry by itself:
/// [`leave`] does not return.
#[repr(C)]
pub struct Outcome {
    /// 0: `value` goes to the result register. The entry code knows it.
    done: u64,
    value: u64,
}

impl Outcome {
    /// The registers are as they should be, and so is the current thread.
    pub const DONE: Outcome = Outcome { done: 1, value: 0 };

    /// This in the result register of the caller, which runs on.
    #[inline(always)]
    pub const fn value(value: u64) -> Outcome {
        Outcome { done: 0, value }
    }
}

impl From<Result<u64>> for Outcome {
    #[inline(always)]
    fn from(result: Result<u64>) -> Outcome {
        Outcome::value(abi::mux(result))
    }
}

impl From<Error> for Outcome {
    #[inline(always)]
    fn from(error: Error) -> Outcome {
        Outcome::value(abi::mux(Err(error)))
    }
}

/// Ends the kernel entry as `next` says; the registers are as they should be and no lock is held.
#[inline(always)]
pub fn leave(next: Next) -> ! {
    match next {
        Next::Same => {
            // Somebody may have become ready on this CPU.
            sched::after_wakes();
            arch::return_to_user()
        }
        Next::Switch(woken) => sched::switch_or_better(woken),
        Next::Schedule => sched::schedule_and_return(),
    }
}

impl Call<'_> {
    /// The caller's process.
    #[inline]
    pub fn process(&self) -> Id<Process> {
        self.thread.process
    }

    /// Ends a call in which threads may have become ready although it failed.
    pub fn fail(self, error: Error) -> Outcome {
        self.frame.rax = abi::mux(Err(error));
        sched::after_wakes();
        Outcome::DONE
    }

    /// Ends a call that asks for `amount` bytes and more or less of small things. When a quota that has to pay is short of
    /// what comes back as soon as other CPUs have forgotten what was unmapped, the thread makes the call again: it runs
    /// with interrupts on in between, so that other CPUs do not wait for this one meanwhile.
    pub fn end_paid(&mut self, result: Result<u64>, amount: u64) -> Outcome {
        let short = result.as_ref().is_err_and(|error| error.errno == ENOMEM);
        if short && self.is_worth_a_try(amount) {
            return self.again();
        }
        self.thread.last_try.store(false, Ordering::Relaxed);
        // In the registers before somebody better takes the CPU.
        self.frame.rax = abi::mux(result);
        sched::after_wakes();
        Outcome::DONE
    }

    /// Lets the thread make the call again, which so far has changed nothing. No lock is held.
    pub fn again(&mut self) -> Outcome {
        self.frame.rip -= SYSCALL_LENGTH;
        core::hint::spin_loop();
        sched::after_wakes();
        Outcome::DONE
    }

    /// What is owed may come back between the refusal and the look. So when nothing is owed, one try decides.
    #[cold]
    fn is_worth_a_try(&self, amount: u64) -> bool {
        let owed = self.is_owed(amount);
        let decided = self.thread.last_try.swap(!owed, Ordering::Relaxed);
        owed || !decided
    }

    fn is_owed(&self, amount: u64) -> bool {
        let mut objects = objects::lock();
        // Who pays is the caller, or the process that the call is about.
        let about = objects.lookup(self.process(), Handle(self.frame.rdi)).map(|entry| entry.object);
        let about = if let Ok(Object::Process(id)) = about { id } else { self.process() };
        [self.process(), about].into_iter().any(|payer| {
            let account = objects.process(payer).map(|payer| payer.account.clone());
            account.is_ok_and(|account| shootdown::is_owed(&mut objects, &account, amount))
        })
    }

    /// Ends a call that has ended threads. `own`: the caller is one of them, and this does not return.
    pub fn end_kill(&mut self, mut objects: ObjectsGuard<'_>, own: bool) -> Outcome {
        self.frame.rax = 0;
        if own {
            objects::end_current(&mut objects, self.thread);
            drop(objects);
            sched::schedule_and_return()
        }
        drop(objects);
        sched::after_wakes();
        Outcome::DONE
    }

    /// Address space and ports of the caller.
    pub fn owner(&self) -> &'static ProcessBlock {
        // SAFETY: the process does not end before its running thread.
        unsafe { &*self.thread.owner.as_ptr() }
    }

    /// Looks a handle of the caller up: `EBADF`, `EINVAL` for another type, `EPERM` for a missing right.
    pub fn object(
        &self,
        objects: &ObjectsGuard<'_>,
        handle: u64,
        kind: Kind,
        rights: Rights,
    ) -> Result<Entry> {
        objects.lookup(self.process(), Handle(handle))?.is(kind)?.needs(rights)
    }

    /// The process that a handle names; 0 is the caller's own.
    pub fn process_or_own(
        &self,
        objects: &ObjectsGuard<'_>,
        handle: u64,
        rights: Rights,
    ) -> Result<Id<Process>> {
        if handle == 0 {
            return Ok(self.process());
        }
        match self.object(objects, handle, Kind::Process, rights)?.object {
            Object::Process(id) => Ok(id),
            _ => Err(Error::new(EINVAL)),
        }
    }
}

type Handler = extern "C" fn(Call<'_>) -> Outcome;

/// Handlers in the order of the native numbers.
pub static NATIVE: [Handler; NATIVE_COUNT as usize] = {
    let mut table: [Handler; NATIVE_COUNT as usize] = [observe::null; NATIVE_COUNT as usize];
    macro_rules! handlers {
        ($($number:ident => $handler:path,)*) => {
            $(table[($number - CLASS_NATIVE) as usize] = $handler;)*
            assert!([$($number),*].len() == NATIVE_COUNT as usize, "every native call has a handler");
        };
    }
    handlers! {
        SYS_NULL => observe::null,
        SYS_HANDLE_DUP => handle::duplicate,
        SYS_HANDLE_INFO => handle::info,
        SYS_HANDLE_GRANT => handle::grant,
        SYS_ENDPOINT_CREATE => ipc::create,
        SYS_CALL => ipc::call,
        SYS_RECV => ipc::receive,
        SYS_REPLY => ipc::reply,
        SYS_REPLY_RECV => ipc::reply_receive,
        SYS_NOTIFICATION_CREATE => notification::create,
        SYS_NOTIFICATION_SIGNAL => notification::signal,
        SYS_NOTIFICATION_WAIT => notification::wait,
        SYS_NOTIFICATION_POLL => notification::poll,
        SYS_NOTIFICATION_BIND => notification::bind,
        SYS_SIGNAL_AND_WAIT => notification::signal_and_wait,
        SYS_MEMORY_CREATE => memory::create,
        SYS_MEMORY_PHYSICAL => memory::physical,
        SYS_MEMORY_MAP => memory::map,
        SYS_MEMORY_UNMAP => memory::unmap,
        SYS_MEMORY_ADDRESS => memory::address,
        SYS_PROCESS_CREATE => process::create,
        SYS_PROCESS_KILL => process::kill,
        SYS_PROCESS_STATUS => process::status,
        SYS_THREAD_CREATE => thread::create,
        SYS_THREAD_START => thread::start,
        SYS_THREAD_SUSPEND => thread::suspend,
        SYS_THREAD_KILL => thread::kill,
        SYS_THREAD_PRIORITY => thread::priority,
        SYS_THREAD_AFFINITY => thread::affinity,
        SYS_THREAD_POINTER => thread::pointer,
        SYS_EXIT_WATCH => process::watch,
        SYS_IRQ_CREATE => hardware::irq_create,
        SYS_IRQ_BIND => hardware::irq_bind,
        SYS_IRQ_ACK => hardware::irq_ack,
        SYS_PORT_GRANT => hardware::port_grant,
        SYS_LOG => observe::log,
        SYS_COUNTERS => observe::counters,
        SYS_IRQ_MESSAGE => hardware::irq_message,
        SYS_PCI_CONFIG => hardware::pci_config,
    }
    table
};

/// Every number that is not native.
pub extern "C" fn other_call(call: Call<'_>) -> Outcome {
    match call.frame.rax {
        SYS_CLOSE => handle::close(call),
        SYS_YIELD => thread::yield_now(call),
        SYS_CLOCK_GETTIME => clock::get_time(call),
        SYS_FUTEX => clock::futex(call),
        _ => Error::new(ENOSYS).into(),
    }
}

/// A handle lookup and an operation that needs nothing but the objects lock and may wake others.
pub fn simple(
    call: &mut Call<'_>,
    operate: impl FnOnce(&Call<'_>, &mut ObjectsGuard<'_>) -> Result<u64>,
) -> Outcome {
    let result = {
        let mut objects = objects::lock();
        operate(call, &mut objects)
    };
    call.end_paid(result, 0)
}

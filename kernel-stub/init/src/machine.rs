//! The real machine.

use alloc::{string::String, vec::Vec};
use core::fmt;

use abi::{
    Rights,
    error::{EINVAL, ENOMEM, EPERM, Error, Result},
    handle::Kind,
    memory::PAGE,
    status::Waits,
};
use init::{
    System,
    system::{Failure, Plan},
    watchdog::Doing,
};
use init_protocol::{
    caller::Caller,
    request::{LABEL, Reply},
    status::ExitStatus,
};
use rt::{
    ipc::{self, Transfer},
    sys::{self, AnyHandle, Endpoint, Notification, Object, Process, Thread},
};

use crate::{archive::Files, layout, loader::Loader, off::Board};

/// What init has.
pub struct Machine {
    pub files: Files,
    pub endpoint: Endpoint,
    pub ends: Notification,
    pub board: Board,
}

/// A process that was started.
pub struct Started {
    pub process: Process,
    /// Its first thread, in which its loop is.
    pub first: Thread,
}

/// What a client may do with a service.
const CLIENT: Rights = Rights::WRITE.union(Rights::DUPLICATE).union(Rights::TRANSFER);
/// What anybody may do with a process that it can know of.
const WATCH: Rights = Rights::READ.union(Rights::DUPLICATE).union(Rights::TRANSFER);

/// What anybody may do with memory that it looks at.
const PAGE_READER: Rights = Rights::READ.union(Rights::DUPLICATE).union(Rights::TRANSFER);

/// Bytes that init keeps for itself, whatever is asked of it: without a heap it could serve nobody.
const RESERVE: u64 = 4 << 20;

impl Machine {
    /// Whether init can pay for a program without giving its own room away.
    fn afford(&self, quota: u64, cost: u64) -> core::result::Result<(), Failure> {
        let refused = |error| Failure::Refused { what: "room for its quota", error };
        let own = self.board.own.status().map_err(refused)?;
        let needed = quota.saturating_add(cost).saturating_add(RESERVE);
        if needed <= own.quota_limit.saturating_sub(own.quota_used) {
            Ok(())
        } else {
            Err(refused(Error::new(ENOMEM)))
        }
    }
}

fn is(handle: &AnyHandle, kind: Kind, rights: Rights) -> bool {
    handle.info().is_ok_and(|info| {
        info.kind == kind as u32 && Rights::from_bits_truncate(info.rights).contains(rights)
    })
}

/// A handle on its way to a client. One that says who calls ends its journey there.
fn given(handle: AnyHandle) -> Transfer {
    let is_identity = handle.info().is_ok_and(|info| info.kind == Kind::Endpoint as u32 && info.badge != 0);
    Transfer::Move(handle, if is_identity { Rights::WRITE } else { Rights::all() })
}

impl System for Machine {
    type Process = Started;
    type Handle = AnyHandle;

    fn now(&self) -> u64 {
        rt::clock::now_ns()
    }

    fn log(&mut self, line: fmt::Arguments<'_>) {
        rt::log!("init: {line}");
    }

    fn cost(&mut self, file: &str) -> core::result::Result<u64, Failure> {
        Ok(self.files.program(file)?.memory() + layout::COST)
    }

    fn spawn(
        &mut self,
        plan: &Plan<'_>,
        handles: Vec<(String, AnyHandle)>,
    ) -> core::result::Result<Started, Failure> {
        let image = self.files.program(plan.file)?;
        self.afford(plan.quota, image.memory() + layout::COST)?;
        let cpus = rt::hints().cpu_count.load(core::sync::atomic::Ordering::Relaxed);
        let loader = Loader {
            endpoint: &self.endpoint,
            ends: &self.ends,
            hardware: &self.board.hardware,
            cpus: (1 << cpus.min(abi::limits::MAX_CPUS as u32)) - 1,
        };
        loader.start(&image, plan, handles)
    }

    fn kill(&mut self, process: &Started, status: i64) {
        // Only an end that came before can be in the way, and that is as good.
        let _ = process.process.kill(status);
    }

    fn status(&mut self, process: &Started) -> Option<ExitStatus> {
        ExitStatus::from_kernel(&process.process.status().ok()?)
    }

    fn doing(&mut self, process: &Started) -> Doing {
        const RUNS: u64 = Waits::Not as u64;
        const STARVES: u64 = Waits::Turn as u64;
        const CALLS: u64 = Waits::Answer as u64;
        const LISTENS: u64 = Waits::Message as u64;
        match process.first.status().map(|status| status.waits) {
            Ok(LISTENS) => Doing::Listens,
            Ok(STARVES) => Doing::Starves,
            Ok(RUNS) => Doing::Runs,
            Ok(CALLS) => Doing::Calls,
            // Without its first thread a program does not come round either.
            _ => Doing::Waits,
        }
    }

    fn share_process(&mut self, process: &Started, control: bool) -> Result<AnyHandle> {
        let rights = if control { WATCH | Rights::CONTROL } else { WATCH };
        sys::duplicate(process.process.handle(), rights, 0).map(AnyHandle::from_handle)
    }

    fn duplicate(&mut self, handle: &AnyHandle) -> Result<AnyHandle> {
        let rights = Rights::from_bits_truncate(handle.info()?.rights);
        match rights.contains(Rights::DUPLICATE | Rights::TRANSFER) {
            true => handle.duplicate(),
            false => Err(Error::new(EPERM)),
        }
    }

    fn is_service(&mut self, handle: &AnyHandle) -> bool {
        is(handle, Kind::Endpoint, CLIENT)
    }

    fn introduce(&mut self, service: &AnyHandle, client: Caller) -> Result<Option<AnyHandle>> {
        if !is(service, Kind::Endpoint, Rights::MINT) {
            return Ok(None);
        }
        let own = sys::duplicate(service.handle(), CLIENT, client.badge())?;
        Ok(Some(AnyHandle::from_handle(own)))
    }

    fn share_service(&mut self, service: &AnyHandle) -> Result<AnyHandle> {
        // Who has one that says who calls, is it: not to be duplicated.
        let knows = service.info()?.badge != 0;
        service.restricted(if knows { Rights::WRITE | Rights::TRANSFER } else { CLIENT })
    }

    fn is_signal(&mut self, handle: &AnyHandle) -> bool {
        is(handle, Kind::Notification, Rights::WRITE)
    }

    fn signal(&mut self, handle: &AnyHandle) {
        // A badge says which bits; without one, all are as good as any.
        let _ = sys::signal(handle.handle(), u64::MAX);
    }

    fn is_page(&mut self, handle: &AnyHandle) -> bool {
        is(handle, Kind::Memory, PAGE_READER) && handle.info().is_ok_and(|info| info.detail == PAGE)
    }

    fn share_page(&mut self, handle: &AnyHandle) -> Result<AnyHandle> {
        handle.restricted(PAGE_READER)
    }

    fn open(&mut self, path: &str) -> Result<(AnyHandle, u64)> {
        self.files.open(path)
    }

    fn reply(&mut self, token: u64, answer: Result<(Reply, Option<AnyHandle>)>) -> Result<()> {
        let error = match answer {
            Ok((reply, handle)) => {
                let reply = ipc::Reply::document(LABEL, &reply);
                let reply = handle.into_iter().map(given).fold(reply, ipc::Reply::handle);
                return reply.deliver(token);
            }
            // An errno of 0 would read as success.
            Err(Error { errno: 0 }) => Error::new(EINVAL),
            Err(error) => error,
        };
        ipc::Reply::error(LABEL, error).deliver(token)
    }

    fn power_off(&mut self, status: u8) {
        self.board.off(status)
    }
}

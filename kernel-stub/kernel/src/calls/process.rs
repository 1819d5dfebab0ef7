//! Processes.

use super::{Call, Outcome, simple};
use crate::{objects, pages, sched, space::ProcessBlock, user};
use abi::{
    Handle, Rights,
    error::{EINVAL, ENOMEM, ESRCH, Error, Result},
    handle::Kind,
    limits::{PRIORITIES, cost},
    status::{ProcessStatus, State, Waits},
};
use alloc::sync::Arc;
use kernel_core::{object::Object, process::Life, quota::Account};

/// `SYS_PROCESS_CREATE`
pub extern "C" fn create(mut call: Call<'_>) -> Outcome {
    let call = &mut call;
    let result = make(call);
    call.end_paid(result, call.frame.rdi)
}

fn make(call: &Call<'_>) -> Result<u64> {
    let (quota, priority) = (call.frame.rdi, call.frame.rsi);
    if priority >= PRIORITIES as u64 {
        return Err(Error::new(EINVAL));
    }
    pages::spare()?;
    let (account, charge) = {
        let objects = objects::lock();
        let parent = &objects.process(call.process())?.account;
        (Account::child(parent, quota)?, parent.charge(cost::PROCESS)?)
    };
    let block = ProcessBlock::new(&account)?;
    let mut objects = objects::lock();
    let caller = objects.process_mut(call.process())?;
    caller.handles.reserve()?;
    if priority > u64::from(caller.highest_priority) {
        return Err(Error::new(abi::error::EPERM));
    }
    let word = Arc::into_raw(block) as u64;
    let created = objects.create_process(account, word, priority as u8, Some((call.process(), charge)));
    match created {
        Ok(id) => {
            let object = Object::Process(id);
            objects.insert_handle(call.process(), object, object.all_rights()).map(|handle| handle.0)
        }
        Err(error) => {
            drop(objects);
            // SAFETY: the word is the reference just made, which no process has taken.
            drop(unsafe { Arc::from_raw(word as *const ProcessBlock) });
            Err(error)
        }
    }
}

/// `SYS_PROCESS_KILL`
pub extern "C" fn kill(mut call: Call<'_>) -> Outcome {
    let call = &mut call;
    let status = objects::exited(call.frame.rsi as i64);
    let mut objects = objects::lock();
    let own = match call.process_or_own(&objects, call.frame.rdi, Rights::CONTROL) {
        Ok(process) if objects.processes.get(process).is_none_or(|process| process.life == Life::Dead) => {
            return Error::new(ESRCH).into();
        }
        Ok(process) => objects::kill_process(&mut objects, process, status),
        Err(error) => return error.into(),
    };
    call.end_kill(objects, own)
}

/// `SYS_PROCESS_STATUS`
pub extern "C" fn status(mut call: Call<'_>) -> Outcome {
    let call = &mut call;
    simple(call, |call, objects| {
        let entry = objects.lookup(call.process(), Handle(call.frame.rdi))?.needs(Rights::READ)?;
        let status = match entry.object {
            Object::Process(id) => {
                let process = objects.process(id)?;
                let shown = if process.life == Life::Dead {
                    process.status
                } else {
                    ProcessStatus { state: State::Alive as u32, ..ProcessStatus::default() }
                };
                ProcessStatus {
                    threads: u64::from(process.threads),
                    quota_used: process.account.used(),
                    quota_limit: process.account.limit(),
                    ..shown
                }
            }
            Object::Thread(id) => {
                let thread = objects.threads.get(id).filter(|thread| !thread.ended);
                let state = if thread.is_none() { State::Exited } else { State::Alive };
                let threads = u64::from(thread.is_some());
                let waits = match thread.map_or(Waits::Not, |thread| thread.wait.told()) {
                    Waits::Not if thread.is_some() && sched::is_outranked(id.index(), objects.token()) => {
                        Waits::Turn
                    }
                    waits => waits,
                } as u64;
                ProcessStatus { state: state as u32, threads, waits, ..ProcessStatus::default() }
            }
            _ => return Err(Error::new(EINVAL)),
        };
        user::write(call.owner(), call.frame.rsi, &status, objects.token())?;
        Ok(0)
    })
}

/// `SYS_EXIT_WATCH`
pub extern "C" fn watch(mut call: Call<'_>) -> Outcome {
    let call = &mut call;
    simple(call, |call, objects| {
        pages::spare()?;
        let target = objects.lookup(call.process(), Handle(call.frame.rdi))?.needs(Rights::READ)?;
        if !matches!(target.object, Object::Process(_) | Object::Thread(_)) {
            return Err(Error::new(EINVAL));
        }
        let entry = call.object(objects, call.frame.rsi, Kind::Notification, Rights::WRITE)?;
        let Object::Notification { id, mask } = entry.object else { return Err(Error::new(ENOMEM)) };
        let bits = if mask == 0 { call.frame.rdx } else { call.frame.rdx & mask };
        if bits == 0 {
            return Err(Error::new(EINVAL));
        }
        objects.watch(call.process(), target.object, id, bits)?;
        Ok(0)
    })
}

//! Handles.

use super::{Call, Outcome, simple};
use crate::user;
use abi::{Handle, Rights, handle::HandleInfo, handle::Kind};
use kernel_core::object::Object;

/// `SYS_CLOSE`
pub extern "C" fn close(mut call: Call<'_>) -> Outcome {
    let call = &mut call;
    simple(call, |call, objects| objects.close(call.process(), Handle(call.frame.rdi)).map(|()| 0))
}

/// `SYS_HANDLE_DUP`
pub extern "C" fn duplicate(mut call: Call<'_>) -> Outcome {
    let call = &mut call;
    simple(call, |call, objects| {
        crate::pages::spare()?;
        let mask = Rights::from_bits_truncate(call.frame.rsi as u32);
        objects.duplicate(call.process(), Handle(call.frame.rdi), mask, call.frame.rdx).map(|handle| handle.0)
    })
}

/// `SYS_HANDLE_GRANT`
pub extern "C" fn grant(mut call: Call<'_>) -> Outcome {
    let call = &mut call;
    simple(call, |call, objects| {
        crate::pages::spare()?;
        let to = call.object(objects, call.frame.rdi, Kind::Process, Rights::CONTROL)?;
        let Object::Process(to) = to.object else { return Ok(0) };
        let mask = Rights::from_bits_truncate(call.frame.rdx as u32);
        objects.grant(call.process(), Handle(call.frame.rsi), to, mask).map(|handle| handle.0)
    })
}

/// `SYS_HANDLE_INFO`
pub extern "C" fn info(mut call: Call<'_>) -> Outcome {
    let call = &mut call;
    simple(call, |call, objects| {
        let entry = objects.lookup(call.process(), Handle(call.frame.rdi))?;
        let (badge, detail) = match entry.object {
            Object::Endpoint { id, badge, .. } => (badge, u64::from(objects.receiver(id).is_err())),
            Object::Notification { mask, .. } => (mask, 0),
            Object::Memory(id) => (0, objects.memories.get(id).map_or(0, |memory| memory.size)),
            Object::Process(id) => (0, u64::from(id.index())),
            Object::Thread(id) => (0, u64::from(id.index())),
            Object::Irq(id) => (0, objects.irqs.get(id).map_or(0, |irq| u64::from(irq.gsi))),
            Object::Hardware => (0, 0),
        };
        let info =
            HandleInfo { kind: entry.object.kind() as u32, rights: entry.rights.bits(), badge, detail };
        let owner = call.owner();
        user::write(owner, call.frame.rsi, &info, objects.token())?;
        Ok(0)
    })
}

//! Interrupts and I/O ports, for holders of the hardware handle.

use super::{Call, Outcome, simple};
use crate::{irq, objects::ObjectsGuard};
use abi::{
    Rights,
    error::{EBUSY, EINVAL, ENODEV, ENOMEM, Error, Result},
    handle::Kind,
    limits::cost,
    memory::{IRQ_ACTIVE_LOW, IRQ_LEVEL, IRQ_MESSAGE, PciConfig},
};
use kernel_core::{
    irq::{Irq, is_taken},
    object::Object,
};

/// `SYS_IRQ_CREATE`
pub extern "C" fn irq_create(mut call: Call<'_>) -> Outcome {
    let call = &mut call;
    simple(call, |call, objects| {
        call.object(objects, call.frame.rdi, Kind::Hardware, Rights::CONTROL)?;
        let (gsi, flags) = (call.frame.rsi, call.frame.rdx);
        let gsi = match flags {
            IRQ_MESSAGE if gsi == 0 => message(objects).ok_or(Error::new(ENOMEM))?,
            _ => line(gsi, flags, objects)?,
        };
        crate::pages::spare()?;
        let charge = objects.charge(call.process(), cost::IRQ)?;
        objects.process_mut(call.process())?.handles.reserve()?;
        let line = Irq {
            gsi,
            flags,
            notification: None,
            bits: 0,
            pending: false,
            references: 0,
            charge: Some(charge),
        };
        let id = objects.irqs.insert(line).ok_or(Error::new(ENOMEM))?;
        let object = Object::Irq(id);
        let rights = match flags {
            IRQ_MESSAGE => object.all_rights(),
            _ => object.all_rights().difference(Rights::PHYSICAL),
        };
        objects.insert_handle(call.process(), object, rights).map(|handle| handle.0)
    })
}

/// A number for a message.
fn message(objects: &mut ObjectsGuard<'_>) -> Option<u32> {
    let (objects, mut token) = objects.split();
    irq::free_message(&objects.irqs, &mut token)
}

/// A line that can be had.
fn line(gsi: u64, flags: u64, objects: &mut ObjectsGuard<'_>) -> Result<u32> {
    let gsi = u32::try_from(gsi).map_err(|_| Error::new(EINVAL))?;
    if !irq::exists(gsi, &mut objects.token()) || flags & !(IRQ_LEVEL | IRQ_ACTIVE_LOW) != 0 {
        return Err(Error::new(EINVAL));
    }
    match is_taken(&objects.irqs, gsi) {
        true => Err(Error::new(EBUSY)),
        false => Ok(gsi),
    }
}

/// `SYS_IRQ_MESSAGE`
pub extern "C" fn irq_message(mut call: Call<'_>) -> Outcome {
    let call = &mut call;
    simple(call, |call, objects| {
        let Object::Irq(id) = call.object(objects, call.frame.rdi, Kind::Irq, Rights::PHYSICAL)?.object
        else {
            return Err(Error::new(EINVAL));
        };
        let irq = objects.irqs.get(id).filter(|irq| irq.is_message()).ok_or(Error::new(EINVAL))?;
        if call.frame.rsi >= u64::from(crate::arch::cpu::count()) {
            return Err(Error::new(EINVAL));
        }
        Ok(irq::message(irq.gsi, call.frame.rsi as u32).pack())
    })
}

/// `SYS_IRQ_BIND`
pub extern "C" fn irq_bind(mut call: Call<'_>) -> Outcome {
    let call = &mut call;
    simple(call, |call, objects| {
        let line = call.object(objects, call.frame.rdi, Kind::Irq, Rights::CONTROL)?.object;
        let target = call.object(objects, call.frame.rsi, Kind::Notification, Rights::WRITE)?.object;
        let (Object::Irq(line), Object::Notification { id, mask }) = (line, target) else {
            return Err(Error::new(EINVAL));
        };
        let bits = if mask == 0 { call.frame.rdx } else { call.frame.rdx & mask };
        if bits == 0 {
            return Err(Error::new(EINVAL));
        }
        objects.retain(target);
        let Some(irq) = objects.irqs.get_mut(line) else { return Err(Error::new(EINVAL)) };
        let old = irq.notification.replace(id);
        irq.bits = bits;
        let pending = irq.pending;
        irq.pending = false;
        let (gsi, flags) = (irq.gsi, irq.flags);
        if let Some(old) = old {
            objects.release_notification(old);
        }
        let pending = irq::enable(gsi, flags, &mut objects.token()) || pending;
        Ok(u64::from(pending))
    })
}

/// `SYS_IRQ_ACK`
pub extern "C" fn irq_ack(mut call: Call<'_>) -> Outcome {
    let call = &mut call;
    simple(call, |call, objects| {
        let Object::Irq(line) = call.object(objects, call.frame.rdi, Kind::Irq, Rights::CONTROL)?.object
        else {
            return Err(Error::new(EINVAL));
        };
        let irq = objects.irqs.get_mut(line).ok_or(Error::new(EINVAL))?;
        if irq.notification.is_none() {
            return Err(Error::new(EINVAL));
        }
        irq.pending = false;
        let gsi = irq.gsi;
        irq::unmask(gsi, &mut objects.token());
        Ok(0)
    })
}

/// `SYS_PCI_CONFIG`
pub extern "C" fn pci_config(mut call: Call<'_>) -> Outcome {
    let call = &mut call;
    simple(call, |call, objects| {
        call.object(objects, call.frame.rdi, Kind::Hardware, Rights::CONTROL)?;
        crate::arch::pci_config().map(PciConfig::pack).ok_or(Error::new(ENODEV))
    })
}

/// `SYS_PORT_GRANT`
pub extern "C" fn port_grant(mut call: Call<'_>) -> Outcome {
    let call = &mut call;
    simple(call, |call, objects| {
        call.object(objects, call.frame.rdi, Kind::Hardware, Rights::CONTROL)?;
        let target = call.process_or_own(objects, call.frame.rsi, Rights::CONTROL)?;
        let (first, count) = (call.frame.rdx, call.frame.r10);
        if count == 0 || first.checked_add(count).is_none_or(|end| end > 0x1_0000) {
            return Err(Error::new(EINVAL));
        }
        let own = target == call.process();
        // A thread on another CPU could look at the list while it changes.
        if objects.process(target)?.threads > u32::from(own) {
            return Err(Error::new(EBUSY));
        }
        let owner = crate::space::owner_of(objects, target)?;
        owner.grant_ports(first as u16, count as u16)?;
        if own {
            crate::sched::note_ports(call.thread);
        }
        Ok(0)
    })
}

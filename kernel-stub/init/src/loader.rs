//! Makes a process out of a file.

use alloc::{format, string::String, vec::Vec};

use abi::{
    Handle, Rights,
    error::Result,
    flag::MapFlags,
    memory::{IRQ_ACTIVE_LOW, IRQ_LEVEL, PAGE},
    thread::ThreadOptions,
};
use image::elf::{Image, Protection, Segment};
use init::{
    document,
    system::{Failure, Plan},
};
use init_protocol::manifest::{Device, Irq};
use rt::sys::{AnyHandle, Endpoint, Hardware, Memory, Notification, Object, Process, Quota, Thread};

use crate::{layout, machine::Started, window};

/// Status of a process that was not finished.
const UNFINISHED: i64 = -1;

const READ_WRITE: MapFlags = MapFlags::PROT_READ.union(MapFlags::PROT_WRITE);
const READ_EXECUTE: MapFlags = MapFlags::PROT_READ.union(MapFlags::PROT_EXEC);

/// What init gives of its own.
pub struct Loader<'a> {
    /// To be called by the program, with its pid as badge.
    pub endpoint: &'a Endpoint,
    /// Hears of the program's end.
    pub ends: &'a Notification,
    /// Source of devices.
    pub hardware: &'a Hardware,
    /// CPUs of the machine, bit n for CPU n.
    pub cpus: u64,
}

/// A process that is being made. Dropped unfinished, it is killed: with it goes everything that it was given.
struct Unfinished(Option<Process>);

impl Drop for Unfinished {
    fn drop(&mut self) {
        if let Some(process) = self.0.take() {
            // It has no thread that runs; the handle that is dropped next is the last.
            let _ = process.kill(UNFINISHED);
        }
    }
}

trait Step<T> {
    /// Says what was refused.
    fn step(self, what: &'static str) -> core::result::Result<T, Failure>;
}

impl<T> Step<T> for Result<T> {
    fn step(self, what: &'static str) -> core::result::Result<T, Failure> {
        self.map_err(|error| Failure::Refused { what, error })
    }
}

impl Loader<'_> {
    /// Makes the process and starts its first thread.
    pub fn start(
        &self,
        image: &Image<'_>,
        plan: &Plan<'_>,
        handles: Vec<(String, AnyHandle)>,
    ) -> core::result::Result<Started, Failure> {
        let quota = Quota { bytes: plan.quota, priority: plan.priority };
        let mut unfinished = Unfinished(Some(Process::create(quota).step("process")?));
        let mut first = None;
        if let Some(process) = &unfinished.0 {
            for segment in image.segments() {
                load(process, &segment).step("memory for a segment")?;
            }
            let thread = self.furnish(process, image.entry(), plan, handles)?;
            self.ends.watch_exit(process, plan.exit_bits).step("exit watch")?;
            thread.start().step("start of its thread")?;
            first = Some(thread);
        }
        match (unfinished.0.take(), first) {
            (Some(process), Some(first)) => Ok(Started { process, first }),
            _ => Err(Failure::NoFile),
        }
    }

    /// Gives handles, stack and start page; the thread is suspended.
    fn furnish(
        &self,
        process: &Process,
        entry: u64,
        plan: &Plan<'_>,
        handles: Vec<(String, AnyHandle)>,
    ) -> core::result::Result<Thread, Failure> {
        let mut named = Vec::new();
        for device in plan.devices {
            self.give(process, device, &mut named).step("device")?;
        }
        for (name, handle) in handles {
            named.push((name, process.grant(handle.handle(), Rights::all()).step("handle")?.0));
        }
        let own = process.grant(process.handle(), Rights::all()).step("handle of itself")?;
        let init = self.badged(process, plan.pid).step("handle of init")?;
        let document = document::encode(plan, named).map_err(|_| Failure::TooBig)?;

        let start = (layout::HEADER + document.len() as u64).next_multiple_of(PAGE);
        let size = layout::STACK + PAGE + start;
        let room = Memory::create(size as usize).step("memory for its stack")?;
        let offset = layout::STACK + PAGE;
        map(process, &room, layout::STACK_END - layout::STACK, 0, layout::STACK, READ_WRITE)
            .and_then(|()| map(process, &room, layout::IPC_BUFFER, layout::STACK, PAGE, READ_WRITE))
            .and_then(|()| map(process, &room, layout::START, offset, start, MapFlags::PROT_READ))
            .step("map of its stack")?;

        let cpus = plan.cpus & self.cpus;
        let options = ThreadOptions::new(plan.priority).on(cpus);
        // As after a call, for a function that expects a return address below an aligned stack.
        let stack = layout::STACK_END - 8;
        // SAFETY: not this process: what the code does there is its own affair.
        let thread =
            unsafe { process.create_thread(entry, stack, layout::START, layout::IPC_BUFFER, options) };
        let thread = thread.step("thread")?;
        let own_thread = process.grant(thread.handle(), Rights::all()).step("handle of its thread")?;
        let header = layout::header(document.len(), own, own_thread, init);
        let offset = offset as usize;
        window::fill(&room, &[(offset, &header), (offset + header.len(), &document)]).step("start page")?;
        Ok(thread)
    }

    /// The handle that tells init who calls. It can be neither passed on nor duplicated: who has it, is it.
    fn badged(&self, process: &Process, pid: u32) -> Result<Handle> {
        let rights = Rights::WRITE | Rights::TRANSFER | Rights::DUPLICATE;
        let badged = self.endpoint.with_badge(rights, u64::from(pid))?;
        process.grant(badged.handle(), Rights::WRITE)
    }

    fn give(&self, process: &Process, device: &Device, named: &mut Vec<(String, u64)>) -> Result<()> {
        for ports in &device.ports {
            self.hardware.grant_ports(process, ports.first, ports.count)?;
        }
        if let Some(Irq { line, level, active_low }) = device.irq {
            let flags = if level { IRQ_LEVEL } else { 0 } | if active_low { IRQ_ACTIVE_LOW } else { 0 };
            // Made anew for each life of the driver: the kernel masks the line when the last handle is closed.
            let irq = self.hardware.irq(line, flags)?;
            named.push((format!("irq:{}", device.name), process.grant(irq.handle(), Rights::all())?.0));
        }
        if let Some(registers) = device.memory {
            let memory = self.hardware.memory(registers.address, registers.length)?;
            named.push((format!("memory:{}", device.name), process.grant(memory.handle(), Rights::all())?.0));
        }
        if device.hardware {
            // To use, not to pass on.
            let handle = process.grant(self.hardware.handle(), Rights::CONTROL)?;
            named.push((format!("hardware:{}", device.name), handle.0));
        }
        Ok(())
    }
}

/// Maps a segment with a copy of its bytes.
fn load(process: &Process, segment: &Segment<'_>) -> Result<()> {
    let pages = segment.pages();
    let size = pages.end - pages.start;
    let memory = Memory::create(size as usize)?;
    window::fill(&memory, &[(segment.data_offset() as usize, segment.data)])?;
    let protection = match segment.protection {
        Protection::Read => MapFlags::PROT_READ,
        Protection::ReadWrite => READ_WRITE,
        Protection::ReadExecute => READ_EXECUTE,
    };
    map(process, &memory, pages.start, 0, size, protection)
}

fn map(
    process: &Process,
    memory: &Memory,
    address: u64,
    offset: u64,
    length: u64,
    protection: MapFlags,
) -> Result<()> {
    // SAFETY: never called for this process.
    unsafe { process.map(memory, address as usize, offset as usize, length as usize, protection) }.map(drop)
}

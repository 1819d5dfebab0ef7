//! System calls of a process that owns a device: its memory is no memory for the kernel, its ports are nobody else's.
#![no_std]
#![no_main]
#![deny(unsafe_code)]

extern crate alloc;

use abi::Rights;
use abi::error::{EBUSY, EFAULT, EINVAL, ENOMEM, EPERM};
use abi::flag::{CLOCK_MONOTONIC, FUTEX_WAIT, MapFlags};
use abi::memory::{IRQ_LEVEL, IRQ_MESSAGE};
use abi::number::{SYS_CLOCK_GETTIME, SYS_COUNTERS, SYS_FUTEX, SYS_HANDLE_INFO, SYS_LOG, SYS_PROCESS_STATUS};
use abi::status::State;
use abi::thread::ThreadOptions;
use alloc::vec::Vec;
use driver_sdk::{Mmio, Ports, Registers};
use guest_tests::failure::{ensure, equal, refused};
use guest_tests::mini::{self, DATA, Plan};
use guest_tests::{Failure, Outcome, Suite, raw, soon};
use rt::clock;
use rt::sys::{Hardware, Irq, Memory, Notification, Object, Process, Quota};
use rt::thread::{self, Builder};

rt::entry!(main);

const PORT: Ports = Ports::new(0x80, 1);
const GENERAL_PROTECTION: u32 = 13;

fn main(start: &rt::Start) -> i32 {
    let mut suite = Suite::new(start);
    suite.table(&[
        ("a_pointer_into_device_memory_is_efault", a_pointer_into_device_memory_is_efault),
        ("an_ipc_buffer_in_device_memory_is_efault", an_ipc_buffer_in_device_memory_is_efault),
        ("ports_are_nobody_elses", ports_are_nobody_elses),
        ("ports_that_are_no_ports_are_refused", no_ports),
        ("ports_granted_to_oneself_are_there_at_once_and_everywhere", ports_granted_to_oneself),
        ("ports_are_not_granted_while_others_run", ports_are_not_granted_while_others_run),
        ("message_interrupts_are_each_their_own", messages_are_each_their_own),
        ("what_is_no_message_interrupt_is_refused", no_messages),
        ("message_interrupts_run_out_and_come_back", messages_run_out),
        ("configuration_space_is_where_the_firmware_says", configuration_space),
        ("ports_have_three_widths", ports_have_three_widths),
    ]);
    suite.finish()
}

fn registers() -> Outcome<&'static Memory> {
    static REGISTERS: rt::sync::OnceLock<Option<Memory>> = rt::sync::OnceLock::new();
    let registers = REGISTERS.get_or_init(|| rt::start::start().object("memory:test"));
    registers.as_ref().ok_or_else(|| Failure::new("no device memory was granted"))
}

fn a_pointer_into_device_memory_is_efault() -> Outcome {
    let registers = registers()?;
    let mapping = registers.map_all(MapFlags::PROT_READ | MapFlags::PROT_WRITE)?;
    let address = mapping.start().as_ptr().addr() as u64;
    let process = rt::start::start().process().0;
    for address in [address, address + 0x10, address + 0xff0] {
        refused(raw(SYS_LOG, [address, 16, 0, 0, 0, 0]), EFAULT)?;
        refused(raw(SYS_COUNTERS, [address, 0, 0, 0, 0, 0]), EFAULT)?;
        refused(raw(SYS_CLOCK_GETTIME, [CLOCK_MONOTONIC as u64, address, 0, 0, 0, 0]), EFAULT)?;
        refused(raw(SYS_HANDLE_INFO, [registers.handle().0, address, 0, 0, 0, 0]), EFAULT)?;
        refused(raw(SYS_PROCESS_STATUS, [process, address, 0, 0, 0, 0]), EFAULT)?;
        refused(raw(SYS_FUTEX, [address, FUTEX_WAIT as u64, 0, soon(), 0, 0]), EFAULT)?;
    }
    Ok(())
}

fn an_ipc_buffer_in_device_memory_is_efault() -> Outcome {
    let child = Process::create(Quota { bytes: 1 << 18, priority: 1 })?;
    // SAFETY: another process's address space.
    #[expect(unsafe_code, reason = "maps into a process that never runs")]
    unsafe {
        child.map(registers()?, DATA, 0, 4096, MapFlags::PROT_READ | MapFlags::PROT_WRITE)?;
    }
    refused(guest_tests::thread_in(&child, DATA as u64, ThreadOptions::new(1)), EFAULT)
}

fn ports_are_nobody_elses() -> Outcome {
    // On one CPU: the others run right after their owner there.
    Builder::new()
        .cpus(1 << clock::cpu())
        .spawn(|| {
            for _ in 0..20 {
                PORT.read(0);
                let code = guest_tests::instructions!("in al, 0x80", "2: pause", "jmp 2b");
                let thief = Plan { cpus: 1 << clock::cpu(), ..Plan::new(code) }.start()?;
                let status = thief.ended()?;
                equal((status.state, status.vector), (State::Faulted as u32, GENERAL_PROTECTION))?;
                // Who has none does not take them from their owner.
                let neighbour = Plan { cpus: 1 << clock::cpu(), ..Plan::new(mini::spins()) }.start()?;
                neighbour.wait_word(0)?;
                PORT.read(0);
                thread::yield_now();
                PORT.read(0);
                neighbour.process.kill(0)?;
                neighbour.ended()?;
            }
            Ok(())
        })?
        .join()?
}

fn hardware() -> Outcome<&'static Hardware> {
    static HARDWARE: rt::sync::OnceLock<Option<Hardware>> = rt::sync::OnceLock::new();
    let hardware = HARDWARE.get_or_init(|| rt::start::start().object("hardware:test"));
    hardware.as_ref().ok_or_else(|| Failure::new("no hardware handle was granted"))
}

/// Calls with this process's own handle.
fn with_oneself<T>(call: impl FnOnce(&Process) -> T) -> T {
    let own = Process::from_handle(rt::start::start().process());
    let result = call(&own);
    // It is not this test's to close.
    core::mem::forget(own);
    result
}

/// Grants ports to this process, whose other threads may be on their way out.
fn grant(first: u16, count: u16) -> Outcome {
    with_oneself(|own| {
        let deadline = soon();
        while own.status()?.threads > 1 {
            ensure(clock::now_ns() < deadline, "this process has one thread")?;
            guest_tests::a_moment();
        }
        Ok(hardware()?.grant_ports(own, first, count)?)
    })
}

fn no_ports() -> Outcome {
    with_oneself(|own| {
        for (first, count) in [(0x80, 0), (0xffff, 2), (0xfff0, u16::MAX)] {
            refused(hardware()?.grant_ports(own, first, count), EINVAL)?;
        }
        // Other handles give no right to it.
        let other = Hardware::from_handle(registers()?.handle());
        let result = other.grant_ports(own, 0x84, 1);
        core::mem::forget(other);
        refused(result, EINVAL)
    })
}

fn ports_granted_to_oneself() -> Outcome {
    // The page register of the first channel of the DMA controller (Intel data sheet 231466): it keeps what is written.
    const PAGE_REGISTER: Ports = Ports::new(0x87, 1);
    let keeps = |value: u8| {
        PAGE_REGISTER.write(0, value);
        equal(PAGE_REGISTER.read(0), value)
    };
    grant(0x87, 1)?;
    keeps(0x5a)?;
    thread::sleep(1_000_000);
    keeps(0xa5)?;
    for cpu in 0..clock::cpu_count() {
        rt::sys::set_affinity(1 << cpu)?;
        keeps(cpu as u8)?;
        // A process that has none runs in between, and finds none.
        let code = guest_tests::instructions!("in al, 0x87", "2: pause", "jmp 2b");
        let thief = Plan { cpus: 1 << cpu, ..Plan::new(code) }.start()?;
        let status = thief.ended()?;
        equal((status.state, status.vector), (State::Faulted as u32, GENERAL_PROTECTION))?;
        keeps(!cpu as u8)?;
    }
    rt::sys::set_affinity((1 << clock::cpu_count()) - 1)?;
    // Threads that come later have them too.
    Builder::new().spawn(move || keeps(0x33))?.join()?
}

fn ports_are_not_granted_while_others_run() -> Outcome {
    let waiter = Builder::new().spawn_suspended(|| ())?;
    with_oneself(|own| refused(hardware()?.grant_ports(own, 0x84, 1), EBUSY))?;
    waiter.start()?;
    waiter.join()?;
    grant(0x84, 1)?;
    Ports::new(0x84, 1).read(0);
    Ok(())
}

/// Interrupt lines of I/O APICs; what is above, up to the vectors of the kernel, are messages.
const LINES: usize = 24;

fn messages_are_each_their_own() -> Outcome {
    let (one, other) = (hardware()?.message_irq()?, hardware()?.message_irq()?);
    let cpus = clock::cpu_count();
    for cpu in 0..cpus {
        let (one, other) = (one.message(cpu)?, other.message(cpu)?);
        // Fixed, edge, to that CPU (Intel SDM volume 3, 11.11): vectors of their own.
        equal(one.address >> 20, 0xfee)?;
        equal((one.address, one.data & !0xff), (other.address, 0))?;
        ensure(one.data != other.data && one.data >= 32, "a vector of its own")?;
    }
    ensure(cpus == 1 || one.message(0)?.address != one.message(1)?.address, "each CPU is another address")?;
    // Nothing came, and it need not be acknowledged.
    let bell = Notification::create()?;
    refused(one.ack(), EINVAL)?;
    equal(one.bind(&bell, 2)?, false)?;
    one.ack()?;
    equal(bell.poll()?, 0)
}

fn no_messages() -> Outcome {
    let hardware = hardware()?;
    for (gsi, flags) in [(1, IRQ_MESSAGE), (u32::MAX, IRQ_MESSAGE), (0, IRQ_MESSAGE | IRQ_LEVEL), (0, 8)] {
        refused(hardware.irq(gsi, flags), EINVAL)?;
    }
    let message = hardware.message_irq()?;
    refused(message.message(clock::cpu_count()), EINVAL)?;
    refused(message.message(usize::MAX), EINVAL)?;
    // Who has only to wait for it need not know what raises it.
    let given = message.restricted(Rights::CONTROL)?;
    refused(given.message(0), EPERM)?;
    // A line is not raised by a message.
    let line = (0..LINES as u32).find_map(|gsi| hardware.irq(gsi, 0).ok());
    let line = line.ok_or(Failure::new("no line is free"))?;
    refused(line.message(0), EPERM)
}

fn messages_run_out() -> Outcome {
    let mut taken = Vec::new();
    let error = loop {
        match hardware()?.message_irq() {
            Ok(irq) => taken.push(irq),
            Err(error) => break error,
        }
    };
    equal(error.errno, ENOMEM)?;
    ensure(taken.len() >= 128, "there are many")?;
    let mut vectors: Vec<u32> = taken.iter().filter_map(|irq| Some(irq.message(0).ok()?.data)).collect();
    vectors.sort_unstable();
    vectors.dedup();
    equal(vectors.len(), taken.len())?;
    let count = taken.len();
    drop(taken);
    let again: Vec<Irq> = (0..count).map_while(|_| hardware().ok()?.message_irq().ok()).collect();
    equal(again.len(), count)
}

fn configuration_space() -> Outcome {
    let window = hardware()?.pci_config()?;
    equal(window.address % (1 << 20), 0)?;
    let bus = Mmio::map(&hardware()?.memory(window.address, 4096)?)?;
    // The host bridge: made by Intel, of the class of bridges.
    equal((bus.read::<u16>(0), bus.read::<u8>(0x0b)), (0x8086, 6))?;
    let other = Hardware::from_handle(registers()?.handle());
    let result = other.pci_config();
    core::mem::forget(other);
    refused(result, EINVAL)
}

/// Configuration space through its ports, an address and a window to four bytes (PCI 3.0, 3.2.2.3.2), says what memory says.
fn ports_have_three_widths() -> Outcome {
    const CONFIG: Ports = Ports::new(0xcf8, 8);
    grant(0xcf8, 8)?;
    let window = hardware()?.pci_config()?;
    let bus = Mmio::map(&hardware()?.memory(window.address, 4096)?)?;
    Registers::write(&CONFIG, 0, 0x8000_0000_u32);
    equal(Registers::read::<u32>(&CONFIG, 0), 0x8000_0000)?;
    equal(Registers::read::<u32>(&CONFIG, 4), bus.read::<u32>(0))?;
    equal(Registers::read::<u16>(&CONFIG, 6), bus.read::<u16>(2))?;
    equal(Registers::read::<u8>(&CONFIG, 5), bus.read::<u8>(1))?;
    // Outside, across a boundary of its width, and a width that ports do not have.
    equal(Registers::read::<u32>(&CONFIG, 6), u32::MAX)?;
    equal((Registers::read::<u16>(&CONFIG, 5), Registers::read::<u8>(&CONFIG, 8)), (u16::MAX, u8::MAX))?;
    equal(Registers::read::<u64>(&CONFIG, 0), u64::MAX)
}

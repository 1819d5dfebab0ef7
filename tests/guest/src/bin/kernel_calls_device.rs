//! System calls of a process that owns a device: its memory is no memory for the kernel, its ports are nobody else's.
#![no_std]
#![no_main]
#![deny(unsafe_code)]

use abi::error::EFAULT;
use abi::flag::{CLOCK_MONOTONIC, FUTEX_WAIT, MapFlags};
use abi::number::{SYS_CLOCK_GETTIME, SYS_COUNTERS, SYS_FUTEX, SYS_HANDLE_INFO, SYS_LOG, SYS_PROCESS_STATUS};
use abi::status::State;
use abi::thread::ThreadOptions;
use driver_sdk::Ports;
use guest_tests::failure::{equal, refused};
use guest_tests::mini::{self, DATA, Plan};
use guest_tests::{Failure, Outcome, Suite, raw, soon};
use rt::clock;
use rt::sys::{Memory, Object, Process, Quota};
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

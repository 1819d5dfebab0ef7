//! Starting the other CPUs.
//!
//! One at a time: each gets its data and stack from the boot CPU, starts at the trampoline below 1 MiB (16 bits), goes
//! through the boot page tables to long mode, and reports. A CPU that does not report is left behind with a log line.

use core::arch::asm;
use core::ptr::addr_of_mut;
use core::sync::atomic::{AtomicPtr, AtomicU32, Ordering};

use abi::limits::MAX_CPUS;

use crate::arch::boot::BootInfo;
use crate::arch::cpu::{self, PerCpu};
use crate::arch::{apic, clock, memory};
use crate::log;

/// Physical address of the trampoline: free memory on every PC, on a page boundary below 1 MiB.
pub const TRAMPOLINE: u64 = 0x8000;
/// How long a CPU may take, in ns: an emulated one waits for its turn on the host.
const PATIENCE: u64 = 10_000_000_000;

static ARRIVING: AtomicPtr<PerCpu> = AtomicPtr::new(core::ptr::null_mut());
static ARRIVED: AtomicU32 = AtomicU32::new(1);

unsafe extern "C" {
    static trampoline_start: u8;
    static trampoline_end: u8;
    static mut boot_stack_pointer: u64;
    static mut boot_target: u64;
    static mut boot_tables: u64;
}

unsafe extern "Rust" {
    safe fn kernel_ap_main(cpu: u32) -> !;
}

/// Starts all CPUs that the firmware names, up to the limit; returns how many run. They call `kernel_ap_main`.
pub fn start(boot: &BootInfo) -> u32 {
    let own = cpu::this_cpu().apic_id;
    let others = boot.topology.processors.iter().copied().filter(|&id| u32::from(id) != own);
    let start = &raw const trampoline_start;
    let length = (&raw const trampoline_end) as usize - start as usize;
    // SAFETY: the page is below 1 MiB, which the frame allocator never hands out.
    unsafe { core::ptr::copy_nonoverlapping(start, memory::direct_map(TRAMPOLINE), length) };
    for id in others.clone() {
        apic::command(u32::from(id), apic::Delivery::Init, 0);
    }
    wait(10_000_000, || false);
    for id in others.take(MAX_CPUS - 1) {
        let number = cpu::count();
        let data = cpu::prepare(number, id);
        ARRIVING.store(core::ptr::from_ref(data).cast_mut(), Ordering::SeqCst);
        // SAFETY: the CPU before has reported, so nobody reads them now.
        unsafe {
            addr_of_mut!(boot_stack_pointer).write_volatile(data.stack_end());
            addr_of_mut!(boot_tables).write_volatile(memory::kernel_root());
            addr_of_mut!(boot_target).write_volatile(arrive as *const () as u64);
        }
        let here = || ARRIVED.load(Ordering::Acquire) > number;
        for _ in 0..2 {
            apic::command(u32::from(id), apic::Delivery::Start, (TRAMPOLINE >> 12) as u8);
            if wait(200_000, here) {
                break;
            }
        }
        if !wait(PATIENCE, here) {
            log!("CPU with APIC id {id} did not start; going on without it");
            // It may still come: it must find neither its data nor anybody else's.
            ARRIVING.store(core::ptr::null_mut(), Ordering::SeqCst);
            break;
        }
    }
    cpu::count()
}

/// Waits until `done` or for that many ns; says which.
fn wait(ns: u64, done: impl Fn() -> bool) -> bool {
    let end = clock::now_ns() + ns;
    while !done() {
        if clock::now_ns() >= end {
            return false;
        }
        // PAUSE lets the other CPU run where an emulator runs all on one host thread.
        core::hint::spin_loop();
    }
    true
}

/// First Rust code of another CPU, on its own stack.
extern "C" fn arrive() -> ! {
    let data = ARRIVING.swap(core::ptr::null_mut(), Ordering::SeqCst);
    if data.is_null() {
        loop {
            // SAFETY: stops this CPU, which came too late.
            unsafe { asm!("cli", "hlt") };
        }
    }
    // SAFETY: `prepare` made it for this CPU.
    let data = unsafe { &*data };
    cpu::become_cpu(data);
    apic::init_cpu();
    ARRIVED.store(data.number + 1, Ordering::Release);
    kernel_ap_main(data.number)
}

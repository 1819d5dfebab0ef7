//! What each CPU has for itself, reached through GS in the kernel.

use alloc::boxed::Box;
use core::arch::asm;
use core::cell::{Cell, UnsafeCell};
use core::mem::{MaybeUninit, offset_of};
use core::sync::atomic::{AtomicPtr, AtomicU32, Ordering};

use abi::hints::{CpuHint, HintsPage};
use abi::limits::MAX_CPUS;

use crate::arch::boot::BootInfo;
use crate::arch::gdt::{self, Segments, Task};
use crate::arch::{entry, fpu, idt, memory, write_msr};
use crate::mem::frames;
use crate::sched::CpuLocal;

/// Pages of a CPU's kernel stack.
const STACK_PAGES: u64 = 8;
/// Pages of the stacks of NMI, double fault and machine check.
const FAULT_STACK_PAGES: u64 = 2;

/// A CPU's own data. The entry code knows the first fields by their offsets.
#[repr(C)]
pub struct PerCpu {
    this: *const PerCpu,
    /// Upper end of the kernel stack.
    stack: u64,
    /// Where the entry code parks the user's stack pointer.
    user_stack: UnsafeCell<u64>,
    hint: *const CpuHint,
    /// Its number, from 0.
    pub number: u32,
    /// Its local APIC's id.
    pub apic_id: u32,
    task: UnsafeCell<MaybeUninit<Task>>,
    /// Descriptor tables.
    pub segments: Segments,
    /// The change of ports that the permission map has seen.
    pub port_changes: Cell<u64>,
    fault_stacks: [u64; 3],
    /// The scheduler's part.
    pub local: CpuLocal,
}

/// Offsets for the entry code.
pub mod offset {
    use super::{PerCpu, Task, offset_of};
    /// Upper end of the kernel stack.
    pub const STACK: usize = offset_of!(PerCpu, stack);
    /// Scratch for the user's stack pointer.
    pub const USER_STACK: usize = offset_of!(PerCpu, user_stack);
    /// The CPU's line of the hint page.
    pub const HINT: usize = offset_of!(PerCpu, hint);
    /// End of the running thread's frame.
    pub const FRAME_END: usize = offset_of!(PerCpu, task) + Task::RING0;
}

// SAFETY: the cells are only touched by the CPU that they belong to; the rest does not change or is the scheduler's, which
// promises the same.
unsafe impl Sync for PerCpu {}

static CPUS: [AtomicPtr<PerCpu>; MAX_CPUS] = [const { AtomicPtr::new(core::ptr::null_mut()) }; MAX_CPUS];
static COUNT: AtomicU32 = AtomicU32::new(0);
static HINTS: AtomicPtr<HintsPage> = AtomicPtr::new(core::ptr::null_mut());

/// CPUs that are up.
#[inline(always)]
pub fn count() -> u32 {
    COUNT.load(Ordering::Relaxed)
}

/// This CPU.
#[inline(always)]
pub fn this_cpu() -> &'static PerCpu {
    let this: *const PerCpu;
    // SAFETY: GS points to this CPU's data in the kernel, whose first word is its own address and never changes.
    unsafe {
        asm!("mov {}, gs:[0]", out(reg) this, options(pure, readonly, nostack, preserves_flags));
        &*this
    }
}

/// The number of the running CPU at any time, also before GS is set up: 0 then.
pub fn number_now() -> u32 {
    let number;
    // SAFETY: only reads; every CPU that this kernel runs on has RDTSCP.
    unsafe { asm!("rdtscp", out("ecx") number, out("eax") _, out("edx") _, options(nomem, nostack)) };
    number
}

/// A CPU that is up: `number` is below [`count`].
#[inline(always)]
pub fn cpu(number: u32) -> &'static PerCpu {
    let pointer = CPUS[number as usize].load(Ordering::Acquire);
    assert!(!pointer.is_null(), "CPU {number} is not up");
    // SAFETY: entered once, by `prepare`, and never freed.
    unsafe { &*pointer }
}

/// The page that every process sees.
#[inline(always)]
pub fn hints() -> &'static HintsPage {
    // SAFETY: set once, before anything asks, and never freed. All fields are atomic.
    unsafe { &*HINTS.load(Ordering::Relaxed) }
}

/// Physical address of the page that every process sees.
pub fn hints_frame() -> u64 {
    memory::physical(HINTS.load(Ordering::Relaxed).cast())
}

impl PerCpu {
    /// Its line of the hint page.
    #[inline(always)]
    pub fn hint(&self) -> &'static CpuHint {
        // SAFETY: points into the hint page, which stays.
        unsafe { &*self.hint }
    }

    /// Says where the running thread's [`Frame`](crate::arch::frame::Frame) ends: 16-byte aligned. Only for this CPU.
    #[inline(always)]
    pub fn set_frame_end(&self, address: u64) {
        // SAFETY: the task is inside this CPU's data.
        unsafe { Task::set_ring0(self.task(), address) };
    }

    /// Upper end of its kernel stack.
    pub fn stack_end(&self) -> u64 {
        self.stack
    }

    /// Its task state segment.
    pub fn task(&self) -> *mut Task {
        self.task.get().cast()
    }
}

/// Makes the data of a CPU; on the boot CPU, as stacks are mapped without a lock.
pub fn prepare(number: u32, apic_id: u8) -> &'static PerCpu {
    if number == 0 {
        let Some(frame) = frames::alloc_zeroed() else { panic!("no memory for the hint page") };
        HINTS.store(memory::direct_map(frame).cast(), Ordering::Relaxed);
    }
    let cpu = Box::leak(Box::new(PerCpu {
        this: core::ptr::null(),
        stack: memory::stack(STACK_PAGES),
        user_stack: UnsafeCell::new(0),
        hint: &hints().cpus[number as usize],
        number,
        apic_id: u32::from(apic_id),
        task: UnsafeCell::new(MaybeUninit::zeroed()),
        segments: Segments::new(),
        port_changes: Cell::new(0),
        fault_stacks: core::array::from_fn(|_| memory::stack(FAULT_STACK_PAGES)),
        local: CpuLocal::new(number),
    }));
    cpu.this = cpu;
    CPUS[number as usize].store(cpu, Ordering::Release);
    cpu
}

/// Loads what makes the running CPU the `cpu`.
pub fn become_cpu(cpu: &'static PerCpu) {
    // SAFETY: these tables are this CPU's alone; the MSRs are architectural, and GS is used for nothing yet.
    unsafe {
        gdt::init(&cpu.segments, cpu.task(), cpu.fault_stacks);
        write_msr(0xc000_0101, cpu.this as u64);
        write_msr(0xc000_0102, 0);
        // IA32_TSC_AUX: what `rdtscp` tells user code.
        write_msr(0xc000_0103, u64::from(cpu.number));
    }
    idt::load();
    entry::enable_syscall();
    protect();
    fpu::init();
    COUNT.fetch_max(cpu.number + 1, Ordering::SeqCst);
    hints().cpu_count.fetch_max(cpu.number + 1, Ordering::SeqCst);
}

/// Makes the boot CPU number 0.
pub fn init_boot_cpu(apic_id: u8) {
    idt::init();
    become_cpu(prepare(0, apic_id));
}

/// Leaves the boot stack for the boot CPU's own.
pub fn on_own_stack(boot: BootInfo, main: fn(BootInfo) -> !) -> ! {
    extern "C" fn trampoline(argument: *mut (BootInfo, fn(BootInfo) -> !)) -> ! {
        // SAFETY: the box that was leaked below.
        let (boot, main) = *unsafe { Box::from_raw(argument) };
        main(boot)
    }
    let argument = Box::into_raw(Box::new((boot, main)));
    // SAFETY: the stack is fresh, and nothing on the old one is needed any more.
    unsafe {
        asm!("mov rsp, {stack}", "xor ebp, ebp", "call {entry}", "ud2",
            stack = in(reg) this_cpu().stack, entry = sym trampoline, in("rdi") argument, options(noreturn));
    }
}

/// Turns on what keeps the kernel from using user memory by mistake, where the CPU has it.
fn protect() {
    const UMIP: u64 = 1 << 11;
    const SMEP: u64 = 1 << 20;
    const SMAP: u64 = 1 << 21;
    let features = core::arch::x86_64::__cpuid_count(7, 0);
    let mut wanted = 0;
    for (has, bit) in [(features.ebx >> 7, SMEP), (features.ebx >> 20, SMAP), (features.ecx >> 2, UMIP)] {
        if has & 1 != 0 {
            wanted |= bit;
        }
    }
    // SAFETY: the kernel reaches user memory through the direct map only, so these never fault; CPUID has them.
    unsafe {
        asm!("mov {scratch}, cr4", "or {scratch}, {wanted}", "mov cr4, {scratch}",
            scratch = out(reg) _, wanted = in(reg) wanted, options(nostack));
    }
}

//! From the boot loader to Rust: the PVH entry (32-bit, paging off), the first page tables, long mode, `kernel_main`.
//!
//! The first page tables map the low 4 GiB three times: at 0 (for the code that turns paging on, and for starting the
//! other CPUs), in the direct map, and (1 GiB of it) at the kernel's link address. [`crate::arch::memory`] then builds
//! the final ones.

use core::arch::global_asm;
use core::ops::Range;
use core::sync::atomic::{AtomicU64, Ordering};

use abi::memory::PciConfig;
use firmware::{madt::Topology, mcfg::ConfigWindow, pvh::StartInfo};

use crate::arch::{apic, clock, cpu, ioapic, memory, smp};
use crate::{log, mem};

/// What the boot loader and the firmware told.
#[derive(Debug)]
pub struct BootInfo {
    /// The module (`-initrd`): physical addresses. Its frames are never handed out.
    pub initrd: Option<Range<u64>>,
    /// Processors and interrupt controllers.
    pub topology: Topology,
}

/// A [`PciConfig`], packed; 0: the firmware told of none.
static PCI_CONFIG: AtomicU64 = AtomicU64::new(0);

/// Where configuration space of PCI is.
pub fn pci_config() -> Option<PciConfig> {
    match PCI_CONFIG.load(Ordering::Relaxed) {
        0 => None,
        word => Some(PciConfig::unpack(word)),
    }
}

/// Bytes of the stack that a CPU has until it gets its own.
const BOOT_STACK: usize = 16 * 1024;

global_asm!(
    r#"
    .section .note.pvh, "a", @note
    .balign 4
    .long 4, 8, 18                      # name size, value size, XEN_ELFNOTE_PHYS32_ENTRY
    .asciz "Xen"
    .quad pvh_start - {base}

    .section .text.boot, "ax", @progbits
    .code32
    .global pvh_start
pvh_start:
    cld
    movl $(boot_stack_end - {base}), %esp
    movl %ebx, %esi

    # Four page directories of 2 MiB pages: the low 4 GiB.
    movl $(boot_directories - {base}), %edi
    movl $0x83, %eax
    xorl %edx, %edx
    movl $2048, %ecx
1:  movl %eax, (%edi)
    movl %edx, 4(%edi)
    addl $8, %edi
    addl $0x200000, %eax
    loop 1b

    movl $(boot_directories - {base} + 3), %eax
    movl $(boot_low - {base}), %edi
    movl %eax, (%edi)
    movl %eax, (boot_high - {base} + 510 * 8)
    addl $4096, %eax
    movl %eax, 8(%edi)
    addl $4096, %eax
    movl %eax, 16(%edi)
    addl $4096, %eax
    movl %eax, 24(%edi)
    movl $(boot_low - {base} + 3), %eax
    movl %eax, (boot_root - {base})
    movl %eax, (boot_root - {base} + 256 * 8)
    movl $(boot_high - {base} + 3), %eax
    movl %eax, (boot_root - {base} + 511 * 8)
    movl $(boot_gdt - {base}), %eax
    movl %eax, (boot_gdt_pointer - {base} + 2)

    # esi is the argument of the 64-bit code.
    .global enter_long_mode
enter_long_mode:
    movl $(boot_root - {base}), %eax
    movl %eax, %cr3
    movl $0x6a0, %eax                   # PAE, PGE, OSFXSR, OSXMMEXCPT
    movl %eax, %cr4
    movl $0xc0000080, %ecx              # EFER: SCE, LME, NXE
    rdmsr
    orl $0x901, %eax
    wrmsr
    movl $0x80010033, %eax              # PG, WP, NE, ET, MP, PE
    movl %eax, %cr0
    lgdt (boot_gdt_pointer - {base})
    ljmp $8, $(long_mode - {base})

    .code64
long_mode:
    movabsq $2f, %rax
    jmpq *%rax
2:  movl $0x10, %eax
    movl %eax, %ds
    movl %eax, %es
    movl %eax, %ss
    xorl %eax, %eax
    movl %eax, %fs
    movl %eax, %gs
    # The stacks of other CPUs are not in the boot page tables, the GDT is in no others: this is the place.
    movq boot_tables(%rip), %rax
    movq %rax, %cr3
    movl %esi, %edi
    movq boot_stack_pointer(%rip), %rsp
    xorl %ebp, %ebp
    movq boot_target(%rip), %rax
    callq *%rax
    ud2

    # The first code of another CPU, copied to {trampoline}: 16 bits, cs = {trampoline} >> 4.
    .section .rodata
    .code16
    .global trampoline_start
trampoline_start:
    cli
    cld
    xorw %ax, %ax
    movw %ax, %ds
    lgdtl ({trampoline} + trampoline_gdt_pointer - trampoline_start)
    movl $0x11, %eax
    movl %eax, %cr0
    ljmpl $0x18, $({trampoline} + 3f - trampoline_start)
    .code32
3:  movw $0x10, %ax
    movw %ax, %ds
    movw %ax, %es
    movw %ax, %ss
    movl $(enter_long_mode - {base}), %eax
    xorl %esi, %esi
    jmpl *%eax
    .balign 4
trampoline_gdt_pointer:
    .word 31
    .long {trampoline} + trampoline_gdt - trampoline_start
    .balign 8
trampoline_gdt:
    .quad 0, 0x00af9a000000ffff, 0x00cf92000000ffff, 0x00cf9a000000ffff
    .global trampoline_end
trampoline_end:
    .code64

    .section .data
    .balign 8
boot_gdt:
    .quad 0, 0x00af9a000000ffff, 0x00cf92000000ffff, 0x00cf9a000000ffff
boot_gdt_pointer:
    .word 31
    .quad 0
    .balign 8
    .global boot_stack_pointer
boot_stack_pointer:
    .quad boot_stack_end
    .global boot_tables
boot_tables:
    .quad boot_root - {base}
    .global boot_target
boot_target:
    .quad {start}

    .section .bss
    .balign 4096
    .global boot_root
boot_root: .skip 4096
boot_low: .skip 4096
boot_high: .skip 4096
boot_directories: .skip 4 * 4096
boot_stack: .skip {stack}
boot_stack_end:
    .text
"#,
    base = const memory::KERNEL_BASE,
    trampoline = const smp::TRAMPOLINE,
    stack = const BOOT_STACK,
    start = sym start,
    options(att_syntax)
);

unsafe extern "Rust" {
    safe fn kernel_main(boot: BootInfo) -> !;
}

/// First Rust code, on the boot stack. Nothing works yet but the serial line.
extern "C" fn start(start_info: u64) -> ! {
    let boot = match read_firmware(start_info) {
        Ok((info, topology)) => {
            mem::init(&info);
            memory::init(&info);
            BootInfo { initrd: info.module, topology }
        }
        Err(error) => panic!("cannot start: {error}"),
    };
    cpu::init_boot_cpu(boot.topology.processors.first().copied().unwrap_or(0));
    apic::init(boot.topology.local_apic);
    clock::init();
    ioapic::init(&boot.topology.io_apics);
    cpu::on_own_stack(boot, |boot| {
        smp::start(&boot);
        kernel_main(boot)
    })
}

fn read_firmware(start_info: u64) -> Result<(StartInfo, Topology), firmware::Error> {
    let info = StartInfo::read(&memory::BootMemory, start_info)?;
    let topology = Topology::read(&memory::BootMemory, info.rsdp)?;
    match ConfigWindow::read(&memory::BootMemory, info.rsdp) {
        Ok(window) => {
            let config = PciConfig { address: window.address, last: window.last };
            PCI_CONFIG.store(config.pack(), Ordering::Relaxed);
        }
        // A machine may be without.
        Err(firmware::Error::Missing { .. }) => {}
        Err(error) => log!("PCI: {error}"),
    }
    let processors = topology.processors.len();
    let s = if processors == 1 { "" } else { "s" };
    log!("memory: {} regions, {processors} processor{s}", info.regions.len());
    Ok((info, topology))
}

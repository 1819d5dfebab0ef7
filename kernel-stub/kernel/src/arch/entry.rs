//! Into the kernel and out of it.
//!
//! From user mode, system call or interrupt, all registers go to the running thread's [`Frame`], and the kernel works on
//! the CPU's one stack. On the way out, the frame of whatever thread is current *then* is loaded: a switch is nothing but
//! another frame. From the kernel itself interrupts come only while it idles; they save to the stack.

use core::arch::{asm, global_asm};
use core::mem::offset_of;
use core::sync::atomic::Ordering;

use abi::hints::CpuHint;
use abi::number::{CLASS_NATIVE, NATIVE_COUNT};

use crate::arch::cpu::{offset, this_cpu};
use crate::arch::frame::{Frame, KIND_INTERRUPT, KIND_SYSCALL};
use crate::arch::{apic, gdt, vector, write_msr};
use crate::calls;
use crate::log;

/// Flags that a system call clears: IF, DF, TF, AC, NT.
const FLAG_MASK: u64 = 1 << 9 | 1 << 10 | 1 << 8 | 1 << 18 | 1 << 14;
/// What a field of the frame is from its end.
const SIZE: usize = size_of::<Frame>();

global_asm!(
    r#"
    # The registers of a frame, its last field first.
    .macro push_registers
    .irp register, rax, rbx, rcx, rdx, rsi, rdi, rbp, r8, r9, r10, r11, r12, r13, r14, r15
    push \register
    .endr
    .endm
    .macro pop_registers
    .irp register, r15, r14, r13, r12, r11, r10, r9, r8, rbp, rdi, rsi, rdx, rcx, rbx, rax
    pop \register
    .endr
    .endm

    .text
    .balign 16
    .global syscall_entry
syscall_entry:
    swapgs
    mov gs:[{user_stack}], rsp
    mov rsp, gs:[{frame_end}]
    mov [rsp - {size} + {rip}], rcx
    mov [rsp - {size} + {rflags}], r11
    mov r11, gs:[{user_stack}]
    mov [rsp - {size} + {rsp_}], r11
    mov qword ptr [rsp - {size} + {kind}], {by_syscall}
    mov [rsp - {size} + {rax}], rax
    mov [rsp - {size} + {rbx}], rbx
    mov [rsp - {size} + {rdx}], rdx
    mov [rsp - {size} + {rsi}], rsi
    mov [rsp - {size} + {rdi}], rdi
    mov [rsp - {size} + {rbp}], rbp
    mov [rsp - {size} + {r8}], r8
    mov [rsp - {size} + {r9}], r9
    mov [rsp - {size} + {r10}], r10
    mov [rsp - {size} + {r12}], r12
    mov [rsp - {size} + {r13}], r13
    mov [rsp - {size} + {r14}], r14
    mov [rsp - {size} + {r15}], r15
    lea rdi, [rsp - {size}]
    mov rsp, gs:[{stack}]
    mov rcx, gs:[{hint}]
    inc qword ptr [rcx + {entries}]
    # The handler of a native number is called from here; its arguments are the frame and the block that it begins.
    mov rsi, rdi
    sub rax, {class}
    cmp rax, {count}
    jae 5f
    call [{native} + rax * 8]
6:  test rax, rax
    jnz return_to_user_entry
    mov rsp, gs:[{frame_end}]
    mov [rsp - {size} + {rax}], rdx
    jmp return_to_user_entry
5:  call {other_call}
    jmp 6b

    .global return_to_user_entry
return_to_user_entry:
    mov rsp, gs:[{frame_end}]
    cmp qword ptr [rsp - {size} + {kind}], {by_syscall}
    jne 1f
    mov rax, [rsp - {size} + {rax}]
    mov rbx, [rsp - {size} + {rbx}]
    mov rdx, [rsp - {size} + {rdx}]
    mov rsi, [rsp - {size} + {rsi}]
    mov rdi, [rsp - {size} + {rdi}]
    mov rbp, [rsp - {size} + {rbp}]
    mov r8, [rsp - {size} + {r8}]
    mov r9, [rsp - {size} + {r9}]
    mov r10, [rsp - {size} + {r10}]
    mov r12, [rsp - {size} + {r12}]
    mov r13, [rsp - {size} + {r13}]
    mov r14, [rsp - {size} + {r14}]
    mov r15, [rsp - {size} + {r15}]
    mov rcx, [rsp - {size} + {rip}]
    mov r11, [rsp - {size} + {rflags}]
    mov rsp, [rsp - {size} + {rsp_}]
    swapgs
    sysretq

1:  sub rsp, {size}
    pop_registers
    add rsp, 16
    swapgs
    iretq

    # One stub a vector, 16 bytes each: pushes an error code where the processor does not, and the kind.
    .balign 16
    .global interrupt_stubs
interrupt_stubs:
    .set vector, 0
    .rept 256
    .balign 16
    .if (vector != 8) && (vector != 10) && (vector != 11) && (vector != 12) && (vector != 13) && (vector != 14) && (vector != 17) && (vector != 21) && (vector != 29) && (vector != 30)
    push 0
    .endif
    push 0x100 + vector
    jmp interrupt_common
    .set vector, vector + 1
    .endr

    .balign 16
interrupt_common:
    cld
    test byte ptr [rsp + 24], 3
    jz 2f
    swapgs
    push_registers
    mov rdi, rsp
    mov rsp, gs:[{stack}]
    call {user_interrupt}
    jmp return_to_user_entry

2:  push_registers
    mov rdi, rsp
    mov rbp, rsp
    and rsp, -16
    call {kernel_interrupt}
    mov rsp, rbp
    pop_registers
    add rsp, 16
    iretq

    # On its own stack, at any instruction, GS unknown: ends this CPU if another one panics, else nothing.
    .balign 16
    .global nmi_entry
nmi_entry:
    cmp byte ptr [rip + {panicking}], 0
    jne 3f
    iretq
3:  cli
    hlt
    jmp 3b

    # Double fault (error code) and machine check (none), each on its own stack: the end.
    .balign 16
    .global double_fault_entry
double_fault_entry:
    push 0x108
    jmp 4f
    .balign 16
    .global machine_check_entry
machine_check_entry:
    push 0
    push 0x112
4:  push_registers
    mov rdi, rsp
    and rsp, -16
    call {fatal}
    ud2
"#,
    user_stack = const offset::USER_STACK,
    frame_end = const offset::FRAME_END,
    stack = const offset::STACK,
    hint = const offset::HINT,
    entries = const offset_of!(CpuHint, entries),
    size = const SIZE,
    rip = const offset_of!(Frame, rip),
    rflags = const offset_of!(Frame, rflags),
    rsp_ = const offset_of!(Frame, rsp),
    kind = const offset_of!(Frame, kind),
    by_syscall = const KIND_SYSCALL,
    rax = const offset_of!(Frame, rax),
    rbx = const offset_of!(Frame, rbx),
    rdx = const offset_of!(Frame, rdx),
    rsi = const offset_of!(Frame, rsi),
    rdi = const offset_of!(Frame, rdi),
    rbp = const offset_of!(Frame, rbp),
    r8 = const offset_of!(Frame, r8),
    r9 = const offset_of!(Frame, r9),
    r10 = const offset_of!(Frame, r10),
    r12 = const offset_of!(Frame, r12),
    r13 = const offset_of!(Frame, r13),
    r14 = const offset_of!(Frame, r14),
    r15 = const offset_of!(Frame, r15),
    class = const CLASS_NATIVE,
    count = const NATIVE_COUNT,
    native = sym calls::NATIVE,
    other_call = sym calls::other_call,
    user_interrupt = sym user_interrupt,
    kernel_interrupt = sym kernel_interrupt,
    fatal = sym fatal,
    panicking = sym log::PANICKING,
);

unsafe extern "C" {
    fn handle_exception(vector: u64, error: u64, frame: *mut Frame);
    safe fn handle_interrupt(vector: u64);
    fn syscall_entry();
}

/// Loads the frame of the current thread and goes to user mode with it.
///
/// [`set_frame_end`](crate::arch::cpu::PerCpu::set_frame_end) has said where it is; its page tables are loaded.
#[inline(always)]
pub fn return_to_user() -> ! {
    // SAFETY: the frame is valid user state by `Frame::new` and the entry code; the kernel stack is not needed again.
    unsafe { asm!("jmp return_to_user_entry", options(noreturn)) }
}

/// Makes `syscall` enter this kernel on this CPU.
pub fn enable_syscall() {
    let segments = u64::from(gdt::KERNEL_DATA) << 48 | u64::from(gdt::KERNEL_CODE) << 32;
    // SAFETY: architectural MSRs (STAR, LSTAR, CSTAR, FMASK); EFER.SCE has been set by the boot code.
    unsafe {
        write_msr(0xc000_0081, segments);
        write_msr(0xc000_0082, syscall_entry as *const () as u64);
        write_msr(0xc000_0083, 0);
        write_msr(0xc000_0084, FLAG_MASK);
    }
}

/// An interrupt or exception of user code. The frame is the running thread's.
extern "C" fn user_interrupt(frame: *mut Frame) {
    // SAFETY: the entry code has just filled it.
    let (vector, error) = unsafe { ((*frame).kind & 0xff, (*frame).error) };
    if vector < 32 {
        // SAFETY: the frame is valid until the thread ends.
        unsafe { handle_exception(vector, error, frame) };
    } else {
        interrupt(vector);
    }
}

/// An interrupt of the idle loop, or an exception of the kernel, which is its end.
extern "C" fn kernel_interrupt(frame: &Frame) {
    let vector = frame.kind & 0xff;
    if vector < 32 {
        fatal(frame);
    }
    interrupt(vector);
}

extern "C" fn fatal(frame: &Frame) -> ! {
    log::panic_exception(frame)
}

fn interrupt(vector: u64) {
    let count = &this_cpu().hint().interrupts;
    count.store(count.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
    match vector as u8 {
        vector::SPURIOUS => {}
        vector::TLB => {
            apic::eoi();
            crate::shootdown::interrupt();
        }
        // Acknowledged first: the handler may idle, with interrupts on, before it comes back here. The controller sends
        // a level-triggered line again at once, which the handler's mask then holds back.
        _ => {
            apic::eoi();
            handle_interrupt(vector);
        }
    }
}

const _: () = assert!(KIND_INTERRUPT == 0x100);

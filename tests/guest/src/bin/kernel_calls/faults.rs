//! A fault ends the process that makes it, says what and where, and hurts nobody else.

use abi::error::{EFAULT, Error};
use abi::flag::FUTEX_WAIT;
use abi::number::SYS_FUTEX;
use abi::status::State;
use guest_tests::failure::{ensure, equal};
use guest_tests::mini::{CODE, DATA, Plan, STACK};
use guest_tests::{Outcome, instructions};

use crate::Test;

pub const TESTS: &[Test] = &[
    ("page_faults_end_the_culprit", page_faults_end_the_culprit),
    ("bad_instructions_end_the_culprit", bad_instructions_end_the_culprit),
    ("privileged_instructions_end_the_culprit", privileged_instructions_end_the_culprit),
    ("a_stack_overflow_ends_the_culprit", a_stack_overflow_ends_the_culprit),
    ("a_thread_stack_has_a_guard_page", a_thread_stack_has_a_guard_page),
    ("a_bad_stack_in_a_call_is_no_matter", a_bad_stack_in_a_call_is_no_matter),
    ("a_strange_return_address_is_no_matter", a_strange_return_address_is_no_matter),
];

const PAGE_FAULT: u32 = 14;
const GENERAL_PROTECTION: u32 = 13;
const INVALID_OPCODE: u32 = 6;
const DIVIDE_ERROR: u32 = 0;
/// Bits of a page fault's error code.
const PRESENT: u64 = 1;
const WRITE: u64 = 2;
const USER: u64 = 4;
const FETCH: u64 = 16;

/// Runs the instructions and checks how they end; `None` is whatever.
fn ends_with(code: &[u8], vector: u32, error: Option<u64>, address: Option<u64>) -> Outcome {
    let child = Plan::new(code).start()?;
    let status = child.ended()?;
    equal((status.state, status.vector), (State::Faulted as u32, vector))?;
    if let Some(error) = error {
        equal(status.error, error)?;
    }
    if let Some(address) = address {
        equal(status.address, address)?;
    }
    ensure(status.threads == 0, "no thread of it is left")
}

/// The same, and the fault is in its code.
fn ends_in_code(code: &[u8], vector: u32, error: Option<u64>, address: Option<u64>) -> Outcome {
    ends_with(code, vector, error, address)?;
    let child = Plan::new(code).start()?;
    let at = child.ended()?.instruction;
    ensure((CODE as u64..CODE as u64 + 4096).contains(&at), "the fault is where the code is")
}

fn page_faults_end_the_culprit() -> Outcome {
    ends_in_code(instructions!("xor eax, eax", "mov rax, [rax]"), PAGE_FAULT, Some(USER), Some(0))?;
    ends_in_code(instructions!("xor eax, eax", "mov [rax], rax"), PAGE_FAULT, Some(USER | WRITE), Some(0))?;
    ends_in_code(
        instructions!("mov rax, 0x7f1234567000", "inc byte ptr [rax + 5]"),
        PAGE_FAULT,
        None,
        Some(0x7f12_3456_7005),
    )?;
    // The kernel's half: present or not, it is not the program's.
    for code in [
        instructions!("mov rax, 0xffff800000100000", "mov rax, [rax]"),
        instructions!("mov rax, 0xffffffff80100000", "mov rax, [rax]"),
        instructions!("mov rax, 0xffffffff80100000", "mov [rax], rax"),
        instructions!("mov rax, 0xffffffff80100000", "jmp rax"),
    ] {
        ends_with(code, PAGE_FAULT, None, None)?;
    }
    // Its own code is not writable, its data and stack not executable, the hint page not writable.
    ends_in_code(
        instructions!("lea rax, [rip]", "mov byte ptr [rax], 0"),
        PAGE_FAULT,
        Some(PRESENT | USER | WRITE),
        None,
    )?;
    ends_with(
        instructions!("mov byte ptr [rdi], 0xc3", "jmp rdi"),
        PAGE_FAULT,
        Some(PRESENT | USER | FETCH),
        Some(DATA as u64),
    )?;
    ends_with(
        instructions!("mov rax, 0x7ffff0000000", "mov qword ptr [rax], 1"),
        PAGE_FAULT,
        Some(PRESENT | USER | WRITE),
        Some(abi::hints::HINTS_ADDRESS),
    )?;
    // A jump to nowhere.
    ends_with(instructions!("mov eax, 0x1000", "jmp rax"), PAGE_FAULT, None, Some(0x1000))
}

fn bad_instructions_end_the_culprit() -> Outcome {
    ends_in_code(instructions!("ud2"), INVALID_OPCODE, Some(0), None)?;
    ends_in_code(instructions!("xor ecx, ecx", "xor edx, edx", "div rcx"), DIVIDE_ERROR, Some(0), None)?;
    ends_in_code(
        instructions!("mov rax, 0x8000000000000000", "mov rdx, -1", "mov rcx, -1", "idiv rcx"),
        DIVIDE_ERROR,
        Some(0),
        None,
    )?;
    // Not canonical.
    ends_in_code(
        instructions!("mov rax, 0x1234000000000000", "mov rax, [rax]"),
        GENERAL_PROTECTION,
        None,
        None,
    )?;
    // A floating-point exception that it unmasked itself.
    let child = Plan::new(instructions!(
        "sub rsp, 8",
        "mov dword ptr [rsp], 0x1d80",
        "ldmxcsr [rsp]",
        "xorps xmm0, xmm0",
        "xorps xmm1, xmm1",
        "mov eax, 0x3f800000",
        "movd xmm0, eax",
        "divss xmm0, xmm1",
        "ud2",
    ))
    .start()?;
    let status = child.ended()?;
    equal(status.state, State::Faulted as u32)?;
    ensure(matches!(status.vector, 19 | INVALID_OPCODE), "a SIMD exception, where the machine has them")?;
    // Breakpoints and single steps are faults of the program as well.
    for code in [
        instructions!("int3", "ud2"),
        instructions!("pushfq", "or qword ptr [rsp], 0x100", "popfq", "nop", "nop", "ud2"),
    ] {
        let status = Plan::new(code).start()?.ended()?;
        equal(status.state, State::Faulted as u32)?;
        ensure(matches!(status.vector, 1 | 3), "a debug exception or a breakpoint")?;
    }
    // The 32-bit doors are shut.
    for code in [
        instructions!("int 0x80", "ud2"),
        instructions!("int 0x20", "ud2"),
        instructions!("int 0xf1", "ud2"),
        instructions!("int 0x0e", "ud2"),
    ] {
        ends_with(code, GENERAL_PROTECTION, None, None)?;
    }
    let status = Plan::new(instructions!("sysenter", "ud2")).start()?.ended()?;
    equal(status.state, State::Faulted as u32)?;
    ensure(matches!(status.vector, GENERAL_PROTECTION | INVALID_OPCODE), "no sysenter")
}

fn privileged_instructions_end_the_culprit() -> Outcome {
    let codes = [
        instructions!("cli"),
        instructions!("sti"),
        instructions!("hlt"),
        instructions!("in al, 0x60"),
        instructions!("mov dx, 0x3f8", "in al, dx"),
        instructions!("mov dx, 0xf4", "mov eax, 1", "out dx, eax"),
        instructions!("mov dx, 0xffff", "in al, dx"),
        instructions!("mov ecx, 0xc0000080", "rdmsr"),
        instructions!("mov ecx, 0xc0000082", "xor eax, eax", "xor edx, edx", "wrmsr"),
        instructions!("mov rax, cr3"),
        instructions!("mov rax, cr0", "mov cr0, rax"),
        instructions!("xor eax, eax", "mov cr3, rax"),
        instructions!("mov rax, dr7"),
        instructions!("lgdt [rsp]"),
        instructions!("lidt [rsp]"),
        instructions!("mov ax, 0x28", "ltr ax"),
        instructions!("invlpg [rsp]"),
        instructions!("clts"),
        instructions!("wbinvd"),
        instructions!("swapgs"),
        instructions!("mov ax, 0x10", "mov ss, ax"),
    ];
    for (index, code) in codes.into_iter().enumerate() {
        ends_in_code(code, GENERAL_PROTECTION, None, None)
            .map_err(|failure| guest_tests::Failure::new(alloc::format!("instruction {index}: {failure}")))?;
    }
    // sysretq and iretq to where they may not go. (QEMU's emulation reads the frame of an iretq as the kernel would, which
    // SMAP forbids, so there it is a page fault.)
    for code in [
        instructions!("sysretq"),
        instructions!("push 0x10", "push rsp", "pushfq", "push 0x8", "lea rax, [rip]", "push rax", "iretq"),
    ] {
        let status = Plan::new(code).start()?.ended()?;
        equal(status.state, State::Faulted as u32)?;
        ensure(matches!(status.vector, GENERAL_PROTECTION | PAGE_FAULT), "it is not let through")?;
    }
    Ok(())
}

fn a_stack_overflow_ends_the_culprit() -> Outcome {
    let code = instructions!("2: push rax", "jmp 2b");
    ends_in_code(code, PAGE_FAULT, Some(USER | WRITE), Some(STACK as u64 - 8))
}

fn a_thread_stack_has_a_guard_page() -> Outcome {
    let below = rt::thread::Builder::new()
        .spawn(|| {
            let here = 0u8;
            let page = (&raw const here) as u64 & !0xfff;
            // The stack has 64 KiB: down from here, the first page that the kernel cannot read a word from.
            (0..18).find(|below| {
                let wait = [page - below * 4096, FUTEX_WAIT as u64, 0, 0, 0, 0];
                guest_tests::raw(SYS_FUTEX, wait) == Err(Error::new(EFAULT))
            })
        })?
        .join()?;
    ensure(below.is_some(), "below the stack is nothing")
}

fn a_bad_stack_in_a_call_is_no_matter() -> Outcome {
    // The kernel does not use the caller's stack pointer.
    for value in ["0", "0xffffffff80100000", "0x1234000000000000"] {
        let code = match value {
            "0" => instructions!("xor esp, esp", "mov eax, {null}", "syscall", "mov rsp, rax", "ud2";
                null = const abi::number::SYS_NULL),
            "0xffffffff80100000" => {
                instructions!("mov rsp, 0xffffffff80100000", "mov eax, {null}", "syscall", "mov rsp, rax", "ud2";
                    null = const abi::number::SYS_NULL)
            }
            _ => {
                instructions!("mov rsp, 0x1234000000000000", "mov eax, {null}", "syscall", "mov rsp, rax", "ud2";
                null = const abi::number::SYS_NULL)
            }
        };
        ends_in_code(code, INVALID_OPCODE, None, None)?;
    }
    Ok(())
}

fn a_strange_return_address_is_no_matter() -> Outcome {
    // A call in the last bytes of the last page that a program can have returns to the first byte beyond it.
    use abi::memory::{PAGE, USER_END};
    use rt::sys::{Memory, Object};
    let page = Memory::create(PAGE as usize)?;
    let mut bytes = alloc::vec![0x90u8; PAGE as usize];
    bytes[PAGE as usize - 2..].copy_from_slice(&[0x0f, 0x05]);
    guest_tests::mini::fill(&page, &bytes)?;
    let jump = instructions!("mov rcx, 0x7fffffffeff0", "mov eax, {null}", "jmp rcx";
        null = const abi::number::SYS_NULL);
    let child = Plan::new(jump).create()?;
    let mapped = guest_tests::raw(
        abi::number::SYS_MEMORY_MAP,
        [child.process.handle().0, page.handle().0, USER_END - PAGE, 0, PAGE, 0x5_0000],
    )?;
    equal(mapped, USER_END - PAGE)?;
    child.thread.start()?;
    let status = child.ended()?;
    equal(status.state, State::Faulted as u32)?;
    equal((status.vector, status.address), (PAGE_FAULT, USER_END))
}

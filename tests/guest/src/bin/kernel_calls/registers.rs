//! What the kernel must leave as it was: registers over a call, floating-point state over a switch.
#![allow(unsafe_code)]

use core::arch::asm;

use abi::number::{SYS_NULL, SYS_YIELD};
use alloc::vec::Vec;
use guest_tests::failure::{ensure, equal};
use guest_tests::{Outcome, raw_registers};
use rt::sys::Registers;
use rt::thread::{self, Builder};

use crate::Test;

pub const TESTS: &[Test] = &[
    ("a_call_preserves_the_argument_registers", a_call_preserves_the_argument_registers),
    ("a_call_preserves_the_callees_registers", a_call_preserves_the_callees_registers),
    ("flags_do_not_leak_in_or_out", flags_do_not_leak_in_or_out),
    ("sse_registers_survive_switches", sse_registers_survive_switches),
    ("a_fresh_thread_has_clean_floating_point", a_fresh_thread_has_clean_floating_point),
];

fn a_call_preserves_the_argument_registers() -> Outcome {
    for number in [SYS_NULL, SYS_YIELD, 0xdead_beef] {
        let before = Registers {
            rax: number,
            rdi: 0x1111_1111_1111_1111,
            rsi: 0x2222_2222_2222_2222,
            rdx: 0x3333_3333_3333_3333,
            r10: 0x4444_4444_4444_4444,
            r8: 0x5555_5555_5555_5555,
            r9: 0x6666_6666_6666_6666,
            r12: 0x7777_7777_7777_7777,
            r13: 0x8888_8888_8888_8888,
        };
        let mut after = before;
        raw_registers(&mut after);
        equal(Registers { rax: number, ..after }, before)?;
    }
    Ok(())
}

fn a_call_preserves_the_callees_registers() -> Outcome {
    let mut seen = [0u64; 4];
    // SAFETY: `rbx` and `rbp` are put back, the others are declared; the call has no effect.
    unsafe {
        asm!(
            "push rbx",
            "push rbp",
            "mov rbx, 0x0123456789",
            "mov rbp, 0x1122334455",
            "mov r14, 0x66778899",
            "mov r15, 0x5a5a5a5a5a",
            "syscall",
            "mov [rdi], rbx",
            "mov [rdi + 8], rbp",
            "mov [rdi + 16], r14",
            "mov [rdi + 24], r15",
            "pop rbp",
            "pop rbx",
            inout("rax") SYS_YIELD => _,
            in("rdi") seen.as_mut_ptr(),
            out("rcx") _,
            out("r11") _,
            out("r14") _,
            out("r15") _,
        );
    }
    equal(seen, [0x01_2345_6789, 0x11_2233_4455, 0x6677_8899, 0x5a_5a5a_5a5a])
}

fn flags_do_not_leak_in_or_out() -> Outcome {
    let after: u64;
    // SAFETY: the direction flag is put back before anything else runs; the call has no effect.
    unsafe {
        asm!(
            "std",
            "stc",
            "syscall",
            "pushfq",
            "cld",
            "pop {after}",
            after = out(reg) after,
            inout("rax") SYS_NULL => _,
            out("rcx") _,
            out("r11") _,
        );
    }
    // Carry and direction are the program's own and come back; interrupts stay on, I/O privilege stays 0.
    ensure(after & 1 != 0 && after & 1 << 10 != 0, "the program's flags came back")?;
    ensure(after & 1 << 9 != 0 && after & 3 << 12 == 0, "interrupts on, I/O privilege 0")
}

/// Fills the sixteen registers from `pattern`, enters the kernel by yields, and says whether they are the same.
fn sse_round(pattern: u64, yields: u64) -> bool {
    let mut memory = [0u64; 32];
    for (index, word) in memory.iter_mut().enumerate() {
        *word = pattern.wrapping_mul(index as u64 + 1);
    }
    let expected = memory;
    // SAFETY: this target's code does not use these registers; the buffer has 256 bytes; the calls have no effect.
    unsafe {
        asm!(
            "movups xmm0, [rdi]",
            "movups xmm1, [rdi + 16]",
            "movups xmm2, [rdi + 32]",
            "movups xmm3, [rdi + 48]",
            "movups xmm4, [rdi + 64]",
            "movups xmm5, [rdi + 80]",
            "movups xmm6, [rdi + 96]",
            "movups xmm7, [rdi + 112]",
            "movups xmm8, [rdi + 128]",
            "movups xmm9, [rdi + 144]",
            "movups xmm10, [rdi + 160]",
            "movups xmm11, [rdi + 176]",
            "movups xmm12, [rdi + 192]",
            "movups xmm13, [rdi + 208]",
            "movups xmm14, [rdi + 224]",
            "movups xmm15, [rdi + 240]",
            "2:",
            "mov eax, {number}",
            "syscall",
            "dec rsi",
            "jnz 2b",
            "movups [rdi], xmm0",
            "movups [rdi + 16], xmm1",
            "movups [rdi + 32], xmm2",
            "movups [rdi + 48], xmm3",
            "movups [rdi + 64], xmm4",
            "movups [rdi + 80], xmm5",
            "movups [rdi + 96], xmm6",
            "movups [rdi + 112], xmm7",
            "movups [rdi + 128], xmm8",
            "movups [rdi + 144], xmm9",
            "movups [rdi + 160], xmm10",
            "movups [rdi + 176], xmm11",
            "movups [rdi + 192], xmm12",
            "movups [rdi + 208], xmm13",
            "movups [rdi + 224], xmm14",
            "movups [rdi + 240], xmm15",
            number = const SYS_YIELD,
            in("rdi") memory.as_mut_ptr(),
            inout("rsi") yields => _,
            out("rax") _,
            out("rcx") _,
            out("r11") _,
        );
    }
    memory == expected
}

fn sse_registers_survive_switches() -> Outcome {
    let threads = (1..=6u64)
        .map(|i| {
            // Three on one CPU, the others anywhere: switches and migrations.
            Builder::new().cpus(if i <= 3 { 1 } else { 0 }).spawn(move || {
                (0..20).all(|round| {
                    let pattern = 0x0123_4567_89ab_cdef_u64.wrapping_mul(i * 1000 + round);
                    thread::sleep(50_000);
                    sse_round(pattern, 50)
                })
            })
        })
        .collect::<abi::error::Result<Vec<_>>>()?;
    for thread in threads {
        ensure(thread.join()?, "its registers were as it left them")?;
    }
    Ok(())
}

fn a_fresh_thread_has_clean_floating_point() -> Outcome {
    // What one thread has in its registers, another one must not find there.
    ensure(sse_round(0x005e_c2e7, 1), "a secret is in the registers")?;
    let (control, low) = thread::spawn(|| {
        let mut control = 0u32;
        let low: u64;
        // SAFETY: stores the control word and a register that this target's code does not use.
        unsafe {
            asm!("stmxcsr [{}]", in(reg) &raw mut control);
            asm!("movq {}, xmm3", out(reg) low);
        }
        (control, low)
    })?
    .join()?;
    equal((control, low), (0x1f80, 0))
}

//! Calls that need no object.

use abi::error::{EFAULT, EINVAL, ENOSYS};
use abi::number::{
    CLASS_NATIVE, NATIVE_COUNT, SYS_CLOCK_GETTIME, SYS_COUNTERS, SYS_FUTEX, SYS_HANDLE_INFO, SYS_LOG,
    SYS_NULL, SYS_PROCESS_STATUS, SYS_YIELD,
};
use guest_tests::failure::{ensure, equal, refused, refused_with};
use guest_tests::{Outcome, raw};
use rt::clock;
use rt::sys::{self, Object};

use crate::Test;

pub const TESTS: &[Test] = &[
    ("null_returns_zero", null_returns_zero),
    ("unknown_numbers_are_enosys", unknown_numbers_are_enosys),
    ("bad_pointers_are_efault", bad_pointers_are_efault),
    ("a_log_line_has_a_limit", a_log_line_has_a_limit),
    ("clocks_run_and_agree", clocks_run_and_agree),
    ("an_unknown_clock_is_einval", an_unknown_clock_is_einval),
    ("the_hint_page_is_filled", the_hint_page_is_filled),
    ("entries_are_counted", entries_are_counted),
    ("yield_returns", yield_returns),
];

/// Addresses that are nobody's: null, unmapped, the hole, the kernel's, the end of everything.
pub const BAD_ADDRESSES: [u64; 9] = [
    0,
    8,
    0x7f_0000_0000,
    0x7fff_ffff_f000,
    0x7fff_ffff_fff8,
    0x8000_0000_0000,
    0xffff_8000_0010_0000,
    0xffff_ffff_8010_0000,
    u64::MAX - 3,
];

fn null_returns_zero() -> Outcome {
    equal(raw(SYS_NULL, [0; 6])?, 0)?;
    // Arguments that a call does not have are nothing to it.
    equal(raw(SYS_NULL, [u64::MAX; 6])?, 0)
}

fn unknown_numbers_are_enosys() -> Outcome {
    let native = [CLASS_NATIVE + NATIVE_COUNT, CLASS_NATIVE + 0xff, CLASS_NATIVE | 0x0fff_ffff];
    let others = [0, 1, 2, 0x4000_0000, 0x6000_0000, 0x1_5000_0000, 1 << 63, u64::MAX];
    for number in native.into_iter().chain(others) {
        refused(raw(number, [0; 6]), ENOSYS)?;
    }
    Ok(())
}

fn bad_pointers_are_efault() -> Outcome {
    let process = rt::start::start().process().0;
    let word = sys::Notification::create()?;
    for address in BAD_ADDRESSES {
        refused(raw(SYS_LOG, [address, 16, 0, 0, 0, 0]), EFAULT)?;
        refused(raw(SYS_COUNTERS, [address, 0, 0, 0, 0, 0]), EFAULT)?;
        refused(raw(SYS_CLOCK_GETTIME, [4, address, 0, 0, 0, 0]), EFAULT)?;
        refused(raw(SYS_HANDLE_INFO, [word.handle().0, address, 0, 0, 0, 0]), EFAULT)?;
        refused(raw(SYS_PROCESS_STATUS, [process, address, 0, 0, 0, 0]), EFAULT)?;
        // A futex word is aligned besides.
        refused_with(raw(SYS_FUTEX, [address, 0, 0, 0, 0, 0]), &[EFAULT, EINVAL])?;
    }
    // What the kernel would write must be writable: the hint page is not.
    refused(raw(SYS_COUNTERS, [abi::hints::HINTS_ADDRESS, 0, 0, 0, 0, 0]), EFAULT)?;
    refused(raw(SYS_CLOCK_GETTIME, [4, abi::hints::HINTS_ADDRESS, 0, 0, 0, 0]), EFAULT)
}

fn a_log_line_has_a_limit() -> Outcome {
    // A length far beyond the limit must not be believed: it would cross into what is not mapped.
    let line = [b'.'; 8];
    let huge = raw(SYS_LOG, [line.as_ptr() as u64, u64::MAX, 0, 0, 0, 0]);
    refused_with(huge, &[EINVAL, EFAULT, abi::error::EMSGSIZE])
}

fn clocks_run_and_agree() -> Outcome {
    for _ in 0..100 {
        let before = clock::now_ns();
        let kernel = sys::monotonic()?;
        let after = clock::now_ns();
        ensure(before <= kernel && kernel <= after, "the kernel's clock is between two looks at the page's")?;
    }
    let (year_2020, year_2100) = (1_577_836_800_000_000_000, 4_102_444_800_000_000_000);
    ensure((year_2020..year_2100).contains(&sys::realtime()?), "the real time is of this century")
}

fn an_unknown_clock_is_einval() -> Outcome {
    let mut time = [0u64; 2];
    let address = time.as_mut_ptr() as u64;
    for clock in [0, 2, 3, 5, u64::MAX] {
        refused(raw(SYS_CLOCK_GETTIME, [clock, address, 0, 0, 0, 0]), EINVAL)?;
    }
    Ok(())
}

fn the_hint_page_is_filled() -> Outcome {
    let cpus = clock::cpu_count();
    ensure((1..=abi::limits::MAX_CPUS).contains(&cpus), "there are 1 to 16 CPUs")?;
    ensure(clock::cpu() < cpus, "the caller's CPU is one of them")?;
    let hint = clock::cpu_hint();
    ensure(hint.running.load(core::sync::atomic::Ordering::Relaxed) != 0, "a CPU that runs this is not idle")
}

fn entries_are_counted() -> Outcome {
    use core::sync::atomic::Ordering::Relaxed;
    // On one CPU: elsewhere its entries are another's.
    let counted = rt::thread::Builder::new().cpus(1 << clock::cpu()).spawn(|| -> Outcome<u64> {
        let entries = || clock::cpu_hint().entries.load(Relaxed);
        let before = entries();
        for _ in 0..100 {
            sys::null()?;
        }
        Ok(entries() - before)
    })?;
    // Other threads may have entered meanwhile.
    ensure(counted.join()?? >= 100, "100 calls are 100 entries")
}

fn yield_returns() -> Outcome {
    equal(raw(SYS_YIELD, [0; 6])?, 0)
}

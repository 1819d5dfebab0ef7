//! What a short span of code costs.
//!
//! Method: the span is run many times; before and after it the time stamp counter is read, next to it, and nothing is
//! subtracted for that. The first runs warm up and do not count. Under counted instructions (one instruction is one
//! nanosecond) all runs of a span that does the same cost the same, and the typical one (the median) is told in
//! instructions; otherwise the figure is nanoseconds. Address-space switches and kernel entries are the kernel's own counts
//! on this CPU, read outside of the two time stamps; what is told is the mean of all runs. A span may end in another
//! process on the same CPU: then that one takes the second stamp.

use alloc::vec::Vec;
use core::sync::atomic::Ordering::Relaxed;

use abi::hints::CpuHint;
use rt::clock;

use crate::shared::Shared;
use crate::{Failure, Outcome};

/// Runs that count.
const RUNS: usize = 600;
/// Runs before.
const WARM_UP: usize = 200;

/// A moment: time and what the CPU has done so far.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Stamp {
    ticks: u64,
    switches: u64,
    entries: u64,
}

/// Takes stamps on the CPU that it was made on.
#[derive(Clone, Copy)]
pub struct Clock {
    hint: &'static CpuHint,
}

impl Clock {
    /// For the CPU that the caller is pinned to.
    pub fn here() -> Clock {
        Clock { hint: clock::cpu_hint() }
    }

    /// The beginning of a span: the time last.
    #[inline(always)]
    pub fn begin(&self) -> Stamp {
        let (switches, entries) = (self.hint.switches.load(Relaxed), self.hint.entries.load(Relaxed));
        Stamp { ticks: clock::ticks(), switches, entries }
    }

    /// The end of a span, when somebody else says at which tick it was.
    pub fn at(&self, ticks: u64) -> Stamp {
        Stamp { ticks, ..self.end() }
    }

    /// The end of a span: the time first.
    #[inline(always)]
    pub fn end(&self) -> Stamp {
        let ticks = clock::ticks();
        Stamp { ticks, switches: self.hint.switches.load(Relaxed), entries: self.hint.entries.load(Relaxed) }
    }
}

impl Stamp {
    /// Leaves it for another process, in three words.
    #[inline(always)]
    pub fn store(&self, shared: &Shared, at: usize) {
        shared.set(at, self.ticks);
        shared.set(at + 1, self.switches);
        shared.set(at + 2, self.entries);
    }

    /// Finds what another process has left.
    pub fn load(shared: &Shared, at: usize) -> Stamp {
        Stamp { ticks: shared.get(at), switches: shared.get(at + 1), entries: shared.get(at + 2) }
    }

    /// What has happened since an earlier one.
    #[inline(always)]
    pub fn since(&self, earlier: Stamp) -> Stamp {
        Stamp {
            ticks: self.ticks.wrapping_sub(earlier.ticks),
            switches: self.switches.wrapping_sub(earlier.switches),
            entries: self.entries.wrapping_sub(earlier.entries),
        }
    }
}

/// What a span costs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Cost {
    /// The typical run in nanoseconds: under counted instructions, instructions.
    pub typical: u64,
    /// The cheapest run.
    pub least: u64,
    /// Address-space switches in hundredths.
    pub switches: u64,
    /// Kernel entries in hundredths.
    pub entries: u64,
}

/// Measures: `span` gives what has happened between its two stamps.
pub fn measure(mut span: impl FnMut() -> Outcome<Stamp>) -> Outcome<Cost> {
    for _ in 0..WARM_UP {
        span()?;
    }
    let mut ticks = Vec::with_capacity(RUNS);
    let (mut switches, mut entries) = (0, 0);
    for _ in 0..RUNS {
        let cost = span()?;
        ticks.push(cost.ticks);
        switches += cost.switches;
        entries += cost.entries;
    }
    ticks.sort_unstable();
    let hints = clock::hints();
    let (mul, shift) = (hints.tsc_mul.load(Relaxed), hints.tsc_shift.load(Relaxed));
    if ticks[0] > 1 << 40 {
        return Err(Failure::new("a span ended before it began"));
    }
    let mean = |sum: u64| (sum * 100 + RUNS as u64 / 2) / RUNS as u64;
    Ok(Cost {
        typical: nanoseconds(ticks[RUNS / 2], mul, shift),
        least: nanoseconds(ticks[0], mul, shift),
        switches: mean(switches),
        entries: mean(entries),
    })
}

/// Ticks that a loop around one instruction takes; the shortest of several, since an interrupt may be in the others.
macro_rules! ticks_of {
    ($turns:expr, $instruction:literal) => {{
        let lap = |_| {
            let begin = clock::ticks();
            // SAFETY: arithmetic only; a divisor is never 0 and a quotient fits.
            unsafe {
                core::arch::asm!(
                    "2: xor edx, edx",
                    "lea eax, [ecx + 1]",
                    $instruction,
                    "dec ecx",
                    "jnz 2b",
                    inout("ecx") $turns => _,
                    out("eax") _,
                    out("edx") _,
                    options(nomem, nostack)
                );
            }
            clock::ticks() - begin
        };
        (0..5).map(lap).min().unwrap_or_default()
    }};
}

/// Whether instructions are counted: time is what the guest does, and not what its host has time for. Only then can it be a
/// failure that something takes long.
pub fn instructions_are_counted() -> bool {
    const TURNS: u32 = 2000;
    // Where they are not, a division takes longer than an addition.
    let (division, addition) = (ticks_of!(TURNS, "div ecx"), ticks_of!(TURNS, "lea edx, [ecx + 1]"));
    division.abs_diff(addition) < u64::from(TURNS) / 20
}

/// As the clock converts, but to the nearest: a span is short, and the calibration not exact.
fn nanoseconds(ticks: u64, mul: u64, shift: u32) -> u64 {
    let half = 1u128 << shift >> 1;
    ((u128::from(ticks) * u128::from(mul) + half) >> shift) as u64
}

/// Tells what something costs, a line each.
pub fn tell(name: &str, cost: Cost) {
    rt::log!("{name} {} instructions", cost.typical);
    rt::log!("{name}.least {} instructions", cost.least);
    tell_hundredths(name, "switches", cost.switches);
    tell_hundredths(name, "entries", cost.entries);
}

/// Tells something counted.
pub fn tell_hundredths(name: &str, what: &str, hundredths: u64) {
    match hundredths % 100 {
        0 => rt::log!("{name}.{what} {} {what}", hundredths / 100),
        rest => rt::log!("{name}.{what} {}.{rest:02} {what}", hundredths / 100),
    }
}

//! Time: the TSC, measured against the PIT at boot, and the date from the RTC.

use core::arch::x86_64::_rdtsc;
use core::sync::atomic::Ordering;

use crate::arch::port::Port;
use crate::arch::{apic, cpu};
use crate::log;

/// Hz of the PIT.
const PIT: u64 = 1_193_182;
/// PIT ticks that are measured: 10 ms.
const SPAN: u16 = 11_932;
/// Readings to choose from, at each end of the span.
const READINGS: usize = 16;
/// Measurements to choose from: an emulator that stands still in the middle of one spoils it.
const ATTEMPTS: usize = 20;
/// Channel 2 has counted to its end.
const WRAPPED: u8 = 1 << 5;
const SHIFT: u32 = 32;
/// A result this near (parts per million) to a multiple of [`ROUND`] is taken as that: the measurement is no better, and
/// an emulated TSC is exact.
const TOLERANCE: u64 = 250;
const ROUND: u64 = 100_000_000;

/// Measures TSC and local APIC timer, reads the date and fills the clock of the hint page.
pub fn init() {
    let gate = port(0x61);
    // Gate of channel 2 on, speaker off.
    let before = gate.read();
    gate.write(before & !2 | 1);
    let mut best = measure();
    for _ in 1..ATTEMPTS {
        if best.is_exact() {
            break;
        }
        best = best.min(measure());
    }
    gate.write(before);

    let frequency = rounded(best.tsc * PIT / best.ticks);
    let timer = rounded(best.timer * frequency / best.tsc);
    apic::set_frequency(timer, 1_000_000_000);
    let hints = cpu::hints();
    let base = now_tsc();
    hints.tsc_mul.store((1_000_000_000_u64 << SHIFT) / frequency, Ordering::Relaxed);
    hints.tsc_shift.store(SHIFT, Ordering::Relaxed);
    hints.tsc_base.store(base, Ordering::Relaxed);
    hints.realtime_base.store(date() * 1_000_000_000, Ordering::Release);
    log!("clock: TSC {} kHz, timer {} kHz", frequency / 1000, timer / 1000);
}

/// What passed in one span. The best comes first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Measured {
    /// The PIT has wrapped: nobody knows how often.
    wrapped: bool,
    /// TSC ticks that the worse of the two readings took.
    blurred: u64,
    /// TSC, PIT and timer ticks.
    tsc: u64,
    ticks: u64,
    timer: u64,
}

impl Measured {
    /// To half a thousandth.
    fn is_exact(&self) -> bool {
        !self.wrapped && self.blurred < self.tsc / 2000
    }
}

fn measure() -> Measured {
    // Channel 2, low byte then high byte, mode 0: counts down from the highest value, once.
    port(0x43).write(0xb0);
    port(0x42).write(0xff);
    port(0x42).write(0xff);
    apic::measure_begin();
    let best = || (0..READINGS).map(|_| Reading::take()).min_by_key(|reading| reading.took);
    let from = best().unwrap_or_else(Reading::take);
    while from.count.wrapping_sub(Reading::take().count) < SPAN {}
    let to = best().unwrap_or_else(Reading::take);
    Measured {
        wrapped: port(0x61).read() & WRAPPED != 0,
        blurred: from.took.max(to.took),
        tsc: (to.tsc - from.tsc).max(1),
        ticks: u64::from(from.count.wrapping_sub(to.count)).max(1),
        timer: to.timer.wrapping_sub(from.timer).into(),
    }
}

/// All three at about the same moment.
struct Reading {
    took: u64,
    tsc: u64,
    count: u16,
    timer: u32,
}

impl Reading {
    fn take() -> Reading {
        let before = now_tsc();
        // Latch channel 2.
        port(0x43).write(0x80);
        let timer = apic::measure_read();
        let took = now_tsc() - before;
        let low = port(0x42).read();
        let count = u16::from_le_bytes([low, port(0x42).read()]);
        Reading { took, tsc: before + took / 2, count, timer }
    }
}

fn rounded(frequency: u64) -> u64 {
    let near = (frequency + ROUND / 2) / ROUND * ROUND;
    if near.abs_diff(frequency) <= frequency / 1_000_000 * TOLERANCE { near } else { frequency }
}

fn port(number: u16) -> Port {
    // SAFETY: PIT, its gate, and the RTC touch no memory.
    unsafe { Port::new(number) }
}

fn now_tsc() -> u64 {
    // SAFETY: every x86-64 has a TSC.
    unsafe { _rdtsc() }
}

/// Monotonic time in ns: since boot.
#[inline]
pub fn now_ns() -> u64 {
    let hints = cpu::hints();
    let ticks = now_tsc().wrapping_sub(hints.tsc_base.load(Ordering::Relaxed));
    ((u128::from(ticks) * u128::from(hints.tsc_mul.load(Ordering::Relaxed))) >> SHIFT) as u64
}

fn rtc(register: u8) -> u8 {
    port(0x70).write(register);
    port(0x71).read()
}

/// Seconds since 1970 from the RTC, 0 when it shows nonsense.
fn date() -> u64 {
    let sample = || [0, 2, 4, 7, 8, 9].map(rtc);
    let mut fields = sample();
    // Two equal readings with no update in progress are no mixture of two seconds.
    for _ in 0..10_000 {
        let again = sample();
        if again == fields && rtc(10) & 0x80 == 0 {
            break;
        }
        fields = again;
    }
    let mode = rtc(11);
    let afternoon = fields[2] & 0x80 != 0;
    fields[2] &= 0x7f;
    if mode & 4 == 0 {
        fields = fields.map(|field| (field >> 4) * 10 + (field & 0xf));
    }
    if mode & 2 == 0 {
        fields[2] = fields[2] % 12 + if afternoon { 12 } else { 0 };
    }
    let [second, minute, hour, day, month, year] = fields.map(u64::from);
    if second > 59
        || minute > 59
        || hour > 23
        || !(1..=31).contains(&day)
        || !(1..=12).contains(&month)
        || year > 99
    {
        return 0;
    }
    days(2000 + year, month, day) * 86_400 + hour * 3600 + minute * 60 + second
}

/// Days from 1970-01-01 to a date of this century; the year begins in March, so that the leap day is its last.
fn days(year: u64, month: u64, day: u64) -> u64 {
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    year * 365 + year / 4 - year / 100 + year / 400 + (month * 153 + 2) / 5 + day - 1 - 719_468
}

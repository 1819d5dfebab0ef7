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
/// Readings of the timer to choose from.
const READINGS: usize = 16;
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
    // Channel 2, low byte then high byte, mode 0: counts down from the highest value.
    port(0x43).write(0xb0);
    port(0x42).write(0xff);
    port(0x42).write(0xff);
    apic::measure_begin();
    let (timer_from, timer_tsc_from) = timer();
    let (from, tsc_from) = edge(edge(u16::MAX).0);
    let mut to = edge(from);
    while from - to.0 < SPAN {
        to = edge(to.0);
    }
    let (timer_to, timer_tsc_to) = timer();
    gate.write(before);

    let frequency = rounded((to.1 - tsc_from) * PIT / u64::from(from - to.0));
    let timer = rounded(u64::from(timer_to - timer_from) * frequency / (timer_tsc_to - timer_tsc_from));
    apic::set_frequency(timer, 1_000_000_000);
    let hints = cpu::hints();
    let base = now_tsc();
    hints.tsc_mul.store((1_000_000_000_u64 << SHIFT) / frequency, Ordering::Relaxed);
    hints.tsc_shift.store(SHIFT, Ordering::Relaxed);
    hints.tsc_base.store(base, Ordering::Relaxed);
    hints.realtime_base.store(date() * 1_000_000_000, Ordering::Release);
    log!("clock: TSC {} kHz, timer {} kHz", frequency / 1000, timer / 1000);
}

fn rounded(frequency: u64) -> u64 {
    let near = (frequency + ROUND / 2) / ROUND * ROUND;
    if near.abs_diff(frequency) <= frequency / 1_000_000 * TOLERANCE { near } else { frequency }
}

fn port(number: u16) -> Port {
    // SAFETY: PIT, its gate, and the RTC touch no memory.
    unsafe { Port::new(number) }
}

/// Waits until the PIT's count is below `count`, and returns it and the TSC right then.
fn edge(count: u16) -> (u16, u64) {
    loop {
        // Latch channel 2.
        port(0x43).write(0x80);
        let now = now_tsc();
        let low = port(0x42).read();
        let value = u16::from_le_bytes([low, port(0x42).read()]);
        if value < count {
            return (value, now);
        }
    }
}

/// The local APIC timer's ticks, and the TSC at that moment: of some readings the one that took least time.
fn timer() -> (u32, u64) {
    let reading = |_| {
        let before = now_tsc();
        let ticks = apic::measure_read();
        let took = now_tsc() - before;
        (took, ticks, before + took / 2)
    };
    let (_, ticks, tsc) = (0..READINGS).map(reading).min().unwrap_or_default();
    (ticks, tsc)
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

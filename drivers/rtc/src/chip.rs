//! The clock's registers (MC146818A data sheet; the century is not among them: it is this one).

use driver_sdk::Registers;

/// Ports: which register, and what is in it.
const INDEX: usize = 0;
const DATA: usize = 1;

const SECOND: u8 = 0;
const MINUTE: u8 = 2;
const HOUR: u8 = 4;
const DAY: u8 = 7;
const MONTH: u8 = 8;
const YEAR: u8 = 9;
const A: u8 = 10;
const B: u8 = 11;
const C: u8 = 12;

/// In register A: it is about to change.
const UPDATING: u8 = 1 << 7;
/// In register B: hours go to 24; numbers are binary.
const HOURS_24: u8 = 1 << 1;
const BINARY: u8 = 1 << 2;
/// In registers B and C: the interrupt after each change. Periodic ones and alarms are the bits above.
const CHANGE: u8 = 1 << 4;
const OTHERS: u8 = 3 << 5;
/// In the hours, where they go to 12.
const AFTERNOON: u8 = 1 << 7;
/// Two readings that agree are no mixture of two seconds; so many are tried.
const TRIES: usize = 1000;

/// The chip behind its two ports.
pub struct Chip<R>(R);

impl<R: Registers> Chip<R> {
    /// The chip. Nothing is changed.
    pub fn new(ports: R) -> Chip<R> {
        Chip(ports)
    }

    fn get(&self, register: u8) -> u8 {
        self.0.write(INDEX, register);
        self.0.read(DATA)
    }

    fn set(&self, register: u8, value: u8) {
        self.0.write(INDEX, register);
        self.0.write(DATA, value);
    }

    /// Has it interrupt once a second, or never.
    pub fn listen(&self, on: bool) {
        let others = self.get(B) & !(CHANGE | OTHERS);
        self.set(B, if on { others | CHANGE } else { others });
        self.interrupted();
    }

    /// Takes notice of an interrupt: whether a second has begun. Until then it does not interrupt again.
    pub fn interrupted(&self) -> bool {
        self.get(C) & CHANGE != 0
    }

    /// Seconds since 1970. Nothing, when what it says is no time.
    pub fn time(&self) -> Option<u64> {
        let sample = || [SECOND, MINUTE, HOUR, DAY, MONTH, YEAR].map(|register| self.get(register));
        let mut last = sample();
        for _ in 0..TRIES {
            let again = sample();
            if again == last && self.get(A) & UPDATING == 0 {
                return decode(last, self.get(B));
            }
            last = again;
        }
        None
    }
}

fn decode(mut fields: [u8; 6], mode: u8) -> Option<u64> {
    let afternoon = fields[2] & AFTERNOON != 0 && mode & HOURS_24 == 0;
    if mode & HOURS_24 == 0 {
        fields[2] &= !AFTERNOON;
    }
    if mode & BINARY == 0 {
        if fields.iter().any(|field| field & 0xf > 9 || field >> 4 > 9) {
            return None;
        }
        fields = fields.map(|field| (field >> 4) * 10 + (field & 0xf));
    }
    if mode & HOURS_24 == 0 {
        if !(1..=12).contains(&fields[2]) {
            return None;
        }
        fields[2] = fields[2] % 12 + if afternoon { 12 } else { 0 };
    }
    let [second, minute, hour, day, month, year] = fields.map(u64::from);
    let sound = second < 60 && minute < 60 && hour < 24 && (1..=12).contains(&month) && year < 100;
    if !sound || day == 0 || day > days_of(month, year) {
        return None;
    }
    Some(days(2000 + year, month, day) * 86_400 + hour * 3600 + minute * 60 + second)
}

/// Days of a month of this century.
fn days_of(month: u64, year: u64) -> u64 {
    match month {
        2 if year.is_multiple_of(4) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days since 1970; the year begins in March, so that the leap day is its last.
fn days(year: u64, month: u64, day: u64) -> u64 {
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    year * 365 + year / 4 - year / 100 + year / 400 + (month * 153 + 2) / 5 + day - 1 - 719_468
}

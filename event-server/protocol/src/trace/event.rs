//! What happens to servers, drivers and clients, in numbers and in words.

use super::Clock;
use crate::control;
use crate::descriptor::label;
use core::fmt;

/// Declares each event once: its number, its name, and how its detail and its value are told.
macro_rules! events {
    ($($(#[$doc:meta])* $event:ident = $code:literal, $name:literal, $detail:ident, $value:ident;)*) => {
        /// What happened. An entry's detail and value are what is said here, else 0.
        #[derive(Clone, Copy, PartialEq, Eq, Debug)]
        pub enum Event {
            $($(#[$doc])* $event,)*
        }

        impl Event {
            /// All of them.
            pub const ALL: &'static [Event] = &[$(Event::$event),*];

            /// The number in an entry.
            pub const fn code(self) -> u32 {
                match self {
                    $(Event::$event => $code,)*
                }
            }

            /// The event of a number.
            pub const fn of(code: u32) -> Option<Event> {
                match code {
                    $($code => Some(Event::$event),)*
                    _ => None,
                }
            }

            /// What it is called: one word.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Event::$event => $name,)*
                }
            }

            const fn words(self) -> (Word, Word) {
                match self {
                    $(Event::$event => (Word::$detail, Word::$value),)*
                }
            }
        }
    };
}

/// What a number of an entry is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Word {
    Nothing,
    Label,
    Errno,
    Bytes,
    File,
    Badge,
    Bits,
    Peer,
    Shard,
    Source,
    Thread,
    Service,
}

events! {
    /// A request came: its label, the badge that it was made with.
    Request = 1, "request", Label, Badge;
    /// It was refused: the errno, the badge.
    Refused = 2, "refused", Errno, Badge;
    /// It has to wait; the file.
    Waits = 3, "waits", Nothing, File;
    /// One that waited was answered or told an error; the file.
    Answered = 4, "answered", Nothing, File;
    /// A reader was gone when its data came: the bytes that it would have got, the file.
    Undelivered = 5, "undelivered", Bytes, File;
    /// The last handle with a badge was closed; the badge.
    Closed = 6, "closed", Nothing, Badge;
    /// The device interrupted, or somebody rang.
    Interrupt = 7, "interrupt", Nothing, Nothing;
    /// The deadline has passed.
    Expired = 8, "expired", Nothing, Nothing;
    /// The machine is about to be powered off.
    PowerOff = 9, "power-off", Nothing, Nothing;
    /// Drivers rang; their bits.
    Doorbell = 10, "doorbell", Nothing, Bits;
    /// A session was ended for lying; whose.
    Ended = 11, "ended-liar", Nothing, Peer;
    /// A waiter that was chosen did not come back in time, or ended, and what it was woken for was handed on; the source.
    HandedOn = 12, "handed-on", Nothing, Source;
    /// A session with the event server began; its first shard.
    Begun = 13, "session-begun", Nothing, Shard;
    /// A path was opened: 0 or the errno, the service.
    Opened = 14, "opened", Errno, Service;
    /// A request to the event server failed: the errno, the shard.
    ServerFailed = 15, "server-failed", Errno, Shard;
    /// A request to a driver failed: the errno, the request's label.
    DriverFailed = 16, "driver-failed", Errno, Label;
    /// A driver is gone, and what it had of a durable file goes on with the next; the source.
    Reclaimed = 17, "reclaimed", Nothing, Source;
    /// A thread that waited for events has ended; its number.
    ThreadEnded = 18, "thread-ended", Nothing, Thread;
}

/// An entry.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Entry {
    /// How many there were before.
    pub number: u64,
    /// The time stamp counter.
    pub ticks: u64,
    /// What happened.
    pub event: Event,
    /// See [`Event`].
    pub detail: u32,
    /// See [`Event`].
    pub value: u64,
}

impl Entry {
    /// The entry in words, with its time in microseconds since boot: `1234.567 µs request read, badge 0x10001`.
    pub fn at(&self, clock: Clock) -> impl fmt::Display {
        At(*self, clock)
    }
}

impl Entry {
    /// Detail and value in two words, for programs: the detail in decimal and the value in hexadecimal digits, but a request's
    /// label by its name where it has one.
    pub fn in_two_words(&self) -> impl fmt::Display {
        TwoWords(*self)
    }
}

struct TwoWords(Entry);

impl fmt::Display for TwoWords {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Entry { detail, value, event, .. } = self.0;
        let name = |word: Word, of: u64| if word == Word::Label { name_of(of) } else { None };
        let words = event.words();
        match name(words.0, u64::from(detail)) {
            Some(name) => write!(f, "{name} ")?,
            None => write!(f, "{detail} ")?,
        }
        match name(words.1, value) {
            Some(name) => write!(f, "{name}"),
            None => write!(f, "{value:#x}"),
        }
    }
}

/// The first eight bytes of a service's name as a number.
pub fn service(name: &str) -> u64 {
    let mut bytes = [0; 8];
    bytes.iter_mut().zip(name.bytes()).for_each(|(to, from)| *to = from);
    u64::from_le_bytes(bytes)
}

struct At(Entry, Clock);

impl fmt::Display for At {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let At(entry, clock) = self;
        write!(f, "{} µs {}", clock.time(entry.ticks), entry.event.name())?;
        let (detail, value) = entry.event.words();
        let silent = detail == Word::Nothing || detail == Word::Errno && entry.detail == 0;
        detail.write(f, u64::from(entry.detail), "")?;
        value.write(f, entry.value, if silent { "" } else { "," })
    }
}

impl Word {
    fn write(self, f: &mut fmt::Formatter<'_>, word: u64, comma: &str) -> fmt::Result {
        match self {
            Word::Nothing => Ok(()),
            Word::Label => match name_of(word) {
                Some(name) => write!(f, "{comma} {name}"),
                None => write!(f, "{comma} {word:#x}"),
            },
            Word::Errno if word == 0 => Ok(()),
            Word::Errno => write!(f, "{comma} errno {word}"),
            Word::Bytes => write!(f, "{comma} {word} bytes"),
            Word::File => write!(f, "{comma} file {word:#x}"),
            Word::Badge => write!(f, "{comma} badge {word:#x}"),
            Word::Bits => write!(f, "{comma} {word:#b}"),
            Word::Peer => write!(f, "{comma} session {word:#x}"),
            Word::Shard => write!(f, "{comma} shard {word}"),
            Word::Source => write!(f, "{comma} source {word:#x}"),
            Word::Thread => write!(f, "{comma} thread {word}"),
            Word::Service => {
                write!(f, "{comma} ")?;
                let bytes = word.to_le_bytes();
                bytes
                    .iter()
                    .take_while(|&&byte| byte != 0)
                    .try_for_each(|byte| write!(f, "{}", byte.escape_ascii()))
            }
        }
    }
}

/// What a request is called.
fn name_of(label: u64) -> Option<&'static str> {
    Some(match u32::try_from(label).ok()? {
        label::OPEN => "open",
        label::READ => "read",
        label::WRITE => "write",
        label::CONTROL => "control",
        label::WATCH => "watch",
        label::SEND => "send",
        label::RECEIVE => "receive",
        label::PATH => "path",
        label::INSPECT => "inspect",
        control::label::LOBBY => "lobby",
        control::label::CLIENT => "client",
        control::label::DRIVER => "driver",
        _ => return None,
    })
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use std::format;

    fn said(event: Event, detail: u32, value: u64) -> std::string::String {
        let clock = Clock { base: 0, mul: 1, shift: 0 };
        format!("{}", Entry { number: 0, ticks: 5_000, event, detail, value }.at(clock))
    }

    #[test]
    fn entries_are_told_in_words() {
        assert_eq!(said(Event::Request, label::READ, 1), "5.000 µs request read, badge 0x1");
        assert_eq!(said(Event::Request, 0x99, 1), "5.000 µs request 0x99, badge 0x1");
        assert_eq!(said(Event::Refused, 2, 1), "5.000 µs refused errno 2, badge 0x1");
        assert_eq!(said(Event::Interrupt, 7, 7), "5.000 µs interrupt");
        assert_eq!(said(Event::Waits, 0, 16), "5.000 µs waits file 0x10");
        assert_eq!(said(Event::Opened, 0, service("tty")), "5.000 µs opened tty");
        assert_eq!(said(Event::Opened, 2, service("much-too-long")), "5.000 µs opened errno 2, much-too");
        assert_eq!(
            said(Event::Opened, 2, u64::from_le_bytes(*b"\x1b[2J\0\0\0\0")),
            r"5.000 µs opened errno 2, \x1b[2J"
        );
        assert_eq!(
            said(Event::DriverFailed, 32, u64::from(label::WRITE)),
            "5.000 µs driver-failed errno 32, write"
        );
    }

    #[test]
    fn programs_are_told_the_names_of_labels() {
        let said = |event: Event, detail: u32, value: u64| {
            format!("{}", Entry { number: 0, ticks: 0, event, detail, value }.in_two_words())
        };
        assert_eq!(said(Event::Request, label::READ, 16), "read 0x10");
        assert_eq!(said(Event::Request, 0x99, 16), "153 0x10");
        assert_eq!(said(Event::DriverFailed, 32, u64::from(label::WRITE)), "32 write");
        assert_eq!(said(Event::Undelivered, label::READ, 16), "17410 0x10", "bytes, and no label");
    }

    #[test]
    fn numbers_and_names_are_each_ones_own() {
        for &event in Event::ALL {
            assert_eq!(Event::of(event.code()), Some(event));
            assert_eq!(Event::ALL.iter().filter(|other| other.name() == event.name()).count(), 1);
            assert!(!event.name().contains(' '));
        }
        assert_eq!(Event::of(0), None);
    }
}

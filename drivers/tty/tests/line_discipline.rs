//! The line discipline against termios(3).

use proptest::prelude::*;
use tty::input::MAX_LINE;
use tty::mode::Mode;
use tty::terminal::{Read, Terminal};
use tty::uart::Peer;

fn typed(bytes: &[u8]) -> Terminal {
    let mut terminal = Terminal::new();
    type_in(&mut terminal, bytes);
    terminal
}

fn type_in(terminal: &mut Terminal, bytes: &[u8]) {
    for &byte in bytes {
        assert!(terminal.has_room());
        terminal.receive(byte);
    }
}

fn shown(terminal: &mut Terminal) -> String {
    let bytes: Vec<u8> = std::iter::from_fn(|| terminal.transmit()).collect();
    String::from_utf8_lossy(&bytes).into_owned()
}

/// What the next read gives: `None` for nothing, `Err` for the interrupt.
fn read(terminal: &mut Terminal, room: usize) -> Option<Result<String, ()>> {
    let mut buffer = vec![0; room];
    match terminal.read(&mut buffer) {
        Read::Taken(taken) => {
            assert_eq!(taken.end_of_file, taken.len == 0);
            Some(Ok(String::from_utf8_lossy(&buffer[..taken.len]).into_owned()))
        }
        Read::Interrupted(_) => Some(Err(())),
        Read::Nothing => None,
    }
}

fn lines(mut terminal: Terminal) -> Vec<String> {
    std::iter::from_fn(|| read(&mut terminal, 4096))
        .map(|line| line.unwrap_or("<interrupt>".into()))
        .collect()
}

#[test]
fn a_line_is_readable_when_it_is_finished() {
    let mut terminal = typed(b"hello");
    assert_eq!(read(&mut terminal, 100), None);
    assert!(!terminal.is_ready());
    type_in(&mut terminal, b"\r");
    assert_eq!(terminal.readable(), 6);
    assert_eq!(read(&mut terminal, 100), Some(Ok("hello\n".into())));
}

#[test]
fn a_read_takes_one_line_and_leaves_what_does_not_fit() {
    let mut terminal = typed(b"one\ntwo\n");
    assert_eq!(read(&mut terminal, 2), Some(Ok("on".into())));
    assert_eq!(read(&mut terminal, 100), Some(Ok("e\n".into())));
    assert_eq!(read(&mut terminal, 100), Some(Ok("two\n".into())));
    assert_eq!(read(&mut terminal, 100), None);
}

#[test]
fn editing() {
    assert_eq!(lines(typed(b"ab\x7fc\x08d\n")), ["ad\n"]);
    assert_eq!(lines(typed(b"\x7f\x7fx\n")), ["x\n"]);
    assert_eq!(lines(typed(b"one two  \x17three\n")), ["one three\n"]);
    assert_eq!(lines(typed(b"gone\x15kept\n")), ["kept\n"]);
    assert_eq!(lines(typed("aä€\x7f\x7fb\n".as_bytes())), ["ab\n"], "a UTF-8 character is one");
    assert_eq!(lines(typed("häß\x17x\n".as_bytes())), ["x\n"]);
    assert_eq!(lines(typed(b"done\n\x7f\x15\x17next\n")), ["done\n", "next\n"], "not beyond the line");
}

#[test]
fn end_of_file() {
    assert_eq!(lines(typed(b"\x04")), [""]);
    assert_eq!(lines(typed(b"a\n\x04b\n")), ["a\n", "", "b\n"], "the terminal goes on after it");
    assert_eq!(lines(typed(b"prompt:\x04")), ["prompt:"], "in a line it pushes out what is there");
    assert_eq!(lines(typed(b"x\x04\x04")), ["x", ""]);
    let mut terminal = typed(b"a\n\x04");
    assert!(!terminal.is_end_of_file());
    _ = read(&mut terminal, 10);
    assert!(terminal.is_end_of_file() && terminal.is_ready());
    _ = read(&mut terminal, 10);
    assert!(!terminal.is_end_of_file() && !terminal.is_ready());
}

#[test]
fn interrupt_discards_the_input_and_is_told_once() {
    let mut terminal = typed(b"line\nhalf\x03");
    assert!(terminal.is_ready() && terminal.is_interrupted());
    assert_eq!(terminal.readable(), 0);
    assert_eq!(read(&mut terminal, 10), Some(Err(())));
    assert_eq!(read(&mut terminal, 10), None);
    assert_eq!(shown(&mut terminal), "line\r\nhalf^C\r\n");
    type_in(&mut terminal, b"next\n");
    assert_eq!(read(&mut terminal, 10), Some(Ok("next\n".into())));
}

#[test]
fn what_a_dead_reader_took_is_read_by_the_next() {
    let mut terminal = typed(b"line\n\x04");
    let mut buffer = [0; 10];
    for expected in ["line\n", ""] {
        let taken = terminal.read(&mut buffer);
        terminal.unread(taken, &buffer);
        assert_eq!(read(&mut terminal, 10), Some(Ok(expected.into())));
    }
    type_in(&mut terminal, b"\x03");
    let taken = terminal.read(&mut buffer);
    terminal.unread(taken, &buffer);
    assert_eq!(read(&mut terminal, 10), Some(Err(())));
}

#[test]
fn echo() {
    assert_eq!(shown(&mut typed(b"hi\n")), "hi\r\n");
    assert_eq!(shown(&mut typed(b"ab\x7f")), "ab\x08 \x08");
    assert_eq!(shown(&mut typed(b"\x01\x7f")), "^A\x08 \x08\x08 \x08", "both columns of ^A go");
    assert_eq!(shown(&mut typed(b"a\t\x7f")), "a\t".to_owned() + &"\x08 \x08".repeat(7));
    assert_eq!(shown(&mut typed("ä\x7f".as_bytes())), "ä\x08 \x08");
    assert_eq!(shown(&mut typed(b"\x7f")), "", "nothing to erase, nothing shown");
    let mut silent = Terminal::new();
    silent.set_mode(Mode { echo: false, ..Mode::LINE });
    type_in(&mut silent, b"password\n");
    assert_eq!(shown(&mut silent), "");
}

#[test]
fn echo_stands_behind_the_prompt() {
    let mut terminal = Terminal::new();
    terminal.write(b"12345> ");
    type_in(&mut terminal, b"\t\x7f");
    assert_eq!(shown(&mut terminal), "12345> \t\x08 \x08");
}

#[test]
fn what_programs_write_does_not_get_into_the_line_being_typed() {
    let mut terminal = typed(b"wo");
    terminal.write(b"hello\n");
    type_in(&mut terminal, b"rld\n");
    assert_eq!(shown(&mut terminal), "wo\r\nhello\r\nworld\r\n");
    assert_eq!(lines(terminal), ["world\n"]);
    // A prompt, and a program that writes byte by byte.
    let mut terminal = typed(b"ab");
    b"yes\n> ".iter().for_each(|&byte| _ = terminal.write(&[byte]));
    assert_eq!(shown(&mut terminal), "ab\r\nyes\r\nab\r\n> ");
    type_in(&mut terminal, b"\x7f");
    assert_eq!(shown(&mut terminal), "ab\x08 \x08", "the next key shows it again");
    // Nothing typed, or not shown: nothing added.
    let mut terminal = typed(b"");
    terminal.write(b"x");
    terminal.write(b"y\n");
    assert_eq!(shown(&mut terminal), "xy\r\n");
    terminal.set_mode(Mode { echo: false, ..Mode::LINE });
    type_in(&mut terminal, b"secret");
    terminal.write(b"z\n");
    assert_eq!(shown(&mut terminal), "z\r\n");
}

#[test]
fn a_long_line_is_not_shown_again_for_every_line_of_a_program() {
    let mut terminal = Terminal::new();
    for _ in 0..300 {
        type_in(&mut terminal, b"x");
    }
    _ = shown(&mut terminal);
    terminal.write(b"a\nb\n");
    terminal.write(b"c\n");
    assert_eq!(shown(&mut terminal), "\r\na\r\nb\r\nc\r\n");
}

#[test]
fn flow_control() {
    let mut terminal = typed(b"\x13");
    terminal.write(b"held");
    assert_eq!(shown(&mut terminal), "");
    type_in(&mut terminal, b"\x11");
    assert_eq!(shown(&mut terminal), "held");
    assert_eq!(lines(terminal), [""; 0], "neither character is input");
    let mut raw = Terminal::new();
    raw.set_mode(Mode::RAW);
    type_in(&mut raw, b"\x13");
    assert_eq!(lines(raw), ["\x13"]);
}

#[test]
fn interrupt_restarts_a_stopped_output() {
    let mut terminal = typed(b"\x13");
    terminal.write(b"held ");
    type_in(&mut terminal, b"\x03");
    assert_eq!(shown(&mut terminal), "held ^C\r\n");
}

#[test]
fn raw_bytes_are_readable_at_once_and_in_one_read() {
    let mut terminal = Terminal::new();
    terminal.set_mode(Mode::RAW);
    type_in(&mut terminal, b"a\r\x03\x04\x7f");
    assert_eq!(read(&mut terminal, 100), Some(Ok("a\r\x03\x04\x7f".into())));
    terminal.write(b"x\ny");
    assert_eq!(shown(&mut terminal), "x\ny");
}

#[test]
fn a_half_line_is_readable_when_line_mode_ends() {
    let mut terminal = typed(b"half");
    terminal.set_mode(Mode::RAW);
    assert_eq!(read(&mut terminal, 100), Some(Ok("half".into())));
}

#[test]
fn a_line_has_the_time_of_the_interrupt_that_finished_it() {
    let mut terminal = Terminal::new();
    for (time, bytes) in [(10, b"a"), (20, b"\n"), (30, b"b"), (40, b"\n")] {
        terminal.set_time(time);
        type_in(&mut terminal, bytes);
    }
    for expected in [20, 40] {
        let Read::Taken(taken) = terminal.read(&mut [0; 10]) else { panic!("a line is there") };
        assert_eq!(taken.time, expected);
    }
}

#[test]
fn a_line_too_long_rings_the_bell_and_keeps_its_beginning() {
    let mut terminal = Terminal::new();
    terminal.set_mode(Mode { echo: false, ..Mode::LINE });
    type_in(&mut terminal, &[b'x'; MAX_LINE + 9]);
    assert_eq!(terminal.refused(), 10);
    assert_eq!(shown(&mut terminal), "\x07".repeat(10));
    type_in(&mut terminal, b"\n");
    assert_eq!(terminal.readable(), MAX_LINE);
    assert!(lines(terminal)[0].ends_with("x\n"));
}

#[test]
fn a_killed_long_line_needs_a_short_echo() {
    let mut terminal = Terminal::new();
    for _ in 0..2000 {
        type_in(&mut terminal, b"x");
        _ = shown(&mut terminal);
    }
    type_in(&mut terminal, b"\x15");
    assert_eq!(shown(&mut terminal), "^U\r\n");
}

#[test]
fn a_short_write_is_taken_whole_or_not_at_all() {
    let mut terminal = Terminal::new();
    let line = [&[b'x'; Terminal::WHOLE - 1][..], b"\n"].concat();
    while terminal.space() > line.len() {
        assert_eq!(terminal.write(&line), line.len());
    }
    assert!(terminal.space() > 0);
    assert_eq!(terminal.write(&line), 0);
    while terminal.space() < line.len() + 1 {
        assert!(terminal.transmit().is_some());
    }
    assert_eq!(terminal.write(&line), line.len(), "with the carriage return it just fits");
    assert_eq!(terminal.space(), 0);
    let mut empty = Terminal::new();
    assert_eq!(empty.write(&[b'x'; 100_000]), Terminal::MAX_SPACE, "a long one is taken in parts");
}

#[test]
fn writers_leave_room_for_the_echo() {
    let mut terminal = Terminal::new();
    while terminal.write(b"x") > 0 {}
    assert_eq!(terminal.space(), 0);
    type_in(&mut terminal, b"q");
    assert!(shown(&mut terminal).ends_with("xq"));
}

/// Line mode in a few lines, for ASCII.
fn model(bytes: &[u8]) -> Vec<String> {
    let (mut done, mut line) = (Vec::new(), String::new());
    for &byte in bytes {
        match byte {
            3 => {
                line.clear();
                done = vec!["<interrupt>".into()];
            }
            4 => done.push(core::mem::take(&mut line)),
            8 | 0x7f => _ = line.pop(),
            0x15 => line.clear(),
            0x17 => {
                line.truncate(line.trim_end_matches([' ', '\t']).len());
                line.truncate(line.rfind([' ', '\t']).map_or(0, |blank| blank + 1));
            }
            b'\r' | b'\n' => done.push(core::mem::take(&mut line) + "\n"),
            0x11 | 0x13 => {}
            _ => line.push(byte.into()),
        }
    }
    done
}

/// Consecutive pieces without a newline may be read together.
fn joined(lines: Vec<String>) -> Vec<String> {
    let mut out: Vec<String> = Vec::new();
    for line in lines {
        match out.last_mut() {
            Some(last) if !last.ends_with(['\n', '>']) && !last.is_empty() && !line.is_empty() => {
                last.push_str(&line)
            }
            _ => out.push(line),
        }
    }
    out
}

fn key() -> impl Strategy<Value = u8> {
    prop_oneof![
        20 => b'a'..=b'd',
        4 => Just(b' '),
        1 => Just(b'\t'),
        3 => Just(b'\n'),
        1 => prop::sample::select(vec![3, 4, 8, 0x11, 0x13, 0x15, 0x17, 0x7f, b'\r', 1, 0]),
    ]
}

proptest! {
    #[test]
    fn line_mode_is_the_model(keys in prop::collection::vec(key(), 0..300)) {
        let expected = model(&keys);
        prop_assert_eq!(joined(lines(typed(&keys))), joined(expected));
    }

    /// Every byte in every mode: no panic, and books that add up.
    #[test]
    fn any_bytes_in_any_mode(
        steps in prop::collection::vec((any::<[bool; 6]>(), prop::collection::vec(any::<u8>(), 0..100), 0usize..50), 0..40),
    ) {
        let mut terminal = Terminal::new();
        for (switches, bytes, room) in steps {
            let [canonical, echo, signals, newline_input, newline_output, flow_control] = switches;
            terminal.set_mode(Mode { canonical, echo, signals, newline_input, newline_output, flow_control });
            for byte in bytes {
                if terminal.has_room() {
                    terminal.receive(byte);
                }
            }
            let (before, mut buffer) = (terminal.readable(), vec![0; room]);
            match terminal.read(&mut buffer) {
                Read::Taken(taken) => prop_assert_eq!(terminal.readable(), before - taken.len),
                Read::Interrupted(_) => prop_assert_eq!(terminal.readable(), before),
                Read::Nothing => prop_assert_eq!(before, 0),
            }
            prop_assert!(terminal.is_ready() || terminal.readable() == 0);
            _ = shown(&mut terminal);
        }
    }
}

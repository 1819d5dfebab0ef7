//! The ends of logs: what a machine that is gone tomorrow leaves of a failure.

use std::{fs, path::PathBuf};

/// Lines of all logs together.
const ALL: usize = 200;
/// Lines of one log: these at most, and these at least while there is room.
const ONE: std::ops::RangeInclusive<usize> = 10..=40;
/// Characters of one line.
const LINE: usize = 400;

/// The last lines of each log under its name, as much as fits of each.
pub fn of(logs: &[PathBuf]) -> Vec<String> {
    let one = (ALL / logs.len().max(1)).clamp(*ONE.start(), *ONE.end());
    let mut lines = Vec::new();
    for (number, log) in logs.iter().enumerate() {
        if number * one >= ALL {
            lines.push(format!("--- and {} logs more", logs.len() - number));
            break;
        }
        let Ok(bytes) = fs::read(log) else { continue };
        let text = String::from_utf8_lossy(&bytes);
        let (cut, tail) = tail(&text, one);
        lines.push(match cut {
            0 => format!("--- {}", log.display()),
            cut => format!("--- {}, after {cut} lines", log.display()),
        });
        lines.extend(tail);
    }
    lines
}

/// The last `count` lines, shortened, and how many are before them.
fn tail(text: &str, count: usize) -> (usize, Vec<String>) {
    let lines: Vec<&str> = text.lines().collect();
    let cut = lines.len().saturating_sub(count);
    let short = |line: &&str| match line.char_indices().nth(LINE) {
        None => (*line).to_owned(),
        Some((end, _)) => format!("{}...", &line[..end]),
    };
    (cut, lines[cut..].iter().map(short).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_a_log_is_shown_and_what_was_before_it_is_counted() {
        assert_eq!(tail("a\nb\nc\n", 2), (1, vec!["b".to_owned(), "c".to_owned()]));
        assert_eq!(tail("", 2), (0, vec![]));
        let long = "é".repeat(LINE + 1);
        assert_eq!(tail(&long, 2).1, [format!("{}...", "é".repeat(LINE))]);
    }

    #[test]
    fn many_failures_do_not_flood_the_report() {
        let folder = std::env::temp_dir().join(format!("xtask-tails-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let logs: Vec<PathBuf> = (0..50).map(|number| folder.join(number.to_string())).collect();
        for log in &logs {
            fs::write(log, "line\n".repeat(100)).unwrap();
        }
        let (one, many) = (of(&logs[..1]), of(&logs));
        fs::remove_dir_all(&folder).unwrap();
        assert_eq!(one.len(), 1 + 40);
        assert_eq!(one[0], format!("--- {}, after 60 lines", logs[0].display()));
        assert_eq!(many.len(), 20 * (1 + 10) + 1);
        assert_eq!(many.last().unwrap(), "--- and 30 logs more");
        assert_eq!(of(&logs[..1]), Vec::<String>::new(), "a log that is gone");
    }
}

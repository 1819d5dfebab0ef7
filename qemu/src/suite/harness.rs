//! What a guest test program says on the console.
//!
//! `test NAME ok`, `test NAME FAILED why`, at last `tests done N`. These and the kernel's words share the console, so a
//! line may have something before it; a line counts when the words are its end.

/// A test that was told of.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Told {
    /// Its name.
    pub name: String,
    /// Why it failed, if it did.
    pub why: Option<String>,
    /// The line of the output, from 0.
    pub line: usize,
}

/// What a boot said.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Said {
    /// Tests.
    pub tests: Vec<Told>,
    /// The number in `tests done`.
    pub done: Option<usize>,
    /// Lines that tell of a panic, in the kernel or a program.
    pub panics: Vec<String>,
}

impl Said {
    /// Reads all that was said.
    pub fn read(output: &str) -> Said {
        let mut said = Said::default();
        for (index, line) in output.lines().enumerate() {
            if line.contains("panicked") || line.contains("KERNEL PANIC") {
                said.panics.push(line.trim().to_owned());
            }
            if let Some(number) = after(line, "tests done ") {
                said.done = number.trim().parse().ok();
            } else if let Some((name, why)) = after(line, "test ").and_then(test) {
                said.tests.push(Told { name, why, line: index });
            }
        }
        said
    }

    /// Why the boot as a whole is a failure, whatever its tests said.
    pub fn fault(&self) -> Option<String> {
        if let Some(panic) = self.panics.first() {
            return Some(panic.clone());
        }
        match self.done {
            None => Some(match self.tests.last() {
                Some(last) => format!("no `tests done`; the last test told of was {}", last.name),
                None => "no test told of, no `tests done`".to_owned(),
            }),
            Some(0) => Some("it ran no test".to_owned()),
            Some(done) if done != self.tests.len() => {
                Some(format!("`tests done {done}`, but {} were told of", self.tests.len()))
            }
            Some(_) => None,
        }
    }
}

/// What follows `words` where a line or a log's prefix (`[...] `, `name: `) ends.
fn after<'a>(line: &'a str, words: &str) -> Option<&'a str> {
    let position = line.find(words)?;
    let before = &line[..position];
    (before.is_empty() || before.ends_with("] ") || before.ends_with(": "))
        .then(|| &line[position + words.len()..])
}

fn test(rest: &str) -> Option<(String, Option<String>)> {
    let (name, result) = rest.trim_end().split_once(' ')?;
    let why = match result.split_once(' ') {
        None if result == "ok" => None,
        None if result == "FAILED" => Some("no reason given".to_owned()),
        Some(("FAILED", why)) => Some(why.to_owned()),
        _ => return None,
    };
    Some((name.to_owned(), why))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_are_read() {
        let said = Said::read("booting\r\ntest a ok\r\n[0.1] test b FAILED got 1, not 2\r\ntests done 2\r\n");
        let told: Vec<_> =
            said.tests.iter().map(|test| (test.line, test.name.as_str(), test.why.as_deref())).collect();
        assert_eq!(told, [(1, "a", None), (2, "b", Some("got 1, not 2"))]);
        assert_eq!(said.fault(), None);
    }

    #[test]
    fn silence_is_a_fault() {
        assert!(Said::read("").fault().is_some());
        assert_eq!(
            Said::read("test a ok\n").fault().unwrap(),
            "no `tests done`; the last test told of was a"
        );
        assert_eq!(Said::read("tests done 0\n").fault().unwrap(), "it ran no test");
    }

    #[test]
    fn a_lost_line_is_a_fault() {
        assert_eq!(
            Said::read("test a ok\ntests done 2\n").fault().unwrap(),
            "`tests done 2`, but 1 were told of"
        );
    }

    #[test]
    fn a_panic_is_a_fault_whatever_follows() {
        for line in ["tty: thread main panicked at src/a.rs:1: lost", "KERNEL PANIC on CPU 1: lost"] {
            assert_eq!(Said::read(&format!("{line}\ntest a ok\ntests done 1\n")).fault().unwrap(), line);
        }
    }

    #[test]
    fn prose_is_no_result() {
        let said = Said::read("the test a ok\ntest of a kind ok\ntest a okay\nlatest b ok\ntest c\n");
        assert_eq!(said.tests, []);
    }
}

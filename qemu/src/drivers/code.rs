//! Rust sources without what is not code: comments, blank lines, tests at the end of a file.

/// What a source has.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Code {
    /// Lines with code.
    pub lines: usize,
    /// How often the word `unsafe` stands in it.
    pub unsafety: usize,
    text: String,
}

impl Code {
    /// Reads a source.
    pub fn read(source: &str) -> Code {
        let source = source.split_once("\n#[cfg(test)]\nmod tests {").map_or(source, |(before, _)| before);
        let text = strip(source);
        let lines = text.lines().filter(|line| !line.trim().is_empty()).count();
        let words = text.split(|c: char| !c.is_alphanumeric() && c != '_');
        Code { lines, unsafety: words.filter(|word| *word == "unsafe").count(), text }
    }

    /// Whether this is a line of it.
    pub fn has_line(&self, wanted: &str) -> bool {
        self.text.lines().any(|line| line.trim() == wanted)
    }
}

/// The source with comments gone and strings empty.
fn strip(source: &str) -> String {
    let mut code = String::new();
    let mut rest = source;
    while let Some(first) = rest.chars().next() {
        let skipped = if rest.starts_with("//") {
            rest.find('\n').unwrap_or(rest.len())
        } else if rest.starts_with("/*") {
            comment(rest)
        } else if let Some(length) = string(rest, code.chars().last()) {
            code.push('"');
            length
        } else {
            code.push(first);
            rest = &rest[first.len_utf8()..];
            continue;
        };
        // Lines stay lines: those of a string are code, those of a comment are blank.
        let (gone, after) = rest.split_at(skipped);
        let filler = if first == '/' { "\n" } else { "\n\"" };
        gone.matches('\n').for_each(|_| code.push_str(filler));
        rest = after;
    }
    code
}

/// The length of the comment that begins here; they nest.
fn comment(text: &str) -> usize {
    let (mut depth, mut at) = (0usize, 0);
    while at < text.len() {
        if text[at..].starts_with("/*") {
            depth += 1;
            at += 2;
        } else if text[at..].starts_with("*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return at;
            }
        } else {
            at += text[at..].chars().next().map_or(1, char::len_utf8);
        }
    }
    text.len()
}

/// The length of the string or character that begins here, behind `before`.
fn string(text: &str, before: Option<char>) -> Option<usize> {
    let in_word = before.is_some_and(|c| c.is_alphanumeric() || c == '_');
    if let Some(raw) = text.strip_prefix('r').filter(|_| !in_word || before == Some('b')) {
        let hashes = raw.len() - raw.trim_start_matches('#').len();
        let inside = raw[hashes..].strip_prefix('"')?;
        let end = format!("\"{}", "#".repeat(hashes));
        return Some(inside.find(&end).map_or(text.len(), |at| 2 + hashes + at + end.len()));
    }
    if text.starts_with('"') {
        return Some(escaped(text, '"'));
    }
    // A character, and no lifetime: it ends behind one character or escape.
    let inside = text.strip_prefix('\'')?;
    let first = inside.chars().next()?;
    (first == '\\' || inside[first.len_utf8()..].starts_with('\'')).then(|| escaped(text, '\''))
}

/// The length of what begins and ends with this quote.
fn escaped(text: &str, quote: char) -> usize {
    let mut backslash = false;
    for (at, c) in text.char_indices().skip(1) {
        match c {
            _ if backslash => backslash = false,
            '\\' => backslash = true,
            c if c == quote => return at + c.len_utf8(),
            _ => {}
        }
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(source: &str) -> usize {
        Code::read(source).lines
    }

    #[test]
    fn comments_and_blank_lines_do_not_count() {
        assert_eq!(lines("//! a\n\nfn f() {\n    // b\n    g(); // c\n}\n"), 3);
        assert_eq!(lines("/* a\n b /* c */\n d */ fn f() {}\n/**/\n"), 1);
        assert_eq!(lines("fn f() {}\n\n#[cfg(test)]\nmod tests {\n    fn g() {}\n}\n"), 1);
    }

    #[test]
    fn what_is_in_strings_is_no_comment_and_its_lines_are_code() {
        assert_eq!(lines("f(\"// a\n /* b \\\" \n\");\ng();\n"), 4);
        assert_eq!(lines("f(r#\"// \" \"#, b'\"', '\\'', 'a'); // \"\ng::<'a>();\n"), 2);
        assert_eq!(Code::read("f(\"unsafe\", r\"unsafe\", br#\"unsafe\"#); /* unsafe */").unsafety, 0);
    }

    #[test]
    fn the_word_is_found_wherever_it_is_code() {
        let source =
            "unsafe impl A for B {}\n#[unsafe(no_mangle)]\nfn f<'a>() { unsafe { g('\"') } }\nunsafe_code();";
        assert_eq!(Code::read(source).unsafety, 3);
        assert!(Code::read("  #![a]\n").has_line("#![a]") && !Code::read("\"#![a]\"").has_line("#![a]"));
    }
}

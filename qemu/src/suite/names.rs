//! What tests there may be, known without building anything, so that a filter that no test's name has is told at once.
//!
//! Checks, boots and figures are known by name. Of what only a built program can list, and a booted one can tell, the
//! words that names are made of are known: packages, files, modules, functions, and in guest programs strings. What seems
//! possible and is not is told when all has run.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use crate::workspace::Workspace;

/// Words that the names of tests are made of.
#[derive(Clone, Debug, Default)]
pub struct Words(BTreeSet<String>);

/// The least beginning of a name that is made at run time (`matrix_` of `format!("matrix_{kind}")`) by which it is known.
const BEGINNING: usize = 4;

impl Words {
    /// Those of this package's tests on the host.
    pub fn of_package(workspace: &Workspace, kind: &str, package: &str) -> Words {
        let mut words = Words(BTreeSet::from([kind.to_owned(), package.to_owned()]));
        let Some(folder) = workspace.folder_of(package) else { return words };
        for source in sources(&folder) {
            let place = source.strip_prefix(&folder).unwrap_or(&source).with_extension("");
            words.0.extend(place.iter().map(|part| part.to_string_lossy().into_owned()));
            let text = fs::read_to_string(&source).unwrap_or_default();
            words.0.extend(after(&text, "fn ").chain(after(&text, "mod ")).map(str::to_owned));
        }
        words
    }

    /// Those that a guest program may call its tests.
    pub fn of_program(workspace: &Workspace, program: &str) -> Words {
        let mut words = Words::default();
        for source in workspace.sources_of(program) {
            let text = fs::read_to_string(&source).unwrap_or_default();
            words.0.extend(after(&text, "fn ").chain(after(&text, "\"")).map(str::to_owned));
        }
        words
    }

    /// Whether a name that is made at run time may begin as this one does.
    pub fn can_begin(&self, name: &str) -> bool {
        self.iter().any(|word| word.len() >= BEGINNING && word.ends_with('_') && name.starts_with(word))
    }

    /// The words.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(String::as_str)
    }

    /// Whether a name made of these, with `/` between them, can have this in it.
    pub fn can_have(&self, part: &str) -> bool {
        let parts: Vec<&str> = part.split('/').collect();
        let any = |fits: &dyn Fn(&str) -> bool| self.iter().any(fits);
        match parts[..] {
            [] => true,
            [only] => any(&|word| word.contains(only)),
            [first, ref between @ .., last] => {
                any(&|word| word.ends_with(first))
                    && between.iter().all(|part| self.0.contains(*part))
                    && any(&|word| word.starts_with(last))
            }
        }
    }
}

/// Rust sources in a folder and the folders in it.
pub fn sources(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    let found = entries.flat_map(|path| match path.is_dir() {
        true => sources(&path),
        false => vec![path],
    });
    found.filter(|path| path.extension().is_some_and(|extension| extension == "rs")).collect()
}

/// The words that follow each `mark`.
fn after<'a>(text: &'a str, mark: &'a str) -> impl Iterator<Item = &'a str> {
    let word = |rest: &'a str| {
        let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(rest.len());
        &rest[..end]
    };
    text.split(mark).skip(1).map(word).filter(|word| !word.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(words: &[&str]) -> Words {
        Words(words.iter().map(|word| (*word).to_owned()).collect())
    }

    #[test]
    fn parts_of_names_are_parts_of_words() {
        let words = words(&["host", "libkq", "rules", "r14_none_lost"]);
        for part in ["", "14_none", "libkq/rules", "kq/rules/r14", "host/libkq/", "/r14"] {
            assert!(words.can_have(part), "{part}");
        }
        for part in ["r15", "libkq/rule/r14", "lib/rules", "libkq/14"] {
            assert!(!words.can_have(part), "{part}");
        }
    }

    #[test]
    fn names_that_are_made_at_run_time_are_known_by_their_beginning() {
        let words = words(&["matrix_", "fixed", "r_"]);
        assert!(words.can_begin("matrix_pipe_poll") && words.can_begin("matrix_"));
        assert!(!words.can_begin("fixed_more") && !words.can_begin("r_x") && !words.can_begin("matri"));
    }

    #[test]
    fn functions_and_strings_are_found() {
        let text = "fn one() { t(\"two_x\", \"r3_{}\") }\nfn  four\nfn";
        assert_eq!(Vec::from_iter(after(text, "fn ")), ["one"]);
        assert!(after(text, "\"").any(|word| word == "two_x"));
        assert!(after(text, "\"").any(|word| word == "r3_"));
    }

    #[test]
    fn the_tree_s_tests_are_known() {
        let workspace = Workspace::find().unwrap();
        let words = Words::of_package(&workspace, "host", "xtask");
        assert!(words.can_have("host/xtask/suite/names/tests/the_tree_s_tests_are_known"));
        let words = Words::of_package(&workspace, "host", "libkq");
        assert!(words.can_have("libkq/rules/") && !words.can_have("no_such_test_anywhere"));
        let words = Words::of_program(&workspace, "kernel_calls");
        assert!(words.iter().any(|word| word == "another_value_is_eagain"), "in a file beside main.rs");
    }
}

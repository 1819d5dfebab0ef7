//! C programs among the tests, and the Rust programs that say the same.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
    time::Duration,
};

use init_protocol::manifest::Manifest;

use super::table::Test;
use crate::{
    failure::{Failure, Result},
    machine::{
        Machine, Outcome,
        console::{Console, Input},
        exit::Status,
        text::LineEndings,
    },
    software::{
        c::{Program, Toolchain},
        cargo::Output,
        manifest::{self, Application},
    },
    workspace::Workspace,
};

/// The program that has the twins.
const TWINS: &str = "twins";

/// Makes the C programs among these; returns those that could not be made.
pub fn compile<'a>(
    workspace: &Workspace,
    programs: impl Iterator<Item = &'a str>,
) -> BTreeMap<String, Failure> {
    let programs: BTreeSet<&str> = programs.collect();
    let wanted: Vec<_> = programs
        .into_iter()
        .filter_map(|name| source(workspace, name).map(|source| (name.to_owned(), source)))
        .collect();
    if wanted.is_empty() {
        return BTreeMap::new();
    }
    let toolchain = match Toolchain::prepare(workspace, Output::Stderr) {
        Ok(toolchain) => toolchain,
        Err(failure) => return wanted.into_iter().map(|(name, _)| (name, failure.clone())).collect(),
    };
    let make = |(name, source): (String, PathBuf)| {
        // The library's functions, and not the compiler's knowledge of them, are tested.
        let flags = vec!["-fno-builtin".to_owned()];
        let program = Program { name: name.clone(), sources: vec![source], flags };
        toolchain.make(&program).err().map(|failure| (name, failure))
    };
    wanted.into_iter().filter_map(make).collect()
}

/// `tests/guest/c/NAME.c` of `c_NAME`, if there is one.
fn source(workspace: &Workspace, program: &str) -> Option<PathBuf> {
    let name = program.strip_prefix("c_")?;
    let source = workspace.root().join("tests/guest/c").join(format!("{name}.c"));
    source.is_file().then_some(source)
}

/// The manifest of the twin, if the test has one: the test's own, with another application.
pub fn manifest(workspace: &Workspace, test: &Test) -> Result<Option<Manifest>> {
    let Some(arguments) = &test.twin else { return Ok(None) };
    let mut manifest = manifest::read(workspace, &test.manifest)?;
    let application =
        Application { program: TWINS.to_owned(), arguments: arguments.clone(), ..Application::default() };
    manifest::choose(&mut manifest, &application)?;
    Ok(Some(manifest))
}

/// Boots the twin and tells in what the two differ.
pub fn difference(said: &str, twin: &Machine, test: &Test) -> Result<Option<String>> {
    let mut bytes = Vec::new();
    let mut endings = LineEndings::default();
    let mut output = |given: &[u8]| {
        bytes.extend(endings.convert(given));
        Ok(())
    };
    let outcome = twin.run(Console {
        input: Input::Script(test.dialogue()),
        output: &mut output,
        limit: Some(Duration::from_secs(test.timeout)),
        signals: None,
    })?;
    Ok(match outcome {
        Outcome::Ended(Status::Guest(status)) if status == test.status => {
            compare(said, &String::from_utf8_lossy(&bytes))
        }
        other => Some(format!("its twin did not end as it should: {other:?}")),
    })
}

/// The first line in which two programs differ, between `begin` and `end`.
fn compare(ours: &str, twins: &str) -> Option<String> {
    let (Some(ours), Some(twins)) = (between(ours), between(twins)) else {
        return Some("it or its twin did not say `begin` and `end`".to_owned());
    };
    if ours.is_empty() {
        return Some("it and its twin said nothing".to_owned());
    }
    let line = (0..ours.len().max(twins.len())).find(|&line| ours.get(line) != twins.get(line))?;
    let at = |lines: &[&str]| lines.get(line).map_or("nothing more".to_owned(), |line| format!("`{line}`"));
    Some(format!("line {} is {}, and of its twin {}", line + 1, at(&ours), at(&twins)))
}

fn between(said: &str) -> Option<Vec<&str>> {
    let lines: Vec<&str> = said.lines().skip_while(|line| *line != "begin").skip(1).collect();
    let end = lines.iter().position(|line| *line == "end")?;
    Some(lines[..end].to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_lies_between_begin_and_end_is_compared() {
        assert_eq!(compare("boot 1\nbegin\na\nb\nend\nc\n", "begin\na\nb\nend\n"), None);
    }

    #[test]
    fn the_first_difference_is_told() {
        let told = |ours, twins| compare(ours, twins).unwrap();
        assert_eq!(told("begin\na\nb\nend\n", "begin\na\nc\nend\n"), "line 2 is `b`, and of its twin `c`");
        assert_eq!(
            told("begin\na\nend\n", "begin\na\nb\nend\n"),
            "line 2 is nothing more, and of its twin `b`"
        );
    }

    #[test]
    fn silence_is_no_agreement() {
        assert!(compare("begin\nend\n", "begin\nend\n").is_some());
        assert!(compare("", "").is_some());
        assert!(compare("begin\na\nend\n", "begin\na\n").is_some());
    }
}

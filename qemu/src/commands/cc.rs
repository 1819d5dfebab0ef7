//! `cargo xtask cc`.

use std::path::PathBuf;

use init_protocol::limits::NAME;
use lexopt::{Arg, Parser, ValueExt};

use super::{Command, text};
use crate::{
    failure::{Failure, Result},
    software::{
        c::{OBJECTS, Program, Toolchain},
        cargo::Output,
        manifest,
    },
    workspace::Workspace,
};

/// The subcommand.
pub const COMMAND: Command = Command {
    name: "cc",
    help: "cc FILE.c... [-o NAME] [-- CFLAGS]
    Compiles a C program with gcc, -Wall -Wextra -Werror, and links it with libkq.a (docs/c.md). From then on images have
    it: `cargo xtask run --app NAME`.
    -o NAME          what the guest calls it (the first file's name without .c)
    -- CFLAGS        more options for gcc, such as -Wno-unused-parameter",
    run,
};

fn run(parser: Parser) -> Result<u8> {
    // The files are named from where the user is.
    let program = parse(parser)?;
    let workspace = Workspace::find()?;
    if let Some(owner) = owner(&workspace, &program.name)? {
        return Err(Failure::new(
            format!("make the program {}", program.name),
            format!("{owner} of this name"),
            "choose another: -o NAME",
        ));
    }
    let file = Toolchain::prepare(&workspace, Output::Stderr)?.make(&program)?;
    println!("{}", file.display());
    eprintln!("xtask: `cargo xtask run --app {}` runs it", program.name);
    Ok(0)
}

/// Who has a program of this name already.
fn owner(workspace: &Workspace, name: &str) -> Result<Option<String>> {
    if let Some(package) = workspace.package_of(name) {
        return Ok(Some(format!("the package {package} has a program")));
    }
    // `run --app` would take the entry's program.
    let entries = manifest::read(workspace, manifest::DEFAULT)?.entries;
    let taken = entries.iter().any(|entry| entry.name == name);
    Ok(taken.then(|| "the default manifest has an entry".to_owned()))
}

/// Whether files, manifests and the guest's init take this name: of letters, digits, `_`, `-` and `.`.
fn is_name(name: &str) -> bool {
    let taken = |c: char| c.is_ascii_alphanumeric() || "_-.".contains(c);
    let begins = name.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_');
    begins && name.len() <= NAME && name.chars().all(taken) && name != OBJECTS
}

fn parse(mut parser: Parser) -> Result<Program> {
    let mut program = Program::default();
    loop {
        if let Some(mut rest) = parser.try_raw_args()
            && rest.next_if(|next| next == "--").is_some()
        {
            program.flags = rest.map(text).collect::<Result<_>>()?;
            break;
        }
        let Some(argument) = parser.next()? else { break };
        match argument {
            Arg::Short('o') => {
                program.name = parser.value()?.string()?;
                if program.name.is_empty() {
                    let remedy = "name one, or leave out -o: it is called like the first file";
                    return Err(Failure::new("compile a C program", "its name is empty", remedy));
                }
            }
            Arg::Value(file) => program.sources.push(PathBuf::from(file)),
            other => return Err(other.unexpected().into()),
        }
    }
    let refuse = |found: String, remedy| Err(Failure::new("compile a C program", found, remedy));
    if program.sources.is_empty() {
        return refuse("no file was given".to_owned(), "name its sources: cargo xtask cc FILE.c".to_owned());
    }
    for source in &program.sources {
        let shown = source.display();
        if source.is_dir() {
            return refuse(format!("{shown} is a folder"), "name the C files in it".to_owned());
        }
        if !source.is_file() {
            return refuse(format!("there is no file {shown}"), "check its name".to_owned());
        }
        if source.extension().is_none_or(|extension| extension != "c") {
            let remedy = "name files of C source only; headers are found beside them, more with -- -I FOLDER";
            return refuse(format!("{shown} is no C source: its name does not end in .c"), remedy.to_owned());
        }
    }
    if program.name.is_empty() {
        let stem = program.sources[0].file_stem().unwrap_or_default();
        program.name = text(stem.to_owned())?;
    }
    if !is_name(&program.name) {
        let remedy = format!("choose another with -o NAME: at most {NAME} letters, digits, `_`, `-` and `.`");
        return refuse(format!("`{}` is no name for a program", program.name), remedy);
    }
    Ok(program)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(arguments: &[&str]) -> Result<Program> {
        parse(Parser::from_args(arguments))
    }

    /// An empty file of this name.
    fn file(name: &str) -> String {
        let folder = std::env::temp_dir().join(format!("xtask-cc-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let file = folder.join(name);
        std::fs::write(&file, "").unwrap();
        file.to_str().unwrap().to_owned()
    }

    fn refused(arguments: &[&str]) -> String {
        parsed(arguments).unwrap_err().to_string()
    }

    #[test]
    fn names_files_and_flags_are_understood() {
        let source = file("a_b-1.c");
        let program = parsed(&[&source, "-o", "x", "--", "-DA=1", "-o"]).unwrap();
        assert_eq!(
            (program.name.as_str(), program.flags.as_slice()),
            ("x", &["-DA=1".into(), "-o".into()][..])
        );
        assert_eq!(parsed(&[&source]).unwrap().name, "a_b-1");
        assert!(parsed(&[&source, "--fast"]).is_err());
    }

    #[test]
    fn a_name_that_nothing_could_have_is_refused() {
        let source = file("name.c");
        let long = "x".repeat(NAME + 1);
        for name in ["a/b", "a b", ".hidden", "-x", "..", "objects", "é", &long] {
            let refused = refused(&[&source, &format!("-o={name}")]);
            assert!(refused.contains("is no name for a program"), "{name}: {refused}");
        }
        assert!(refused(&[&source, "-o", ""]).contains("its name is empty"));
        assert!(refused(&[&file("my file.c")]).contains("`my file` is no name for a program"));
    }

    #[test]
    fn names_that_have_owners_are_told_so() {
        let workspace = Workspace::find().unwrap();
        let owner = |name| owner(&workspace, name).unwrap();
        assert_eq!(owner("hello").unwrap(), "the package libkq has a program");
        assert_eq!(owner("event").unwrap(), "the default manifest has an entry");
        assert_eq!(owner("count"), None);
    }

    #[test]
    fn what_is_no_source_is_named() {
        assert!(refused(&["no-such.c"]).contains("there is no file no-such.c"));
        assert!(refused(&[]).contains("no file was given"));
        assert!(refused(&["."]).contains(". is a folder"));
        assert!(refused(&[&file("page.md")]).contains("page.md is no C source"));
        assert!(refused(&[&file("main.c"), &file("main.o")]).contains("main.o is no C source"));
    }
}

//! `cargo xtask cc`.

use std::path::PathBuf;

use lexopt::{Arg, Parser, ValueExt};

use super::{Command, text};
use crate::{
    failure::{Failure, Result},
    software::{
        c::{Program, Toolchain},
        cargo::Output,
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
    if let Some(package) = workspace.package_of(&program.name) {
        return Err(Failure::new(
            format!("make the program {}", program.name),
            format!("the package {package} has a program of this name"),
            "choose another: -o NAME",
        ));
    }
    let file = Toolchain::prepare(&workspace, Output::Stderr)?.make(&program)?;
    println!("{}", file.display());
    eprintln!("xtask: `cargo xtask run --app {}` runs it", program.name);
    Ok(0)
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
            Arg::Short('o') => program.name = parser.value()?.string()?,
            Arg::Value(file) => program.sources.push(PathBuf::from(file)),
            other => return Err(other.unexpected().into()),
        }
    }
    let refuse = |found: String, remedy| Err(Failure::new("compile a C program", found, remedy));
    match program.sources.iter().find(|source| !source.is_file()) {
        _ if program.sources.is_empty() => {
            return refuse("no file was given".to_owned(), "name its sources: cargo xtask cc FILE.c");
        }
        Some(source) => {
            return refuse(format!("there is no file {}", source.display()), "check its name");
        }
        None => {}
    }
    if program.name.is_empty() {
        let stem = program.sources[0].file_stem().unwrap_or_default();
        program.name = text(stem.to_owned())?;
    }
    if program.name.is_empty() || program.name.contains('/') || program.name == "objects" {
        return refuse(format!("`{}` is no name for a program", program.name), "choose another: -o NAME");
    }
    Ok(program)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(arguments: &[&str]) -> Result<Program> {
        parse(Parser::from_args(arguments))
    }

    #[test]
    fn names_files_and_flags_are_understood() {
        let here = file!().rsplit('/').next().unwrap();
        let source = format!("{}/src/commands/{here}", env!("CARGO_MANIFEST_DIR"));
        let program = parsed(&[&source, "-o", "x", "--", "-DA=1", "-o"]).unwrap();
        assert_eq!(
            (program.name.as_str(), program.flags.as_slice()),
            ("x", &["-DA=1".into(), "-o".into()][..])
        );
        assert_eq!(parsed(&[&source]).unwrap().name, "cc");
        assert!(parsed(&[&source, "-o", "a/b"]).is_err());
        assert!(parsed(&[&source, "--fast"]).is_err());
    }

    #[test]
    fn a_file_that_is_not_there_is_named() {
        let failure = parsed(&["no-such.c"]).unwrap_err().to_string();
        assert!(failure.contains("there is no file no-such.c"), "{failure}");
        assert!(parsed(&[]).unwrap_err().to_string().contains("no file was given"));
    }
}

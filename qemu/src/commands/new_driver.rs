//! `cargo xtask new-driver`.

use std::{fs, path::Path};

use event_protocol::control::limits::MAX_NAME;
use lexopt::{Arg, Parser};

use super::{Command, new_app::is_free};
use crate::{
    failure::{Failure, Result},
    software::{
        cargo::{Cargo, Output},
        manifest,
    },
    workspace::Workspace,
};

/// The subcommand.
pub const COMMAND: Command = Command {
    name: "new-driver",
    help: "new-driver NAME
    Makes a driver from drivers/template: the package drivers/NAME with logic, process and tests, its boot manifest, and its
    place in the workspace. `cargo xtask run --manifest NAME` boots it with an application that connects the terminal with
    /dev/NAME (docs/first-driver.md).",
    run,
};

/// What the template's files are called in its own.
const OWN: &str = "template";
const ADD: &str = "add the folder to the workspace's members and default-members by hand";

/// The files of a driver, as the template has them.
const FILES: [(&str, &str); 6] = [
    ("drivers/template/Cargo.toml", include_str!("../../../drivers/template/Cargo.toml")),
    ("drivers/template/src/lib.rs", include_str!("../../../drivers/template/src/lib.rs")),
    ("drivers/template/src/driver.rs", include_str!("../../../drivers/template/src/driver.rs")),
    ("drivers/template/src/main.rs", include_str!("../../../drivers/template/src/main.rs")),
    ("drivers/template/tests/driver.rs", include_str!("../../../drivers/template/tests/driver.rs")),
    ("qemu/manifests/template.toml", include_str!("../../manifests/template.toml")),
];

fn run(mut parser: Parser) -> Result<u8> {
    let mut name = None;
    while let Some(argument) = parser.next()? {
        match argument {
            Arg::Value(value) if name.is_none() => name = Some(super::text(value)?),
            other => return Err(other.unexpected().into()),
        }
    }
    let Some(name) = name else {
        return refuse("no name was given", "name it: cargo xtask new-driver lamp");
    };
    let workspace = Workspace::find()?;
    for (path, text) in plan(&workspace, &name)? {
        write(&workspace.root().join(&path), &text)?;
        println!("{path}");
    }
    // Names have their places in lists of names.
    Cargo::new(&workspace).arguments(["fmt", "-p", &name]).run(Output::Stderr)?;
    eprintln!("xtask: `cargo xtask run --manifest {name}` boots it; what you type is what it says");
    Ok(0)
}

/// What is written for a driver of this name, the list of members last; nothing is there yet but that.
fn plan(workspace: &Workspace, name: &str) -> Result<Vec<(String, String)>> {
    check(workspace, name)?;
    let root = workspace.root();
    let places = [format!("drivers/{name}"), format!("qemu/manifests/{name}.toml")];
    if let Some(place) = places.iter().find(|place| !is_free(&root.join(place))) {
        return refuse(&format!("{place} is there"), "choose another name");
    }
    let list = root.join("Cargo.toml");
    let failed =
        |error: &dyn std::fmt::Display| Failure::new(format!("change {}", list.display()), error, ADD);
    let text = fs::read_to_string(&list).map_err(|error| failed(&error))?;
    let text = enter(&text, name).ok_or_else(|| failed(&"it has no lists of members as expected"))?;
    let mut files = files(name);
    files.push(("Cargo.toml".to_owned(), text));
    Ok(files)
}

fn refuse<T>(found: &str, remedy: &str) -> Result<T> {
    Err(Failure::new("make a driver", found, remedy))
}

fn write(path: &Path, text: &str) -> Result<()> {
    let made = path.parent().map_or(Ok(()), fs::create_dir_all).and_then(|()| fs::write(path, text));
    made.map_err(|error| Failure::new(format!("write {}", path.display()), error, "check the permissions"))
}

/// Fails when a driver cannot be called so. The name is a package's, a program's, a service's and a path's.
fn check(workspace: &Workspace, name: &str) -> Result<()> {
    if name.is_empty() || name.len() > MAX_NAME || !is_name(name) {
        return refuse(
            &format!("`{name}` cannot name a package and a service"),
            &format!("begin with a small letter; go on with those, digits and `-`; up to {MAX_NAME} of them"),
        );
    }
    if RESERVED.contains(&name) {
        return refuse(&format!("{name} is a word of Rust's or cargo's"), "choose another name");
    }
    let packages = workspace.packages();
    if packages.iter().any(|package| package.name.as_str() == name) || workspace.package_of(name).is_some() {
        return refuse(&format!("the workspace has a package or program {name}"), "choose another name");
    }
    if workspace.depends_on(name) {
        return refuse(
            &format!("{name} is a crate from outside that the workspace uses"),
            "choose another name",
        );
    }
    let manifest = manifest::read(workspace, manifest::DEFAULT)?;
    match manifest.entries.iter().find(|entry| entry.provides.iter().any(|service| service == name)) {
        None => Ok(()),
        Some(entry) => {
            refuse(&format!("the service {name} is that of {}", entry.file), "choose another name")
        }
    }
}

fn is_name(name: &str) -> bool {
    let taken = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    name.starts_with(|c: char| c.is_ascii_lowercase()) && name.chars().all(taken)
}

/// Names that the compiler or cargo refuses later, or takes for something else.
const RESERVED: [&str; 48] = [
    "abstract",
    "alloc",
    "as",
    "async",
    "await",
    "become",
    "box",
    "break",
    "build",
    "const",
    "continue",
    "core",
    "crate",
    "deps",
    "do",
    "dyn",
    "else",
    "enum",
    "examples",
    "extern",
    "false",
    "final",
    "fn",
    "for",
    "gen",
    "if",
    "impl",
    "in",
    "incremental",
    "let",
    "loop",
    "macro",
    "match",
    "mod",
    "move",
    "mut",
    "override",
    "priv",
    "pub",
    "ref",
    "return",
    "self",
    "static",
    "std",
    "struct",
    "super",
    "test",
    "true",
];

/// The files of a driver of this name.
pub fn files(name: &str) -> Vec<(String, String)> {
    FILES.iter().map(|(path, text)| (path.replace(OWN, name), rename(text, name))).collect()
}

/// The template's text with another name: of types, of crates (where `-` is `_`), and as it is.
fn rename(text: &str, name: &str) -> String {
    let pieces = name.split('-').filter(|piece| !piece.is_empty());
    let upper: String = pieces.map(|piece| piece[..1].to_uppercase() + &piece[1..]).collect();
    text.replace("Template", &upper)
        .replace("template::driver", &format!("{}::driver", name.replace('-', "_")))
        .replace("The template driver", &format!("The {name} driver"))
        .replace(
            "The driver that `cargo xtask new-driver` begins with",
            "A driver: what is written to it is read from it",
        )
        .replace("# What `cargo xtask new-driver` makes a manifest from: that", "# That")
        .replace(OWN, name)
}

/// The workspace's manifest with one driver more, which is tested on the host too.
fn enter(text: &str, name: &str) -> Option<String> {
    let mut text = text.to_owned();
    for list in ["\nmembers = [\n", "\ndefault-members = [\n"] {
        let begin = text.find(list)?;
        let end = begin + text[begin..].find("\n]")? + 1;
        text.insert_str(end, &format!("    \"drivers/{name}\",\n"));
    }
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_driver_is_entered_into_both_lists() {
        let text = "[workspace]\nmembers = [\n    \"a\",\n]\ndefault-members = [\n    \"a\",\n]\n";
        let entered = "[workspace]\nmembers = [\n    \"a\",\n    \"drivers/b\",\n]\n\
                       default-members = [\n    \"a\",\n    \"drivers/b\",\n]\n";
        assert_eq!(enter(text, "b").unwrap(), entered);
        let root = Workspace::find().unwrap().root().join("Cargo.toml");
        let tree = fs::read_to_string(root).unwrap();
        assert_eq!(enter(&tree, "b").unwrap().matches("\"drivers/b\",").count(), 2);
        assert_eq!(enter("[workspace]\nmembers = [\n]\n", "b"), None);
    }

    #[test]
    fn nothing_of_the_template_s_name_is_left() {
        let files = files("night-lamp");
        assert_eq!(files.len(), FILES.len());
        for (path, text) in &files {
            assert!(path.contains("night-lamp"), "{path}");
            for (number, line) in text.lines().enumerate() {
                assert!(!line.to_lowercase().contains("template"), "{path}:{}: {line}", number + 1);
            }
        }
        let text = |end: &str| &files.iter().find(|(path, _)| path.ends_with(end)).unwrap().1;
        assert!(text("main.rs").contains("night_lamp::driver::{FILTERS, NightLamp}"));
        assert!(text("main.rs").contains("service: \"night-lamp\""));
        assert!(text("src/driver.rs").contains("\"/dev/night-lamp\""));
        assert!(text("Cargo.toml").contains("name = \"night-lamp\""));
        assert!(text("Cargo.toml").contains("\"A driver: what is written to it is read from it\""));
    }

    #[test]
    fn its_manifest_starts_it_and_an_application_that_opens_it() {
        let files = files("lamp");
        let manifest = manifest::parse(&files.last().unwrap().1).unwrap();
        let driver = manifest.entries.iter().find(|entry| entry.name == "lamp").unwrap();
        assert_eq!((driver.file.as_str(), &driver.provides[..]), ("bin/lamp", &["lamp".to_owned()][..]));
        let application = manifest.entries.iter().find(|entry| entry.essential).unwrap();
        assert_eq!(application.args, ["/dev/lamp"]);
        assert!(application.after.contains(&"lamp".to_owned()));
        // Beside it, all that `cargo xtask run` has.
        let mut usual = manifest::read(&Workspace::find().unwrap(), manifest::DEFAULT).unwrap();
        usual.entries.pop();
        assert_eq!(manifest.entries[..usual.entries.len()], usual.entries[..]);
        assert_eq!(manifest.devices, usual.devices);
    }

    /// The guide's driver is built elsewhere, and called otherwise; the rest of its manifest is what this command makes.
    #[test]
    fn the_guide_s_manifest_is_what_is_made() {
        let mut made = manifest::parse(&files("beat").last().unwrap().1).unwrap();
        let driver = made.entries.iter_mut().find(|entry| entry.file == "bin/beat").unwrap();
        driver.file = "bin/guide-driver".to_owned();
        let guide = manifest::read(&Workspace::find().unwrap(), "guide").unwrap();
        assert_eq!(made, guide);
    }

    #[test]
    fn bad_names_and_those_that_are_there_are_refused() {
        let workspace = Workspace::find().unwrap();
        let refused = |name: &str| plan(&workspace, name).unwrap_err().to_string();
        for name in ["", "2lamp", "Lamp", "a b", "a_b", "lämp", "../lamp", "a/b", &"a".repeat(33)] {
            assert!(refused(name).contains("cannot name a package and a service"), "{name}");
        }
        for name in ["loop", "test", "core", "build"] {
            assert!(refused(name).contains("is a word of Rust's or cargo's"), "{name}");
        }
        for name in ["tty", "template", "hello", "driver-sdk", "kernel"] {
            assert!(refused(name).contains("has a package or program"), "{name}");
        }
        for name in ["postcard", "serde"] {
            assert!(refused(name).contains("is a crate from outside that the workspace uses"), "{name}");
        }
        assert!(refused("event").contains("is that of bin/event-server"));
        assert!(refused("default").contains("default.toml is there"));
        assert!(refused("sdk").contains("drivers/sdk is there"));
        let called = |arguments: &[&str]| run(Parser::from_args(arguments)).unwrap_err().to_string();
        assert!(called(&[]).contains("no name was given"));
        assert!(called(&["one", "two"]).contains("two"));
        assert_eq!(plan(&workspace, "night-lamp").unwrap().len(), FILES.len() + 1);
    }
}

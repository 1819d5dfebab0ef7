//! `cargo xtask new-app`.

use std::{
    fs,
    path::{Component, Path, PathBuf},
};

use lexopt::{Arg, Parser};

use super::Command;
use crate::{
    failure::{Failure, Result},
    workspace::Workspace,
};

/// The subcommand.
pub const COMMAND: Command = Command {
    name: "new-app",
    help: "new-app FOLDER
    Makes a Rust application of the guest: a package called as the folder, in the source tree, with a program that reads
    and writes the terminal, and enters it into the workspace. `cargo xtask run --app NAME` boots it (docs/applications.md).",
    run,
};

const MANIFEST: &str = include_str!("../../templates/application.toml");
const MAIN: &str = include_str!("../../templates/application.rs");

fn run(mut parser: Parser) -> Result<u8> {
    let mut folder = None;
    while let Some(argument) = parser.next()? {
        match argument {
            Arg::Value(value) if folder.is_none() => folder = Some(PathBuf::from(value)),
            other => return Err(other.unexpected().into()),
        }
    }
    let refuse = |found: String, remedy| Err(Failure::new("make an application", found, remedy));
    let Some(folder) = folder else {
        return refuse("no folder was given".to_owned(), "name one: cargo xtask new-app apps/echo");
    };
    let Some(name) = folder.file_name().and_then(|name| name.to_str()).filter(|name| is_package(name)) else {
        let found = format!("{} cannot name a package", folder.display());
        return refuse(found, "begin with a small letter; go on with those, digits, `-` and `_`");
    };
    let workspace = Workspace::find()?;
    let packages = workspace.packages();
    if packages.iter().any(|package| package.name.as_str() == name) || workspace.package_of(name).is_some() {
        return refuse(format!("the workspace has a package or program {name}"), "choose another name");
    }
    if workspace.depends_on(name) {
        return refuse(
            format!("{name} is a crate from outside that the workspace uses"),
            "choose another name",
        );
    }
    let Some(member) = member(workspace.root(), &folder) else {
        let found = format!("{} is outside of the source tree", folder.display());
        return refuse(found, "name a folder in it");
    };
    if !is_free(&folder) {
        return refuse(
            format!("{} is there and not an empty folder", folder.display()),
            "choose another name, or move away what is in it",
        );
    }
    let root = workspace.root().join("Cargo.toml");
    let failed =
        |error: &dyn std::fmt::Display| Failure::new(format!("change {}", root.display()), error, ADD);
    let text = fs::read_to_string(&root).map_err(|error| failed(&error))?;
    let text = enter(&text, &member).ok_or_else(|| failed(&"it has no list of members as expected"))?;
    for (path, text) in [("Cargo.toml", MANIFEST.replace("NAME", name)), ("src/main.rs", MAIN.to_owned())] {
        let path = folder.join(path);
        let made = path.parent().map_or(Ok(()), fs::create_dir_all).and_then(|()| fs::write(&path, text));
        made.map_err(|error| {
            Failure::new(format!("write {}", path.display()), error, "check the permissions")
        })?;
    }
    fs::write(&root, text).map_err(|error| failed(&error))?;
    println!("{}", folder.display());
    eprintln!("xtask: `cargo xtask run --app {name}` boots it");
    Ok(0)
}

const ADD: &str = "add the folder to the workspace's members by hand";

/// Whether nothing would be overwritten or mixed: it is not there, or an empty folder.
pub fn is_free(folder: &Path) -> bool {
    match fs::read_dir(folder) {
        Ok(mut within) => within.next().is_none(),
        Err(error) => error.kind() == std::io::ErrorKind::NotFound,
    }
}

fn is_package(name: &str) -> bool {
    let taken = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "-_".contains(c);
    name.starts_with(|c: char| c.is_ascii_lowercase()) && name.len() <= 64 && name.chars().all(taken)
}

/// The folder as the workspace names it, if it is in it.
fn member(root: &Path, folder: &Path) -> Option<String> {
    let folder = std::path::absolute(folder).ok()?;
    if folder.components().any(|component| component == Component::ParentDir) {
        return None;
    }
    folder.strip_prefix(root).ok()?.to_str().map(str::to_owned)
}

/// The workspace's manifest with one member more.
fn enter(text: &str, member: &str) -> Option<String> {
    let list = text.find("\nmembers = [\n")?;
    let end = list + text[list..].find("\n]")? + 1;
    Some(format!("{}    \"{member}\",\n{}", &text[..end], &text[end..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_member_is_entered_behind_the_others() {
        let text = "[workspace]\nmembers = [\n    \"a\",\n]\nx = [\n]\n";
        assert_eq!(
            enter(text, "b/c").unwrap(),
            "[workspace]\nmembers = [\n    \"a\",\n    \"b/c\",\n]\nx = [\n]\n"
        );
        let root = Workspace::find().unwrap().root().join("Cargo.toml");
        assert!(enter(&fs::read_to_string(root).unwrap(), "b").is_some(), "the tree's own");
        assert_eq!(enter("[workspace]\n", "b"), None);
    }

    #[test]
    fn only_folders_in_the_tree_are_members() {
        let root = Path::new("/tree");
        assert_eq!(member(root, Path::new("/tree/apps/count")).unwrap(), "apps/count");
        assert_eq!(member(root, Path::new("/other/count")), None);
        assert_eq!(member(root, Path::new("/tree/../count")), None);
    }

    #[test]
    fn names_are_packages_and_nothing_is_overwritten() {
        assert!(is_package("count-2") && is_package("a_b"));
        for name in ["", "2count", "Count", "a b", "é", "-a"] {
            assert!(!is_package(name), "{name}");
        }
        let refused = |arguments: &[&str]| run(Parser::from_args(arguments)).unwrap_err().to_string();
        let folder = std::env::temp_dir().join(format!("new-app-{}", std::process::id()));
        assert!(is_free(&folder));
        fs::create_dir(&folder).unwrap();
        let empty = is_free(&folder);
        fs::write(folder.join("notes"), "").unwrap();
        let (full, file) = (is_free(&folder), is_free(&folder.join("notes")));
        fs::remove_dir_all(&folder).unwrap();
        assert_eq!((empty, full, file), (true, false, false));
        assert!(refused(&["apps/hello"]).contains("has a package or program hello"));
        assert!(refused(&["/nowhere/count"]).contains("outside of the source tree"));
        assert!(refused(&[]).contains("no folder was given"));
    }
}

//! What drivers are made of: how long their `main` and their logic are, and where `unsafe` stands.
//!
//! `unsafe` may stand in the sdk's fences and nowhere else: files of it that begin with `#![allow(unsafe_code)]`, in a crate
//! that denies it. Every other crate in `drivers/` forbids it.

pub mod code;

use std::{
    fs,
    path::{Path, PathBuf},
};

use crate::{
    failure::{Failure, Result},
    suite::names,
    workspace::Workspace,
};
use code::Code;

/// Lines that a driver's `main` may have: it names a service and hands over to the sdk.
pub const MOST_MAIN: usize = 40;

/// The package in whose fences `unsafe` may stand.
const SDK: &str = "driver-sdk";
const FENCE: &str = "#![allow(unsafe_code)]";

/// A package in `drivers/`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Driver {
    /// Its name.
    pub name: String,
    /// Lines of `src/main.rs`, if it has one.
    pub main: Option<usize>,
    /// Lines of its other sources, tests left out.
    pub logic: usize,
    /// Files with `unsafe`, and how often.
    pub unsafety: Vec<(PathBuf, usize)>,
    /// What is not as it has to be.
    pub faults: Vec<String>,
}

/// All packages in `drivers/`, in the order of their names.
pub fn survey(workspace: &Workspace) -> Result<Vec<Driver>> {
    let drivers = workspace.root().join("drivers");
    let packages = workspace.packages();
    let folders: Vec<(&str, PathBuf)> = packages
        .iter()
        .filter_map(|package| {
            let folder = package.manifest_path.as_std_path().parent()?;
            folder.starts_with(&drivers).then(|| (package.name.as_str(), folder.to_owned()))
        })
        .collect();
    let mut found = Vec::new();
    for (name, folder) in &folders {
        let mut sources = Vec::new();
        for path in names::sources(folder) {
            // A package in this one's folder has its own sources.
            let owner = folders.iter().filter(|(_, other)| path.starts_with(other));
            if owner.map(|(_, other)| other).max_by_key(|other| other.iter().count()) != Some(folder) {
                continue;
            }
            let text = fs::read_to_string(&path).map_err(|error| {
                Failure::new(format!("read {}", path.display()), error, "check the permissions")
            })?;
            let place = path.strip_prefix(folder).unwrap_or(&path).to_owned();
            sources.push((place, text));
        }
        sources.sort();
        found.push(look(name, &sources));
    }
    Ok(found)
}

/// What a package of these sources is.
fn look(name: &str, sources: &[(PathBuf, String)]) -> Driver {
    let mut driver =
        Driver { name: name.to_owned(), main: None, logic: 0, unsafety: Vec::new(), faults: Vec::new() };
    for (place, text) in sources {
        let code = Code::read(text);
        let is_root = [Path::new("src/lib.rs"), Path::new("src/main.rs")].contains(&place.as_path());
        let wanted = if name == SDK { "#![deny(unsafe_code)]" } else { "#![forbid(unsafe_code)]" };
        if is_root && !code.has_line(wanted) {
            driver.faults.push(format!("{name}: {} has no {wanted}", place.display()));
        }
        if code.unsafety > 0 {
            if name != SDK || !code.has_line(FENCE) {
                let times = code.unsafety;
                driver.faults.push(format!("{name}: {} has `unsafe` ({times}), no fence", place.display()));
            }
            driver.unsafety.push((place.clone(), code.unsafety));
        }
        if place == Path::new("src/main.rs") {
            driver.main = Some(code.lines);
            if code.lines > MOST_MAIN {
                let lines = code.lines;
                driver.faults.push(format!("{name}: its main has {lines} lines, more than {MOST_MAIN}"));
            }
        } else if place.starts_with("src") {
            driver.logic += code.lines;
        }
    }
    driver
}

#[cfg(test)]
mod tests {
    use super::*;

    fn faults(name: &str, sources: &[(&str, &str)]) -> Vec<String> {
        let sources: Vec<_> =
            sources.iter().map(|(place, text)| (PathBuf::from(place), (*text).to_owned())).collect();
        look(name, &sources).faults
    }

    #[test]
    fn the_tree_s_drivers_are_as_they_have_to_be() {
        let drivers = survey(&Workspace::find().unwrap()).unwrap();
        let named = |name: &str| drivers.iter().find(|driver| driver.name == name).unwrap();
        assert!(named("template").main.unwrap() > 10 && named("template").logic > 50);
        assert!(named("process").logic > named("process-protocol").logic, "each has its own sources");
        assert!(!named(SDK).unsafety.is_empty() && named(SDK).main.is_none());
        for driver in &drivers {
            assert_eq!(driver.faults, [""; 0]);
        }
    }

    #[test]
    fn a_long_main_is_a_fault() {
        let main = |lines: usize| format!("#![forbid(unsafe_code)]\n{}", "f();\n".repeat(lines - 1));
        assert_eq!(faults("lamp", &[("src/main.rs", &main(MOST_MAIN))]), [""; 0]);
        let found = faults("lamp", &[("src/main.rs", &main(MOST_MAIN + 1))]);
        assert_eq!(found, ["lamp: its main has 41 lines, more than 40"]);
    }

    #[test]
    fn unsafe_stands_in_the_sdk_s_fences_only() {
        let root = ("src/lib.rs", "#![deny(unsafe_code)]\n");
        let fence = ("src/ports.rs", "#![allow(unsafe_code)]\nfn f() { unsafe { g() } }\n");
        assert_eq!(faults(SDK, &[root, fence]), [""; 0]);
        let bare = ("src/ports.rs", "fn f() { #[allow(unsafe_code)] unsafe { g() } }\n");
        assert_eq!(faults(SDK, &[root, bare]), ["driver-sdk: src/ports.rs has `unsafe` (1), no fence"]);
        let root = ("src/lib.rs", "#![forbid(unsafe_code)]\n");
        assert_eq!(faults("lamp", &[root, fence]), ["lamp: src/ports.rs has `unsafe` (1), no fence"]);
        let said = ("src/a.rs", "// unsafe\nconst A: &str = \"unsafe\"; fn unsafe_not() {}\n");
        assert_eq!(faults("lamp", &[root, said]), [""; 0]);
        let found = faults("lamp", &[("src/lib.rs", "// #![forbid(unsafe_code)]\n")]);
        assert_eq!(found, ["lamp: src/lib.rs has no #![forbid(unsafe_code)]"]);
    }
}

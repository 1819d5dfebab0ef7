//! Boot manifests: TOML files in `qemu/manifests`, the same types as init reads.

use std::{fs, path::PathBuf};

use init_protocol::limits::STRINGS;
use init_protocol::manifest::{Entry, Kind, Manifest};

use crate::{
    failure::{Failure, Result},
    workspace::Workspace,
};

/// The manifest of `cargo xtask run`.
pub const DEFAULT: &str = "default";

/// MiB beside the programs' quotas: firmware, kernel, boot archive and init. 12 were needed with up to 4 CPUs, 13 with 16;
/// the rest is for archives with more programs.
const BESIDE: u64 = 32;

/// An application that takes the place of the manifest's essential one.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Application {
    /// Its program.
    pub program: String,
    /// Its arguments.
    pub arguments: Vec<String>,
    /// Its quota in bytes, if not the entry's.
    pub quota: Option<u64>,
    /// What its children may have together in bytes, if not the entry's `children_quota`.
    pub children_quota: Option<u64>,
}

/// Reads `qemu/manifests/NAME.toml`.
pub fn read(workspace: &Workspace, name: &str) -> Result<Manifest> {
    let path: PathBuf = workspace.root().join("qemu/manifests").join(format!("{name}.toml"));
    let asked = || format!("read the boot manifest {}", path.display());
    let text = fs::read_to_string(&path)
        .map_err(|error| Failure::new(asked(), error, "name a file of qemu/manifests without .toml"))?;
    parse(&text).map_err(|error| {
        Failure::new(asked(), error, "correct it; init_protocol::manifest says what it may hold")
    })
}

/// Parses a manifest.
pub fn parse(text: &str) -> std::result::Result<Manifest, String> {
    toml::from_str(text).map_err(|error| error.to_string())
}

/// Makes `application` the essential one: the manifest's own entry for it if there is one, otherwise the present
/// essential entry with another name and file. With an empty name only the arguments are changed. Arguments take the place of
/// the entry's. There may be [`STRINGS`].
pub fn choose(manifest: &mut Manifest, application: &Application) -> Result<()> {
    let program = &application.program;
    let wanted = manifest.entries.iter().position(|entry| entry.name == *program);
    let present = manifest.entries.iter().position(|entry| entry.essential);
    let Some(index) = wanted.or(present) else {
        let name = if program.is_empty() { "an application" } else { program };
        return Err(Failure::new(
            format!("run {name}"),
            "the manifest has no such entry and no essential one to take the place of",
            "mark an entry with `essential = true`",
        ));
    };
    if wanted.is_none() && !program.is_empty() {
        program.clone_into(&mut manifest.entries[index].name);
        manifest.entries[index].file = file(program);
    }
    let given = &application.arguments;
    if given.len() > STRINGS {
        return Err(Failure::new(
            format!("pass {} arguments", given.len()),
            format!("a program takes {STRINGS} at most"),
            "leave some out, or have the program read them from a file or the terminal",
        ));
    }
    if !given.is_empty() {
        manifest.entries[index].args.clone_from(given);
    }
    let entry = &mut manifest.entries[index];
    entry.quota = application.quota.unwrap_or(entry.quota);
    entry.children_quota = application.children_quota.unwrap_or(entry.children_quota);
    entry.essential = true;
    let mut position = 0;
    manifest.entries.retain(|entry| {
        position += 1;
        position - 1 == index || !(entry.essential && entry.kind == Kind::Application)
    });
    Ok(())
}

/// Checks that every program is there; the archive may hold more.
pub fn check(manifest: &Manifest, has: impl Fn(&str) -> bool) -> Result<()> {
    let missing = |entry: &&Entry| !has(&entry.file);
    match manifest.entries.iter().find(missing) {
        None => Ok(()),
        Some(entry) => Err(Failure::new(
            format!("make a boot image with {}", entry.name),
            format!("no program {} was built", entry.file),
            "name a program, or an example of libkq, that the workspace has (`cargo xtask build` lists them)",
        )),
    }
}

/// MiB that a machine needs to start all of it: init sets every program's quota aside. Programs that these start in turn
/// come on top: [`memory_with_children`].
pub fn memory(manifest: &Manifest) -> u64 {
    let quotas = manifest.entries.iter().fold(0u64, |sum, entry| sum.saturating_add(entry.quota));
    quotas.div_ceil(1 << 20).saturating_add(BESIDE)
}

/// MiB with which the programs can also start all that their `children_quota` allows.
pub fn memory_with_children(manifest: &Manifest) -> u64 {
    let children = manifest.entries.iter().fold(0u64, |sum, entry| sum.saturating_add(entry.children_quota));
    memory(manifest).saturating_add(children.div_ceil(1 << 20))
}

/// The programs that cannot start all that their `children_quota` allows on a machine with so many MiB.
pub fn short_of_children(manifest: &Manifest, mib: u32) -> Option<String> {
    let needed = memory_with_children(manifest);
    let parents = manifest.entries.iter().filter(|entry| entry.children_quota > 0);
    let parents: Vec<&str> = parents.map(|entry| entry.name.as_str()).collect();
    (u64::from(mib) < needed && !parents.is_empty()).then(|| {
        let names = parents.join(", ");
        format!("{mib} MiB do not hold all the children that {names} may start (ENOMEM): --mem {needed} does")
    })
}

/// Fails when the machine has less memory than [`memory`].
pub fn check_memory(manifest: &Manifest, mib: u32) -> Result<()> {
    let needed = memory(manifest);
    if u64::from(mib) >= needed {
        return Ok(());
    }
    Err(Failure::new(
        format!("boot with {mib} MiB of memory"),
        format!(
            "the quotas of the manifest's programs are {} MiB, kernel and init need {BESIDE} MiB",
            needed - BESIDE
        ),
        format!("use --mem {needed} or more"),
    ))
}

/// The devices that drivers of the manifest serve and the machine of `models` has not, as `--device` names them, each with the
/// entry that misses it.
pub fn missing_devices<'a>(manifest: &'a Manifest, models: &[&str]) -> Vec<(&'a str, &'static str)> {
    let mut missing = Vec::new();
    for (program, device) in DEVICES {
        let drivers = manifest.entries.iter().filter(|entry| entry.file == file(program));
        let there = models.iter().filter(|model| **model == device).count();
        missing.extend(drivers.skip(there).map(|entry| (entry.name.as_str(), device)));
    }
    missing
}

/// Drivers' programs, and QEMU's name for the device that each serves.
const DEVICES: [(&str, &str); 3] =
    [("net", "virtio-net-pci"), ("block", "virtio-blk-pci"), ("random", "virtio-rng-pci")];

/// Where the archive has a program.
pub fn file(program: &str) -> String {
    format!("bin/{program}")
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = r#"
        [[entries]]
        name = "tty"
        file = "bin/tty"
        kind = "driver"

        [[entries]]
        name = "kqcat"
        file = "bin/kqcat"
        kind = "application"
        essential = true
        after = ["tty"]
    "#;

    fn application(program: &str) -> Application {
        Application {
            program: program.to_owned(),
            arguments: vec!["-v".to_owned()],
            ..Application::default()
        }
    }

    #[test]
    fn another_application_takes_the_essential_place() {
        let mut manifest = parse(TEXT).unwrap();
        choose(&mut manifest, &application("hello")).unwrap();
        assert_eq!(manifest.entries.len(), 2);
        let entry = &manifest.entries[1];
        assert_eq!((entry.name.as_str(), entry.file.as_str()), ("hello", "bin/hello"));
        assert_eq!(entry.args, ["-v"]);
        assert_eq!(entry.after, ["tty"]);
        assert!(entry.essential);
    }

    #[test]
    fn an_entry_of_that_name_becomes_essential_and_keeps_its_file() {
        let mut manifest = parse(&format!(
            "{TEXT}\n[[entries]]\nname = \"shell\"\nfile = \"bin/sh2\"\nkind = \"application\"\n"
        ))
        .unwrap();
        choose(&mut manifest, &application("shell")).unwrap();
        let names: Vec<_> = manifest.entries.iter().map(|entry| entry.file.as_str()).collect();
        assert_eq!(names, ["bin/tty", "bin/sh2"]);
        assert!(manifest.entries[1].essential);
    }

    #[test]
    fn arguments_without_a_name_are_the_present_application_s() {
        let mut manifest = parse(TEXT).unwrap();
        choose(&mut manifest, &application("")).unwrap();
        assert_eq!(
            (manifest.entries[1].name.as_str(), &manifest.entries[1].args[..]),
            ("kqcat", &["-v".to_owned()][..])
        );
        manifest.entries.pop();
        assert!(choose(&mut manifest, &application("")).is_err());
    }

    #[test]
    fn arguments_take_the_place_of_the_entry_s() {
        let mut manifest = parse(TEXT).unwrap();
        manifest.entries[1].args = vec!["/dev/lamp".to_owned()];
        choose(&mut manifest, &Application::default()).unwrap();
        assert_eq!(manifest.entries[1].args, ["/dev/lamp"]);
        choose(&mut manifest, &application("")).unwrap();
        assert_eq!(manifest.entries[1].args, ["-v"]);
        let many = |count| Application { arguments: vec!["x".to_owned(); count], ..Application::default() };
        choose(&mut manifest, &many(64)).unwrap();
        let failure = choose(&mut manifest, &many(65)).unwrap_err().to_string();
        assert!(failure.contains("pass 65 arguments: a program takes 64 at most"), "{failure}");
    }

    #[test]
    fn too_little_memory_is_told_with_what_is_enough() {
        let mut manifest = parse(TEXT).unwrap();
        manifest.entries[0].quota = (3 << 20) + 1;
        manifest.entries[1].quota = 60 << 20;
        assert_eq!(check_memory(&manifest, 96), Ok(()));
        let failure = check_memory(&manifest, 95).unwrap_err().to_string();
        assert!(failure.contains("with 95 MiB") && failure.ends_with("use --mem 96 or more"), "{failure}");
        manifest.entries[1].quota = u64::MAX;
        assert!(check_memory(&manifest, u32::MAX).is_err());
    }

    #[test]
    fn quotas_take_the_place_of_the_entry_s_and_children_need_memory_too() {
        let mut manifest = parse(TEXT).unwrap();
        manifest.entries[0].quota = 4 << 20;
        assert_eq!(short_of_children(&manifest, 0), None, "nobody may start any");
        let given = Application { quota: Some(60 << 20), children_quota: Some(1 << 20), ..application("") };
        choose(&mut manifest, &given).unwrap();
        assert_eq!((manifest.entries[1].quota, manifest.entries[1].children_quota), (60 << 20, 1 << 20));
        assert_eq!((memory(&manifest), memory_with_children(&manifest)), (96, 97));
        assert_eq!(short_of_children(&manifest, 97), None);
        let told = short_of_children(&manifest, 96).unwrap();
        assert!(told.contains("kqcat") && told.contains("--mem 97"), "{told}");
    }

    #[test]
    fn a_driver_without_its_device_is_told_of() {
        let manifest = parse(&TEXT.replace("bin/tty", "bin/net")).unwrap();
        assert_eq!(missing_devices(&manifest, &["virtio-rng-pci"]), [("tty", "virtio-net-pci")]);
        assert_eq!(missing_devices(&manifest, &["virtio-net-pci"]), []);
        assert_eq!(missing_devices(&parse(TEXT).unwrap(), &[]), []);
    }

    #[test]
    fn a_missing_program_is_named() {
        let manifest = parse(TEXT).unwrap();
        assert_eq!(check(&manifest, |_| true), Ok(()));
        let failure = check(&manifest, |file| file != "bin/kqcat").unwrap_err().to_string();
        assert!(failure.contains("no program bin/kqcat was built"), "{failure}");
    }

    #[test]
    fn a_manifest_with_an_unknown_field_is_refused() {
        let error =
            parse("[[entries]]\nname = \"x\"\nfile = \"y\"\nkind = \"driver\"\ncolour = 1\n").unwrap_err();
        assert!(error.contains("colour"), "{error}");
    }

    #[test]
    fn every_manifest_of_the_tree_is_valid_and_survives_its_encoding() {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("manifests");
        let mut seen = 0;
        for file in fs::read_dir(folder).unwrap() {
            let path = file.unwrap().path();
            let manifest = parse(&fs::read_to_string(&path).unwrap()).unwrap();
            let bytes = postcard::to_allocvec(&manifest).unwrap();
            assert_eq!(postcard::from_bytes::<Manifest>(&bytes).unwrap(), manifest, "{}", path.display());
            seen += 1;
        }
        assert!(seen > 0);
    }
}

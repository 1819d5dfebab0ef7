//! From sources to what the machine boots: a kernel file and a boot archive.

pub mod archive;
pub mod c;
pub mod cargo;
pub mod loadable;
pub mod manifest;

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
};

use init_protocol::manifest::Manifest;

use crate::{
    failure::{Failure, Result},
    progress::Step,
    workspace::{GUEST_TARGET, Workspace},
};

/// Name of the kernel's package and program.
const KERNEL: &str = "kernel";
/// Name of the package and program of the first process.
const INIT: &str = "init";

/// What a build made.
#[derive(Clone, Debug)]
pub struct Software {
    /// The kernel's ELF file.
    pub kernel: PathBuf,
    /// Programs by name, the kernel not among them.
    pub programs: BTreeMap<String, PathBuf>,
}

impl Software {
    /// Of its programs only those that this manifest names, those that they start, and init.
    pub fn named(&self, manifest: &Manifest, started: &[String]) -> Software {
        let names: BTreeSet<&str> =
            programs(manifest).chain(started.iter().map(String::as_str)).chain([INIT]).collect();
        let named = self.programs.iter().filter(|(name, _)| names.contains(name.as_str()));
        let programs = named.map(|(name, path)| (name.clone(), path.clone())).collect();
        Software { kernel: self.kernel.clone(), programs }
    }
}

/// Fails, with those that there are, when no package has this program and none of C was made.
pub fn known(workspace: &Workspace, program: &str) -> Result<()> {
    let made: Vec<String> = c::made(workspace).into_iter().map(|(name, _)| name).collect();
    if workspace.package_of(program).is_some() || made.iter().any(|name| name == program) {
        return Ok(());
    }
    let list = |names: Vec<&str>| if names.is_empty() { "none".to_owned() } else { names.join(", ") };
    let (examples, others) = workspace.applications();
    Err(Failure::new(
        format!("run the application {program}"),
        "there is no such program",
        format!(
            "use an example of libkq ({}), a program of C (made by `cargo xtask cc`: {}) or another ({})",
            list(examples),
            list(made.iter().map(String::as_str).collect()),
            list(others)
        ),
    ))
}

/// Builds the kernel, all programs and libkq's examples in the release profile.
pub fn build(workspace: &Workspace, output: cargo::Output) -> Result<Software> {
    build_targets(workspace, &workspace.guest_packages(), &["--bins", "--examples"], output)
}

/// Builds only what a manifest needs: the packages of its programs and of those that these start, kernel and init.
pub fn build_for(
    workspace: &Workspace,
    manifest: &Manifest,
    started: &[String],
    output: cargo::Output,
) -> Result<Software> {
    build_targets(workspace, &needed(workspace, manifest, started), &["--bins", "--examples"], output)
}

/// Builds only the programs that these manifests name, those that they start, kernel and init: linking one takes seconds.
pub fn build_named(
    workspace: &Workspace,
    manifests: &[&Manifest],
    started: &[&str],
    output: cargo::Output,
) -> Result<Software> {
    let names = manifests.iter().flat_map(|manifest| programs(manifest)).chain(started.iter().copied());
    let names: BTreeSet<&str> = names.chain([KERNEL, INIT]).collect();
    let packages = packages_of(workspace, names.iter().copied());
    let mut targets = Vec::new();
    for program in packages.iter().flat_map(|package| workspace.programs_of(package)) {
        if names.contains(program.name.as_str()) {
            targets.extend([if program.is_example() { "--example" } else { "--bin" }, program.name.as_str()]);
        }
    }
    build_targets(workspace, &packages, &targets, output)
}

/// What a manifest needs as it was built last, without building.
pub fn built_for(workspace: &Workspace, manifest: &Manifest, started: &[String]) -> Result<Software> {
    let folder = workspace.target().join(GUEST_TARGET).join("release");
    let mut software = Software { kernel: folder.join(KERNEL), programs: BTreeMap::new() };
    for package in needed(workspace, manifest, started) {
        for program in workspace.programs_of(package) {
            let folder = if program.is_example() { folder.join("examples") } else { folder.clone() };
            let path = folder.join(&program.name);
            if path.is_file() && program.name != KERNEL {
                software.programs.insert(program.name.clone(), path);
            }
        }
    }
    for (name, path) in c::made(workspace) {
        software.programs.entry(name).or_insert(path);
    }
    let mut wanted = programs(manifest).chain(started.iter().map(String::as_str)).chain([INIT]);
    let missing = wanted.find(|name| !software.programs.contains_key(*name));
    match missing.or((!software.kernel.is_file()).then_some(KERNEL)) {
        None => Ok(software),
        // The name may be wrong as well: a build tells that.
        Some(name) => Err(Failure::new(
            "boot without building",
            format!("{name} was never built in {}", folder.display()),
            "leave out --no-build, once",
        )),
    }
}

/// Names of a manifest's programs.
fn programs(manifest: &Manifest) -> impl Iterator<Item = &str> {
    manifest.entries.iter().map(|entry| entry.file.rsplit('/').next().unwrap_or_default())
}

/// Packages of a manifest's programs and of those that they start, and those of every system.
fn needed<'a>(workspace: &'a Workspace, manifest: &'a Manifest, started: &'a [String]) -> Vec<&'a str> {
    let started = started.iter().map(String::as_str);
    packages_of(workspace, programs(manifest).chain(started).chain([KERNEL, INIT]))
}

/// The packages of these programs; those of C have none.
fn packages_of<'a>(workspace: &'a Workspace, programs: impl IntoIterator<Item = &'a str>) -> Vec<&'a str> {
    let packages: BTreeSet<&str> =
        programs.into_iter().filter_map(|program| workspace.package_of(program)).collect();
    Vec::from_iter(packages)
}

fn build_targets(
    workspace: &Workspace,
    packages: &[&str],
    targets: &[&str],
    output: cargo::Output,
) -> Result<Software> {
    let mut arguments = vec!["build", "--release", "--target", GUEST_TARGET];
    arguments.extend(targets);
    for package in packages {
        arguments.extend(["-p", package]);
    }
    let step = Step::begin("building the guest's software");
    let artifacts = cargo::Cargo::new(workspace).arguments(arguments).artifacts(output)?;
    step.done();
    let mut programs = BTreeMap::new();
    for artifact in artifacts {
        if let Some(other) = programs.insert(artifact.name.clone(), artifact.path.clone()) {
            return Err(Failure::new(
                "build the guest's software",
                format!(
                    "two programs are called {}: {} and {}",
                    artifact.name,
                    other.display(),
                    artifact.path.display()
                ),
                "rename one, the boot archive has one folder of programs",
            ));
        }
    }
    for (name, path) in c::made(workspace) {
        programs.entry(name).or_insert(path);
    }
    let kernel = programs.remove(KERNEL).ok_or_else(|| {
        Failure::new(
            "build the guest's software",
            "cargo told of no kernel among its artifacts",
            "check kernel-stub/kernel/Cargo.toml",
        )
    })?;
    Ok(Software { kernel, programs })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_may_have_only_what_is_named_and_started() {
        let workspace = Workspace::find().unwrap();
        let manifest = manifest::read(&workspace, "pipes").unwrap();
        let names = ["init", "event-server", "pipe", "smoke", "httpd", "net"];
        let programs = names.map(|name| (name.to_owned(), PathBuf::from(name))).into();
        let software = Software { kernel: "kernel".into(), programs };
        let named = software.named(&manifest, &["httpd".to_owned()]).programs;
        assert_eq!(Vec::from_iter(named.keys()), ["event-server", "httpd", "init", "pipe"]);
    }
}

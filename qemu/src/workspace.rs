//! Where things are: the source tree, the target folder, the workspace's packages.

use std::path::{Path, PathBuf};

use cargo_metadata::{Metadata, MetadataCommand, Package, Target, TargetKind};

use crate::{
    failure::{Failure, Result},
    suite::names,
};

/// The target that guest software is built for.
pub const GUEST_TARGET: &str = "x86_64-unknown-none";

/// The workspace as cargo sees it.
#[derive(Clone, Debug)]
pub struct Workspace {
    metadata: Metadata,
}

impl Workspace {
    /// Asks cargo, from the folder that this tool was built from, or the current one when that is gone.
    pub fn find() -> Result<Workspace> {
        let manifest = Path::new(env!("CARGO_MANIFEST_DIR")).join("../Cargo.toml");
        let mut command = MetadataCommand::new();
        if manifest.is_file() {
            command.manifest_path(manifest);
        }
        let metadata = command.no_deps().exec().map_err(|error| {
            Failure::new(
                "read the workspace",
                error,
                "run the tool inside the source tree, with cargo installed",
            )
        })?;
        Ok(Workspace { metadata })
    }

    /// Top of the source tree.
    pub fn root(&self) -> &Path {
        self.metadata.workspace_root.as_std_path()
    }

    /// Where cargo builds; `CARGO_TARGET_DIR` is honoured.
    pub fn target(&self) -> &Path {
        self.metadata.target_directory.as_std_path()
    }

    /// Where boot images are put.
    pub fn images(&self) -> PathBuf {
        self.target().join("image")
    }

    /// Where the logs of failed tests are kept.
    pub fn logs(&self) -> PathBuf {
        self.target().join("test-logs")
    }

    /// All packages, in the order of their names.
    pub fn packages(&self) -> Vec<&Package> {
        let mut packages = self.metadata.workspace_packages();
        packages.sort_by(|a, b| a.name.cmp(&b.name));
        packages
    }

    /// Packages with programs that run in the guest: all that have a program or an example, save the tool itself.
    pub fn guest_packages(&self) -> Vec<&str> {
        self.guest()
            .filter(|package| programs(package).next().is_some())
            .map(|package| package.name.as_str())
            .collect()
    }

    /// The package that has this guest program.
    pub fn package_of(&self, program: &str) -> Option<&str> {
        self.guest()
            .find(|package| programs(package).any(|target| target.name == program))
            .map(|package| package.name.as_str())
    }

    /// Whether a crate from outside has this name: cargo takes it for that one.
    pub fn depends_on(&self, name: &str) -> bool {
        // Without the file there is nothing to be mistaken for.
        let lock = std::fs::read_to_string(self.root().join("Cargo.lock")).unwrap_or_default();
        let line = format!("name = \"{name}\"");
        lock.lines().any(|other| other == line)
            && !self.packages().iter().any(|own| own.name.as_str() == name)
    }

    /// The guest programs of this package.
    pub fn programs_of(&self, package: &str) -> Vec<&Target> {
        self.guest().filter(|other| other.name.as_str() == package).flat_map(programs).collect()
    }

    /// Programs that may run as the application of a machine: examples, and programs of packages that are none of the
    /// system's own, which are all in these folders.
    pub fn applications(&self) -> (Vec<&str>, Vec<&str>) {
        const SYSTEM: [&str; 3] = ["kernel-stub", "event-server", "drivers"];
        let own = |package: &&Package| {
            let folder = package.manifest_path.as_std_path().strip_prefix(self.root());
            folder.is_ok_and(|folder| !SYSTEM.iter().any(|system| folder.starts_with(system)))
        };
        let (examples, others): (Vec<&Target>, _) =
            self.guest().filter(own).flat_map(programs).partition(|target| target.is_example());
        (names_of(examples), names_of(others))
    }

    /// The sources of this guest program: its file, and those beside it when it has a folder.
    pub fn sources_of(&self, program: &str) -> Vec<PathBuf> {
        let mut targets = self.guest().flat_map(programs).filter(|target| target.name == program);
        let Some(main) = targets.next().map(|target| target.src_path.as_std_path()) else {
            return Vec::new();
        };
        match main.parent() {
            Some(folder) if main.ends_with("main.rs") => names::sources(folder),
            _ => vec![main.to_owned()],
        }
    }

    /// The folder of this package.
    pub fn folder_of(&self, package: &str) -> Option<PathBuf> {
        let packages = self.packages();
        let found = packages.into_iter().find(|found| found.name.as_str() == package)?;
        Some(found.manifest_path.parent()?.as_std_path().to_owned())
    }

    /// Packages that are tested on the host.
    pub fn host_packages(&self) -> Vec<&str> {
        self.metadata.workspace_default_packages().iter().map(|package| package.name.as_str()).collect()
    }

    fn guest(&self) -> impl Iterator<Item = &Package> {
        self.packages().into_iter().filter(|package| package.name.as_str() != env!("CARGO_PKG_NAME"))
    }

    /// Packages that have models for `loom`: those that depend on it.
    pub fn loom_packages(&self) -> Vec<&str> {
        self.packages()
            .into_iter()
            .filter(|package| package.dependencies.iter().any(|dependency| dependency.name == "loom"))
            .map(|package| package.name.as_str())
            .collect()
    }
}

fn names_of(targets: Vec<&Target>) -> Vec<&str> {
    let mut names: Vec<&str> = targets.into_iter().map(|target| target.name.as_str()).collect();
    names.sort_unstable();
    names
}

fn programs(package: &Package) -> impl Iterator<Item = &Target> {
    let runs = |kind: &TargetKind| matches!(kind, TargetKind::Bin | TargetKind::Example);
    package.targets.iter().filter(move |target| target.kind.iter().any(runs))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernel_is_guest_software_and_the_tool_is_not() {
        let workspace = Workspace::find().unwrap();
        let guest = workspace.guest_packages();
        assert!(guest.contains(&"kernel"), "{guest:?}");
        assert!(guest.contains(&"init"), "{guest:?}");
        assert!(!guest.contains(&"xtask"), "{guest:?}");
        assert_eq!(workspace.package_of("event-server"), Some("event-server"));
        assert_eq!(workspace.package_of("xtask"), None);
    }

    #[test]
    fn applications_are_examples_and_programs_that_are_no_part_of_the_system() {
        let workspace = Workspace::find().unwrap();
        let (examples, others) = workspace.applications();
        assert!(examples.contains(&"hello") && examples.is_sorted(), "{examples:?}");
        assert!(others.contains(&"smoke") && !others.contains(&"hello"), "{others:?}");
        assert!(!others.contains(&"tty") && !others.contains(&"init"), "{others:?}");
    }
}

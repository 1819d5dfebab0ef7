//! `cargo xtask image`.

use std::ffi::OsString;

use init_protocol::manifest::{Kind, Manifest};
use lexopt::{Arg, Parser, ValueExt};

use super::{Command, text};
use crate::{
    failure::{Failure, Result},
    software::{
        self,
        archive::BootImage,
        cargo::Output,
        manifest::{self, Application},
    },
    workspace::Workspace,
};

/// The subcommand.
pub const COMMAND: Command = Command {
    name: "image",
    help: "image [--app NAME] [--starts NAME]... [--manifest NAME]
    Builds, then writes the kernel and the boot archive to TARGET/image.
    --app NAME       the application whose end powers the machine off
    --starts NAME    a program that it starts, to be built and in the archive; may be repeated
    --manifest NAME  a file of qemu/manifests (default)",
    run,
};

fn run(mut parser: Parser) -> Result<u8> {
    let mut recipe = Recipe::default();
    while let Some(argument) = parser.next()? {
        match argument {
            Arg::Long("app") => recipe.application.program = application(parser.value()?)?,
            Arg::Long("starts") => recipe.starts.push(text(parser.value()?)?),
            Arg::Long("manifest") => recipe.manifest = parser.value()?.string()?,
            other => return Err(other.unexpected().into()),
        }
    }
    let image = recipe.make(&Workspace::find()?)?;
    println!("{}\n{}", image.kernel.display(), image.archive.display());
    Ok(0)
}

/// The value of `--app`.
pub fn application(value: OsString) -> Result<String> {
    let name = text(value)?;
    if name.is_empty() {
        return Err(Failure::new(
            "run an application",
            "its name is empty",
            "name one, or leave out --app: the manifest has one",
        ));
    }
    Ok(name)
}

/// What goes into a boot image.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Recipe {
    /// Name of the manifest.
    pub manifest: String,
    /// Name of the image, if not the manifest's.
    pub image: Option<String>,
    /// Another application than the manifest's; with an empty name: the manifest's.
    pub application: Application,
    /// Programs that the application starts.
    pub starts: Vec<String>,
    /// Whether to build first; otherwise programs are taken as they were built last.
    pub build: bool,
}

impl Default for Recipe {
    fn default() -> Recipe {
        Recipe {
            manifest: manifest::DEFAULT.to_owned(),
            image: None,
            application: Application::default(),
            starts: Vec::new(),
            build: true,
        }
    }
}

impl Recipe {
    /// What is started at boot.
    pub fn manifest(&self, workspace: &Workspace) -> Result<Manifest> {
        let mut manifest = manifest::read(workspace, &self.manifest)?;
        let program = &self.application.program;
        match manifest.entries.iter().find(|entry| entry.name == *program) {
            _ if program.is_empty() => {}
            Some(entry) if entry.kind == Kind::Application => {}
            Some(_) => {
                return Err(Failure::new(
                    format!("run the application {program}"),
                    format!("the manifest {} has {program} as a part of the system", self.manifest),
                    "leave out --app, or name an application",
                ));
            }
            None => software::known(workspace, program)?,
        }
        self.starts.iter().try_for_each(|program| software::known(workspace, program))?;
        if self.application != Application::default() {
            manifest::choose(&mut manifest, &self.application)?;
        }
        Ok(manifest)
    }

    /// Builds what it needs and writes the image.
    pub fn make(&self, workspace: &Workspace) -> Result<BootImage> {
        let manifest = self.manifest(workspace)?;
        let software = if self.build {
            software::build_for(workspace, &manifest, &self.starts, Output::Stderr)?
        } else {
            software::built_for(workspace, &manifest, &self.starts)?
        };
        BootImage::write(workspace, &software, &manifest, self.image.as_ref().unwrap_or(&self.manifest))
    }
}

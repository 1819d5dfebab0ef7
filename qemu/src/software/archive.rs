//! Boot images: a kernel file and the archive that goes with it.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use image::writer::Writer;
use init_protocol::manifest::Manifest;

use super::{Software, loadable::loadable, manifest};
use crate::{
    failure::{Failure, Result},
    workspace::Workspace,
};

/// A kernel and an archive to boot.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct BootImage {
    /// The kernel's ELF file.
    pub kernel: PathBuf,
    /// The archive.
    pub archive: PathBuf,
}

impl BootImage {
    /// Where the image of this name is, made or not.
    pub fn named(workspace: &Workspace, name: &str) -> BootImage {
        let folder = workspace.images();
        BootImage { kernel: folder.join("kernel"), archive: folder.join(format!("{name}.archive")) }
    }

    /// Puts all programs and the manifest into an archive and the kernel beside it.
    pub fn write(
        workspace: &Workspace,
        software: &Software,
        manifest: &Manifest,
        name: &str,
    ) -> Result<BootImage> {
        let image = BootImage::named(workspace, name);
        let asked = format!("write the boot image {}", image.archive.display());
        let remedy = "check the target folder's space and permissions";
        manifest::check(manifest, |file| {
            software.programs.keys().any(|program| manifest::file(program) == file)
        })?;
        let mut writer = Writer::new();
        for (program, path) in &software.programs {
            let file = fs::read(path).map_err(|error| Failure::new(&asked, error, "build again"))?;
            writer
                .add(&manifest::file(program), loadable(program, &file)?)
                .map_err(|error| Failure::new(&asked, error, "rename the program"))?;
        }
        let document = postcard::to_allocvec(manifest)
            .map_err(|error| Failure::new(&asked, error, "report the manifest that does this"))?;
        writer
            .add(init_protocol::manifest::FILE, document)
            .map_err(|error| Failure::new(&asked, error, "no program may have the manifest's name"))?;
        let kernel =
            fs::read(&software.kernel).map_err(|error| Failure::new(&asked, error, "build again"))?;
        fs::create_dir_all(workspace.images())
            .and_then(|()| replace(&image.archive, &writer.finish()))
            .and_then(|()| replace(&image.kernel, &kernel))
            .map_err(|error| Failure::new(&asked, error, remedy))?;
        Ok(image)
    }
}

/// Writes a file that an emulator which starts meanwhile sees whole, the old one or the new one.
fn replace(path: &Path, content: &[u8]) -> io::Result<()> {
    let beside = path.with_extension(format!("new-{}", std::process::id()));
    fs::write(&beside, content).and_then(|()| fs::rename(&beside, path)).inspect_err(|_| {
        // Told is why it could not be written.
        let _ = fs::remove_file(&beside);
    })
}

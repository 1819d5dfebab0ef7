//! `cargo xtask build`.

use super::{Command, no_arguments};
use crate::{
    software::{self, cargo::Output},
    workspace::Workspace,
};

/// The subcommand.
pub const COMMAND: Command = Command {
    name: "build",
    help: "build
    Builds the kernel and all programs of the guest, and lists them.",
    run: |parser| {
        no_arguments(parser)?;
        let software = software::build(&Workspace::find()?, Output::Stderr)?;
        println!("kernel {}", software.kernel.display());
        for (name, path) in &software.programs {
            println!("{name} {}", path.display());
        }
        Ok(0)
    },
};

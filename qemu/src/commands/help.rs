//! `cargo xtask help`.

use super::{ALL, Command};

/// The subcommand.
pub const COMMAND: Command = Command {
    name: "help",
    help: "help\n    This text.",
    run: |_| {
        println!("The host tool. Every path is relative to the source tree; CARGO_TARGET_DIR is honoured.\n");
        for command in ALL {
            println!("cargo xtask {}\n", command.help);
        }
        Ok(0)
    },
};

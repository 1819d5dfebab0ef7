//! `cargo xtask`: see `cargo xtask help`.
#![forbid(unsafe_code)]

use std::process::ExitCode;

fn main() -> ExitCode {
    match xtask::commands::dispatch(lexopt::Parser::from_env()) {
        Ok(status) => ExitCode::from(status),
        Err(failure) => {
            eprintln!("xtask: {failure}");
            ExitCode::from(xtask::failure::STATUS)
        }
    }
}

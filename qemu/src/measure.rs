//! One boot of the guest program that measures.

use std::{collections::BTreeMap, io, time::Duration};

use crate::{
    budget::{self, Figure},
    commands::image::Recipe,
    failure::{Failure, Result},
    machine::{
        Accelerator, Machine, Outcome,
        console::{Console, Input},
        dialogue::Dialogue,
        exit::Status,
        signals::Signals,
        text::LineEndings,
    },
    software::{archive::BootImage, manifest::Application},
};

/// The guest program, and the name of its image and of its manifest.
pub const PROGRAM: &str = "bench";
/// Longest time of one boot.
const LIMIT: Duration = Duration::from_secs(900);

/// The image to boot: one of its own, so that a `run` meanwhile boots what it was asked for.
pub fn recipe(arguments: Vec<String>) -> Recipe {
    Recipe {
        manifest: PROGRAM.to_owned(),
        image: Some(PROGRAM.to_owned()),
        application: Application { program: PROGRAM.to_owned(), arguments, ..Application::default() },
        ..Recipe::default()
    }
}

/// The machine to measure on: one instruction per ns.
pub fn machine(image: BootImage, cpus: u32) -> Machine {
    Machine {
        cpus,
        memory: 1024,
        accelerator: Accelerator::Icount,
        image,
        devices: Vec::new(),
        monitor: None,
        arguments: Vec::new(),
    }
}

/// Boots it, passes on what it says with the host's line endings, and tells its figures.
pub fn measure(
    machine: &Machine,
    signals: Option<&Signals>,
    mut show: impl FnMut(&[u8]) -> io::Result<()>,
) -> Result<BTreeMap<String, Figure>> {
    let mut said = Vec::new();
    let mut endings = LineEndings::default();
    let mut output = |bytes: &[u8]| {
        let bytes = endings.convert(bytes);
        said.extend_from_slice(&bytes);
        show(&bytes)
    };
    let outcome = machine.run(Console {
        input: Input::Script(Dialogue::default()),
        output: &mut output,
        limit: Some(LIMIT),
        signals,
    })?;
    let found = match outcome {
        Outcome::Ended(Status::Guest(0)) => {
            return Ok(String::from_utf8_lossy(&said).lines().filter_map(budget::figure).collect());
        }
        Outcome::Ended(status) => status.to_string(),
        Outcome::TimedOut => format!("it did not end within {} s", LIMIT.as_secs()),
        other => format!("it was stopped: {other:?}"),
    };
    Err(Failure::new(
        "measure",
        found,
        format!(
            "see what the guest said; `cargo xtask run --app {PROGRAM} --icount --smp {}` repeats it",
            machine.cpus
        ),
    ))
}

//! `cargo xtask bench`.

use std::{collections::BTreeMap, fs, io::Write, time::Duration};

use lexopt::{Arg, Parser};

use super::{Command, image::Recipe, text};
use crate::{
    budget::{self, Figure},
    failure::{Failure, Result},
    machine::{
        Accelerator, Machine, Outcome,
        console::{Console, Input},
        dialogue::Dialogue,
        exit::Status,
        signals::Signals,
        text::LineEndings,
    },
    software::manifest::Application,
    workspace::Workspace,
};

/// The guest program, and the name of its image.
const PROGRAM: &str = "bench";
/// Longest time of one boot.
const LIMIT: Duration = Duration::from_secs(300);

/// The subcommand.
pub const COMMAND: Command = Command {
    name: "bench",
    help: "bench [NAME] [--smp N] [--twice]
    Boots the guest program `bench` with one instruction per ns and shows its figures, `name value unit`. Fails when a
    figure is above its budget (qemu/budgets.toml), or one with a budget is missing.
    NAME             only figures with this in their names
    --smp N          CPUs (1)
    --twice          measure twice; fails unless both give the same numbers",
    run,
};

fn run(mut parser: Parser) -> Result<u8> {
    let (mut cpus, mut twice, mut only) = (1, false, String::new());
    while let Some(argument) = parser.next()? {
        match argument {
            Arg::Long("smp") => cpus = super::cpus(parser.value()?)?,
            Arg::Long("twice") => twice = true,
            Arg::Value(name) => only = text(name)?,
            other => return Err(other.unexpected().into()),
        }
    }
    let workspace = Workspace::find()?;
    let path = workspace.root().join("qemu/budgets.toml");
    let budgets = fs::read_to_string(&path)
        .map_err(|error| error.to_string())
        .and_then(|text| budget::parse(&text, cpus))
        .map_err(|error| Failure::new(format!("read {}", path.display()), error, "correct the file"))?;
    let arguments = if only.is_empty() { Vec::new() } else { vec![only.clone()] };
    // An image of its own, so that a `run` meanwhile boots what it was asked for.
    let recipe = Recipe {
        image: Some(PROGRAM.to_owned()),
        application: Application { program: PROGRAM.to_owned(), arguments },
        ..Recipe::default()
    };
    let machine = Machine {
        cpus,
        memory: 512,
        accelerator: Accelerator::Icount,
        image: recipe.make(&workspace)?,
        arguments: Vec::new(),
    };
    let first = measure(&machine)?;
    let mut faults = budget::exceeded(&first, &budgets, &only);
    if twice {
        faults.extend(budget::differences(&first, &measure(&machine)?));
    }
    for fault in &faults {
        println!("FAILED {fault}");
    }
    Ok(u8::from(!faults.is_empty()))
}

fn measure(machine: &Machine) -> Result<BTreeMap<String, Figure>> {
    let signals = Signals::catch()?;
    let mut said = Vec::new();
    let mut endings = LineEndings::default();
    let mut stdout = std::io::stdout().lock();
    let mut output = |bytes: &[u8]| {
        let bytes = endings.convert(bytes);
        said.extend_from_slice(&bytes);
        stdout.write_all(&bytes)
    };
    let outcome = machine.run(Console {
        input: Input::Script(Dialogue::default()),
        output: &mut output,
        limit: Some(LIMIT),
        signals: Some(&signals),
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
        "see the guest's output above; `cargo xtask run --app bench --icount` repeats it",
    ))
}

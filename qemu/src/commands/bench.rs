//! `cargo xtask bench`.

use std::io::Write;

use lexopt::{Arg, Parser};

use super::{Command, bench_ab, bench_policies, cpus, text};
use crate::{
    budget,
    failure::{Failure, Result},
    machine::signals::Signals,
    measure,
    workspace::Workspace,
};

/// The subcommand.
pub const COMMAND: Command = Command {
    name: "bench",
    help: "bench [NAME] [--smp N] [--twice]
    Boots the guest program `bench` with one instruction per ns and shows its figures, `name value unit`. Fails when a
    figure is above its budget (qemu/budgets.toml), figures that must be flat are not, or one with a demand is missing.
    NAME             only figures with this in their names
    --smp N          CPUs, 1 to 16 (1)
    --twice          measure twice; fails unless both give the same numbers
bench ab [--quick] [--smp N] [--workers N] [--rounds N] [--requests N] [--plot FILE]
    Measures the web server with apachebench (`ab` of apache2-utils) and with its own load generator, connections that wake
    all workers and connections that wake one in turn: the curve over 1 to 16 workers on 2 and 4 CPUs, about 10 minutes on
    an idle machine. Fails when a request or an accept fails. All rows go to TARGET/bench/ab.tsv.
    --quick          less of it
    --plot FILE      the curve as SVG
bench policies [--quick] [--threads] [--smp N] [--workers N] [--workload NAME] [--plot FILE]
    Measures whom an arrival should wake: each policy under seven workloads with 1 to 64 workers on 1 to 8 CPUs, in counted
    instructions. All rows go to TARGET/bench/policies.tsv.
    --quick          less of it
    --threads        besides, five rounds on 2 CPUs as fast as the emulator can: for an idle host
    --plot FILE      curves as SVG; those of latency in FILE-latency.svg beside it",
    run,
};

/// Whether the program that measures has these words: it has figures without a budget, too, and makes names of words.
fn says(workspace: &Workspace, only: &str) -> bool {
    let sources = workspace.sources_of(measure::PROGRAM);
    let texts: Vec<String> = sources.iter().filter_map(|path| std::fs::read_to_string(path).ok()).collect();
    only.split('_').all(|word| texts.iter().any(|text| text.contains(word)))
}

fn run(mut parser: Parser) -> Result<u8> {
    let (mut number, mut twice, mut only) = (1, false, String::new());
    while let Some(argument) = parser.next()? {
        match argument {
            Arg::Long("smp") => number = cpus(parser.value()?)?,
            Arg::Long("twice") => twice = true,
            Arg::Value(name) if only.is_empty() && name == "ab" => return bench_ab::run(parser),
            Arg::Value(name) if only.is_empty() && name == "policies" => return bench_policies::run(parser),
            Arg::Value(name) if only.is_empty() => only = text(name)?,
            other => return Err(other.unexpected().into()),
        }
    }
    let workspace = Workspace::find()?;
    let budgets = budget::read(&workspace, number)?;
    if !budgets.know(&only) && !says(&workspace, &only) {
        return Err(Failure::new(
            format!("measure `{only}`"),
            "no figure has that in its name",
            "name a part of one: qemu/budgets.toml has them; without a name all are measured",
        ));
    }
    let arguments = if only.is_empty() { Vec::new() } else { vec![only.clone()] };
    let machine = measure::machine(measure::recipe(arguments).make(&workspace)?, number);
    let signals = Signals::catch()?;
    let mut stdout = std::io::stdout().lock();
    let first = measure::measure(&machine, Some(&signals), |bytes| stdout.write_all(bytes))?;
    let mut faults = budget::exceeded(&first, &budgets, &only);
    if twice {
        // What it says is what the first said, or told below.
        let second = measure::measure(&machine, Some(&signals), |_| Ok(()))?;
        let differences = budget::differences(&first, &second);
        if differences.is_empty() {
            println!("a second boot gave the same figures");
        }
        faults.extend(differences);
    }
    for fault in &faults {
        println!("FAILED {fault}");
    }
    Ok(u8::from(!faults.is_empty()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_no_figure_has_is_refused_before_anything_is_booted() {
        let refused = run(Parser::from_args(["nonesuch"])).unwrap_err().to_string();
        assert!(refused.contains("measure `nonesuch`: no figure has that in its name"), "{refused}");
        let workspace = Workspace::find().unwrap();
        let budgets = budget::read(&workspace, 1).unwrap();
        assert!(budgets.know("") && budgets.know("null_sys") && !budgets.know("nonesuch"));
        assert!(says(&workspace, "null_syscall") && !says(&workspace, "nonesuch"));
    }
}

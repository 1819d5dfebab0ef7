//! Figures against their budgets, and that they repeat.

use std::{fs, time::Instant};

use super::{Plan, report::Report};
use crate::{
    budget::{self, Budgets},
    failure::{Failure, Result},
    measure,
    workspace::Workspace,
};

/// Numbers of CPUs that are measured: alone, with another that must not be in the way, and as many as there may be.
const CPUS: [u32; 3] = [1, 2, 16];

/// The test that two boots give the same figures.
const REPEATS: &str = "repeats";

/// The test that the figures of a group are about the same.
fn flat(group: &str) -> String {
    format!("flat/{group}")
}

/// What is measured on one number of CPUs.
struct Wanted {
    /// What the report calls it.
    name: String,
    cpus: u32,
    budgets: Budgets,
}

fn wanted(workspace: &Workspace, plan: &Plan) -> Result<Vec<Wanted>> {
    let mut wanted = Vec::new();
    for cpus in CPUS {
        let name = format!("bench/smp-{cpus}");
        let budgets = budget::read(workspace, cpus)?;
        let wants = |part: &str| plan.wants(&format!("{name}/{part}"));
        let flat = budgets.flat.keys().map(|group| flat(group));
        if wants(REPEATS) || budgets.most.keys().cloned().chain(flat).any(|part| wants(&part)) {
            wanted.push(Wanted { name, cpus, budgets });
        }
    }
    Ok(wanted)
}

/// Whether there may be a figure that the plan wants.
pub fn may(workspace: &Workspace, plan: &Plan) -> Result<bool> {
    Ok(!wanted(workspace, plan)?.is_empty())
}

/// Measures on each number of CPUs twice.
pub fn run(workspace: &Workspace, plan: &Plan, report: &Report) -> Result<()> {
    let image = measure::recipe(Vec::new()).make(workspace)?;
    for Wanted { name, cpus, budgets } in wanted(workspace, plan)? {
        let _running = report.running(&name);
        let machine = measure::machine(image.clone(), cpus);
        let (begin, mut said) = (Instant::now(), Vec::new());
        let mut boot = || {
            measure::measure(&machine, None, |bytes| {
                said.extend_from_slice(bytes);
                Ok(())
            })
        };
        let measured = boot().and_then(|first| Ok((first, boot()?)));
        let log = report.begin_log(&name);
        fs::write(&log, &said).map_err(|error| {
            Failure::new(format!("write {}", log.display()), error, "check the folder's permissions")
        })?;
        let (first, second) = match measured {
            Ok(both) => both,
            Err(failure) => {
                report.failed(&name, failure.found());
                continue;
            }
        };
        let mut sound = true;
        let mut tell = |part: &str, faults: Vec<String>| {
            let test = format!("{name}/{part}");
            match faults.first() {
                _ if !plan.wants(&test) => {}
                None => report.passed(&test, begin.elapsed()),
                Some(_) => {
                    sound = false;
                    report.failed_see(&test, &faults.join(", "), &log);
                }
            }
        };
        for (figure, most) in &budgets.most {
            let one = Budgets { most: [(figure.clone(), *most)].into(), ..Budgets::default() };
            tell(figure, budget::exceeded(&first, &one, ""));
        }
        for (group, figures) in &budgets.flat {
            let one = Budgets { flat: [(group.clone(), figures.clone())].into(), ..Budgets::default() };
            tell(&flat(group), budget::exceeded(&first, &one, ""));
        }
        tell(REPEATS, budget::differences(&first, &second));
        if sound {
            // Only failures keep their logs.
            let _ = fs::remove_file(log);
        }
    }
    Ok(())
}

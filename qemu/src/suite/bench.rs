//! Figures against their budgets, and that they repeat.

use std::{
    collections::BTreeMap,
    fs,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use super::{Plan, jobs, report::Report};
use crate::{
    budget::{self, Budgets, Figure},
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

/// Measures on each number of CPUs twice. A boot has one thread, and counted instructions are the same whatever runs beside it.
pub fn run(workspace: &Workspace, plan: &Plan, report: &Report) -> Result<()> {
    let image = measure::recipe(Vec::new()).make(workspace)?;
    let measured: Vec<_> = wanted(workspace, plan)?
        .into_iter()
        .map(|wanted| (wanted, [Mutex::default(), Mutex::default()]))
        .collect();
    // The most CPUs take the longest.
    let boots = measured.iter().rev().flat_map(|(wanted, both)| both.iter().map(move |boot| (wanted, boot)));
    jobs::for_each(jobs::cpus(), boots.collect(), |(wanted, boot)| {
        let _running = report.running(&wanted.name);
        let begin = Instant::now();
        let mut said = Vec::new();
        let measured = measure::measure(&measure::machine(image.clone(), wanted.cpus), None, |bytes| {
            said.extend_from_slice(bytes);
            Ok(())
        });
        let measured = Measured { figures: measured, said, time: begin.elapsed() };
        *boot.lock().unwrap_or_else(PoisonError::into_inner) = Some(measured);
    });
    for (wanted, both) in measured {
        if let [Some(first), Some(second)] =
            both.map(|boot| boot.into_inner().unwrap_or_else(PoisonError::into_inner))
        {
            judge(&wanted, first, second, plan, report)?;
        }
    }
    Ok(())
}

/// What one boot gave.
struct Measured {
    figures: Result<BTreeMap<String, Figure>>,
    said: Vec<u8>,
    time: Duration,
}

fn judge(wanted: &Wanted, first: Measured, second: Measured, plan: &Plan, report: &Report) -> Result<()> {
    let Wanted { name, budgets, .. } = wanted;
    let log = report.begin_log(name);
    fs::write(&log, [first.said, second.said].concat()).map_err(|error| {
        Failure::new(format!("write {}", log.display()), error, "check the folder's permissions")
    })?;
    let time = first.time + second.time;
    let (first, second) = match first.figures.and_then(|first| Ok((first, second.figures?))) {
        Ok(both) => both,
        Err(failure) => {
            report.failed(name, failure.found());
            return Ok(());
        }
    };
    let mut sound = true;
    let mut tell = |part: &str, faults: Vec<String>| {
        let test = format!("{name}/{part}");
        match faults.first() {
            _ if !plan.wants(&test) => {}
            None => report.passed(&test, time),
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
    Ok(())
}

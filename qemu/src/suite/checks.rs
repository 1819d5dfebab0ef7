//! Checks of the sources: format, lints, documentation, what drivers are made of.

use std::time::Instant;

use super::{Plan, report::Report};
use crate::{
    drivers,
    failure::Result,
    software::cargo::{Cargo, Output},
    workspace::{GUEST_TARGET, Workspace},
};

struct Check {
    name: &'static str,
    arguments: &'static [&'static str],
    warnings: Option<&'static str>,
}

/// The package that is for the host alone, beside this one: what it needs, the guest does not have.
const WHOLE: &str = "whole";

const GUEST_LINTS: &[&str] = &[
    "clippy",
    "--keep-going",
    "--workspace",
    "--exclude",
    env!("CARGO_PKG_NAME"),
    "--exclude",
    WHOLE,
    "--target",
    GUEST_TARGET,
    "--lib",
    "--bins",
    "--examples",
    "--",
    "-D",
    "warnings",
];

const FORMAT: &str = "check/format";

const CHECKS: &[Check] = &[
    // In the log and at the report's end are no colours.
    Check { name: FORMAT, arguments: &["fmt", "--all", "--check", "--", "--color", "never"], warnings: None },
    Check {
        name: "check/lints_host",
        arguments: &["clippy", "--keep-going", "--all-targets", "--", "-D", "warnings"],
        warnings: None,
    },
    Check { name: "check/lints_guest", arguments: GUEST_LINTS, warnings: None },
    Check {
        name: "check/documentation_host",
        arguments: &["doc", "--keep-going", "--no-deps"],
        warnings: Some("RUSTDOCFLAGS"),
    },
    Check {
        name: "check/documentation_guest",
        arguments: &[
            "doc",
            "--keep-going",
            "--no-deps",
            "--workspace",
            "--exclude",
            env!("CARGO_PKG_NAME"),
            "--exclude",
            WHOLE,
            "--target",
            GUEST_TARGET,
        ],
        warnings: Some("RUSTDOCFLAGS"),
    },
];

/// Short mains, and no `unsafe` outside of the sdk's fences.
const DRIVERS: &str = "check/drivers";

/// Whether there may be a check that the plan wants.
pub fn may(_: &Workspace, plan: &Plan) -> Result<bool> {
    Ok(CHECKS.iter().map(|check| check.name).chain([DRIVERS]).any(|name| plan.wants(name)))
}

/// Runs the checks.
pub fn run(workspace: &Workspace, plan: &Plan, report: &Report) -> Result<()> {
    for check in CHECKS.iter().filter(|check| plan.wants(check.name)) {
        eprintln!("xtask: {} ...", check.name);
        let _running = report.running(check.name);
        let log = report.begin_log(check.name);
        let begin = Instant::now();
        let mut cargo = Cargo::new(workspace).arguments(check.arguments.iter().copied());
        if let Some(variable) = check.warnings {
            cargo = cargo.variable(variable, "-D warnings");
        }
        match cargo.run(Output::Log(&log)) {
            Ok(()) => report.passed(check.name, begin.elapsed()),
            Err(failure) if check.name == FORMAT => {
                report.failed(check.name, &format!("{}; `cargo fmt --all` puts it right", failure.found()));
            }
            Err(failure) => report.failed(check.name, failure.found()),
        }
    }
    if plan.wants(DRIVERS) {
        let begin = Instant::now();
        let faults: Vec<_> =
            drivers::survey(workspace)?.into_iter().flat_map(|driver| driver.faults).collect();
        match faults.is_empty() {
            true => report.passed(DRIVERS, begin.elapsed()),
            false => report.failed(DRIVERS, &faults.join("; ")),
        }
    }
    Ok(())
}

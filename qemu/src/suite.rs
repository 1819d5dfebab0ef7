//! Everything that `cargo xtask test` runs. Each kind of test is a file; each test is one line of the [`report`].

pub mod bench;
pub mod checks;
pub mod guest;
pub mod harness;
pub mod host;
pub mod jobs;
pub mod libtest;
pub mod loom;
pub mod report;
pub mod table;
pub mod twin;

use std::fs;

use self::report::Report;
use crate::{
    failure::{Failure, Result},
    workspace::Workspace,
};

/// What to run.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Plan {
    /// Only tests with this in their names.
    pub filter: String,
    /// The long ones, too.
    pub long: bool,
}

impl Plan {
    /// Whether the test of this name is to be run.
    pub fn wants(&self, name: &str) -> bool {
        name.contains(&self.filter)
    }

    /// Whether any test of this kind can be wanted: a filter may begin with a kind, `loom/...`.
    pub fn wants_kind(&self, kind: &str) -> bool {
        let first = self.filter.split('/').next().unwrap_or_default();
        !KINDS.iter().any(|(name, _)| *name == first) || first == kind
    }
}

/// Runs the tests of one kind. Fails when they cannot be run at all: that is one failed test.
type Kind = fn(&Workspace, &Plan, &Report) -> Result<()>;

/// All kinds, in the order in which they run: what fails quickly comes first.
const KINDS: &[(&str, Kind)] = &[
    ("check", checks::run),
    ("host", host::run),
    ("doc", host::run_documentation),
    ("loom", loom::run),
    ("bench", bench::run),
    ("guest", guest::run),
];

/// Runs all that is wanted and tells the exit status.
pub fn run(workspace: &Workspace, plan: &Plan) -> Result<u8> {
    let logs = workspace.logs();
    let made = fs::create_dir_all(&logs);
    made.map_err(|error| Failure::new(format!("make {}", logs.display()), error, "check its permissions"))?;
    let report = Report::new(logs);
    for (kind, run) in KINDS.iter().filter(|(kind, _)| plan.wants_kind(kind)) {
        if let Err(failure) = run(workspace, plan, &report) {
            report.broken(&format!("{kind}/all"), &failure);
        }
    }
    Ok(report.finish())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(filter: &str) -> Plan {
        Plan { filter: filter.to_owned(), long: false }
    }

    #[test]
    fn a_filter_that_names_a_kind_leaves_out_the_others() {
        assert!(plan("guest").wants_kind("guest") && !plan("guest").wants_kind("loom"));
        assert!(plan("host/abi").wants_kind("host") && !plan("host/abi").wants_kind("guest"));
        assert!(plan("r14_").wants_kind("guest") && plan("").wants_kind("check"));
    }
}

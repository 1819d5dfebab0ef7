//! Everything that `cargo xtask test` runs. Each kind of test is a file; each test is one line of the [`report`].

pub mod bench;
pub mod checks;
pub mod guest;
pub mod harness;
pub mod host;
pub mod jobs;
pub mod libtest;
pub mod loom;
pub mod names;
pub mod peer;
pub mod pulse;
pub mod report;
pub mod rules;
pub mod table;
pub mod tails;
pub mod twin;

use std::{fs, sync::mpsc, thread};

use self::report::Report;
use crate::{
    failure::{Failure, Result},
    workspace::Workspace,
};

/// What to run.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Plan {
    /// Only tests with this in their names; `rules` or `rules/R14`: those that name a rule, or this one.
    pub filter: String,
    /// The long ones, too.
    pub long: bool,
}

impl Plan {
    /// Whether the test of this name is to be run.
    pub fn wants(&self, name: &str) -> bool {
        match self.rules() {
            None => name.contains(&self.filter),
            Some(None) => !rules::named(name).is_empty(),
            Some(Some(rule)) => rules::named(name).contains(&rule),
        }
    }

    /// Whether any test of this kind can be wanted: a filter may begin with a kind, `loom/...`.
    pub fn wants_kind(&self, kind: &str) -> bool {
        let first = self.filter.split('/').next().unwrap_or_default();
        match self.rules() {
            Some(_) => ["host", "loom", "guest", "rules"].contains(&kind),
            None => !KINDS.iter().any(|kind| kind.name == first) || first == kind,
        }
    }

    /// Whether only tests that name a rule are wanted, and which rule.
    pub fn rules(&self) -> Option<Option<u8>> {
        match self.filter.strip_prefix("rules")? {
            "" | "/" => Some(None),
            rule => rule.strip_prefix("/R").or(rule.strip_prefix("/r"))?.parse().ok().map(Some),
        }
    }
}

/// Tests of one kind.
struct Kind {
    name: &'static str,
    /// Whether there may be one that the plan wants, told without building anything.
    may: fn(&Workspace, &Plan) -> Result<bool>,
    /// Runs them. Fails when they cannot be run at all: that is one failed test.
    run: fn(&Workspace, &Plan, &Report) -> Result<()>,
}

/// All kinds, in the order in which they run: what fails quickly comes first; rules are judged by the others.
const KINDS: &[Kind] = &[
    Kind { name: "check", may: checks::may, run: checks::run },
    Kind { name: "host", may: host::may, run: host::run },
    Kind { name: "doc", may: host::may_documentation, run: host::run_documentation },
    Kind { name: "loom", may: loom::may, run: loom::run },
    Kind { name: "bench", may: bench::may, run: bench::run },
    Kind { name: "guest", may: guest::may, run: guest::run },
    Kind { name: "rules", may: rules::may, run: rules::run },
];

/// Runs all that is wanted and tells the exit status.
pub fn run(workspace: &Workspace, plan: &Plan) -> Result<u8> {
    let logs = workspace.logs();
    let made = fs::create_dir_all(&logs);
    made.map_err(|error| Failure::new(format!("make {}", logs.display()), error, "check its permissions"))?;
    let report = Report::new(logs);
    let (stop, stopped) = mpsc::channel();
    thread::scope(|scope| {
        let pulse = report.pulse();
        scope.spawn(move || pulse.beat(&stopped));
        // Dropped at the end of this, also by a panic.
        let _stop = stop;
        run_kinds(workspace, plan, &report);
    });
    if report.told().is_empty() {
        let failure = no_test(plan);
        report.failed_with("filter", failure.found(), format!("{failure}\n").as_bytes());
    }
    Ok(report.finish())
}

fn run_kinds(workspace: &Workspace, plan: &Plan, report: &Report) {
    for kind in KINDS.iter().filter(|kind| plan.wants_kind(kind.name)) {
        let done = match (kind.may)(workspace, plan) {
            Ok(true) => (kind.run)(workspace, plan, report),
            other => other.map(drop),
        };
        if let Err(failure) = done {
            report.broken(&format!("{}/all", kind.name), &failure);
        }
    }
}

/// Nothing was run: that is no success.
fn no_test(plan: &Plan) -> Failure {
    let kinds: Vec<_> = KINDS.iter().map(|kind| format!("{}/", kind.name)).collect();
    let long = if plan.long { "" } else { "; --long runs the long ones, too" };
    Failure::new(
        format!("run the tests with `{}` in their names", plan.filter),
        "there is no such test",
        format!(
            "name a part of a name as the report has it, such as guest/kqcat_exit/threads-2 or host/libkq/; \
             names begin with {}{long}",
            kinds.join(", ")
        ),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(filter: &str) -> Plan {
        Plan { filter: filter.to_owned(), long: false }
    }

    fn may(filter: &str) -> Vec<&'static str> {
        let (workspace, plan) = (Workspace::find().unwrap(), plan(filter));
        let wanted = KINDS.iter().filter(|kind| plan.wants_kind(kind.name));
        wanted.filter(|kind| (kind.may)(&workspace, &plan).unwrap()).map(|kind| kind.name).collect()
    }

    #[test]
    fn a_filter_that_names_a_kind_leaves_out_the_others() {
        assert!(plan("guest").wants_kind("guest") && !plan("guest").wants_kind("loom"));
        assert!(plan("host/abi").wants_kind("host") && !plan("host/abi").wants_kind("guest"));
        assert!(plan("r14_").wants_kind("guest") && plan("").wants_kind("check"));
    }

    #[test]
    fn rules_are_asked_for_all_together_or_one_by_one() {
        assert!(plan("rules").wants("guest/p/icount-1/r14_x") && !plan("rules").wants("guest/p/icount-1/x"));
        assert!(plan("rules/R14").wants("host/p/r14_x") && !plan("rules/r1").wants("host/p/r14_x"));
        assert!(plan("rules").wants_kind("loom") && !plan("rules").wants_kind("check"));
        assert_eq!(plan("libkq/rules").rules(), None);
        assert_eq!(plan("rules/x").rules(), None);
    }

    #[test]
    fn what_no_test_is_called_is_known_before_anything_is_built() {
        assert_eq!(may("no".to_owned().repeat(20).as_str()), [""; 0]);
        assert_eq!(may("guest/no_such_program"), [""; 0]);
        assert_eq!(may("host/no-such-package/"), [""; 0]);
        assert_eq!(may("rules/R99"), [""; 0]);
        assert_eq!(may("rules/x"), [""; 0]);
    }

    #[test]
    fn only_what_can_have_the_name_is_built() {
        assert_eq!(may("kqcat_exit"), ["guest"]);
        assert_eq!(may("guest/kqcat_exit/threads-2"), ["guest"]);
        assert_eq!(may("threads-2/another_value_is_eagain"), ["guest"], "a test that a program tells of");
        assert_eq!(may("threads-2/matrix_any_kind"), ["guest"], "one that it makes up while it runs");
        assert_eq!(may("two_threads_never_have_the_lock_at_once"), ["loom"]);
        assert_eq!(may("suite/tests/rules_are_asked_for"), ["host"]);
        assert_eq!(may("bench/smp-2/null_syscall"), ["bench"]);
        assert_eq!(may("lints_guest"), ["check"]);
        assert_eq!(may("rules"), ["host", "loom", "guest", "rules"]);
        let all: Vec<_> = KINDS.iter().map(|kind| kind.name).collect();
        assert_eq!(may(""), all);
    }
}

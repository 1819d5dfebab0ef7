//! `cargo xtask test`.

use lexopt::{Arg, Parser};

use super::{Command, text};
use crate::{failure::Result, suite, workspace::Workspace};

/// The subcommand.
pub const COMMAND: Command = Command {
    name: "test",
    help: "test [FILTER] [--long]
    Runs everything that tells whether the tree is sound: checks (format, lints, documentation), unit and property
    tests, documentation examples, loom models, figures against their budgets, guest programs in QEMU. One line for each
    test, at the end the failures again with the ends of their logs, last `N passed, N failed`; the status is 1 when one
    failed or there was none. Logs of failures are in TARGET/test-logs.
    FILTER           only tests with this in their names: check/..., host/..., doc/..., loom/..., bench/..., guest/...
    rules, rules/R14 as FILTER: the tests that name a rule of docs/rules.md (r14_...), and a table of rules, tests, results
    --long           the long ones, too; property tests with 5120 cases (20 times PROPTEST_CASES), loom models with a
                     preemption more than they have otherwise",
    run,
};

fn run(mut parser: Parser) -> Result<u8> {
    let mut plan = suite::Plan::default();
    while let Some(argument) = parser.next()? {
        match argument {
            Arg::Long("long") => plan.long = true,
            Arg::Value(filter) if plan.filter.is_empty() => plan.filter = text(filter)?,
            other => return Err(other.unexpected().into()),
        }
    }
    suite::run(&Workspace::find()?, &plan)
}

//! Unit and property tests and the examples in the documentation, of what builds on the host.

use std::{fs, time::Instant};

use super::{Plan, libtest, report::Report};
use crate::{
    failure::Result,
    progress::Step,
    software::cargo::{Cargo, Output},
    workspace::Workspace,
};

/// Whether there may be a test that the plan wants.
pub fn may(workspace: &Workspace, plan: &Plan) -> Result<bool> {
    Ok(!packages(workspace, plan).is_empty())
}

/// The packages that may have such a test: only they are built.
fn packages<'a>(workspace: &'a Workspace, plan: &Plan) -> Vec<&'a str> {
    libtest::may(workspace, "host", workspace.host_packages(), plan)
}

/// Runs the tests of the default members.
pub fn run(workspace: &Workspace, plan: &Plan, report: &Report) -> Result<()> {
    let step = Step::begin("building the host's tests");
    let running = report.running("building the host's tests");
    let chosen = packages(workspace, plan);
    // Libraries and programs have tests of their own, and are among the targets that `--tests` names.
    let mut arguments = vec!["test", "--no-run", "--tests"];
    if chosen.len() < workspace.host_packages().len() {
        arguments.extend(chosen.iter().flat_map(|package| ["-p", package]));
    }
    let programs = Cargo::new(workspace).arguments(arguments).artifacts(Output::Stderr)?;
    drop(running);
    step.done();
    libtest::run(workspace, "host", &programs, plan, report, |_, _| true)
}

/// Whether examples are wanted. Which there are is known only to rustdoc, while it runs them.
pub fn may_documentation(_: &Workspace, plan: &Plan) -> Result<bool> {
    Ok(plan.filter.is_empty() || plan.filter.starts_with("doc"))
}

/// Runs the examples in the documentation of the default members.
pub fn run_documentation(workspace: &Workspace, plan: &Plan, report: &Report) -> Result<()> {
    let name = "doc/all";
    let _running = report.running(name);
    let step = Step::begin("running the documentation's examples");
    let log = report.begin_log(name);
    let begin = Instant::now();
    let ended = Cargo::new(workspace).arguments(["test", "--doc", "--no-fail-fast"]).run(Output::Log(&log));
    step.done();
    let text = fs::read_to_string(&log).unwrap_or_default();
    let mut failures = 0;
    for (path, passed) in examples(&text) {
        let example = format!("doc/{path}");
        if !plan.wants(&example) {
            continue;
        }
        if passed {
            report.passed(&example, begin.elapsed());
        } else {
            failures += 1;
            report.failed_see(&example, &libtest::reason(&text), &log);
        }
    }
    match ended {
        Err(failure) if failures == 0 => report.failed(name, failure.found()),
        Err(_) => {}
        Ok(()) => {
            let _ = fs::remove_file(log);
        }
    }
    Ok(())
}

/// Finds `test kernel-stub/image/src/writer.rs - writer::Writer (line 17) ... ok`.
fn examples(log: &str) -> Vec<(String, bool)> {
    let example = |line: &str| {
        let (name, result) = line.strip_prefix("test ")?.split_once(" ... ")?;
        let (file, item) = name.split_once(" - ")?;
        let passed = match result.split_whitespace().next()? {
            "ok" => true,
            "FAILED" => false,
            _ => return None,
        };
        let item: String = item.replace(" - compile fail", "").replace(" - compile", "");
        Some((format!("{file}/{}", item.replace(' ', "_").replace("::", "/")), passed))
    };
    log.lines().filter_map(example).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_packages_that_may_have_the_test_are_built() {
        let workspace = Workspace::find().unwrap();
        let chosen = |filter: &str| packages(&workspace, &Plan { filter: filter.to_owned(), long: false });
        assert_eq!(chosen("suite/host/tests/only_packages_that_may"), ["xtask"]);
        assert_eq!(chosen("host/libkq/"), ["libkq"]);
        assert_eq!(chosen(""), workspace.host_packages());
        let of_a_rule = chosen("rules/R14");
        assert!(of_a_rule.contains(&"libkq") && !of_a_rule.contains(&"image"), "{of_a_rule:?}");
    }

    #[test]
    fn examples_are_found() {
        let log = "running 3 tests\n\
            test kernel-stub/image/src/writer.rs - writer::Writer (line 17) ... ok\n\
            test a.rs - x (line 1) - compile fail ... FAILED\n\
            test b.rs - y (line 2) ... ignored\n\
            test result: FAILED. 1 passed; 1 failed\n";
        assert_eq!(
            examples(log),
            [
                ("kernel-stub/image/src/writer.rs/writer/Writer_(line_17)".to_owned(), true),
                ("a.rs/x_(line_1)".to_owned(), false)
            ]
        );
    }
}

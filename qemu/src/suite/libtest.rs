//! Test programs made by `cargo test`: what tests one holds, and running each in a process of its own, so that one that
//! hangs or aborts is one failure.

use std::{
    fs::{self, File},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use super::{Plan, jobs, names::Words, report::Report};
use crate::{
    failure::{Failure, Result},
    machine::child::{Child, Ended},
    software::cargo::{Artifact, Kind},
    workspace::Workspace,
};

/// Limit of one test, and of listing them.
const LIMIT: Duration = Duration::from_secs(900);
/// Limit of one test with as many cases as [`long`] asks for.
const LONG_LIMIT: Duration = Duration::from_secs(3600);

/// One test of a test program.
#[derive(Clone, Debug)]
struct Test<'a> {
    program: &'a Artifact,
    /// As the program calls it.
    path: String,
    /// As the report calls it.
    name: String,
}

/// Those of these packages that may have a test that the plan wants, told without building them.
pub fn may<'a>(workspace: &Workspace, kind: &str, packages: Vec<&'a str>, plan: &Plan) -> Vec<&'a str> {
    let has = |package: &&str| {
        let words = Words::of_package(workspace, kind, package);
        match plan.rules() {
            None => words.can_have(&plan.filter),
            Some(_) => words.iter().any(|word| plan.wants(word)),
        }
    };
    packages.into_iter().filter(has).collect()
}

/// Runs the tests of these programs that `wanted` says and the plan wants.
pub fn run(
    workspace: &Workspace,
    kind: &str,
    programs: &[Artifact],
    plan: &Plan,
    report: &Report,
    wanted: impl Fn(&Artifact, &str) -> bool,
) -> Result<()> {
    let mut tests = Vec::new();
    for program in programs.iter().filter(|program| program.tests) {
        let ignored = if plan.long { Vec::new() } else { list(program, &["--ignored"])? };
        let all = list(program, &[])?;
        for path in all.into_iter().filter(|path| !ignored.contains(path) && wanted(program, path)) {
            let name = name(kind, program, &path);
            if plan.wants(&name) {
                tests.push(Test { program, path, name });
            }
        }
    }
    jobs::for_each(jobs::cpus(), tests, |test| {
        if let Err(failure) = one(workspace, &test, plan.long, report) {
            report.broken(&test.name, &failure);
        }
    });
    Ok(())
}

fn name(kind: &str, program: &Artifact, path: &str) -> String {
    let path = path.replace("::", "/");
    match program.kind {
        Kind::Library => format!("{kind}/{}/{path}", program.package),
        _ => format!("{kind}/{}/{}/{path}", program.package, program.name),
    }
}

fn list(program: &Artifact, more: &[&str]) -> Result<Vec<String>> {
    let asked = || format!("list the tests of {}", program.path.display());
    let mut command = Command::new(&program.path);
    command.args(["--list", "--format", "terse"]).args(more).stdin(Stdio::null()).stdout(Stdio::piped());
    let mut child = Child::start(&mut command)?;
    let mut stdout = child.take_stdout()?;
    let text = std::io::read_to_string(&mut stdout)
        .map_err(|error| Failure::new(asked(), error, "run it by hand with --list"))?;
    match child.wait(Some(LIMIT))? {
        Ended::Exited(0) => Ok(listed(&text)),
        other => Err(Failure::new(asked(), format!("it ended so: {other:?}"), "run it by hand with --list")),
    }
}

fn listed(text: &str) -> Vec<String> {
    text.lines().filter_map(|line| line.strip_suffix(": test")).map(str::to_owned).collect()
}

/// What sets the number of cases of a property test, whatever the test says itself.
const CASES: &str = "PROPTEST_CASES";

/// What the tests find in their environment in a long run: many more cases, and what models whose number of preemptions is
/// bounded add to it.
fn long() -> [(&'static str, String); 2] {
    [(CASES, many(std::env::var(CASES).ok().as_deref())), ("KQ_LOOM_DEEPER", "1".to_owned())]
}

/// Twenty times as many cases as the environment asks for, or as there are otherwise.
fn many(asked: Option<&str>) -> String {
    let cases: u32 = asked.and_then(|cases| cases.parse().ok()).unwrap_or(256);
    cases.saturating_mul(20).to_string()
}

fn one(workspace: &Workspace, test: &Test, is_long: bool, report: &Report) -> Result<()> {
    let _running = report.running(&test.name);
    let log = report.begin_log(&test.name);
    let file = || {
        File::options().append(true).open(&log).map(Stdio::from).map_err(|error| {
            Failure::new(format!("write {}", log.display()), error, "check the folder's permissions")
        })
    };
    let mut command = Command::new(&test.program.path);
    command
        .args([&test.path, "--exact", "--include-ignored"])
        // As `cargo test` does it.
        .current_dir(workspace.folder_of(&test.program.package).unwrap_or(workspace.root().to_owned()))
        .stdin(Stdio::null())
        .stdout(file()?)
        .stderr(file()?);
    if is_long {
        command.envs(long());
    }
    let limit = if is_long { LONG_LIMIT } else { LIMIT };
    let begin = Instant::now();
    let why = match Child::start(&mut command)?.wait(Some(limit))? {
        Ended::Exited(0) => {
            // With --exact a name that the program does not know is a success of no tests.
            if fs::read_to_string(&log).is_ok_and(|text| text.contains("test result: ok. 1 passed")) {
                report.passed(&test.name, begin.elapsed());
                return Ok(());
            }
            "the program ended with 0 without having run it".to_owned()
        }
        Ended::Exited(_) => reason(&fs::read_to_string(&log).unwrap_or_default()),
        Ended::Killed(signal) => format!("killed by signal {signal}"),
        Ended::TimedOut => format!("hangs: killed after {} s", limit.as_secs()),
    };
    report.failed(&test.name, &why);
    Ok(())
}

/// The first message of a panic, with its place.
pub fn reason(log: &str) -> String {
    let mut lines = log.lines().skip_while(|line| !line.contains("panicked at"));
    match (lines.next(), lines.next()) {
        (Some(place), message) => {
            let place = place.split("panicked at ").nth(1).unwrap_or(place).trim_end_matches(':');
            format!("{} at {place}", message.unwrap_or_default())
        }
        (None, _) => "failed without a panic".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tests_are_listed_and_benches_are_not() {
        assert_eq!(listed("a::b: test\nc: test\nd: benchmark\n\n2 tests, 1 benchmark\n"), ["a::b", "c"]);
    }

    #[test]
    fn a_long_run_has_many_cases() {
        assert_eq!(many(None), "5120");
        assert_eq!(many(Some("10")), "200");
        assert_eq!(many(Some("nonsense")), "5120");
        assert_eq!(many(Some("4294967295")), "4294967295");
    }

    #[test]
    fn names_are_paths() {
        let artifact = |kind, name: &str| Artifact {
            package: "image".to_owned(),
            name: name.to_owned(),
            kind,
            tests: true,
            path: "/x".into(),
        };
        assert_eq!(name("host", &artifact(Kind::Library, "image"), "crc::known"), "host/image/crc/known");
        assert_eq!(name("host", &artifact(Kind::Test, "elf"), "fuzz"), "host/image/elf/fuzz");
    }

    #[test]
    fn the_reason_is_the_panic() {
        let log =
            "running 1 test\n\nthread 'a' (12) panicked at src/a.rs:7:5:\nassertion failed: lost\nnote: x\n";
        assert_eq!(reason(log), "assertion failed: lost at src/a.rs:7:5");
        assert_eq!(reason("killed"), "failed without a panic");
    }
}

//! Models of what threads and processes do to shared memory, explored by `loom`: integration tests called `loom...`, and
//! unit tests with `loom` in their paths, of every package that depends on it.
//!
//! They are built with `--cfg loom` into a folder of their own, so that the flag does not make everything else build
//! anew. Link-time optimisation is off: it costs minutes and gains seconds here.

use super::{Plan, libtest, report::Report};
use crate::{
    failure::{Failure, Result},
    progress::Step,
    software::cargo::{Artifact, Cargo, Kind, Output},
    workspace::Workspace,
};

/// Whether there may be a model that the plan wants.
pub fn may(workspace: &Workspace, plan: &Plan) -> Result<bool> {
    Ok(!packages(workspace, plan).is_empty())
}

fn packages<'a>(workspace: &'a Workspace, plan: &Plan) -> Vec<&'a str> {
    libtest::may(workspace, "loom", workspace.loom_packages(), plan)
}

/// Runs the models.
pub fn run(workspace: &Workspace, plan: &Plan, report: &Report) -> Result<()> {
    let packages = packages(workspace, plan);
    let folder = workspace.target().join("loom");
    let folder = folder.to_str().ok_or_else(|| {
        Failure::new(
            "build the models",
            "the target folder's path is not UTF-8",
            "use another CARGO_TARGET_DIR",
        )
    })?;
    let mut arguments = vec!["test", "--no-run", "--release", "--lib", "--tests", "--target-dir", folder];
    for package in &packages {
        arguments.extend(["-p", package]);
    }
    let step = Step::begin("building the models");
    let running = report.running("building the models");
    let programs = Cargo::new(workspace)
        .variable("RUSTFLAGS", "--cfg loom")
        .variable("CARGO_PROFILE_RELEASE_LTO", "false")
        .variable("CARGO_PROFILE_RELEASE_CODEGEN_UNITS", "16")
        .arguments(arguments)
        .artifacts(Output::Stderr)?;
    drop(running);
    step.done();
    libtest::run(workspace, "loom", &programs, plan, report, is_model)
}

/// Other tests use the same atomics outside of a model, where loom's do not work.
fn is_model(program: &Artifact, path: &str) -> bool {
    match program.kind {
        Kind::Test => program.name.starts_with("loom"),
        _ => path.contains("loom"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn models_are_told_from_other_tests() {
        let artifact = |kind, name: &str| Artifact {
            package: "p".to_owned(),
            name: name.to_owned(),
            kind,
            tests: true,
            path: "/x".into(),
        };
        assert!(is_model(&artifact(Kind::Test, "loom_ring"), "wraps"));
        assert!(!is_model(&artifact(Kind::Test, "ring"), "wraps"));
        assert!(is_model(&artifact(Kind::Library, "p"), "ring::loom_tests::wraps"));
        assert!(!is_model(&artifact(Kind::Library, "p"), "ring::tests::wraps"));
    }
}

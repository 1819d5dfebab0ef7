//! Running cargo: steps with a time limit, and the executables that they made.

use std::{
    fs::File,
    io::BufReader,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    thread,
    time::Duration,
};

use cargo_metadata::{Message, TargetKind};

use crate::{
    failure::{Failure, Result},
    machine::child::{Child, Ended},
    workspace::Workspace,
};

/// No single step takes longer, from an empty target folder on two slow cores.
const LIMIT: Duration = Duration::from_secs(60 * 60);

/// An executable that cargo built.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Artifact {
    /// The package's name.
    pub package: String,
    /// The target's name.
    pub name: String,
    /// What kind of target it is.
    pub kind: Kind,
    /// Whether it runs tests, rather than being what they test.
    pub tests: bool,
    /// The file.
    pub path: PathBuf,
}

/// Kinds of targets that matter here.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// A library (its unit tests).
    Library,
    /// A program, or its unit tests.
    Program,
    /// An integration test.
    Test,
    /// Another.
    Other,
}

/// Where the words of a step go.
#[derive(Clone, Copy, Debug)]
pub enum Output<'a> {
    /// To the tool's stderr.
    Stderr,
    /// To a file.
    Log(&'a Path),
}

/// One invocation of cargo.
#[derive(Debug)]
pub struct Cargo {
    command: Command,
    shown: String,
}

impl Cargo {
    /// Cargo in the workspace.
    pub fn new(workspace: &Workspace) -> Cargo {
        let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        command.current_dir(workspace.root()).stdin(Stdio::null());
        Cargo { command, shown: "cargo".to_owned() }
    }

    /// Adds arguments.
    pub fn arguments<'a>(mut self, arguments: impl IntoIterator<Item = &'a str>) -> Cargo {
        for argument in arguments {
            self.command.arg(argument);
            self.shown.push(' ');
            self.shown.push_str(argument);
        }
        self
    }

    /// Sets a variable of the environment.
    pub fn variable(mut self, name: &str, value: &str) -> Cargo {
        self.command.env(name, value);
        self.shown.insert_str(0, &format!("{name}=\"{value}\" "));
        self
    }

    /// Runs it to its end.
    pub fn run(mut self, output: Output) -> Result<()> {
        self.command.stdout(words(output, false)?).stderr(words(output, true)?);
        let child = Child::start(&mut self.command)?;
        self.finish(child, output)
    }

    /// Runs it, a command that builds, and tells what executables it made.
    pub fn artifacts(mut self, output: Output) -> Result<Vec<Artifact>> {
        self = self.arguments(["--message-format=json-render-diagnostics"]);
        self.command.stdout(Stdio::piped()).stderr(words(output, true)?);
        let mut child = Child::start(&mut self.command)?;
        let stdout = child.take_stdout()?;
        let reader = thread::spawn(move || {
            Message::parse_stream(BufReader::new(stdout))
                .map_while(std::result::Result::ok)
                .filter_map(artifact)
                .collect()
        });
        self.finish(child, output)?;
        reader.join().map_err(|_| {
            Failure::new(
                format!("run `{}`", self.shown),
                "its messages are not understood",
                "update cargo_metadata",
            )
        })
    }

    fn finish(&self, mut child: Child, output: Output) -> Result<()> {
        let found = match child.wait(Some(LIMIT))? {
            Ended::Exited(0) => return Ok(()),
            Ended::Exited(status) => format!("it ended with status {status}"),
            Ended::Killed(signal) => format!("it was killed by signal {signal}"),
            Ended::TimedOut => format!("it did not end within {} s", LIMIT.as_secs()),
        };
        let remedy = match output {
            Output::Stderr => "see its messages above".to_owned(),
            Output::Log(path) => format!("see {}", path.display()),
        };
        Err(Failure::new(format!("run `{}`", self.shown), found, remedy))
    }
}

fn words(output: Output, stderr: bool) -> Result<Stdio> {
    match output {
        Output::Stderr if stderr => Ok(Stdio::inherit()),
        Output::Stderr => Ok(Stdio::from(std::io::stderr())),
        Output::Log(path) => {
            File::options().create(true).append(true).open(path).map(Stdio::from).map_err(|error| {
                Failure::new(format!("write {}", path.display()), error, "check the folder's permissions")
            })
        }
    }
}

fn artifact(message: Message) -> Option<Artifact> {
    let Message::CompilerArtifact(artifact) = message else { return None };
    let path = artifact.executable?.into_std_path_buf();
    // `path+file:///tree/libkq#0.1.0` or `path+file:///tree/event-server/core#event-core@0.1.0`
    let id = &artifact.package_id.repr;
    let (place, version) = id.rsplit_once('#')?;
    let package = match version.split_once('@') {
        Some((name, _)) => name,
        None => place.rsplit('/').next()?,
    };
    let has = |kind: TargetKind| artifact.target.kind.contains(&kind);
    let kind = if has(TargetKind::Lib) {
        Kind::Library
    } else if has(TargetKind::Bin) || has(TargetKind::Example) {
        Kind::Program
    } else if has(TargetKind::Test) {
        Kind::Test
    } else {
        Kind::Other
    };
    Some(Artifact {
        package: package.to_owned(),
        name: artifact.target.name,
        kind,
        tests: artifact.profile.test,
        path,
    })
}

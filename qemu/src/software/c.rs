//! C programs: compiled by the host's gcc against `libkq/c/include`, linked with `libkq.a` as Rust's programs are.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use super::cargo::{Cargo, Output};
use crate::{
    failure::{Failure, Result},
    machine::child::{Child, Ended},
    progress::Step,
    workspace::{GUEST_TARGET, Workspace},
};

/// The compiler.
const COMPILER: &str = "gcc";
/// The package that makes `libkq.a`.
const LIBRARY: &str = "kq-c";

/// What C code of the guest is compiled with, whatever the compiler was configured to do by itself: static code in the low
/// 2 GiB; nothing at `fs:`, which is the run-time's; no headers but the guest's and the compiler's own.
const FLAGS: &[&str] = &[
    "-c",
    "-O2",
    "-g",
    "-Wall",
    "-Wextra",
    "-Werror",
    "-fno-pic",
    "-mcmodel=small",
    "-mno-avx",
    "-fno-stack-protector",
    "-fcf-protection=none",
    "-fno-asynchronous-unwind-tables",
    "-ffunction-sections",
    "-fdata-sections",
    "-U_FORTIFY_SOURCE",
    "-nostdinc",
];

/// A program to make.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Program {
    /// What the guest calls it.
    pub name: String,
    /// Its sources.
    pub sources: Vec<PathBuf>,
    /// More options for the compiler, behind the ones that all have.
    pub flags: Vec<String>,
}

/// The folder of object files, among the programs.
pub const OBJECTS: &str = "objects";

/// Where programs are put, by their names.
pub fn folder(workspace: &Workspace) -> PathBuf {
    workspace.target().join(GUEST_TARGET).join("release/c")
}

/// Programs that were made: names and files.
pub fn made(workspace: &Workspace) -> Vec<(String, PathBuf)> {
    let entries = fs::read_dir(folder(workspace)).into_iter().flatten().flatten();
    let files = entries.map(|entry| entry.path()).filter(|path| path.is_file());
    files.filter_map(|path| Some((path.file_name()?.to_str()?.to_owned(), path))).collect()
}

/// The compiler, linker and library, ready to make programs.
#[derive(Debug)]
pub struct Toolchain<'a> {
    workspace: &'a Workspace,
    own_headers: PathBuf,
    linker: PathBuf,
    library: PathBuf,
}

impl<'a> Toolchain<'a> {
    /// Finds the tools and builds the library.
    pub fn prepare(workspace: &'a Workspace, output: Output) -> Result<Toolchain<'a>> {
        let own_headers = PathBuf::from(say(COMPILER, &["-print-file-name=include"])?);
        let linker = linker(workspace)?;
        let step = Step::begin("building the C library");
        Cargo::new(workspace)
            .arguments(["build", "--release", "--target", GUEST_TARGET, "-p", LIBRARY])
            .run(output)?;
        step.done();
        let library = workspace.target().join(GUEST_TARGET).join("release/libkq.a");
        Ok(Toolchain { workspace, own_headers, linker, library })
    }

    /// Compiles and links a program; returns its file.
    pub fn make(&self, program: &Program) -> Result<PathBuf> {
        let folder = folder(self.workspace);
        let objects = folder.join(OBJECTS).join(&program.name);
        fs::create_dir_all(&objects).map_err(|error| {
            Failure::new(format!("make the folder {}", objects.display()), error, "check its permissions")
        })?;
        let mut linked = Command::new(&self.linker);
        linked.args(["-flavor", "gnu", "-static", "--gc-sections", "-z", "noexecstack", "--fatal-warnings"]);
        for (number, source) in program.sources.iter().enumerate() {
            let object = objects.join(format!("{number}.o"));
            let mut compiled = Command::new(COMPILER);
            compiled.args(FLAGS).arg("-isystem").arg(self.workspace.root().join("libkq/c/include"));
            compiled.arg("-isystem").arg(&self.own_headers).args(&program.flags);
            compiled.arg("-o").arg(&object).arg(source);
            run(compiled, || format!("compile {}", source.display()))?;
            linked.arg(object);
        }
        let file = folder.join(&program.name);
        // Linked aside, so that what fails is not found.
        let fresh = objects.join("linked");
        linked.arg(&self.library).arg("-o").arg(&fresh);
        run(linked, || format!("link {}", program.name))?;
        check(&program.name, &fresh)?;
        fs::rename(&fresh, &file).map_err(|error| {
            Failure::new(format!("write {}", file.display()), error, "check its permissions")
        })?;
        Ok(file)
    }
}

/// rustc's own linker, which links the guest's Rust programs.
fn linker(workspace: &Workspace) -> Result<PathBuf> {
    let rustc = std::env::var("RUSTC").unwrap_or_else(|_| "rustc".to_owned());
    let mut asked = Command::new(&rustc);
    asked.args(["--print", "sysroot"]).current_dir(workspace.root());
    let sysroot = PathBuf::from(said(&rustc, asked)?);
    let hosts = fs::read_dir(sysroot.join("lib/rustlib")).into_iter().flatten().flatten();
    let mut linkers = hosts.map(|host| host.path().join("bin/rust-lld")).filter(|path| path.is_file());
    linkers.next().ok_or_else(|| {
        Failure::new(
            "link C programs",
            format!("{} has no rust-lld", sysroot.display()),
            "use the Rust of rustup that rust-toolchain.toml names",
        )
    })
}

/// What a tool says in one line.
fn say(tool: &str, arguments: &[&str]) -> Result<String> {
    let mut command = Command::new(tool);
    command.args(arguments);
    said(tool, command)
}

fn said(tool: &str, mut command: Command) -> Result<String> {
    let answer = command.stdin(Stdio::null()).output();
    match answer {
        Ok(answer) if answer.status.success() => {
            Ok(String::from_utf8_lossy(&answer.stdout).trim().to_owned())
        }
        Ok(answer) => Err(Failure::new(
            format!("ask {tool}"),
            String::from_utf8_lossy(&answer.stderr),
            "check that it works by itself",
        )),
        Err(error) => Err(missing(tool, &error)),
    }
}

fn missing(tool: &str, error: &std::io::Error) -> Failure {
    let remedy = match tool {
        COMPILER => "install gcc; on Debian and Ubuntu: apt-get install gcc",
        _ => "install Rust with rustup",
    };
    Failure::new(format!("start {tool}"), error, remedy)
}

fn run(mut command: Command, asked: impl Fn() -> String) -> Result<()> {
    command.stdin(Stdio::null()).stdout(Stdio::from(std::io::stderr()));
    let found = match Child::start(&mut command)?.wait(Some(std::time::Duration::from_secs(600)))? {
        Ended::Exited(0) => return Ok(()),
        Ended::Exited(status) => format!("it ended with status {status}"),
        Ended::Killed(signal) => format!("it was killed by signal {signal}"),
        Ended::TimedOut => "it did not end within 600 s".to_owned(),
    };
    Err(Failure::new(asked(), found, "see the messages above; docs/c.md says what the library has"))
}

/// Refuses what the run-time could not start.
fn check(name: &str, file: &Path) -> Result<()> {
    let bytes = fs::read(file)
        .map_err(|error| Failure::new(format!("read {}", file.display()), error, "build again"))?;
    if has_thread_locals(&bytes) {
        return Err(Failure::new(
            format!("make {name}"),
            "it has thread-local variables (`__thread`, `_Thread_local`), for which threads have no memory",
            "use pthread_getspecific; `errno` is per thread anyway",
        ));
    }
    super::loadable::loadable(name, &bytes).map(drop)
}

/// Whether an ELF file has a segment of type `PT_TLS`.
fn has_thread_locals(file: &[u8]) -> bool {
    const TLS: u64 = 7;
    let field = |offset: usize, length: usize| {
        let bytes = file.get(offset..offset + length).unwrap_or_default();
        bytes.iter().rev().fold(0u64, |value, &byte| value << 8 | u64::from(byte))
    };
    let (start, size, count) = (field(32, 8), field(54, 2), field(56, 2));
    (0..count).any(|number| {
        let header = usize::try_from(start + number * size);
        header.is_ok_and(|header| field(header, 4) == TLS)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_compiler_is_named_with_what_to_install() {
        let failure = missing(COMPILER, &std::io::ErrorKind::NotFound.into()).to_string();
        assert!(failure.contains("start gcc") && failure.contains("apt-get install gcc"), "{failure}");
    }

    #[test]
    fn thread_locals_are_seen() {
        let mut file = vec![0; 64 + 2 * 56];
        file[32] = 64;
        file[54] = 56;
        file[56] = 2;
        assert!(!has_thread_locals(&file));
        file[64 + 56] = 7;
        assert!(has_thread_locals(&file));
        assert!(!has_thread_locals(&file[..20]));
    }
}

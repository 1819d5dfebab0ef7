//! Runs of the machine against scripts that stand in for QEMU.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::PathBuf,
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

/// A folder with a stand-in for QEMU and an image that is never read.
struct Stage {
    folder: PathBuf,
}

impl Stage {
    fn new(name: &str, script: &str) -> Stage {
        let folder = std::env::temp_dir().join(format!("xtask-{name}-{}", std::process::id()));
        fs::create_dir_all(folder.join("image")).unwrap();
        for file in ["image/kernel", "image/default.archive"] {
            fs::write(folder.join(file), "").unwrap();
        }
        let prelude = "#!/bin/bash\nfor argument; do case $argument in file,id=status,path=*) \
                       status=${argument#file,id=status,path=};; esac; done\n";
        let qemu = folder.join("qemu");
        fs::write(&qemu, format!("{prelude}{script}\n")).unwrap();
        fs::set_permissions(&qemu, fs::Permissions::from_mode(0o755)).unwrap();
        Stage { folder }
    }

    fn xtask(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_xtask"));
        command
            .args(["run", "--no-build"])
            .args(arguments)
            .env("CARGO_TARGET_DIR", &self.folder)
            .env("KQ_QEMU", self.folder.join("qemu"))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    fn run(&self, arguments: &[&str], input: &[u8]) -> (i32, Vec<u8>, String) {
        let file = self.folder.join("input");
        fs::write(&file, input).unwrap();
        let input = fs::File::open(file).unwrap();
        let output = self.xtask(arguments).stdin(input).output().unwrap();
        let complaints = String::from_utf8_lossy(&output.stderr).into_owned();
        (output.status.code().unwrap_or(-1), output.stdout, complaints)
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.folder).unwrap();
    }
}

fn alive(pid: &str) -> bool {
    // A zombie is as good as gone.
    fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| !stat.contains(") Z "))
}

fn until(what: &str, mut done: impl FnMut() -> bool) {
    let begin = Instant::now();
    while !done() {
        assert!(begin.elapsed() < Duration::from_secs(30), "{what}");
        thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn no_byte_is_lost_in_either_direction_and_input_ends() {
    let input: String = (0..20_000).map(|line| format!("line {line} of many\n")).collect();
    // Echoes the input and the Ctrl-D behind it, after a pause in which every buffer fills.
    let stage = Stage::new("bytes", &format!("echo ready; sleep 0.2; head -c {}; exit 1", input.len() + 1));
    let (status, output, complaints) = stage.run(&["--timeout", "60"], input.as_bytes());
    assert_eq!(status, 0, "{complaints}");
    let expected = format!("ready\n{input}\x04");
    assert!(
        String::from_utf8_lossy(&output).trim_end() == expected,
        "{} bytes of {}",
        output.len(),
        expected.len()
    );
}

#[test]
fn input_waits_for_the_first_word_of_the_guest() {
    // What comes before the UART is set up would be lost: the stand-in throws it away.
    let stage =
        Stage::new("early", "timeout 0.3 cat > /dev/null; echo up; read -r line; echo \"got $line\"; exit 1");
    let (status, output, complaints) = stage.run(&["--timeout", "60"], b"hello\n");
    assert_eq!((status, &output[..]), (0, &b"up\ngot hello\n"[..]), "{complaints}");
}

#[test]
fn the_guest_s_status_is_the_tool_s() {
    let stage = Stage::new("status", "echo bye; printf '\\x82' > \"$status\"; exit 5");
    assert_eq!(stage.run(&[], b"").0, 130);
    let stage = Stage::new("status7", "echo bye; exit $((7 << 1 | 1))");
    assert_eq!(stage.run(&[], b"").0, 7);
    let left: Vec<_> =
        fs::read_dir(stage.folder.join("image")).unwrap().map(|f| f.unwrap().file_name()).collect();
    assert_eq!(left.len(), 2, "no status file is left: {left:?}");
}

#[test]
fn qemu_that_refuses_to_start_is_told() {
    let stage = Stage::new("refuses", "echo 'qemu: no such machine' >&2; exit 1");
    let (status, _, complaints) = stage.run(&[], b"");
    assert_eq!(status, 125);
    assert!(complaints.contains("no such machine"), "{complaints}");
}

#[test]
fn a_hang_is_killed_at_the_limit_with_its_children() {
    let stage = Stage::new("hang", "sleep 600 & echo $!; echo $$; wait");
    let (status, output, complaints) = stage.run(&["--timeout", "1"], b"");
    assert_eq!(status, 124, "{complaints}");
    assert!(complaints.contains("killed after 1 s"), "{complaints}");
    for pid in String::from_utf8(output).unwrap().lines() {
        until("it lives on", || !alive(pid));
    }
}

#[test]
fn qemu_dies_with_the_tool() {
    for signal in ["KILL", "TERM"] {
        let stage = Stage::new(&format!("dies-{signal}"), "echo $$ > \"$0.pid\"; echo up; exec sleep 600");
        let mut tool = stage.xtask(&["--timeout", "60"]).spawn().unwrap();
        let file = stage.folder.join("qemu.pid");
        until("it did not start", || fs::read_to_string(&file).is_ok_and(|pid| pid.ends_with('\n')));
        let pid = fs::read_to_string(&file).unwrap();
        assert!(alive(pid.trim()));
        let killed =
            Command::new("kill").args([format!("-{signal}"), tool.id().to_string()]).status().unwrap();
        assert!(killed.success());
        let status = tool.wait().unwrap();
        if signal == "TERM" {
            assert_eq!(status.code(), Some(128 + 15), "the signal's number is told");
        }
        until("it lives on", || !alive(pid.trim()));
    }
}

#[test]
fn line_endings_are_the_host_s() {
    let stage = Stage::new("endings", "printf 'a\\r\\nb\\rc\\r\\n'; exit 1");
    assert_eq!(stage.run(&[], b"").1, b"a\nb\rc\n");
}

#[test]
fn an_image_that_is_not_there_is_told() {
    let stage = Stage::new("noimage", "exit 1");
    fs::remove_file(stage.folder.join("image/kernel")).unwrap();
    let (status, _, complaints) = stage.run(&[], b"");
    assert_eq!(status, 125);
    assert!(complaints.contains("cargo xtask image"), "{complaints}");
}

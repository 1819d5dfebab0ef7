//! Runs of the machine against scripts that stand in for QEMU.

use std::{
    fs,
    io::Read,
    os::{fd::OwnedFd, unix::fs::PermissionsExt},
    path::PathBuf,
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};

/// What the default manifest and the tests need.
const PROGRAMS: [&str; 11] = [
    "kernel",
    "init",
    "event-server",
    "tty",
    "timer",
    "process",
    "pipe",
    "socket",
    "files",
    "examples/kqcat",
    "examples/hello",
];

/// A target folder with programs that are never run, and a stand-in for QEMU.
struct Stage {
    folder: PathBuf,
}

/// A static program for x86-64 of one segment, as small as it gets.
fn program_file() -> Vec<u8> {
    let mut file = vec![0; 0x1010];
    let mut put = |offset: usize, bytes: &[u8]| file[offset..offset + bytes.len()].copy_from_slice(bytes);
    // ELF64 little-endian, ET_EXEC, EM_X86_64, entry, one program header behind the header.
    put(0, b"\x7fELF\x02\x01\x01");
    put(16, &[2, 0, 62, 0, 1]);
    put(24, &0x20_0000u64.to_le_bytes());
    put(32, &[64]);
    put(52, &[64, 0, 56, 0, 1]);
    // PT_LOAD, R and X, file offset, address, sizes, alignment.
    put(64, &[1, 0, 0, 0, 5]);
    put(72, &0x1000u64.to_le_bytes());
    put(80, &0x20_0000u64.to_le_bytes());
    put(96, &16u64.to_le_bytes());
    put(104, &16u64.to_le_bytes());
    put(112, &0x1000u64.to_le_bytes());
    file
}

impl Stage {
    fn new(name: &str, script: &str) -> Stage {
        let folder = std::env::temp_dir().join(format!("xtask-{name}-{}", std::process::id()));
        let built = folder.join("x86_64-unknown-none/release");
        fs::create_dir_all(built.join("examples")).unwrap();
        for program in PROGRAMS {
            fs::write(built.join(program), program_file()).unwrap();
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

/// A terminal: its screen, and the side of programs.
fn terminal() -> (fs::File, OwnedFd) {
    let screen = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
    grantpt(&screen).unwrap();
    unlockpt(&screen).unwrap();
    let path = ptsname(&screen, Vec::new()).unwrap().into_string().unwrap();
    let program = fs::File::options().read(true).write(true).open(path).unwrap();
    (screen.into(), program.into())
}

fn alive(pid: &str) -> bool {
    // A zombie is as good as gone.
    fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| !stat.contains(") Z "))
}

fn until(what: &str, mut done: impl FnMut() -> bool) {
    let begin = Instant::now();
    while !done() {
        assert!(begin.elapsed() < Duration::from_secs(120), "{what}");
        thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn an_application_that_there_is_not_is_told_with_those_that_there_are() {
    let stage = Stage::new("unknown-app", "exit 99");
    let (status, _, complaints) = stage.run(&["--app", "helo"], b"");
    assert_eq!(status, 125, "{complaints}");
    assert!(complaints.contains("cannot run the application helo: there is no such program"), "{complaints}");
    assert!(
        complaints.contains("hello, kqcat") && complaints.contains("`cargo xtask cc`: none"),
        "{complaints}"
    );
}

#[test]
fn no_byte_is_lost_in_either_direction_and_input_ends() {
    let input: String = (0..20_000).map(|line| format!("line {line} of many\n")).collect();
    // Echoes the input and the Ctrl-D behind it, after a pause in which every buffer fills.
    let stage = Stage::new("bytes", &format!("echo ready; sleep 0.2; head -c {}; exit 1", input.len() + 1));
    let (status, output, complaints) = stage.run(&["--timeout", "300"], input.as_bytes());
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
    let (status, output, complaints) = stage.run(&["--timeout", "300"], b"hello\n");
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
        let mut tool = stage.xtask(&["--timeout", "300"]).spawn().unwrap();
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
fn a_terminal_gets_one_carriage_return_a_line() {
    let stage =
        Stage::new("terminal", "printf 'tty\\r'; sleep 0.1; printf '\\nkernel\\nover\\rend\\r\\n'; exit 1");
    let (mut screen, program) = terminal();
    let mut tool = stage
        .xtask(&["--timeout", "300"])
        .stdin(program.try_clone().unwrap())
        .stdout(program.try_clone().unwrap())
        .spawn()
        .unwrap();
    drop(program);
    assert_eq!(tool.wait().unwrap().code(), Some(0));
    let mut shown = vec![0; 4096];
    // All of it is in the terminal's buffer.
    let length = screen.read(&mut shown).unwrap();
    assert_eq!(String::from_utf8_lossy(&shown[..length]), "tty\r\nkernel\r\nover\rend\r\n");
}

#[test]
fn without_building_the_image_is_what_was_asked_for() {
    let stage = Stage::new("nobuild", "echo up; exit 1");
    let archive = |arguments: &[&str]| {
        let (status, _, complaints) = stage.run(arguments, b"");
        assert_eq!(status, 0, "{complaints}");
        fs::read(stage.folder.join("image/default.archive")).unwrap()
    };
    let has =
        |archive: &[u8], text: &str| archive.windows(text.len()).any(|window| window == text.as_bytes());
    let (plain, other) = (archive(&[]), archive(&["--app", "hello", "--arg", "argument-one"]));
    assert!(!has(&plain, "argument-one") && has(&other, "argument-one"));
    assert!(has(&archive(&["--arg", "for-kqcat"]), "for-kqcat"), "without --app the manifest's gets it");
    assert_eq!(archive(&[]), plain);
}

#[test]
fn what_was_never_built_is_told() {
    for program in PROGRAMS.into_iter().filter(|program| !program.ends_with("hello")) {
        let stage = Stage::new(&format!("unbuilt-{}", program.replace('/', "-")), "echo up; exit 1");
        fs::remove_file(stage.folder.join("x86_64-unknown-none/release").join(program)).unwrap();
        let (status, _, complaints) = stage.run(&[], b"");
        assert_eq!(status, 125);
        let name = program.rsplit('/').next().unwrap();
        assert!(complaints.contains(&format!("{name} was never built")), "{complaints}");
        assert!(complaints.contains("leave out --no-build"), "{complaints}");
    }
}

#[test]
fn too_little_memory_is_told_before_anything_is_started() {
    let stage = Stage::new("memory", "echo up; exit 1");
    let (status, output, complaints) = stage.run(&["--mem", "64"], b"");
    assert_eq!((status, &output[..]), (125, &b""[..]));
    assert!(complaints.contains("with 64 MiB"), "{complaints}");
    let enough = complaints.split("use --mem ").nth(1).unwrap().split(' ').next().unwrap();
    assert_eq!(stage.run(&["--mem", enough], b"").0, 0, "what it names is enough");
}

#[test]
fn kvm_that_fails_is_told_with_the_way_out() {
    for (end, limit) in [
        ("echo 'qemu: failed to initialize kvm: Permission denied' >&2; exit 1", "300"),
        ("kill -ABRT $$", "300"),
        ("exec sleep 600", "1"),
        ("exit 0", "300"),
    ] {
        let stage = Stage::new("kvm", end);
        let (status, _, complaints) = stage.run(&["--accel", "kvm", "--timeout", limit], b"");
        assert_eq!(status, 125, "{complaints}");
        assert!(complaints.contains("cannot run the guest with KVM"), "{complaints}");
        assert!(
            complaints.contains("leave out --accel kvm: software emulation is the default"),
            "{complaints}"
        );
        assert_eq!(complaints.contains("Permission denied"), end.contains("Permission"), "{complaints}");
        assert!(!stage.run(&["--timeout", limit], b"").2.contains("KVM"), "nothing of it without");
    }
    let stage = Stage::new("kvm-works", "echo up; exit 7");
    let (status, _, complaints) = stage.run(&["--accel", "kvm"], b"");
    assert_eq!(status, 3, "the guest's own failure stays its own");
    assert!(!complaints.contains("KVM"), "{complaints}");
}

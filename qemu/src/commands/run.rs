//! `cargo xtask run`.

use std::{
    ffi::OsString,
    io::{IsTerminal, Write},
    time::Duration,
};

use init_protocol::manifest::Manifest;
use lexopt::{Arg, Parser};

use super::{
    Command, cpus,
    image::{Recipe, application},
    number, text,
};
use crate::{
    failure::{Failure, Result},
    machine::{
        Accelerator, Machine, Outcome, QEMU_VARIABLE,
        console::{Console, Input},
        device::Device,
        exit::Status,
        signals::Signals,
        text::LineEndings,
    },
    software::manifest,
    workspace::Workspace,
};

/// Exit status when the time was over, as that of timeout(1).
const TIMED_OUT: u8 = 124;
/// MiB of memory, unless more is needed.
const MEMORY: u64 = 512;
/// Limit of a run that nobody sits at.
const UNATTENDED: Duration = Duration::from_secs(600);

/// The subcommand.
pub const COMMAND: Command = Command {
    name: "run",
    help: "run [OPTIONS] [-- QEMU ARGUMENTS]
    Builds, boots and connects the terminal. Ends with the status that the guest powers off with; 124: out of time,
    125: the tool failed, 126: reset, or ended by QEMU's monitor, 127: the kernel panicked. At a terminal, Ctrl-A X quits and
    Ctrl-A H helps. Input from a pipe or file ends with end of input (Ctrl-D) in the guest.
    --smp N          CPUs, 1 to 16 (2)
    --mem M          memory in MiB, at least what the manifest's quotas ask for (512, or more where the programs that
                     its programs may start, by children_quota, need more)
    --accel NAME     tcg (software emulation) or kvm, which needs a /dev/kvm that works (tcg)
    --icount         one instruction per ns, repeatable; needs tcg
    --app NAME       the application whose end powers the machine off (kqcat)
    --arg VALUE      an argument for that application, instead of the manifest's; may be repeated, 64 times at most
    --starts NAME    a program that it starts itself, to be built and in the image; may be repeated. Programs of the same
                     package, and those made by `cargo xtask cc`, are there anyway
    --quota M        MiB that it may use, instead of the manifest's
    --children M     MiB that the programs it starts may use together (children_quota), instead of the manifest's
    --manifest NAME  a file of qemu/manifests (default)
    --device NAME    a device of QEMU's with its properties, as virtio-rng-pci,max-bytes=64; may be repeated;
                     virtio-net-pci,forward=8080:80 leads from a port of the host's loopback address to one of the guest's;
                     virtio-blk-pci,size=64 has a disk of 64 MiB for the run (16), with drive=ID one of QEMU's -drive
    --no-build       take the programs as they were built last
    --timeout S      kill after S seconds, 0 for never (at a terminal: never, otherwise 600)
    KQ_QEMU in the environment overrides the emulator's binary.",
    run,
};

/// What the command line asks for.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Options {
    cpus: u32,
    /// As much as the manifest asks for, if it is not said.
    memory: Option<u32>,
    accelerator: Accelerator,
    recipe: Recipe,
    limit: Option<Duration>,
    devices: Vec<Device>,
    arguments: Vec<OsString>,
}

impl Options {
    fn parse(mut parser: Parser, interactive: bool) -> Result<Options> {
        let mut options = Options {
            cpus: 2,
            memory: None,
            accelerator: Accelerator::Tcg,
            recipe: Recipe::default(),
            limit: (!interactive).then_some(UNATTENDED),
            devices: Vec::new(),
            arguments: Vec::new(),
        };
        let mut icount = false;
        loop {
            if let Some(mut rest) = parser.try_raw_args()
                && rest.next_if(|next| next == "--").is_some()
            {
                options.arguments = rest.collect();
                break;
            }
            let Some(argument) = parser.next()? else { break };
            match argument {
                Arg::Long("smp") => options.cpus = cpus(parser.value()?)?,
                Arg::Long("mem") => {
                    options.memory =
                        Some(number("mem", parser.value()?, "give the memory in MiB: --mem 512")?);
                }
                Arg::Long("accel") => options.accelerator = accelerator(&text(parser.value()?)?)?,
                Arg::Long("icount") => icount = true,
                Arg::Long("app") => options.recipe.application.program = application(parser.value()?)?,
                Arg::Long("arg") => options.recipe.application.arguments.push(text(parser.value()?)?),
                Arg::Long("starts") => options.recipe.starts.push(text(parser.value()?)?),
                Arg::Long("quota") => options.recipe.application.quota = Some(mib("quota", parser.value()?)?),
                Arg::Long("children") => {
                    options.recipe.application.children_quota = Some(mib("children", parser.value()?)?);
                }
                Arg::Long("manifest") => options.recipe.manifest = text(parser.value()?)?,
                Arg::Long("device") => options.devices.push(Device::parse(&text(parser.value()?)?)?),
                Arg::Long("no-build") => options.recipe.build = false,
                Arg::Long("timeout") => {
                    let seconds: u64 =
                        number("timeout", parser.value()?, "give seconds: --timeout 60; 0 is for ever")?;
                    options.limit = (seconds != 0).then(|| Duration::from_secs(seconds));
                }
                Arg::Value(stray) => {
                    return Err(Failure::new(
                        format!("use the argument {}", stray.display()),
                        "run takes options only",
                        "put the application's arguments behind --arg, QEMU's behind --",
                    ));
                }
                other => return Err(other.unexpected().into()),
            }
        }
        if icount {
            if options.accelerator == Accelerator::Kvm {
                return Err(Failure::new(
                    "count instructions",
                    "KVM cannot",
                    "leave out --accel kvm or --icount",
                ));
            }
            options.accelerator = Accelerator::Icount;
        }
        Ok(options)
    }
}

/// A quota in bytes, given in MiB.
fn mib(option: &str, value: OsString) -> Result<u64> {
    let mib: u32 = number(option, value, &format!("give MiB: --{option} 64"))?;
    Ok(u64::from(mib) << 20)
}

/// The memory of a machine for this manifest, in MiB.
fn memory(asked: Option<u32>, manifest: &Manifest) -> Result<u32> {
    let fitting = manifest::memory_with_children(manifest).max(MEMORY);
    let memory = asked.unwrap_or(fitting.try_into().unwrap_or(u32::MAX));
    manifest::check_memory(manifest, memory)?;
    if let Some(short) = manifest::short_of_children(manifest, memory) {
        eprintln!("xtask: {short}");
    }
    Ok(memory)
}

fn accelerator(name: &str) -> Result<Accelerator> {
    match name {
        "tcg" => Ok(Accelerator::Tcg),
        "kvm" => Ok(Accelerator::Kvm),
        other => {
            Err(Failure::new(format!("accelerate with {other}"), "there is no such way", "use tcg or kvm"))
        }
    }
}

fn run(parser: Parser) -> Result<u8> {
    let options = Options::parse(parser, std::io::stdin().is_terminal())?;
    let workspace = Workspace::find()?;
    let manifest = options.recipe.manifest(&workspace)?;
    let memory = memory(options.memory, &manifest)?;
    // What follows `--` may have brought it.
    if options.arguments.is_empty() {
        let models: Vec<&str> = options.devices.iter().map(|device| device.model.as_str()).collect();
        for (driver, device) in manifest::missing_devices(&manifest, &models) {
            eprintln!("xtask: {driver} has nothing to drive: add --device {device}");
        }
    }
    let image = options.recipe.make(&workspace)?;
    let machine = Machine {
        cpus: options.cpus,
        memory,
        accelerator: options.accelerator,
        image,
        devices: options.devices,
        monitor: None,
        arguments: options.arguments,
    };
    let signals = Signals::catch()?;
    // A terminal adds the CR itself: its output processing stays on, for the tool's and the kernel's lines.
    let mut endings = LineEndings::default();
    let mut stdout = std::io::stdout().lock();
    let mut said = false;
    let mut output = |bytes: &[u8]| {
        said = true;
        stdout.write_all(&endings.convert(bytes))?;
        stdout.flush()
    };
    let outcome = machine.run(Console {
        input: Input::Host,
        output: &mut output,
        limit: options.limit,
        signals: Some(&signals),
    })?;
    // Whoever read the output may be gone: the outcome is told all the same.
    let _ = stdout.write_all(endings.finish()).and_then(|()| stdout.flush());
    if options.accelerator == Accelerator::Kvm && is_without_guest(&outcome, said) {
        return Err(Failure::new(
            "run the guest with KVM",
            "the host's KVM is not there, may not be used (see /dev/kvm) or does not work",
            "leave out --accel kvm: software emulation is the default and needs nothing of the host",
        ));
    }
    if let Outcome::Ended(broken @ Status::Broken { .. }) = &outcome {
        return Err(Failure::new("run the guest", broken, remedy(broken, memory)));
    }
    Ok(status(&outcome, options.limit))
}

/// What to do about a QEMU that does not run the guest, by what it said.
fn remedy(broken: &Status, memory: u32) -> String {
    let said = match broken {
        Status::Broken { complaints, .. } => complaints.as_str(),
        _ => "",
    };
    let has = |words: &[&str]| words.iter().any(|word| said.contains(word));
    if said.trim().is_empty() {
        let emulator = std::env::var(QEMU_VARIABLE).unwrap_or_default();
        return match emulator.is_empty() {
            true => "QEMU said nothing; run it again with `-- -d guest_errors`".to_owned(),
            false => format!("{QEMU_VARIABLE} is {emulator}: let it name an emulator, or unset it"),
        };
    }
    if has(&["annot allocate memory", "cannot set up guest memory", "annot map"]) {
        return format!("the host must have the {memory} MiB of --mem: ask for less, or end other programs");
    }
    if has(&["host forwarding rule"]) {
        return "a port that is forwarded is in use or may not be used: name another, forward=HOST:GUEST"
            .to_owned();
    }
    if has(&["is not a valid device model name", "Property '"]) {
        return "correct --device: `qemu-system-x86_64 -device help` lists devices, `-device NAME,help` properties"
            .to_owned();
    }
    "correct what QEMU complains of: it takes --device and what follows `--` as they are".to_owned()
}

/// Whether the machine ended by itself, but not by the guest's will, or has never run the guest.
fn is_without_guest(outcome: &Outcome, said: bool) -> bool {
    match outcome {
        Outcome::Ended(Status::Broken { .. } | Status::Reset) => true,
        Outcome::TimedOut => !said,
        _ => false,
    }
}

/// Tells what is not obvious, and the status to end with.
fn status(outcome: &Outcome, limit: Option<Duration>) -> u8 {
    match outcome {
        Outcome::Ended(Status::Guest(status)) => *status,
        Outcome::Ended(status) => {
            eprintln!("xtask: {status}");
            status.to_byte()
        }
        Outcome::TimedOut => {
            eprintln!("xtask: killed after {} s (--timeout)", limit.unwrap_or_default().as_secs());
            TIMED_OUT
        }
        Outcome::Quit => 0,
        Outcome::Signal(signal) => 128 + *signal as u8,
        // SIGPIPE's status, and nobody left to tell.
        Outcome::OutputClosed => 128 + 13,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(arguments: &[&str]) -> Result<Options> {
        Options::parse(Parser::from_args(arguments), false)
    }

    #[test]
    fn options_are_understood() {
        let options = parse(&[
            "--smp",
            "4",
            "--mem=256",
            "--icount",
            "--app",
            "hello",
            "--timeout",
            "7",
            "--",
            "-d",
            "int",
        ])
        .unwrap();
        assert_eq!((options.cpus, options.memory), (4, Some(256)));
        assert_eq!(options.accelerator, Accelerator::Icount);
        assert_eq!(options.recipe.application.program, "hello");
        assert_eq!(options.limit, Some(Duration::from_secs(7)));
        assert_eq!(options.arguments, ["-d", "int"]);
    }

    #[test]
    fn only_what_follows_two_dashes_is_qemu_s() {
        let refused = parse(&["disk.img", "--smp", "1"]).unwrap_err().to_string();
        assert!(refused.contains("disk.img") && refused.contains("behind --"), "{refused}");
        let options = parse(&["--smp", "1", "--", "disk.img", "--", "--smp"]).unwrap();
        assert_eq!(
            (options.cpus, options.arguments),
            (1, vec!["disk.img".into(), "--".into(), "--smp".into()])
        );
        assert_eq!(parse(&["--"]).unwrap().arguments, [""; 0]);
        assert_eq!(parse(&["--arg", "--", "--", "-S"]).unwrap().recipe.application.arguments, ["--"]);
    }

    #[test]
    fn devices_are_named_with_their_properties() {
        let options = parse(&["--device", "virtio-rng-pci,max-bytes=4", "--device=virtio-rng-pci"]).unwrap();
        let told = options.devices.iter().map(|device| (device.model.as_str(), device.properties.as_str()));
        assert_eq!(told.collect::<Vec<_>>(), [("virtio-rng-pci", "max-bytes=4"), ("virtio-rng-pci", "")]);
        assert!(parse(&["--device", ""]).is_err());
    }

    #[test]
    fn an_unattended_run_has_a_limit_unless_told_otherwise() {
        assert_eq!(parse(&[]).unwrap().limit, Some(UNATTENDED));
        assert_eq!(parse(&["--timeout", "0"]).unwrap().limit, None);
        assert_eq!(Options::parse(Parser::from_args([""; 0]), true).unwrap().limit, None);
    }

    #[test]
    fn programs_that_are_started_have_their_memory() {
        let options =
            parse(&["--starts", "a", "--starts=b", "--quota", "3", "--children", "600"]).unwrap().recipe;
        assert_eq!(options.starts, ["a", "b"]);
        assert_eq!(options.application.quota, Some(3 << 20));
        let mut manifest = manifest::parse(
            "[[entries]]\nname = \"x\"\nfile = \"bin/x\"\nkind = \"application\"\nessential = true",
        )
        .unwrap();
        assert_eq!(memory(None, &manifest), Ok(512));
        manifest::choose(&mut manifest, &options.application).unwrap();
        assert_eq!(memory(None, &manifest), Ok(3 + 32 + 600));
        assert_eq!(memory(Some(64), &manifest), Ok(64), "who says less gets less");
        assert!(memory(Some(34), &manifest).is_err());
    }

    #[test]
    fn nonsense_is_refused() {
        for arguments in [
            &["--smp", "17"][..],
            &["--smp", "x"],
            &["--mem", "x"],
            &["--timeout", "-1"],
            &["--accel", "magic"],
            &["--fast"],
            &["--smp"],
            &["hello"],
            &["--app", ""],
            &["--children", "much"],
            &["--quota", "-1"],
        ] {
            assert!(parse(arguments).is_err(), "{arguments:?}");
        }
        for (option, value) in [("smp", "x"), ("mem", "1g"), ("mem", "99999999999"), ("timeout", "-1")] {
            let refused = parse(&[&format!("--{option}"), value]).unwrap_err().to_string();
            assert!(refused.contains(value) && refused.contains(&format!("--{option}")), "{refused}");
            assert!(!refused.contains("digit"), "{refused}");
        }
        assert!(parse(&["--accel", "kvm", "--icount"]).is_err());
    }

    #[test]
    fn advice_is_about_what_qemu_said() {
        let advice = |said: &str| {
            let how = "ended before the guest said anything".to_owned();
            remedy(&Status::Broken { how, complaints: said.to_owned() }, 512)
        };
        assert!(advice("cannot set up guest memory 'pc.ram': Cannot allocate memory").contains("--mem"));
        assert!(
            advice("-netdev user: Could not set up host forwarding rule 'tcp:127.0.0.1:1-:80'")
                .contains("port")
        );
        assert!(advice("-device x: 'x' is not a valid device model name").contains("-device help"));
        for said in ["", "-fast: invalid option", "Could not open 'disk.img': No such file or directory"] {
            assert!(!advice(said).contains("--mem") && !advice(said).is_empty(), "{said}");
        }
    }

    #[test]
    fn outcomes_have_the_statuses_that_help_promises() {
        assert_eq!(status(&Outcome::Ended(Status::Guest(130)), None), 130);
        assert_eq!(status(&Outcome::TimedOut, Some(Duration::from_secs(1))), 124);
        assert_eq!(status(&Outcome::Ended(Status::Reset), None), 126);
        assert_eq!(status(&Outcome::Signal(15), None), 143);
    }
}

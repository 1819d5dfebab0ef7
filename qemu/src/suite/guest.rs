//! Guest programs in QEMU, as the table ([`table`]) says.

use std::{
    collections::BTreeMap,
    fs,
    path::Path,
    sync::{
        atomic::{AtomicBool, Ordering},
        mpsc,
    },
    thread,
    time::{Duration, Instant},
};

use init_protocol::manifest::Manifest;

use super::{
    Plan,
    harness::Said,
    jobs::{self, Job},
    names::Words,
    peer::Client,
    report::Report,
    table::{self, Mode, Table, Test},
    twin,
};
use crate::{
    failure::{Failure, Result},
    machine::{
        Machine, Outcome,
        console::{Console, Input},
        dialogue::{Dialogue, Turn},
        exit::Status,
        loopback::Reserved,
        monitor::{self, Socket},
        text::LineEndings,
    },
    software::{
        self,
        archive::BootImage,
        cargo::Output,
        manifest::{self, Application},
    },
    workspace::Workspace,
};

/// One boot.
#[derive(Clone, Debug)]
struct Boot<'a> {
    name: String,
    test: &'a Test,
    cpus: u32,
    mode: Mode,
}

/// Whether there may be a boot, or a test that it tells of, that the plan wants.
pub fn may(workspace: &Workspace, plan: &Plan) -> Result<bool> {
    Ok(!wanted(workspace, plan, &read(workspace)?).is_empty())
}

fn read(workspace: &Workspace) -> Result<Table> {
    let path = workspace.root().join("tests/guest.toml");
    let table = fs::read_to_string(&path).map_err(|error| error.to_string());
    table
        .and_then(|text| table::parse(&text))
        .map_err(|error| Failure::new(format!("read {}", path.display()), error, "correct the file"))
}

fn wanted<'a>(workspace: &Workspace, plan: &Plan, table: &'a Table) -> Vec<Boot<'a>> {
    let mut wanted = Vec::new();
    for test in table.tests.iter().filter(|test| plan.long || !test.long) {
        let words = Words::of_program(workspace, &test.program);
        let last = plan.filter.rsplit('/').next().unwrap_or_default();
        wanted.extend(boots(test).filter(|Boot { name, .. }| {
            // What a program calls its tests at run time is known when it tells of them.
            plan.filter.starts_with(&format!("{name}/"))
                || plan.wants(name)
                || test.harness && plan.wants(&format!("{name}/{last}")) && words.can_begin(last)
                || test.harness && words.iter().any(|word| plan.wants(&format!("{name}/{word}")))
        }));
    }
    wanted
}

/// Boots all that the plan wants.
pub fn run(workspace: &Workspace, plan: &Plan, report: &Report) -> Result<()> {
    let table = read(workspace)?;
    let boots = wanted(workspace, plan, &table);
    let mut prepared = Vec::new();
    let broken = twin::compile(workspace, boots.iter().map(|boot| boot.test.program.as_str()));
    for boot in &boots {
        let compiled = broken.get(&boot.test.program).map_or(Ok(()), |failure| Err(failure.clone()));
        let manifests = compiled
            .and_then(|()| Ok((prepare(workspace, boot.test)?, twin::manifest(workspace, boot.test)?)));
        match manifests {
            Ok((manifest, twin)) => prepared.push((boot, manifest, twin)),
            Err(failure) => report.broken(&boot.name, &failure),
        }
    }
    let manifests = prepared.iter().flat_map(|(_, manifest, twin)| std::iter::once(manifest).chain(twin));
    let building = report.running("building the guest's software");
    let started = prepared.iter().flat_map(|(boot, ..)| &boot.test.starts).map(String::as_str);
    let software = software::build_named(
        workspace,
        &Vec::from_iter(manifests),
        &Vec::from_iter(started),
        Output::Stderr,
    )?;
    drop(building);
    let mut ready = Vec::new();
    // All boots of a test have one image.
    let mut images = BTreeMap::new();
    for (boot, manifest, twin) in prepared {
        let name = format!("test-{}", boot.test.name());
        let write = |manifest: &Manifest, name: &str| {
            // What else was built would only be carried through each boot.
            let software = software.named(manifest, &boot.test.starts);
            BootImage::write(workspace, &software, manifest, name)
        };
        let made = images.entry(boot.test.name()).or_insert_with(|| {
            let twin = twin.map(|twin| write(&twin, &format!("{name}-twin"))).transpose();
            write(&manifest, &name).and_then(|image| Ok((image, twin?)))
        });
        let (image, twin) = match made.clone() {
            Ok(images) => images,
            Err(failure) => {
                report.broken(&boot.name, &failure);
                continue;
            }
        };
        let work = move || {
            let _running = report.running(&boot.name);
            if let Err(failure) = one(boot, image, twin, plan, report) {
                report.broken(&boot.name, &failure);
            }
        };
        // CPUs that take turns keep one of the host's busy.
        let threads = if boot.test.devices.is_empty() { boot.cpus } else { 1 };
        ready.push(Job { weight: boot.mode.weight(threads), work: Box::new(work) });
    }
    jobs::run(jobs::cpus(), ready);
    Ok(())
}

fn prepare(workspace: &Workspace, test: &Test) -> Result<Manifest> {
    let mut manifest = manifest::read(workspace, &test.manifest)?;
    let application = Application {
        program: test.program.clone(),
        arguments: test.arguments.clone(),
        ..Application::default()
    };
    manifest::choose(&mut manifest, &application)?;
    Ok(manifest)
}

fn boots(test: &Test) -> impl Iterator<Item = Boot<'_>> {
    let name = test.name();
    test.modes.iter().flat_map(move |&mode| {
        test.cpus.iter().map(move |&cpus| {
            let word = match mode {
                Mode::Threads => "threads",
                Mode::Icount => "icount",
            };
            Boot { name: format!("guest/{name}/{word}-{cpus}"), test, cpus, mode }
        })
    })
}

fn one(boot: &Boot, image: BootImage, twin: Option<BootImage>, plan: &Plan, report: &Report) -> Result<()> {
    let test = boot.test;
    let mut devices = test.devices.clone();
    let _ports = Reserved::choose(&mut devices)?;
    let port = Test::port(&devices);
    let socket = (!test.monitor.is_empty()).then(Socket::new).transpose()?;
    let machine = Machine {
        cpus: boot.cpus,
        memory: test.memory,
        accelerator: boot.mode.accelerator(),
        image,
        devices,
        monitor: socket.as_ref().map(Socket::path),
        arguments: Vec::new(),
    };
    let run = machine.name_run();
    let (tell, heard) = mpsc::channel();
    let mut said = Vec::new();
    let mut endings = LineEndings::default();
    let begin = Instant::now();
    // When each line ended.
    let mut ends = Vec::new();
    let mut output = |bytes: &[u8]| {
        let bytes = endings.convert(bytes);
        // Nobody listens when nothing is to happen.
        _ = tell.send(bytes.to_vec());
        ends.extend(bytes.iter().filter(|&&byte| byte == b'\n').map(|_| begin.elapsed()));
        said.extend(bytes);
        Ok(())
    };
    let over = &AtomicBool::new(false);
    let (outcome, others) = thread::scope(|scope| {
        let peer = test.peer.zip(port);
        let peer = peer.map(|(peer, port)| scope.spawn(move || peer.run(Client { port, over })));
        let monitor = machine.monitor.as_deref().map(|path| {
            let dialogue = happenings(test, &machine, &run);
            scope.spawn(move || monitor::say(path, dialogue, &heard, over))
        });
        let outcome = machine.run_as(
            &run,
            Console {
                input: Input::Script(test.dialogue()),
                output: &mut output,
                limit: Some(Duration::from_secs(test.timeout)),
                signals: None,
            },
        );
        over.store(true, Ordering::Relaxed);
        let others = peer.into_iter().chain(monitor);
        let others = others.map(|other| other.join().unwrap_or_else(|_| Err("it panicked".to_owned())));
        (outcome, others.collect::<Vec<_>>())
    });
    let outcome = outcome?;
    let time = begin.elapsed();
    let text = String::from_utf8_lossy(&said);
    let told = test.told(&text);
    let mut fault = fault(test, &outcome, &text, &told);
    for why in others.into_iter().filter_map(std::result::Result::err) {
        fault = Some(format!(
            "{why} (the host's side){}",
            fault.map_or(String::new(), |fault| format!("; {fault}"))
        ));
    }
    if let (None, Some(image)) = (&fault, twin) {
        fault = twin::difference(&text, &Machine { image, ..machine }, test)?;
    }
    if fault.is_some() || told.tests.iter().any(|test| test.why.is_some()) {
        let log = report.begin_log(&boot.name);
        fs::write(&log, text.as_bytes()).map_err(|error| {
            Failure::new(format!("write {}", log.display()), error, "check the folder's permissions")
        })?;
    }
    let mut before = Duration::ZERO;
    for test in &told.tests {
        let name = format!("{}/{}", boot.name, test.name);
        let end = ends.get(test.line).copied().unwrap_or(time);
        let time = end.saturating_sub(std::mem::replace(&mut before, end));
        match &test.why {
            _ if !plan.wants(&name) => {}
            None => report.passed(&name, time),
            Some(why) => report.failed_see(&name, why, &report.log(&boot.name)),
        }
    }
    match fault {
        Some(why) => report.failed(&boot.name, &why),
        // What each test said has been told; a line for the boot would count it twice.
        None if test.harness => {}
        None => report.passed(&boot.name, time),
    }
    Ok(())
}

/// What is said to the monitor, and when.
fn happenings(test: &Test, machine: &Machine, run: &Path) -> Dialogue {
    let turns = test.monitor.iter().map(|happening| {
        let said = happening.change().and_then(|change| machine.commands(run, change));
        let said = said.or_else(|| happening.say.as_ref().map(|say| format!("{say}\n")));
        Turn { after: happening.after.clone(), send: said.unwrap_or_default() }
    });
    Dialogue::new(turns.collect())
}

/// Why the boot as a whole is a failure.
fn fault(test: &Test, outcome: &Outcome, text: &str, told: &Said) -> Option<String> {
    let failed = u8::from(told.tests.iter().any(|test| test.why.is_some()));
    let expected = if test.harness && failed > 0 { failed } else { test.status };
    let harness = if test.harness { told.fault() } else { None };
    let ended = match outcome {
        Outcome::Ended(Status::Guest(status)) if *status == expected => None,
        Outcome::Ended(Status::Guest(status)) => {
            Some(format!("ended with status {status}, expected {expected}"))
        }
        Outcome::Ended(other) => Some(other.to_string()),
        Outcome::TimedOut => Some(format!("hangs: killed after {} s", test.timeout)),
        other => Some(format!("was stopped: {other:?}")),
    };
    let missing = || test.output.iter().find(|expected| !expected.is_match(text));
    match (ended, harness) {
        // A panic says more than the status that follows it.
        (_, Some(why)) if !told.panics.is_empty() => Some(why),
        (Some(ended), Some(why)) => Some(format!("{ended}; {why}")),
        (Some(why), None) | (None, Some(why)) => Some(why),
        (None, None) => missing().map(|expected| format!("its output has nothing like {expected}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn test(text: &str) -> Test {
        let text = format!("[[test]]\nprogram = \"p\"\n{text}");
        table::parse(&text).unwrap().tests.remove(0)
    }

    fn ended(status: u8) -> Outcome {
        Outcome::Ended(Status::Guest(status))
    }

    fn judge(test: &Test, outcome: Outcome, text: &str) -> Option<String> {
        fault(test, &outcome, text, &test.told(text))
    }

    #[test]
    fn a_boot_is_sound_when_status_and_words_agree() {
        let test = test("");
        assert_eq!(judge(&test, ended(0), "test a ok\ntests done 1\n"), None);
        assert_eq!(
            judge(&test, ended(1), "test a FAILED x\ntests done 1\n"),
            None,
            "told of as the test's failure"
        );
        assert!(judge(&test, ended(0), "test a FAILED x\ntests done 1\n").is_some());
        assert!(judge(&test, ended(1), "test a ok\ntests done 1\n").is_some());
        assert!(judge(&test, ended(0), "").is_some());
    }

    #[test]
    fn a_hang_is_a_failure_and_says_where() {
        assert_eq!(
            judge(&test("timeout = 5"), Outcome::TimedOut, "test a ok\n").unwrap(),
            "hangs: killed after 5 s; no `tests done`; the last test told of was a"
        );
    }

    #[test]
    fn without_the_harness_status_and_output_decide() {
        let test = test("harness = false\nstatus = 130\noutput = ['^bye$']\n");
        assert_eq!(judge(&test, ended(130), "hello\nbye\n"), None);
        assert!(judge(&test, ended(0), "bye\n").is_some());
        assert_eq!(judge(&test, ended(130), "hello\n").unwrap(), "its output has nothing like (?m)^bye$");
    }

    #[test]
    fn only_panics_that_are_wanted_are_allowed() {
        let test = test("panics = ['on purpose$']\n");
        let text =
            |why: &str| format!("child: thread main panicked at a.rs:1: {why}\ntest a ok\ntests done 1\n");
        assert_eq!(judge(&test, ended(0), &text("on purpose")), None);
        assert!(judge(&test, ended(0), &text("by accident")).is_some());
    }

    #[test]
    fn one_boot_for_each_mode_and_number_of_cpus() {
        let test = test("cpus = [1, 4]\nmodes = [\"threads\", \"icount\"]\n");
        let names: Vec<_> = boots(&test).map(|boot| boot.name).collect();
        assert_eq!(names, ["guest/p/threads-1", "guest/p/threads-4", "guest/p/icount-1", "guest/p/icount-4"]);
    }
}

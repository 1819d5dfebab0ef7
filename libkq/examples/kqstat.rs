//! What the system is doing: the event server's shards, processes, drivers, the kernel. `--help` shows what can be asked.
#![cfg_attr(target_os = "none", no_std, no_main)]
#![cfg_attr(not(target_os = "none"), allow(dead_code))]

extern crate alloc;

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec;
use alloc::vec::Vec;
use core::fmt::Write;

use event_protocol::control::{SERVICE, label, lobby};
use event_protocol::descriptor::label::INSPECT;
use init_protocol::request::Process;
use libkq::trace::{self, Entry, Look};
use libkq::{Error, Result};
use rt::abi::error::{EAGAIN, EBADMSG, ENOENT, EPERM, ESRCH};
use rt::{clock, init, ipc};

/// What can be asked. `cargo xtask run --app kqstat` hands on what stands behind each `--arg`.
const HELP: &str = "\
kqstat [lines] [NAME]           figures; NAME: those that begin so (status 1: none does), as shard.0. or driver.tty
kqstat [lines] process          who runs, with which pid
kqstat [lines] --trace PROCESS  what the processes of this name, or that of this pid, did last, while they run; for operators
                                and ancestors
kqstat audit                    the event server checks its books (status 1: they are wrong)
kqstat --help                   this
lines                           one `name value` a line, for programs";

/// What is asked.
enum Asked<'a> {
    /// Figures whose names begin so.
    Figures(&'a str),
    /// What a process did last.
    Trace(&'a str),
    Audit,
    Help,
}

impl<'a> Asked<'a> {
    /// What the arguments ask for, and whether for programs.
    fn parse(arguments: &[&'a str]) -> core::result::Result<(Asked<'a>, bool), String> {
        let (lines, rest) = match arguments {
            ["lines", rest @ ..] => (true, rest),
            rest => (false, rest),
        };
        let asked = match rest {
            ["--help" | "-h"] => Asked::Help,
            ["audit"] if !lines => Asked::Audit,
            ["--trace", process] => Asked::Trace(process),
            ["--trace"] => return Err("--trace needs the name or the pid of a process".to_string()),
            [] => Asked::Figures(""),
            [option, ..] if option.starts_with('-') => return Err(format!("no option `{option}`")),
            [name] => Asked::Figures(name),
            [_, more, ..] => return Err(format!("`{more}` is one name too many")),
        };
        Ok((asked, lines))
    }
}

/// Nanoseconds after which who does not answer is left out.
const PATIENCE: u64 = 1_000_000_000;

/// Figures by name: `shard.0.notes`, `driver.tty.requests`.
#[derive(Default)]
struct Figures(Vec<(String, String)>);

impl Figures {
    fn add(&mut self, name: impl ToString, value: impl ToString) {
        self.0.push((name.to_string(), value.to_string()));
    }

    fn write(&self, wanted: &str, lines: bool) -> String {
        let shown = self.0.iter().filter(|(name, _)| name.starts_with(wanted));
        let width = if lines { 0 } else { shown.clone().map(|(name, _)| name.len()).max().unwrap_or(0) };
        let mut text = String::new();
        let mut group = "";
        for (name, value) in shown {
            let of = name.rsplit_once('.').map_or("", |(of, _)| of);
            if !lines && of != core::mem::replace(&mut group, of) && !text.is_empty() {
                text.push('\n');
            }
            // A string takes whatever is written to it.
            let _ = writeln!(text, "{name:width$} {value}");
        }
        text
    }
}

#[cfg(target_os = "none")]
rt::entry!(main);

#[cfg(target_os = "none")]
fn main(start: &rt::Start) -> i32 {
    let arguments: Vec<&str> = start.args().iter().skip(1).map(String::as_str).collect();
    let (asked, lines) = match Asked::parse(&arguments) {
        Ok(asked) => asked,
        Err(why) => {
            rt::log!("kqstat: {why}: --help shows what there is");
            return 2;
        }
    };
    let shown = match asked {
        Asked::Audit => return audit(),
        Asked::Help => Ok(format!("{HELP}\n")),
        Asked::Trace(process) => traces(process, lines),
        Asked::Figures(wanted) => look()
            .map(|figures| figures.write(wanted, lines))
            .map_err(|error| format!("{error}"))
            .and_then(|text| {
                if text.is_empty() { Err(format!("nothing begins with `{wanted}`")) } else { Ok(text) }
            }),
    };
    let written = shown.and_then(|text| {
        let terminal = libkq::Descriptor::open("/dev/tty", libkq::flag::O_RDWR);
        terminal.and_then(|terminal| terminal.write_all(text.as_bytes())).map_err(|error| format!("{error}"))
    });
    match written {
        Ok(()) => 0,
        Err(why) => {
            rt::log!("kqstat: {why}");
            1
        }
    }
}

/// What the processes of this name or pid did last, or why that cannot be shown.
fn traces(wanted: &str, lines: bool) -> core::result::Result<String, String> {
    let living = living().map_err(|error| format!("{error}"))?;
    let pid = wanted.parse::<u32>().ok();
    let found: Vec<&Process> = living
        .iter()
        .filter(|process| pid.map_or(process.name == wanted, |pid| process.pid == pid))
        .collect();
    if found.is_empty() {
        return Err(format!("no process `{wanted}` runs: `process` shows those that do"));
    }
    let mut text = String::new();
    for process in found {
        let Process { pid, name, .. } = process;
        for index in 0.. {
            match Look::at(*pid, index) {
                Ok(look) => {
                    let trace = Shown { name, pid: *pid, index, look: &look };
                    // A string takes whatever is written to it.
                    let _ = if lines { trace.lines(&mut text) } else { trace.words(&mut text) };
                }
                Err(error) if error.errno == ENOENT && index > 0 => break,
                Err(error) if error.errno == ENOENT => {
                    return Err(format!("{name} (pid {pid}) has no trace"));
                }
                Err(error) if error.errno == ESRCH => return Err(format!("{name} (pid {pid}) has ended")),
                Err(error) if error.errno == EPERM => {
                    return Err(format!(
                        "the trace of {name} (pid {pid}) is for operators and its ancestors"
                    ));
                }
                Err(error) => return Err(format!("{name} (pid {pid}): {error}")),
            }
        }
    }
    Ok(text)
}

/// A trace of a process.
struct Shown<'a> {
    name: &'a str,
    pid: u32,
    index: u32,
    look: &'a Look,
}

impl Shown<'_> {
    /// A headline, and an entry a line.
    fn words(&self, text: &mut String) -> core::fmt::Result {
        let Shown { name, pid, index, look } = self;
        if !text.is_empty() {
            text.push('\n');
        }
        let writer = look.writer().map_or("unknown", |writer| writer.name());
        writeln!(text, "{name} (pid {pid}), trace {index}: {writer}, {} entries ever", look.written())?;
        look.entries().try_for_each(|entry| writeln!(text, "{}", entry.at(trace::clock())))
    }

    /// `trace.NAME.PID.INDEX.NUMBER MICROSECONDS EVENT DETAIL VALUE`.
    fn lines(&self, text: &mut String) -> core::fmt::Result {
        let Shown { name, pid, index, look } = self;
        look.entries().try_for_each(|entry| {
            let Entry { number, ticks, event, .. } = entry;
            let time = trace::clock().time(ticks);
            let (event, words) = (event.name(), entry.in_two_words());
            writeln!(text, "trace.{name}.{pid}.{index}.{number} {time} {event} {words}")
        })
    }
}

fn look() -> Result<Figures> {
    let mut figures = Figures::default();
    kernel(&mut figures)?;
    shards(&mut figures)?;
    let counters = init::counters()?;
    for (name, value) in [
        ("started", counters.started),
        ("ended", counters.ended),
        ("faulted", counters.faulted),
        ("restarted", counters.restarted),
        ("hung", counters.hung),
        ("waiting", counters.waiting),
    ] {
        figures.add(format!("init.{name}"), value);
    }
    processes(&mut figures)?;
    Ok(figures)
}

fn kernel(figures: &mut Figures) -> Result<()> {
    let counters = rt::sys::counters()?;
    for (name, value) in [
        ("frames", counters.frames_total),
        ("frames_free", counters.frames_free),
        ("processes", counters.processes),
        ("threads", counters.threads),
        ("handles", counters.handles),
        ("endpoints", counters.endpoints),
        ("notifications", counters.notifications),
        ("memory_objects", counters.memory_objects),
        ("mappings", counters.mappings),
        ("watches", counters.watches),
    ] {
        figures.add(format!("kernel.{name}"), value);
    }
    Ok(())
}

/// Has each shard answer a request.
fn each_shard(request: &lobby::Request, mut told: impl FnMut(u32, lobby::Reply) -> Result<()>) -> Result<()> {
    let ask = |lobby: &rt::sys::Endpoint, request: &lobby::Request| {
        let deadline = clock::after(PATIENCE);
        loop {
            match ipc::call_postcard(lobby, label::LOBBY, request, Vec::new(), deadline) {
                // Audits have a part of the shard's time only.
                Err(error) if error.errno == EAGAIN && clock::now_ns() < deadline => {
                    rt::thread::sleep(1_000_000);
                }
                answer => return answer,
            }
        }
    };
    let any = init::connect(SERVICE)?;
    let (mut shard, mut shards) = (0, 1);
    while shard < shards {
        let (lobby::Reply::Shard { shards: all }, mut handles) = ask(&any, &lobby::Request::Shard { shard })?
        else {
            return Err(Error::new(EBADMSG));
        };
        told(shard, ask(&handles.object(0)?, request)?.0)?;
        (shard, shards) = (shard + 1, all);
    }
    Ok(())
}

/// Whether the books are right: what is adrift once need not be so the next time.
fn books() -> Result<(String, bool)> {
    const LOOKS: usize = 20;
    let (mut text, mut right) = (String::new(), true);
    for look in 1..=LOOKS {
        (text, right) = (String::new(), true);
        each_shard(&lobby::Request::Audit, |shard, reply| {
            let lobby::Reply::Audit(audit) = reply else { return Err(Error::new(EBADMSG)) };
            right &= audit.fault.is_none() && audit.adrift == 0;
            for (name, count) in [
                ("idle", audit.idle),
                ("queued", audit.queued),
                ("awaited", audit.awaited),
                ("leased", audit.leased),
                ("adrift", audit.adrift),
            ] {
                // A string takes whatever is written to it.
                let _ = writeln!(text, "shard.{shard}.audit.{name} {count}");
            }
            let fault = audit.fault.as_deref().unwrap_or("none");
            let _ = writeln!(text, "shard.{shard}.audit.fault {fault}");
            Ok(())
        })?;
        if right || text.lines().any(|line| line.contains(".fault ") && !line.ends_with(" none")) {
            break;
        }
        if look < LOOKS {
            rt::thread::sleep(10_000_000);
        }
    }
    Ok((text, right))
}

#[cfg(target_os = "none")]
fn audit() -> i32 {
    let told = books().and_then(|(text, right)| {
        libkq::Descriptor::open("/dev/tty", libkq::flag::O_RDWR)?.write_all(text.as_bytes())?;
        Ok(right)
    });
    match told {
        Ok(right) => i32::from(!right),
        Err(error) => {
            rt::log!("kqstat: {error}");
            1
        }
    }
}

/// One shard a CPU.
fn shards(figures: &mut Figures) -> Result<()> {
    each_shard(&lobby::Request::Stats, |shard, reply| {
        let lobby::Reply::Stats(stats) = reply else { return Err(Error::new(EBADMSG)) };
        for (name, value) in [
            ("sessions", stats.clients),
            ("drivers", stats.drivers),
            ("queues", stats.queues),
            ("sources", stats.sources),
            ("orphans", stats.orphans),
            ("pages", stats.pages),
            ("knotes", stats.knotes),
            ("notes", stats.notes),
            ("doorbells", stats.doorbells),
            ("changes", stats.changes),
            ("activations", stats.activations),
            ("wakes", stats.wakes),
            ("leases", stats.leases),
            ("handed_on", stats.handed_on),
            ("requests", stats.requests),
            ("lies", stats.lies),
        ] {
            figures.add(format!("shard.{shard}.{name}"), value);
        }
        Ok(())
    })
}

/// The processes of init's table that run.
fn living() -> Result<Vec<Process>> {
    let mut living = Vec::new();
    let mut after = 0;
    loop {
        let page = init::list(after)?;
        let Some(last) = page.last() else { return Ok(living) };
        after = last.pid;
        living.extend(page.into_iter().filter(|process| process.ended.is_none()));
    }
}

/// Those that run, and what the drivers among them tell.
fn processes(figures: &mut Figures) -> Result<()> {
    let living = living()?;
    for process in &living {
        figures.add(format!("process.{}", process.pid), &process.name);
    }
    // A service is called like the driver that serves it. Who serves none, or speaks another protocol, is no driver.
    for process in living.iter().filter(|process| process.name != SERVICE) {
        let Ok(service) = init::connect_until(&process.name, clock::after(PATIENCE)) else { continue };
        let asked = ipc::call(&service, INSPECT, [0; 4], 0, vec![], clock::after(PATIENCE));
        let reply = match asked {
            Ok((reply, _)) => reply,
            Err(error) => {
                figures.add(format!("driver.{}", process.name), error);
                continue;
            }
        };
        let mut bytes = vec![0; reply.tag.bytes()];
        ipc::read_bytes(reply.tag.bytes(), &mut bytes);
        for (name, value) in String::from_utf8_lossy(&bytes).lines().filter_map(|line| line.split_once(' ')) {
            figures.add(format!("driver.{}.{name}", process.name), value);
        }
    }
    Ok(())
}

#[cfg(not(target_os = "none"))]
fn main() {}

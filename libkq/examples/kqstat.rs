//! What the system is doing: the event server's shards, processes, drivers, the kernel. Arguments: `lines` for one
//! `name value` a line, to be read by programs; a name, to be shown nothing else but what begins with it (status 1: nothing
//! does). `process` shows who runs with which pid.
#![cfg_attr(target_os = "none", no_std, no_main)]
#![cfg_attr(not(target_os = "none"), allow(dead_code))]

extern crate alloc;

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec;
use alloc::vec::Vec;
use core::fmt::Write;

use event_protocol::control::{SERVICE, label, lobby};
use libkq::{Error, Result};
use rt::abi::error::EBADMSG;
use rt::{clock, init, ipc};

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
    let lines = start.arg(1) == "lines";
    let wanted = start.arg(if lines { 2 } else { 1 });
    let shown = look().and_then(|figures| {
        let text = figures.write(wanted, lines);
        let terminal = libkq::Descriptor::open("/dev/tty", libkq::flag::O_RDWR)?;
        terminal.write_all(text.as_bytes())?;
        Ok(!text.is_empty())
    });
    match shown {
        Ok(true) => 0,
        Ok(false) => {
            rt::log!("kqstat: nothing begins with `{wanted}`");
            1
        }
        Err(error) => {
            rt::log!("kqstat: {error}");
            1
        }
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

/// One shard a CPU.
fn shards(figures: &mut Figures) -> Result<()> {
    let ask = |lobby: &rt::sys::Endpoint, request: &lobby::Request| {
        ipc::call_postcard(lobby, label::LOBBY, request, Vec::new(), clock::after(PATIENCE))
    };
    let any = init::connect(SERVICE)?;
    let (mut shard, mut shards) = (0, 1);
    while shard < shards {
        let (lobby::Reply::Shard { shards: all }, mut handles) = ask(&any, &lobby::Request::Shard { shard })?
        else {
            return Err(Error::new(EBADMSG));
        };
        let (lobby::Reply::Stats(stats), _) = ask(&handles.object(0)?, &lobby::Request::Stats)? else {
            return Err(Error::new(EBADMSG));
        };
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
            ("requests", stats.requests),
            ("lies", stats.lies),
        ] {
            figures.add(format!("shard.{shard}.{name}"), value);
        }
        (shard, shards) = (shard + 1, all);
    }
    Ok(())
}

/// Those of init's table, and what the drivers among them tell, their traces included.
fn processes(figures: &mut Figures) -> Result<()> {
    let mut living = Vec::new();
    let mut after = 0;
    loop {
        let page = init::list(after)?;
        let Some(last) = page.last() else { break };
        after = last.pid;
        living.extend(page.into_iter().filter(|process| process.ended.is_none()));
    }
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
        for line in String::from_utf8_lossy(&bytes).lines() {
            match line.split_once(' ') {
                Some((name, value)) if value.parse::<u64>().is_ok() => {
                    figures.add(format!("driver.{}.{name}", process.name), value);
                }
                // Of the ring of what it did last.
                _ => figures.add(format!("trace.{}", process.name), line),
            }
        }
    }
    Ok(())
}

#[cfg(not(target_os = "none"))]
fn main() {}

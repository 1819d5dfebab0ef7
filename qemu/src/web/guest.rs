//! The machine that is measured, and what it is told: `libkq/examples/httpd/src/bin/webbench.rs` listens there.

use std::{
    io::{self, Read, Write},
    net::{Ipv4Addr, TcpStream},
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant},
};

use crate::{
    commands::image::Recipe,
    failure::{Failure, Result},
    machine::{
        Accelerator, Machine, Outcome,
        console::{Console, Input},
        device::{Device, Forward, Network},
        dialogue::Dialogue,
        exit::Status,
        loopback::Reserved,
        signals::Signals,
    },
    software::{self, archive::BootImage, cargo::Output},
    workspace::Workspace,
};

const PROGRAM: &str = "webbench";
const SERVER: &str = "httpd";
const MANIFEST: &str = "web";
const MEMORY: u32 = 512;
/// Where the guest is told what to do, and where its web server is.
const TOLD: u16 = 7000;
const WEB: u16 = 80;
/// Nothing that is told takes longer.
const PATIENCE: Duration = Duration::from_secs(120);
/// While the guest boots a connection may lead nowhere.
const FIRST: Duration = Duration::from_secs(5);
const PAUSE: Duration = Duration::from_millis(50);

/// Builds what is booted.
pub fn image(workspace: &Workspace) -> Result<BootImage> {
    let mut recipe = Recipe { manifest: MANIFEST.to_owned(), ..Recipe::default() };
    recipe.application.program = PROGRAM.to_owned();
    let manifest = recipe.manifest(workspace)?;
    let software = software::build_named(workspace, &[&manifest], &[SERVER], Output::Stderr)?;
    BootImage::write(workspace, &software, &manifest, PROGRAM)
}

/// A machine that runs.
#[derive(Clone, Copy, Debug)]
pub struct Guest<'a> {
    told: u16,
    /// The port of the loopback address that leads to its web server.
    pub web: u16,
    over: &'a AtomicBool,
}

/// Boots a machine, has `work` done with it and ends it.
pub fn with<T: Send>(
    image: &BootImage,
    cpus: u32,
    accelerator: Accelerator,
    signals: &Signals,
    limit: Duration,
    work: impl FnOnce(Guest<'_>) -> Result<T> + Send,
) -> Result<T> {
    let forward = vec![Forward::from(TOLD), Forward::from(WEB)];
    let network = Some(Network { forward, ..Network::default() });
    let mut devices = vec![Device { model: "virtio-net-pci".to_owned(), network, ..Device::default() }];
    let _reserved = Reserved::choose(&mut devices)?;
    let ports: Vec<u16> = devices
        .iter()
        .filter_map(|device| device.network.as_ref())
        .flat_map(|it| &it.forward)
        .map(|it| it.host)
        .collect();
    let machine = Machine {
        cpus,
        memory: MEMORY,
        accelerator,
        image: image.clone(),
        devices,
        arguments: Vec::new(),
        monitor: None,
    };
    let mut said = Vec::new();
    let over = AtomicBool::new(false);
    let guest = Guest { told: ports[0], web: ports[1], over: &over };
    let (outcome, done) = thread::scope(|scope| {
        let worker = scope.spawn(move || {
            let done = guest.until_it_listens().and_then(|()| work(guest));
            // A guest that is not told to end goes on until the limit; one that has ended need not be told.
            let _ = guest.tell("end");
            done
        });
        let outcome = machine.run(Console {
            input: Input::Script(Dialogue::default()),
            output: &mut |bytes| {
                said.extend_from_slice(bytes);
                Ok(())
            },
            limit: Some(limit),
            signals: Some(signals),
        });
        over.store(true, Ordering::Relaxed);
        (outcome, worker.join())
    });
    let wrong = |found: String| {
        let said = String::from_utf8_lossy(&said);
        let lines: Vec<&str> = said.lines().collect();
        let last = lines[lines.len().saturating_sub(10)..].join("\n");
        Failure::new("measure the web server", found, format!("see the last that the guest said:\n{last}"))
    };
    match (outcome?, done) {
        (Outcome::Ended(Status::Guest(0)), Ok(Ok(done))) => Ok(done),
        (_, Ok(Err(failure))) => Err(wrong(failure.to_string())),
        (outcome, _) => Err(wrong(format!("the guest did not end well: {outcome:?}"))),
    }
}

impl Guest<'_> {
    /// Tells the guest something, and gives what it answers behind `ok`.
    pub fn tell(&self, line: &str) -> Result<String> {
        self.told_within(line, PATIENCE)
    }

    fn told_within(&self, line: &str, limit: Duration) -> Result<String> {
        let failure =
            |found: String| Failure::new(format!("tell the guest `{line}`"), found, "see what it said");
        let answer =
            exchange(self.told, &format!("{line}\n"), limit).map_err(|error| failure(error.to_string()))?;
        match answer.split_once('\n') {
            Some(("ok", rest)) => Ok(rest.to_owned()),
            _ => Err(failure(answer)),
        }
    }

    /// The emulator takes connections before there is anybody to pass them on to. What is told here may arrive late, too.
    fn until_it_listens(&self) -> Result<()> {
        loop {
            match self.told_within("hello", FIRST) {
                Ok(_) => return Ok(()),
                Err(failure) if self.over.load(Ordering::Relaxed) => return Err(failure),
                Err(_) => thread::sleep(PAUSE),
            }
        }
    }

    /// Starts a web server with these options and waits for all its workers.
    pub fn start(&self, options: &str, workers: usize) -> Result<()> {
        self.tell(&format!("start {options}"))?;
        let begin = Instant::now();
        loop {
            let found = match self.page("/counters") {
                Ok(text) if text.lines().any(|line| line == format!("workers {workers}")) => return Ok(()),
                Ok(text) => text,
                Err(error) => error.to_string(),
            };
            if self.over.load(Ordering::Relaxed) || begin.elapsed() > PATIENCE {
                let asked = format!("see {workers} workers begin");
                return Err(Failure::new(asked, found, "see what the guest said"));
            }
            thread::sleep(PAUSE);
        }
    }

    /// A page of the web server.
    pub fn page(&self, path: &str) -> io::Result<String> {
        let answer = exchange(self.web, &format!("GET {path} HTTP/1.0\r\n\r\n"), FIRST)?;
        match answer.split_once("\r\n\r\n") {
            Some((head, body)) if head.starts_with("HTTP/1.1 200 ") => Ok(body.to_owned()),
            _ => Err(io::Error::other(answer)),
        }
    }
}

/// Says something to a port and hears until its end.
fn exchange(port: u16, said: &str, limit: Duration) -> io::Result<String> {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
    stream.set_read_timeout(Some(limit))?;
    stream.write_all(said.as_bytes())?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}

//! Which entries of a manifest make sense.

mod why;

use alloc::{string::String, vec::Vec};

use abi::{
    limits::PRIORITIES,
    memory::{PAGE, USER_END},
};
use init_protocol::{
    limits::{LEAST_QUOTA, NAME, STRINGS},
    manifest::{Device, Entry, Kind, Manifest, Restart},
};

pub use why::Why;

/// Bytes in all arguments and environment variables of an entry together.
pub const STRING_BYTES: usize = 8192;
/// Entries that are looked at.
pub const ENTRIES: usize = 64;

/// An entry that makes sense, with the devices that it names.
#[derive(Clone, Debug)]
pub struct Program {
    /// The entry.
    pub entry: Entry,
    /// Its devices.
    pub devices: Vec<Device>,
}

/// An entry that is skipped.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Skipped {
    /// Number of the entry.
    pub index: usize,
    /// Its name, fit to be printed.
    pub name: String,
    /// Whether its end would have powered the machine off.
    pub essential: bool,
    /// What is wrong.
    pub why: Why,
}

/// Whether something may be called `name`: 1 to [`NAME`] bytes that print in one word.
pub fn is_name(name: &str) -> bool {
    (1..=NAME).contains(&name.len()) && !name.chars().any(|c| c.is_control() || c.is_whitespace())
}

/// Whether these can be given to a program.
pub fn are_strings<'a>(args: &[String], env: impl Iterator<Item = &'a (String, String)> + Clone) -> bool {
    let bytes = args.iter().map(String::len).sum::<usize>()
        + env.clone().map(|(name, value)| name.len() + value.len()).sum::<usize>();
    args.len() <= STRINGS && env.count() <= STRINGS && bytes <= STRING_BYTES
}

/// Splits a manifest into what is started, in its order, and what is skipped. `exists` tells of files.
pub fn manifest(manifest: Manifest, exists: impl Fn(&str) -> bool) -> (Vec<Program>, Vec<Skipped>) {
    let mut programs: Vec<(usize, Program)> = Vec::new();
    let mut skipped = Vec::new();
    for (index, entry) in manifest.entries.into_iter().enumerate() {
        let verdict = if index < ENTRIES {
            alone(&entry, &exists)
                .and_then(|()| beside(&entry, programs.iter().map(|(_, program)| program)))
                .and_then(|()| devices(&entry, &manifest.devices))
        } else {
            Err(Why::TooMany)
        };
        match verdict {
            Ok(devices) => programs.push((index, Program { entry, devices })),
            Err(why) => skipped.push(Skipped::new(index, &entry, why)),
        }
    }
    while let Some(at) = first_that_waits_in_vain(&programs) {
        let (index, program) = programs.remove(at);
        let service = unprovided(&program.entry, &programs).unwrap_or_default();
        skipped.push(Skipped::new(index, &program.entry, Why::WaitsInVain(service)));
    }
    (programs.into_iter().map(|(_, program)| program).collect(), skipped)
}

impl Skipped {
    fn new(index: usize, entry: &Entry, why: Why) -> Skipped {
        Skipped { index, name: printable(&entry.name), essential: entry.essential, why }
    }
}

/// What is no name is shown as it would be written in a program, and not to any length.
fn printable(text: &str) -> String {
    text.chars().take(NAME).flat_map(char::escape_debug).collect()
}

fn alone(entry: &Entry, exists: impl Fn(&str) -> bool) -> Result<(), Why> {
    if !is_name(&entry.name) {
        return Err(Why::Name);
    }
    if !exists(&entry.file) {
        return Err(Why::NoFile(printable(&entry.file)));
    }
    if !are_strings(&entry.args, entry.env.iter()) {
        return Err(Why::Strings);
    }
    if usize::from(entry.priority) >= PRIORITIES {
        return Err(Why::Priority(entry.priority));
    }
    if entry.quota < LEAST_QUOTA {
        return Err(Why::Quota(entry.quota));
    }
    if let Some(name) = entry.provides.iter().chain(&entry.after).find(|name| !is_name(name)) {
        return Err(Why::Service(printable(name)));
    }
    if !entry.devices.is_empty() && entry.kind != Kind::Driver {
        return Err(Why::NoDriver);
    }
    if !entry.provides.is_empty() && entry.kind == Kind::Application {
        return Err(Why::NoServer);
    }
    match entry.restart {
        Restart::OnFailure(backoff) if backoff.first_ms > backoff.longest_ms || backoff.first_ms == 0 => {
            Err(Why::Backoff { first: backoff.first_ms, longest: backoff.longest_ms })
        }
        _ => Ok(()),
    }
}

fn beside<'a>(entry: &Entry, before: impl Iterator<Item = &'a Program>) -> Result<(), Why> {
    for Program { entry: other, .. } in before {
        if other.name == entry.name {
            return Err(Why::SameName);
        }
        if let Some(service) = entry.provides.iter().find(|name| other.provides.contains(name)) {
            return Err(Why::SameService { service: service.clone(), other: other.name.clone() });
        }
        if let Some(device) = entry.devices.iter().find(|name| other.devices.contains(name)) {
            return Err(Why::SameDevice { device: device.clone(), other: other.name.clone() });
        }
    }
    Ok(())
}

fn devices(entry: &Entry, known: &[Device]) -> Result<Vec<Device>, Why> {
    let mut found: Vec<Device> = Vec::new();
    for name in &entry.devices {
        let device = known.iter().find(|device| device.name == *name && is_name(name));
        let device = device.ok_or_else(|| Why::NoDevice(printable(name)))?;
        if !is_device(device) || found.contains(device) {
            return Err(Why::Device(name.clone()));
        }
        found.push(device.clone());
    }
    Ok(found)
}

fn is_device(device: &Device) -> bool {
    let ports = device
        .ports
        .iter()
        .all(|ports| ports.count > 0 && u32::from(ports.first) + u32::from(ports.count) <= 0x1_0000);
    let memory = device.memory.is_none_or(|registers| {
        registers.length > 0
            && registers.address % PAGE == 0
            && registers.length % PAGE == 0
            && registers.length < USER_END
            && registers.address.checked_add(registers.length).is_some_and(|end| end <= 1 << 52)
    });
    ports && memory && device.ports.len() <= 8
}

/// A service that the entry waits for and nobody else provides.
fn unprovided(entry: &Entry, programs: &[(usize, Program)]) -> Option<String> {
    let provided = |service: &String| {
        programs.iter().any(|(_, p)| p.entry.name != entry.name && p.entry.provides.contains(service))
    };
    entry.after.iter().find(|service| !provided(service)).or(entry.after.first()).cloned()
}

/// The first program that would never be started because what it waits for would not be.
fn first_that_waits_in_vain(programs: &[(usize, Program)]) -> Option<usize> {
    let mut started: Vec<bool> = programs.iter().map(|_| false).collect();
    loop {
        let ready = |service: &String| {
            programs.iter().zip(&started).any(|((_, p), &s)| s && p.entry.provides.contains(service))
        };
        let next = programs
            .iter()
            .zip(&started)
            .position(|((_, program), &started)| !started && program.entry.after.iter().all(ready));
        match next {
            Some(index) => started[index] = true,
            None => return started.iter().position(|&started| !started),
        }
    }
}

//! Names of services and the endpoints behind them.

use alloc::{collections::BTreeMap, string::String, vec::Vec};

use abi::error::{EEXIST, EPERM, Error, Result};

use crate::check::Program;

#[derive(Debug)]
struct Service<H> {
    name: String,
    provider: usize,
    registered: Option<(u32, H)>,
    /// What each client reaches it through, if it knows its callers: made once, since init pays for it, and not who asks.
    introduced: BTreeMap<u32, H>,
}

/// All services that some program may provide.
#[derive(Debug)]
pub struct Services<H>(Vec<Service<H>>);

impl<H> Services<H> {
    /// Those that the programs' entries name.
    pub fn new(programs: &[Program]) -> Services<H> {
        let names = programs.iter().enumerate().flat_map(|(provider, program)| {
            program.entry.provides.iter().map(move |name| (provider, name.clone()))
        });
        let service =
            |(provider, name)| Service { name, provider, registered: None, introduced: BTreeMap::new() };
        Services(names.map(service).collect())
    }

    /// The service of this name.
    pub fn find(&self, name: &str) -> Option<usize> {
        self.0.iter().position(|service| service.name == name)
    }

    /// Number of the program that provides it.
    pub fn provider(&self, service: usize) -> usize {
        self.0[service].provider
    }

    /// The endpoint, while it is registered.
    pub fn endpoint(&self, service: usize) -> Option<&H> {
        self.0[service].registered.as_ref().map(|(_, endpoint)| endpoint)
    }

    /// What a client reaches the service through, if that is its own.
    pub fn introduced(&self, service: usize, client: u32) -> Option<&H> {
        self.0[service].introduced.get(&client)
    }

    /// A client reaches the service through a handle of its own until one of them has ended.
    pub fn introduce(&mut self, service: usize, client: u32, own: H) {
        self.0[service].introduced.insert(client, own);
    }

    /// Whether the service of this name is registered.
    pub fn is_registered(&self, name: &str) -> bool {
        self.find(name).is_some_and(|service| self.endpoint(service).is_some())
    }

    /// Process `pid` of `program` offers a service.
    pub fn register(&mut self, service: usize, program: usize, pid: u32, endpoint: H) -> Result<()> {
        let service = &mut self.0[service];
        if service.provider != program {
            return Err(Error::new(EPERM));
        }
        if service.registered.is_some() {
            return Err(Error::new(EEXIST));
        }
        service.registered = Some((pid, endpoint));
        Ok(())
    }

    /// Process `pid` has ended: its endpoints are closed, and what others are reached through by it.
    pub fn withdraw(&mut self, pid: u32) {
        for service in &mut self.0 {
            service.introduced.remove(&pid);
            if service.registered.take_if(|(provider, _)| *provider == pid).is_some() {
                service.introduced.clear();
            }
        }
    }

    /// The services of a program.
    pub fn of(&self, program: usize) -> impl Iterator<Item = usize> + '_ {
        (0..self.0.len()).filter(move |&service| self.0[service].provider == program)
    }
}

//! What processes may ask, and the answers.

use alloc::vec::Vec;

use abi::error::{
    EAGAIN, ECHILD, EDEADLK, EINVAL, ENAMETOOLONG, ENODEV, ENOENT, EPERM, ESRCH, Error, Result,
};
use init_protocol::{
    VERSION,
    caller::Caller,
    limits::{NAME, PATH},
    manifest::{Kind, Restart},
    request::{Event, Reply, Request},
};

use crate::{Init, System, init::State, processes, waiting::For};

/// A request that has been dealt with.
enum Answer<H> {
    /// This is the answer.
    Now(Reply, Option<H>),
    /// It waits, or has been answered.
    Later,
}

use Answer::{Later, Now};

impl<S: System> Init<S> {
    /// A message with a badge came. `request` is an error when it could not be read. Handles that are not wanted are
    /// closed.
    pub fn asked(&mut self, badge: u64, token: u64, request: Result<Request>, handles: Vec<S::Handle>) {
        self.counters.requests += 1;
        let answer = match (self.processes.caller(badge), request) {
            (Some((pid, _)), Ok(request)) => self.answer(pid, token, request, handles),
            (Some(_), Err(error)) => Err(error),
            (None, _) => Err(Error::new(EPERM)),
        };
        let answer = match answer {
            Ok(Now(reply, handle)) => Ok((reply, handle)),
            Ok(Later) => return self.settle(),
            Err(error) => {
                self.counters.refused += 1;
                Err(error)
            }
        };
        // A caller that is gone or cannot take the answer is not waited for.
        let _ = self.system.reply(token, answer);
        self.settle();
    }

    fn answer(
        &mut self,
        caller: u32,
        token: u64,
        request: Request,
        handles: Vec<S::Handle>,
    ) -> Result<Answer<S::Handle>> {
        match request {
            Request::Version => Ok(Now(Reply::Version(VERSION), None)),
            Request::Register { name } => self.register(caller, token, &name, handles),
            Request::Connect { name } => self.connect(caller, token, &name),
            Request::Spawn(spawn) => self.spawn(caller, token, &spawn, handles).map(|()| Later),
            Request::Give { afresh, names, data } => {
                self.giving.give(caller, afresh, names, handles, &data)?;
                Ok(Now(Reply::Done, None))
            }
            Request::Kill { pid, status } => self.kill(caller, pid, status),
            Request::Wait { pid } => self.wait(caller, token, pid),
            Request::OpenProcess { pid } => {
                self.may(caller, pid)?;
                let process = self.processes.get(pid).and_then(|record| record.alive());
                let process = process.ok_or(Error::new(ESRCH))?;
                Ok(Now(Reply::Done, Some(self.system.share_process(process, false)?)))
            }
            Request::List { after } => Ok(Now(Reply::Processes(self.processes.list(after)), None)),
            Request::OpenFile { path } if path.len() > PATH => Err(Error::new(ENAMETOOLONG)),
            Request::OpenFile { path } => {
                self.system.open(&path).map(|(handle, length)| Now(Reply::File { length }, Some(handle)))
            }
            Request::PowerOff { status } => self.power_off(caller, status),
            Request::OnPowerOff => self.on_power_off(caller, handles),
            Request::Drained => {
                self.power.drained(caller);
                Ok(Now(Reply::Done, None))
            }
            Request::Counters => Ok(Now(Reply::Counters(self.counters()), None)),
            Request::WaitChild { pid, at_once } => self.wait_child(caller, token, pid, at_once),
            Request::Observe => self.observe(caller, handles),
            Request::Happened => {
                let events = self.observing.take(caller).ok_or(Error::new(EPERM))?;
                Ok(Now(Reply::Happened(events), None))
            }
            Request::Keep => self.keep(caller, handles),
            Request::Watched => self.watched(caller, handles),
            Request::Alive if self.watchdog.answered(caller) => Ok(Now(Reply::Done, None)),
            Request::Alive => Err(Error::new(EPERM)),
            Request::Trace => self.trace(caller, handles),
            Request::TraceOf { pid, index } => self.trace_of(caller, pid, index),
        }
    }

    /// The program that a process is itself, not one that it descends from.
    fn program(&self, pid: u32) -> Option<usize> {
        let program = self.processes.get(pid)?.program;
        (self.entries[program].state == State::Alive(pid)).then_some(program)
    }

    /// Whether a process may know and end another.
    fn may(&self, caller: u32, pid: u32) -> Result<()> {
        if self.is_operator(caller) || self.processes.descends(pid, caller) {
            return Ok(());
        }
        match self.processes.get(pid) {
            Some(_) => Err(Error::new(EPERM)),
            None => Err(Error::new(ESRCH)),
        }
    }

    /// Whether a process is an operator's program itself.
    fn is_operator(&self, pid: u32) -> bool {
        self.program(pid).is_some_and(|program| self.entries[program].program.entry.operator)
    }

    /// Whether a process is a server or driver of the manifest itself.
    fn is_provider(&self, pid: u32) -> bool {
        let entry = self.program(pid).map(|program| &self.entries[program].program.entry);
        entry.is_some_and(|entry| entry.kind != Kind::Application)
    }

    fn register(
        &mut self,
        caller: u32,
        token: u64,
        name: &str,
        handles: Vec<S::Handle>,
    ) -> Result<Answer<S::Handle>> {
        let service = self.service(name)?.ok_or(Error::new(EPERM))?;
        let program = self.program(caller).ok_or(Error::new(EPERM))?;
        let endpoint = handles.into_iter().next().filter(|handle| self.system.is_service(handle));
        let endpoint = endpoint.ok_or(Error::new(EINVAL))?;
        self.services.register(service, program, caller, endpoint)?;
        let _ = self.system.reply(token, Ok((Reply::Done, None)));
        for (client, token) in self.waiting.take(For::Service(service)) {
            let answer = self.share(service, client);
            let _ = self.system.reply(token, answer);
        }
        self.start_ready();
        Ok(Later)
    }

    fn connect(&mut self, caller: u32, token: u64, name: &str) -> Result<Answer<S::Handle>> {
        let service = self.service(name)?.ok_or(Error::new(ENOENT))?;
        if self.services.endpoint(service).is_some() {
            return self.share(service, caller).map(|(reply, handle)| Now(reply, handle));
        }
        if self.entries[self.services.provider(service)].state == State::Over {
            return Err(Error::new(ENODEV));
        }
        self.wait_for(caller, token, For::Service(service));
        Ok(Later)
    }

    fn service(&self, name: &str) -> Result<Option<usize>> {
        if name.len() > NAME { Err(Error::new(ENAMETOOLONG)) } else { Ok(self.services.find(name)) }
    }

    fn share(&mut self, service: usize, client: u32) -> Result<(Reply, Option<S::Handle>)> {
        let endpoint = self.services.endpoint(service).ok_or(Error::new(ENODEV))?;
        let caller = Caller { pid: client, provider: self.is_provider(client) };
        if self.services.introduced(service, client).is_none()
            && let Some(own) = self.system.introduce(endpoint, caller)?
        {
            self.services.introduce(service, client, own);
        }
        let reached = self.services.introduced(service, client).or(self.services.endpoint(service));
        let reached = reached.ok_or(Error::new(ENODEV))?;
        Ok((Reply::Done, Some(self.system.share_service(reached)?)))
    }

    fn kill(&mut self, caller: u32, pid: u32, status: i64) -> Result<Answer<S::Handle>> {
        self.may(caller, pid)?;
        let process = self.processes.get(pid).and_then(|record| record.alive());
        self.system.kill(process.ok_or(Error::new(ESRCH))?, status);
        Ok(Now(Reply::Done, None))
    }

    fn wait(&mut self, caller: u32, token: u64, pid: u32) -> Result<Answer<S::Handle>> {
        if pid == caller {
            return Err(Error::new(EDEADLK));
        }
        self.may(caller, pid)?;
        let record = self.processes.get(pid).ok_or(Error::new(ESRCH))?;
        let processes::State::Ended(status) = record.state else {
            self.wait_for(caller, token, For::End(pid));
            return Ok(Later);
        };
        let is_parent = record.parent == caller;
        self.observing.ring(&mut self.system);
        let delivered = self.system.reply(token, Ok((Reply::Ended(status), None))).is_ok();
        if is_parent && delivered {
            self.forget(pid);
        }
        Ok(Later)
    }

    fn wait_child(&mut self, caller: u32, token: u64, pid: u32, at_once: bool) -> Result<Answer<S::Handle>> {
        let children = self.processes.children(caller);
        let mut wanted = children.into_iter().filter(|&child| pid == 0 || child == pid).peekable();
        wanted.peek().ok_or(Error::new(ECHILD))?;
        let ended = |pid| match self.processes.get(pid)?.state {
            processes::State::Ended(status) => Some((pid, status)),
            processes::State::Alive(_) => None,
        };
        let Some((child, status)) = wanted.find_map(ended) else {
            if at_once {
                return Ok(Now(Reply::Done, None));
            }
            self.wait_for(caller, token, For::Child { parent: caller, pid });
            return Ok(Later);
        };
        let reply = if pid == 0 { Reply::Child { pid: child, status } } else { Reply::Ended(status) };
        // Who is answered knows that the child is forgotten.
        self.observing.ring(&mut self.system);
        if self.system.reply(token, Ok((reply, None))).is_ok() {
            self.forget(child);
        }
        Ok(Later)
    }

    fn observe(&mut self, caller: u32, handles: Vec<S::Handle>) -> Result<Answer<S::Handle>> {
        if !self.is_operator(caller) {
            return Err(Error::new(EPERM));
        }
        let notification = handles.into_iter().next().filter(|handle| self.system.is_signal(handle));
        let notification = notification.ok_or(Error::new(EINVAL))?;
        let mut events = Vec::new();
        for pid in self.processes.family_order() {
            events.extend(self.birth(pid));
            if let Some(processes::State::Ended(status)) = self.processes.get(pid).map(|record| &record.state)
            {
                events.push(Event::Ended { pid, status: *status });
            }
        }
        self.observing.begin(&mut self.system, caller, notification, events.into_iter());
        Ok(Now(Reply::Done, None))
    }

    /// What an observer is told of a process's birth.
    pub(crate) fn birth(&self, pid: u32) -> Option<Event> {
        let record = self.processes.get(pid)?;
        let operator = self.is_operator(pid);
        Some(Event::Born { pid, parent: record.parent, family: record.program as u32, operator })
    }

    fn wait_for(&mut self, caller: u32, token: u64, what: For) {
        if let Some(oldest) = self.waiting.add(caller, token, what) {
            self.counters.displaced += 1;
            let _ = self.system.reply(oldest, Err(Error::new(EAGAIN)));
        }
    }

    fn power_off(&mut self, caller: u32, status: u8) -> Result<Answer<S::Handle>> {
        let entry = self.program(caller).map(|program| &self.entries[program].program.entry);
        match entry {
            Some(entry) if entry.essential || entry.operator => {
                self.power.go(&mut self.system, status);
                Ok(Later)
            }
            _ => Err(Error::new(EPERM)),
        }
    }

    fn keep(&mut self, caller: u32, handles: Vec<S::Handle>) -> Result<Answer<S::Handle>> {
        let program = self.program(caller).ok_or(Error::new(EPERM))?;
        let entry = &self.entries[program].program.entry;
        if entry.kind == Kind::Application || entry.restart == Restart::Never {
            return Err(Error::new(EPERM));
        }
        let handle = handles.into_iter().next().ok_or(Error::new(EINVAL))?;
        // One that could not be given on is better refused now.
        drop(self.system.duplicate(&handle)?);
        self.kept.insert(program, handle);
        Ok(Now(Reply::Done, None))
    }

    fn watched(&mut self, caller: u32, handles: Vec<S::Handle>) -> Result<Answer<S::Handle>> {
        let program = self.program(caller).ok_or(Error::new(EPERM))?;
        let patience = self.entries[program].program.entry.watchdog_ms;
        if patience == 0 {
            return Err(Error::new(EPERM));
        }
        let bell = handles.into_iter().next().filter(|handle| self.system.is_signal(handle));
        let now = self.system.now();
        self.watchdog.watch(caller, bell.ok_or(Error::new(EINVAL))?, patience, now);
        Ok(Now(Reply::Done, None))
    }

    fn trace(&mut self, caller: u32, handles: Vec<S::Handle>) -> Result<Answer<S::Handle>> {
        let memory = handles.into_iter().next().filter(|handle| self.system.is_page(handle));
        self.traces.keep(caller, memory.ok_or(Error::new(EINVAL))?)?;
        Ok(Now(Reply::Done, None))
    }

    fn trace_of(&mut self, caller: u32, pid: u32, index: u32) -> Result<Answer<S::Handle>> {
        self.may(caller, pid)?;
        self.processes.get(pid).and_then(|record| record.alive()).ok_or(Error::new(ESRCH))?;
        let memory = self.traces.get(pid, index)?;
        Ok(Now(Reply::Done, Some(self.system.share_page(memory)?)))
    }

    fn on_power_off(&mut self, caller: u32, handles: Vec<S::Handle>) -> Result<Answer<S::Handle>> {
        let program = self.program(caller).ok_or(Error::new(EPERM))?;
        if self.entries[program].program.entry.kind == Kind::Application {
            return Err(Error::new(EPERM));
        }
        let notification = handles.into_iter().next().filter(|handle| self.system.is_signal(handle));
        self.power.listen(caller, notification.ok_or(Error::new(EINVAL))?);
        Ok(Now(Reply::Done, None))
    }
}

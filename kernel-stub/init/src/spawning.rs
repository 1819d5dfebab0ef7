//! Starting programs: those of the manifest, and those that processes ask for.

use alloc::{string::String, vec::Vec};

use abi::error::{E2BIG, EAGAIN, EDQUOT, EINVAL, ENAMETOOLONG, ENOMEM, EPERM, Error, Result};
use init_protocol::{
    limits::{CHILDREN, LEAST_QUOTA, NAME, PATH},
    request::{KEPT, Reply, Spawn},
};

use crate::{
    Init, System,
    check::{are_strings, is_name},
    init::{CANNOT_START, ENDED_WITH_PARENT, State},
    processes::{self, INIT, Processes, Record},
    system::{Failure, Plan},
};

const KIB: u64 = 1024;

impl<S: System> Init<S> {
    /// Starts the programs that wait for no service any more, in the manifest's order.
    pub(crate) fn start_ready(&mut self) {
        for index in 0..self.entries.len() {
            let entry = &self.entries[index];
            let is_ready = |name: &String| self.services.is_registered(name);
            if entry.state == State::New && entry.program.entry.after.iter().all(is_ready) {
                self.start(index);
            }
        }
    }

    /// Starts a program of the manifest.
    pub(crate) fn start(&mut self, index: usize) {
        if self.power.is_going() {
            return;
        }
        let pid = self.processes.next_pid();
        let program = &self.entries[index].program;
        let entry = &program.entry;
        let plan = Plan {
            pid,
            name: &entry.name,
            file: &entry.file,
            args: &entry.args,
            env: &entry.env,
            quota: entry.quota,
            priority: entry.priority,
            cpus: entry.cpus,
            devices: &program.devices,
            data: &[],
            exit_bits: Processes::<S::Process>::exit_bits(pid),
        };
        let kept = self.kept.get(&index).map(|kept| self.system.duplicate(kept));
        let kept = kept.transpose().map_err(|error| Failure::Refused { what: "handle", error });
        let handles = kept.map(|kept| kept.map(|kept| (String::from(KEPT), kept)).into_iter().collect());
        match handles.and_then(|handles| self.system.spawn(&plan, handles)) {
            Ok(process) => {
                self.counters.started += 1;
                let record = Record {
                    name: entry.name.clone(),
                    parent: INIT,
                    program: index,
                    cost: 0,
                    started: self.system.now(),
                    state: processes::State::Alive(process),
                };
                self.processes.insert(pid, record);
                self.entries[index].state = State::Alive(pid);
                self.was_born(pid);
            }
            Err(failure) => {
                self.counters.unstarted += 1;
                self.system.log(format_args!("{} ({}) is not started: {failure}", entry.name, entry.file));
                if failure.is_passing() {
                    self.failed(index, 0, CANNOT_START);
                } else {
                    self.over(index, CANNOT_START);
                }
            }
        }
    }

    /// Starts a program that process `caller` asked for.
    pub(crate) fn spawn(
        &mut self,
        caller: u32,
        token: u64,
        spawn: &Spawn,
        handles: Vec<S::Handle>,
    ) -> Result<()> {
        let mut given = self.giving.take(caller);
        let (name, index) = self.check_spawn(caller, spawn, handles.len())?;
        let cost = self.system.cost(&spawn.file).map_err(|failure| failure.errno())?;
        let cost = cost.checked_add(spawn.quota).ok_or(Error::new(EDQUOT))?;
        let entry = &self.entries[index];
        let lent = entry.lent.checked_add(cost).ok_or(Error::new(EDQUOT))?;
        let most = entry.program.entry.children_quota;
        if lent > most || entry.children >= CHILDREN {
            let (used, most, children) = (entry.lent / KIB, most / KIB, entry.children);
            let why = format_args!(
                "those that it started have {used} of {most} KiB (children_quota) and are {children} of {CHILDREN}"
            );
            self.no_room(index, spawn, why);
            return Err(Error::new(EDQUOT));
        }
        let pid = self.processes.next_pid();
        let plan = Plan {
            pid,
            name,
            file: &spawn.file,
            args: &spawn.args,
            env: &spawn.env,
            quota: spawn.quota,
            priority: spawn.priority,
            cpus: spawn.cpus,
            devices: &[],
            data: &given.data,
            exit_bits: Processes::<S::Process>::exit_bits(pid),
        };
        given.handles.extend(spawn.handles.iter().cloned().zip(handles));
        let process = match self.system.spawn(&plan, given.handles) {
            Ok(process) => process,
            Err(failure) => {
                self.counters.unstarted += 1;
                if failure.errno() == Error::new(ENOMEM) {
                    self.no_room(index, spawn, format_args!("the machine has not that much memory left"));
                }
                return Err(failure.errno());
            }
        };
        self.counters.started += 1;
        let share = self.system.share_process(&process, true);
        self.entries[index].lent = lent;
        self.entries[index].children += 1;
        let record = Record {
            name: name.into(),
            parent: caller,
            program: index,
            cost,
            started: self.system.now(),
            state: processes::State::Alive(process),
        };
        self.processes.insert(pid, record);
        self.was_born(pid);
        let answer = share.map(|handle| (Reply::Spawned { pid }, Some(handle)));
        let is_known = answer.is_ok();
        if self.system.reply(token, answer).is_err() || !is_known {
            // Nobody knows of the process, so nobody could end it. Its end is noticed like any other.
            if let Some(process) = self.processes.get(pid).and_then(|record| record.alive()) {
                self.system.kill(process, ENDED_WITH_PARENT);
            }
        }
        Ok(())
    }

    /// Says once for each program of the manifest what the error that its children get is about.
    fn no_room(&mut self, index: usize, spawn: &Spawn, why: core::fmt::Arguments<'_>) {
        let entry = &mut self.entries[index];
        if !core::mem::replace(&mut entry.told_of_room, true) {
            let (file, parent, quota) = (&spawn.file, &entry.program.entry.name, spawn.quota / KIB);
            self.system
                .log(format_args!("{file} with a quota of {quota} KiB is not started for {parent}: {why}"));
        }
    }

    fn was_born(&mut self, pid: u32) {
        if let Some(event) = self.birth(pid) {
            self.happened(event);
        }
    }

    /// The name of the new process and the program that pays for it.
    fn check_spawn<'a>(&self, caller: u32, spawn: &'a Spawn, handles: usize) -> Result<(&'a str, usize)> {
        let name = match spawn.name.as_str() {
            "" => spawn.file.rsplit('/').next().unwrap_or_default(),
            name => name,
        };
        if name.len() > NAME || spawn.file.len() > PATH {
            return Err(Error::new(ENAMETOOLONG));
        }
        if !are_strings(&spawn.args, spawn.env.iter()) {
            return Err(Error::new(E2BIG));
        }
        let names_fit = spawn.handles.len() == handles && spawn.handles.iter().all(|name| is_name(name));
        if !is_name(name) || !names_fit || spawn.quota < LEAST_QUOTA {
            return Err(Error::new(EINVAL));
        }
        let record = self.processes.get(caller).ok_or(Error::new(EPERM))?;
        if spawn.priority > self.entries[record.program].program.entry.priority {
            return Err(Error::new(EPERM));
        }
        if self.power.is_going() {
            return Err(Error::new(EAGAIN));
        }
        Ok((name, record.program))
    }
}

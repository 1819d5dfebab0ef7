//! An imagined machine: processes that end when told to, replies that are written down, handles that are counted.
#![allow(dead_code, reason = "each test file uses a part")]

use std::{
    cell::RefCell,
    collections::{BTreeMap, BTreeSet},
    fmt,
    rc::Rc,
};

use abi::error::{EINVAL, EMFILE, ENOENT, ENOMEM, ESRCH, Error, Result};
use init::{
    Init, System, check,
    system::{Failure, Plan},
    watchdog::Doing,
};
use init_protocol::{
    VERSION,
    caller::Caller,
    manifest::{Entry, Kind, Manifest, Restart},
    request::{Reply, Request, Spawn},
    status::ExitStatus,
};

/// Bytes that every program costs beside its quota.
pub const COST: u64 = 1000;

/// A process as the machine sees it.
#[derive(Debug, Clone)]
pub struct Body {
    pub pid: u32,
    pub name: String,
    pub exit_bits: u64,
    pub handles: Vec<String>,
    pub data: Vec<u8>,
    pub ended: Option<ExitStatus>,
    pub doing: Doing,
}

/// An answer that somebody got.
pub type Answer = Result<(Reply, Option<What>)>;

/// What a handle is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum What {
    Process(usize),
    Watch(usize),
    Service(u32),
    /// A service's endpoint that clients are told apart by.
    Knowing(u32),
    /// What a client of such a service gets: service, client.
    Client(u32, Caller),
    Notification(u32),
    File,
    /// A page, and what who looks at it gets.
    Page(u32),
    Look(u32),
    Junk,
}

#[derive(Default, Debug)]
pub struct State {
    pub now: u64,
    pub bodies: Vec<Body>,
    pub answers: BTreeMap<u64, Answer>,
    /// Callers that wait no longer.
    pub gone: BTreeSet<u64>,
    /// Callers that can take no handle.
    pub full: BTreeSet<u64>,
    pub log: Vec<String>,
    pub open: usize,
    pub signalled: Vec<u32>,
    /// How many had been when the last answer went out.
    pub signalled_before: usize,
    /// Handles made that say who has them: init pays for each.
    pub minted: usize,
    pub off: Option<u8>,
    /// Spawns that fail from now on.
    pub fail: Option<Failure>,
    /// No room for handles.
    pub no_handles: bool,
}

#[derive(Clone, Default, Debug)]
pub struct World(pub Rc<RefCell<State>>);

/// A handle; closing is dropping.
#[derive(Debug)]
pub struct Handle {
    pub what: What,
    world: World,
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.world.0.borrow_mut().open -= 1;
    }
}

impl World {
    pub fn handle(&self, what: What) -> Handle {
        self.0.borrow_mut().open += 1;
        Handle { what, world: self.clone() }
    }

    /// What a caller was answered.
    pub fn answer(&self, token: u64) -> Option<Answer> {
        self.0.borrow().answers.get(&token).cloned()
    }

    pub fn log(&self) -> String {
        self.0.borrow().log.join("\n")
    }

    /// The live process of this name.
    pub fn pid(&self, name: &str) -> Option<u32> {
        let state = self.0.borrow();
        state.bodies.iter().find(|body| body.name == name && body.ended.is_none()).map(|body| body.pid)
    }

    /// How often a program of this name was started.
    pub fn starts(&self, name: &str) -> usize {
        self.0.borrow().bodies.iter().filter(|body| body.name == name).count()
    }
}

impl System for World {
    type Process = Handle;
    type Handle = Handle;

    fn now(&self) -> u64 {
        self.0.borrow().now
    }

    fn log(&mut self, line: fmt::Arguments<'_>) {
        self.0.borrow_mut().log.push(line.to_string());
    }

    fn cost(&mut self, file: &str) -> core::result::Result<u64, Failure> {
        if file.starts_with("bin/") { Ok(COST) } else { Err(Failure::NoFile) }
    }

    fn spawn(
        &mut self,
        plan: &Plan<'_>,
        handles: Vec<(String, Handle)>,
    ) -> core::result::Result<Handle, Failure> {
        let mut state = self.0.borrow_mut();
        if let Some(failure) = &state.fail {
            let failure = failure.clone();
            drop(state);
            return Err(failure);
        }
        let process = What::Process(state.bodies.len());
        state.bodies.push(Body {
            pid: plan.pid,
            name: plan.name.into(),
            exit_bits: plan.exit_bits,
            handles: handles.iter().map(|(name, _)| name.clone()).collect(),
            data: plan.data.to_vec(),
            ended: None,
            doing: Doing::Listens,
        });
        drop(state);
        Ok(self.handle(process))
    }

    fn kill(&mut self, process: &Handle, status: i64) {
        let What::Process(index) = process.what else { panic!("no process") };
        let body = &mut self.0.borrow_mut().bodies[index];
        body.ended.get_or_insert(ExitStatus::Exited(status));
    }

    fn status(&mut self, process: &Handle) -> Option<ExitStatus> {
        let What::Process(index) = process.what else { panic!("no process") };
        self.0.borrow().bodies[index].ended
    }

    fn doing(&mut self, process: &Handle) -> Doing {
        let What::Process(index) = process.what else { panic!("no process") };
        self.0.borrow().bodies[index].doing
    }

    fn duplicate(&mut self, handle: &Handle) -> Result<Handle> {
        if handle.what == What::Junk {
            return Err(Error::new(abi::error::EPERM));
        }
        Ok(self.handle(handle.what))
    }

    fn share_process(&mut self, process: &Handle, control: bool) -> Result<Handle> {
        let What::Process(index) = process.what else { panic!("no process") };
        if self.0.borrow().no_handles {
            return Err(Error::new(EMFILE));
        }
        Ok(self.handle(if control { What::Process(index) } else { What::Watch(index) }))
    }

    fn is_service(&mut self, handle: &Handle) -> bool {
        matches!(handle.what, What::Service(_) | What::Knowing(_))
    }

    fn introduce(&mut self, service: &Handle, client: Caller) -> Result<Option<Handle>> {
        match service.what {
            What::Knowing(number) => {
                self.0.borrow_mut().minted += 1;
                Ok(Some(self.handle(What::Client(number, client))))
            }
            _ => Ok(None),
        }
    }

    fn share_service(&mut self, service: &Handle) -> Result<Handle> {
        Ok(self.handle(service.what))
    }

    fn is_signal(&mut self, handle: &Handle) -> bool {
        matches!(handle.what, What::Notification(_))
    }

    fn signal(&mut self, handle: &Handle) {
        let What::Notification(number) = handle.what else { panic!("no notification") };
        self.0.borrow_mut().signalled.push(number);
    }

    fn is_page(&mut self, handle: &Handle) -> bool {
        matches!(handle.what, What::Page(_))
    }

    fn share_page(&mut self, handle: &Handle) -> Result<Handle> {
        let What::Page(number) = handle.what else { panic!("no page") };
        Ok(self.handle(What::Look(number)))
    }

    fn open(&mut self, path: &str) -> Result<(Handle, u64)> {
        if path == "etc/motd" { Ok((self.handle(What::File), 5)) } else { Err(Error::new(ENOENT)) }
    }

    fn reply(&mut self, token: u64, answer: Result<(Reply, Option<Handle>)>) -> Result<()> {
        let mut state = self.0.borrow_mut();
        if state.gone.contains(&token) {
            drop(state);
            return Err(Error::new(ESRCH));
        }
        let refused = state.full.contains(&token) && matches!(answer, Ok((_, Some(_))));
        let told = match &answer {
            _ if refused => Err(Error::new(EMFILE)),
            Ok((reply, handle)) => Ok((reply.clone(), handle.as_ref().map(|handle| handle.what))),
            Err(error) => Err(*error),
        };
        state.signalled_before = state.signalled.len();
        let before = state.answers.insert(token, told);
        assert!(before.is_none(), "token {token} was answered twice: {before:?}");
        drop(state);
        if refused { Err(Error::new(EMFILE)) } else { Ok(()) }
    }

    fn power_off(&mut self, status: u8) {
        self.0.borrow_mut().off.get_or_insert(status);
    }
}

/// A machine with init on it.
pub struct Machine {
    pub world: World,
    pub init: Init<World>,
    token: u64,
}

impl Machine {
    pub fn boot(entries: Vec<Entry>) -> Machine {
        let manifest = Manifest { version: VERSION, devices: vec![], entries };
        let (programs, skipped) = check::manifest(manifest, |file| file.starts_with("bin/"));
        let world = World::default();
        let mut init = Init::new(world.clone(), programs, &skipped);
        init.boot();
        Machine { world, init, token: 0 }
    }

    /// A process asks; returns the token.
    pub fn ask_with(&mut self, pid: u32, request: Request, handles: Vec<What>) -> u64 {
        self.token += 1;
        let handles = handles.into_iter().map(|what| self.world.handle(what)).collect();
        self.init.asked(u64::from(pid), self.token, Ok(request), handles);
        self.token
    }

    pub fn ask(&mut self, pid: u32, request: Request) -> u64 {
        self.ask_with(pid, request, vec![])
    }

    /// Asks something that is answered at once.
    pub fn get(&mut self, pid: u32, request: Request) -> Answer {
        let token = self.ask(pid, request);
        self.world.answer(token).expect("no answer")
    }

    pub fn errno(&mut self, pid: u32, request: Request) -> i32 {
        self.get(pid, request).expect_err("no error").errno
    }

    pub fn register(&mut self, pid: u32, name: &str, endpoint: u32) -> Answer {
        let token =
            self.ask_with(pid, Request::Register { name: name.into() }, vec![What::Service(endpoint)]);
        self.world.answer(token).expect("no answer")
    }

    pub fn connect(&mut self, pid: u32, name: &str) -> u64 {
        self.ask(pid, Request::Connect { name: name.into() })
    }

    /// Token of the request that will be asked next.
    pub fn next_token(&self) -> u64 {
        self.token + 1
    }

    pub fn spawn(&mut self, pid: u32, name: &str) -> Result<u32> {
        match self.get(pid, Request::Spawn(child(name)))? {
            (Reply::Spawned { pid }, Some(What::Process(_))) => Ok(pid),
            other => panic!("{other:?}"),
        }
    }

    /// Processes in the table.
    pub fn processes(&self) -> usize {
        self.init.counters().processes as usize
    }

    /// Requests that wait.
    pub fn waiting(&self) -> usize {
        self.init.counters().waiting as usize
    }

    /// A process ends, and init is told.
    pub fn end(&mut self, pid: u32, status: ExitStatus) {
        self.die(pid, status);
        self.notice();
    }

    pub fn die(&mut self, pid: u32, status: ExitStatus) {
        let mut state = self.world.0.borrow_mut();
        let body = state.bodies.iter_mut().rfind(|body| body.pid == pid).expect("no such process");
        body.ended.get_or_insert(status);
    }

    /// init hears of all ends, also of those that it causes itself.
    pub fn notice(&mut self) {
        for _ in 0..8 {
            let ended = |body: &&Body| body.ended.is_some();
            let bits =
                self.world.0.borrow().bodies.iter().filter(ended).fold(0, |b, body| b | body.exit_bits);
            self.init.ended(bits);
        }
    }

    /// Time passes.
    pub fn pass(&mut self, ms: u64) {
        self.world.0.borrow_mut().now += ms * 1_000_000;
        self.init.tick();
    }

    /// Time passes to the next deadline: milliseconds until then.
    pub fn pass_to_deadline(&mut self) -> u64 {
        let (now, deadline) = (self.world.now(), self.init.deadline());
        assert_ne!(deadline, abi::limits::FOREVER, "nothing is due");
        let ms = (deadline - now) / 1_000_000;
        self.pass(ms);
        ms
    }
}

pub fn entry(name: &str, kind: Kind) -> Entry {
    Entry {
        name: name.into(),
        file: format!("bin/{name}"),
        args: vec![],
        env: vec![],
        kind,
        devices: vec![],
        provides: vec![],
        after: vec![],
        priority: 20,
        cpus: 0,
        quota: 1 << 20,
        children_quota: 0,
        restart: Restart::Never,
        watchdog_ms: 0,
        essential: false,
        operator: false,
    }
}

/// A server that provides a service of its own name.
pub fn server(name: &str) -> Entry {
    Entry { provides: vec![name.into()], ..entry(name, Kind::Server) }
}

/// An application that may have `children` children at once.
pub fn parent(name: &str, children: u64) -> Entry {
    Entry { children_quota: children * (COST + (1 << 20)), ..entry(name, Kind::Application) }
}

pub fn child(name: &str) -> Spawn {
    Spawn {
        name: name.into(),
        file: "bin/child".into(),
        args: vec![],
        env: vec![],
        quota: 1 << 20,
        priority: 20,
        cpus: 0,
        handles: vec![],
    }
}

pub const OK: ExitStatus = ExitStatus::Exited(0);
pub const BAD: ExitStatus = ExitStatus::Exited(3);
pub const FAULT: ExitStatus =
    ExitStatus::Faulted { vector: 14, error: 6, address: 0x10, instruction: 0x20_1000 };

/// A passing failure.
pub fn no_memory() -> Failure {
    Failure::Refused { what: "process", error: Error::new(ENOMEM) }
}

pub fn invalid() -> Answer {
    Err(Error::new(EINVAL))
}

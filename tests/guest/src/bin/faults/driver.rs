//! The driver of a case. It speaks the protocol as docs/filter-protocol.md has it, word by word, and stops between any two of its steps.
//!
//! It is a child of who strikes; or, of a durable file, a driver of the manifest, which init starts again and which is told each time
//! what case it is of.

use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;
use core::sync::atomic::{Ordering, fence};

use abi::Rights;
use abi::error::{EAGAIN, EBADMSG, EINVAL, ENODEV, Error, Result};
use abi::limits::FOREVER;
use abi::message::{LABEL_CLOSED, MAX_HANDLES, WORDS};
use event_protocol::badge::SourceId;
use event_protocol::changed::memory_size;
use event_protocol::control::{self, VERSION, driver, lobby};
use event_protocol::descriptor::{Kind, Opened, label, words};
use event_protocol::filter::Filters;
use guest_tests::{Failure, Outcome, peers};
use rt::Start;
use rt::ipc::{Arrivals, Reply, Transfer, call_postcard, set_accept};
use rt::sys::{AnyHandle, Endpoint, Memory, Notification, Object};

mod heir;

pub use heir::run as run_lasting;

use crate::client::take;
use crate::step::Step;
use crate::words::Words;

/// What it signals when it has stopped.
pub const STOPPED: u64 = crate::stopping::STOPPED << 1;
/// How it goes on: as if nothing had been, or without its device.
pub const GO: u64 = 1;
pub const TEAR: u64 = 2;

/// What it is ordered by who strikes, with word 1: to have something to read, to lose its device, to end when all files are closed.
pub const ORDER: u32 = 0x100;
pub const PUBLISH: u64 = 1;
pub const LOSE: u64 = 2;
pub const END: u64 = 3;

/// Badge of who orders; files have greater ones.
pub const MASTER: u64 = 1 << 32;

/// What a driver of the manifest is told of a case, with the numbers of the step and of the shard, whether it has no device, and two
/// handles, to tell and to go on. The reply has two, for orders and for clients.
pub const BRIEF: u32 = 0x101;
/// Its service.
pub const SERVICE: &str = "struck";

/// Names of what it is given.
pub mod given {
    pub const TOLD: &str = "told";
    pub const GO: &str = "go";
    /// Who starts it, to be told how it is reached: with one handle for orders, and one for clients.
    pub const OFFICE: &str = "office";
}

/// What clients may do with its endpoint.
const CLIENT: Rights = Rights::WRITE.union(Rights::DUPLICATE).union(Rights::TRANSFER);

const CELLS: u32 = 16;
/// Level: an amount of 1.
const ONE: u64 = 1 << 16;
/// Beside its flags: of the arrivals, the present one counted.
const PARITY: u64 = 1 << 15;
/// Filters of reading: READ, EXCEPT, HANGUP.
const READING: u32 = 0x1 | 0x4 | 0x80;

/// Offsets in a cell, in the header of the changed ring, and of its entries.
mod at {
    pub const READ: usize = 0;
    pub const ACTIVITY: usize = 16;
    pub const INTEREST: usize = 48;
    pub const QUEUED: usize = 52;
    pub const CELL: usize = 64;
    pub const TAIL: usize = 0;
    pub const ARMED: usize = 128;
    pub const ENTRIES: usize = 192;
}

struct Source {
    id: SourceId,
    page: Arc<Words>,
    /// Where its cell begins.
    cell: usize,
}

struct File {
    badge: u64,
    source: Option<Source>,
    /// A byte waits.
    full: bool,
}

struct Driver {
    endpoint: Arc<Endpoint>,
    told: Notification,
    go: Notification,
    /// Where it stops, once.
    step: Option<Step>,
    session: Endpoint,
    doorbell: Notification,
    bits: u64,
    ring: Words,
    tail: u32,
    pages: Vec<(u64, Arc<Words>)>,
    files: Vec<File>,
    made: u64,
    /// The device is gone.
    lost: bool,
    /// Its files are durable.
    lasting: bool,
}

/// How it is reached, what it stops at, and how it goes on from there.
struct Case {
    endpoint: Arc<Endpoint>,
    told: Notification,
    go: Notification,
    step: Option<Step>,
    lost: bool,
}

impl Case {
    fn stop(&mut self, at: Step) -> Result<()> {
        if self.step == Some(at) {
            self.told.signal(STOPPED)?;
            self.lost |= self.go.wait(FOREVER)? & TEAR != 0;
        }
        Ok(())
    }

    /// A session with the shard, of a lineage if it is to be the next of one.
    fn attach(mut self, shard: u32, lineage: Option<&Endpoint>, lasting: bool) -> Result<Driver> {
        let memory = Memory::create(memory_size(CELLS).ok_or(Error::new(EINVAL))?)?;
        let ring = Words::map(&memory)?;
        let filters = Filters::READ | Filters::WRITE;
        let attach =
            lobby::Request::Attach { version: VERSION, name: String::from("struck"), filters, cells: CELLS };
        let (lobby, _) = peers::lobby(shard)?;
        let send = [Transfer::moved(memory)].into_iter().chain(lineage.map(Transfer::copy)).collect();
        let (reply, mut handles) = call_postcard(&lobby, control::label::LOBBY, &attach, send, FOREVER)?;
        let lobby::Reply::Attached { doorbell_bits: bits, .. } = reply else {
            return Err(Error::new(EBADMSG));
        };
        self.stop(if lineage.is_some() { Step::Followed } else { Step::Attached })?;
        let Case { endpoint, told, go, step, lost } = self;
        Ok(Driver {
            endpoint,
            told,
            go,
            step,
            session: handles.object(0)?,
            doorbell: handles.object(1)?,
            bits,
            ring,
            tail: 0,
            pages: Vec::new(),
            files: Vec::new(),
            made: MASTER,
            lost,
            lasting,
        })
    }
}

/// The process. Arguments: the numbers of the step and of the shard.
pub fn run(start: &Start) -> Outcome {
    let number = |at| start.arg(at).parse::<usize>().map_err(|_| Failure::new("a number"));
    let (step, shard) = (Step::of(number(3)?), number(4)? as u32);
    let (told, go): (Notification, Notification) = (take(start, given::TOLD)?, take(start, given::GO)?);
    let endpoint = Endpoint::create()?;
    let office: Endpoint = take(start, given::OFFICE)?;
    let send = vec![
        Transfer::moved(endpoint.with_badge(Rights::WRITE | Rights::TRANSFER, MASTER)?),
        Transfer::moved(endpoint.restricted(CLIENT)?),
    ];
    rt::ipc::call(&office, ORDER, [0; WORDS], 0, send, FOREVER)?;
    let mut case = Case { endpoint: Arc::new(endpoint), told, go, step, lost: false };
    case.stop(Step::Started)?;
    let ending = case.attach(shard, None, false)?.serve()?;
    Ok(Reply::ok(label::REPLY).send(ending)?)
}

impl Driver {
    /// Stops, if this is the place, and loses the device, if it is told to.
    fn reach(&mut self, at: Step) -> Result<()> {
        if self.step != Some(at) {
            return Ok(());
        }
        self.step = None;
        self.told.signal(STOPPED)?;
        if self.go.wait(FOREVER)? & TEAR != 0 {
            self.lose()?;
        }
        Ok(())
    }

    /// Serves until it is ordered to end and all files are closed. Who ordered it waits for the answer.
    fn serve(mut self) -> Result<u64> {
        let mut ending = None;
        loop {
            if let (Some(token), true) = (ending, self.files.is_empty()) {
                return Ok(token);
            }
            set_accept(MAX_HANDLES as u32);
            let heard = self.endpoint.recv(FOREVER)?;
            let (badge, token) = (heard.badge, heard.token);
            let ticket: Option<AnyHandle> = Arrivals::of(heard.tag).object(0).ok();
            let answer = match heard.tag.label() {
                LABEL_CLOSED => {
                    self.closed(badge)?;
                    continue;
                }
                ORDER if badge == MASTER && heard.words[1] == END => {
                    ending = Some(token);
                    continue;
                }
                ORDER if badge == MASTER && heard.words[1] == LOSE => self.lose().map(|()| 0),
                ORDER if badge == MASTER => {
                    Reply::ok(label::REPLY).send(token)?;
                    self.arrive()?;
                    continue;
                }
                label::OPEN => self.open(token, ticket),
                label::WATCH => self.watch(token, badge, ticket),
                label::READ => self.read(token, badge),
                label::WRITE => self.reach(Step::WriteAsked).and_then(|()| self.has_device()).map(|()| 1),
                _ => Err(Error::new(EINVAL)),
            };
            let reply = Reply::ok(label::REPLY);
            // Who asked may be gone.
            _ = match answer {
                // It was answered.
                Ok(0) if heard.tag.label() != ORDER => Ok(()),
                Ok(count) => reply.word(words::COUNT, count).send(token),
                Err(error) => Reply::error(label::REPLY, error).send(token),
            };
        }
    }

    fn ask(&self, request: &driver::Request, send: Vec<Transfer>) -> Result<(driver::Reply, Arrivals)> {
        call_postcard(&self.session, control::label::DRIVER, request, send, FOREVER)
    }

    fn has_device(&self) -> Result<()> {
        if self.lost { Err(Error::new(ENODEV)) } else { Ok(()) }
    }

    fn file(&mut self, badge: u64) -> Result<&mut File> {
        self.files.iter_mut().find(|file| file.badge == badge).ok_or(Error::new(EINVAL))
    }

    fn open(&mut self, token: u64, ticket: Option<AnyHandle>) -> Result<u64> {
        self.reach(Step::OpenAsked)?;
        self.has_device()?;
        self.made += 1;
        let badge = self.made;
        self.files.push(File { badge, source: None, full: false });
        let descriptor = self.endpoint.with_badge(CLIENT, badge)?;
        // The watch handle comes with the descriptor, or is asked for.
        let reply =
            |home| Reply::document(label::REPLY, &Opened { kind: Kind::Device }).word(words::HOME, home);
        let delivered = if self.step == Some(Step::WatchAsked) {
            reply(0).handle(Transfer::moved(descriptor)).deliver(token)
        } else {
            let watch = self.make_source(badge, ticket)?;
            self.reach(if self.lasting { Step::DurableMade } else { Step::SourceMade })?;
            if self.lost {
                self.files.retain(|file| file.badge != badge);
                return Err(Error::new(ENODEV));
            }
            let home = self.home(badge)?;
            reply(home).handle(Transfer::moved(descriptor)).handle(Transfer::moved(watch)).deliver(token)
        };
        if delivered.is_err() {
            // Nobody has it: it goes back.
            self.destroy(badge, 0)?;
            self.files.retain(|file| file.badge != badge);
        }
        Ok(0)
    }

    fn watch(&mut self, token: u64, badge: u64, ticket: Option<AnyHandle>) -> Result<u64> {
        self.reach(Step::WatchAsked)?;
        self.has_device()?;
        self.file(badge)?;
        let watch = self.make_source(badge, ticket)?;
        let home = self.home(badge)?;
        let reply = Reply::document(label::REPLY, &Opened { kind: Kind::Device }).word(words::HOME, home);
        if reply.handle(Transfer::moved(watch)).deliver(token).is_err() {
            self.destroy(badge, 0)?;
        }
        Ok(0)
    }

    fn home(&mut self, badge: u64) -> Result<u64> {
        let source = self.file(badge)?.source.as_ref().ok_or(Error::new(EINVAL))?;
        Ok(u64::from(source.id.shard()))
    }

    fn make_source(&mut self, badge: u64, ticket: Option<AnyHandle>) -> Result<Endpoint> {
        let filters = Filters::READ | Filters::WRITE;
        let (shared, low_water) = (false, (1, 1));
        let request = match self.lasting {
            true => driver::Request::CreateDurable { filters, shared, low_water, kept: Vec::new() },
            false => driver::Request::CreateSource { filters, shared, low_water },
        };
        let send = ticket.into_iter().map(Transfer::moved).collect();
        let (reply, mut handles) = self.ask(&request, send)?;
        self.has_source(badge, reply, &mut handles)?;
        handles.object(1)
    }

    /// A file has the source that was made for it, or claimed.
    fn has_source(&mut self, badge: u64, reply: driver::Reply, handles: &mut Arrivals) -> Result<()> {
        let driver::Reply::Created { source: id, page: number, cell } = reply else {
            return Err(Error::new(EBADMSG));
        };
        let known = self.pages.iter().find(|(known, _)| *known == number);
        let page = match known {
            Some((_, page)) => page.clone(),
            None => {
                let page = Arc::new(Words::map(&handles.object(0)?)?);
                self.pages.push((number, page.clone()));
                page
            }
        };
        self.file(badge)?.source = Some(Source { id, page, cell: at::CELL * cell as usize });
        Ok(())
    }

    /// A source ends, if the file has one. After that its cell is not touched.
    fn destroy(&mut self, badge: u64, errno: i32) -> Result<()> {
        let Some(source) = self.file(badge)?.source.take() else { return Ok(()) };
        let request = driver::Request::DestroySource { source: source.id, errno: errno as u32 };
        self.ask(&request, vec![]).map(drop)
    }

    fn lose(&mut self) -> Result<()> {
        self.lost = true;
        let badges: Vec<u64> = self.files.iter().map(|file| file.badge).collect();
        badges.into_iter().try_for_each(|badge| self.destroy(badge, ENODEV))
    }

    fn closed(&mut self, badge: u64) -> Result<()> {
        // Not one whose open was never answered.
        if self.file(badge).is_ok() {
            self.reach(Step::Closed)?;
            self.destroy(badge, 0)?;
            self.files.retain(|file| file.badge != badge);
            self.reach(Step::Destroyed)?;
        }
        Ok(())
    }

    fn read(&mut self, token: u64, badge: u64) -> Result<u64> {
        self.reach(Step::ReadAsked)?;
        self.has_device()?;
        if !self.file(badge)?.full {
            return Err(Error::new(EAGAIN));
        }
        self.publish(badge, false)?;
        let reply = Reply::data(label::REPLY, b"x").word(words::COUNT, 1);
        if reply.deliver(token).is_err() {
            // Nobody has it: it is there again.
            self.publish(badge, true)?;
        }
        Ok(0)
    }

    /// Every file has something to read.
    fn arrive(&mut self) -> Result<()> {
        let badges: Vec<u64> = self.files.iter().map(|file| file.badge).collect();
        badges.into_iter().try_for_each(|badge| self.publish(badge, true))
    }

    /// The steps of publishing. Where the device is lost between two of them there is no source to go on with.
    fn publish(&mut self, badge: u64, full: bool) -> Result<()> {
        let file = self.file(badge)?;
        file.full = full;
        let Some(Source { id, page, cell }) = &file.source else { return Ok(()) };
        let (id, page, cell) = (*id, page.clone(), *cell);
        let gone = |driver: &mut Driver| driver.file(badge).is_ok_and(|file| file.source.is_none());
        let read = page.long(cell + at::READ);
        let parity = read.load(Ordering::Relaxed) & PARITY;
        read.store(if full { ONE | parity ^ PARITY } else { parity }, Ordering::Release);
        if !full {
            return Ok(());
        }
        self.reach(Step::Snapshot)?;
        if gone(self) {
            return Ok(());
        }
        let activity = page.long(cell + at::ACTIVITY);
        let before = activity.load(Ordering::Relaxed);
        let reading = u64::from((before as u32).wrapping_add(1));
        activity.store(before >> 32 << 32 | reading, Ordering::Release);
        self.reach(Step::LevelStored)?;
        if gone(self) {
            return Ok(());
        }
        fence(Ordering::SeqCst);
        if page.short(cell + at::INTEREST).load(Ordering::Acquire) & READING == 0 {
            return Ok(());
        }
        if page.short(cell + at::QUEUED).swap(1, Ordering::AcqRel) != 0 {
            return Ok(());
        }
        self.reach(Step::Marked)?;
        if gone(self) {
            return Ok(());
        }
        let entry = at::ENTRIES + 8 * (self.tail % CELLS) as usize;
        self.ring.long(entry).store(id.0, Ordering::Relaxed);
        self.tail = self.tail.wrapping_add(1);
        self.ring.short(at::TAIL).store(self.tail, Ordering::Release);
        self.reach(if self.lasting { Step::Replayed } else { Step::InRing })?;
        if self.ring.short(at::ARMED).swap(0, Ordering::AcqRel) == 1 {
            self.doorbell.signal(self.bits)?;
        }
        Ok(())
    }
}

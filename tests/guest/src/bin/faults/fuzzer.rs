//! A client and driver that says and writes whatever: requests as they should be, mutated ones, noise; entries of rings, cells, slots,
//! waiters; doorbells. It must find no way to end a server, nor one that leaves anything when it is gone itself.

mod requests;

use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;
use core::sync::atomic::Ordering;

use abi::Rights;
use abi::error::{EINVAL, EPIPE, ETIMEDOUT, Error, Result};
use abi::message::MAX_BYTES;
use event_protocol::activation::BankLayout;
use event_protocol::badge::SourceId;
use event_protocol::changed::memory_size;
use event_protocol::control::client::{Change, View};
use event_protocol::control::{self, VERSION, client, driver, lobby};
use event_protocol::descriptor::NONBLOCK;
use event_protocol::filter::Filters;
use event_protocol::park::SESSION_SIZE;
use event_protocol::slot::{self, Terms};
use guest_tests::random::Random;
use guest_tests::region::{readable, writable};
use guest_tests::{Failure, Outcome, peers, soon};
use rt::Start;
use rt::ipc::{Arrivals, Transfer, call, call_postcard, decode, encode, with_bytes_mut};
use rt::sys::{AnyHandle, Endpoint, Memory, Notification};

use crate::words::Words;

/// Ends, sources, memories and bells that it keeps at a time; what comes then takes the place of another.
const KEPT: usize = 16;
/// So long it waits for a driver, which may have to wait, too; in nanoseconds.
const BRIEFLY: u64 = 200_000;

/// What is at the other side of an end.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Side {
    Lobby,
    Client,
    Driver,
    /// A ticket, a watch handle, a lineage: nothing can be asked.
    Shown,
    Service,
    File,
}

/// A source of its own that a client of its own watches.
struct Story {
    ring: Arc<Words>,
    page: Arc<Words>,
    /// Where its cell begins.
    cell: usize,
    source: SourceId,
    cells: u32,
    /// Its place among the bells may be another's by now.
    bell: Arc<Notification>,
    bits: u64,
}

struct Fuzzer {
    random: Random,
    ends: Vec<(Side, Endpoint)>,
    sources: Vec<SourceId>,
    memory: Vec<Arc<Words>>,
    /// What it can publish as a driver should.
    stories: Vec<Story>,
    bells: Vec<(Arc<Notification>, u64)>,
    shards: u32,
}

/// The process. Arguments: a seed, and how many acts.
pub fn run(start: &Start) -> Outcome {
    let number = |at| start.arg(at).parse::<u64>().map_err(|_| Failure::new("a number"));
    let (seed, acts) = (number(3)?, number(4)?);
    let (lobby, shards) = peers::lobby(seed as u32 % peers::shards()?)?;
    let mut fuzzer = Fuzzer {
        random: Random::new(seed),
        ends: vec![
            (Side::Lobby, lobby),
            (Side::Lobby, rt::init::connect(control::SERVICE)?),
            (Side::Service, rt::init::connect("template")?),
        ],
        sources: Vec::new(),
        memory: Vec::new(),
        stories: Vec::new(),
        bells: Vec::new(),
        shards,
    };
    fuzzer.begin()?;
    for act in 0..acts {
        fuzzer.act().map_err(|failure| failure.within(&alloc::format!("seed {seed}, act {act}")))?;
    }
    Ok(())
}

fn keep<T>(random: &mut Random, among: &mut Vec<T>, new: T, first: usize) {
    if among.len() < KEPT {
        among.push(new);
    } else {
        let place = first + random.below((KEPT - first) as u64) as usize;
        among[place] = new;
    }
}

impl Fuzzer {
    fn act(&mut self) -> Outcome {
        match self.random.below(100) {
            0..45 => return self.say(),
            45..75 => self.write(),
            75..94 => self.publish(),
            94..99 => self.ring(),
            // Refused where it has too much already.
            _ => _ = self.begin(),
        }
        Ok(())
    }

    /// All that it takes to be told of a source, without a mistake: the others are made in the midst of that.
    fn begin(&mut self) -> Result<()> {
        let (lobby, _) = peers::lobby(self.random.below(self.shards.into()) as u32)?;
        let send = vec![self.memory(SESSION_SIZE)?];
        let (_, mut handles): (lobby::Reply, _) =
            call_postcard(&lobby, control::label::LOBBY, &lobby::Request::OpenSession, send, soon())?;
        let (session, ticket): (Endpoint, Endpoint) = (handles.object(0)?, handles.object(1)?);
        let send = vec![Transfer::moved(Notification::create()?)];
        peers::ask(&session, &client::Request::RegisterWaiter { number: 0 }, send)?;
        let layout = BankLayout::new(64, self.shards).ok_or(Error::new(EINVAL))?;
        let memory = Memory::create(layout.size())?;
        let bank = writable(&memory)?;
        keep(&mut self.random, &mut self.memory, Arc::new(Words::map(&memory)?), 0);
        let request = client::Request::CreateQueue { queue: 0, slots: 64 };
        peers::ask(&session, &request, vec![Transfer::moved(memory)])?;
        let cells = 16;
        let memory = Memory::create(memory_size(cells).ok_or(Error::new(EINVAL))?)?;
        let ring = Arc::new(Words::map(&memory)?);
        keep(&mut self.random, &mut self.memory, ring.clone(), 0);
        let (name, filters) = (String::from("fuzzer"), Filters::all());
        let attach = lobby::Request::Attach { version: VERSION, name, filters, cells };
        let send = vec![Transfer::moved(memory)];
        let (attached, mut handles) = call_postcard(&lobby, control::label::LOBBY, &attach, send, soon())?;
        let lobby::Reply::Attached { doorbell_bits: bits, .. } = attached else { return Ok(()) };
        let (own, bell): (Endpoint, Arc<Notification>) = (handles.object(0)?, Arc::new(handles.object(1)?));
        for slot in 0..3 {
            let request = driver::Request::CreateSource { filters, shared: false, low_water: (1, 1) };
            let send = vec![Transfer::copy_with(&ticket, Rights::WRITE)];
            let (created, mut handles) = call_postcard(&own, control::label::DRIVER, &request, send, soon())?;
            let driver::Reply::Created { source, cell, .. } = created else { return Ok(()) };
            let (page, watch): (Memory, Endpoint) = (handles.object(0)?, handles.object(1)?);
            peers::show(&session, &watch)?;
            let terms = Terms { control: slot::Control::ENABLED, filters: Filters::READ, ..Terms::default() };
            bank.keep_slot(layout, slot)?.begin(1, terms, &*readable(&page)?.keep_cell(cell)?);
            let add = Change::Add {
                source,
                bank: 0,
                slot,
                generation: 1,
                filters: Filters::READ,
                view: View::Kevent,
                exclusive: slot == 2,
            };
            let request = client::Request::Change { queue: 0, failures_allowed: 1, changes: vec![add] };
            peers::ask(&session, &request, vec![])?;
            let page = Arc::new(Words::map(&page)?);
            let (ring, bell) = (ring.clone(), bell.clone());
            let story =
                Story { ring, page: page.clone(), cell: 64 * cell as usize, source, cells, bell, bits };
            keep(&mut self.random, &mut self.stories, story, 0);
            keep(&mut self.random, &mut self.memory, page, 0);
            keep(&mut self.random, &mut self.sources, source, 0);
            keep(&mut self.random, &mut self.ends, (Side::Shown, watch), 3);
        }
        for end in [(Side::Client, session), (Side::Shown, ticket), (Side::Driver, own)] {
            keep(&mut self.random, &mut self.ends, end, 3);
        }
        keep(&mut self.random, &mut self.bells, (bell, bits), 0);
        Ok(())
    }

    /// As a driver should, as far as what was written to the ring before allows it; now and then one thing is left out.
    fn publish(&mut self) {
        let left_out = self.random.below(24);
        let amount = self.random.below(3) << 16;
        let count = self.stories.len() as u64;
        if count == 0 {
            return;
        }
        let Story { ring, page, cell, source, cells, bell, bits } =
            &self.stories[self.random.below(count) as usize];
        if left_out != 0 {
            page.long(*cell).store(amount, Ordering::SeqCst);
        }
        if left_out != 1 {
            page.long(cell + 16).fetch_add(1, Ordering::SeqCst);
        }
        if left_out != 2 && page.short(cell + 52).swap(1, Ordering::SeqCst) != 0 {
            return;
        }
        let tail = ring.short(0).load(Ordering::SeqCst);
        if left_out != 3 {
            ring.long(192 + 8 * (tail % cells) as usize).store(source.0, Ordering::SeqCst);
        }
        if left_out != 4 {
            ring.short(0).store(tail.wrapping_add(1), Ordering::SeqCst);
        }
        if ring.short(128).swap(0, Ordering::SeqCst) == 1 && left_out != 5 {
            // It is refused to none who has it.
            let _ = bell.signal(*bits);
        }
    }

    /// Words of what it shares with the server.
    fn write(&mut self) {
        let writes = 1 + self.random.below(8);
        for _ in 0..writes {
            let value = self.number();
            let count = self.memory.len() as u64;
            if count == 0 {
                return;
            }
            let memory = &self.memory[self.random.below(count) as usize];
            // Headers are at the beginning.
            let within = if self.random.below(2) == 0 { 512.min(memory.length()) } else { memory.length() };
            let offset = self.random.below(within as u64 / 8) as usize * 8;
            match self.random.below(5) {
                0 => memory.long(offset).store(value, Ordering::SeqCst),
                1 => memory.short(offset).store(value as u32, Ordering::SeqCst),
                2 => _ = memory.short(offset).fetch_add(1, Ordering::SeqCst),
                3 => _ = memory.long(offset).fetch_xor(1 << (value % 64), Ordering::SeqCst),
                // An entry, and the ring's tail after it.
                _ => {
                    memory
                        .long(offset)
                        .store(self.sources.first().map_or(value, |source| source.0), Ordering::SeqCst);
                    memory.short(0).fetch_add(1, Ordering::SeqCst);
                }
            }
        }
        if self.random.below(2) == 0 {
            self.ring();
        }
    }

    fn ring(&mut self) {
        let bits = self.number();
        let count = self.bells.len() as u64;
        if count > 0 {
            let (bell, own) = &self.bells[self.random.below(count) as usize];
            // 0 bits are refused.
            let _ = bell.signal(if self.random.below(4) > 0 { *own } else { bits });
        }
    }

    /// A request on an end.
    fn say(&mut self) -> Outcome {
        let count = self.ends.len() as u64;
        let at = self.random.below(count) as usize;
        let side = self.ends[at].0;
        let (mut label, mut send) = (0, Vec::new());
        let mut words = [0, NONBLOCK, self.number(), self.number()];
        let length = match side {
            // Nobody answers what is only shown, nor less than the others.
            Side::Lobby | Side::Shown => {
                label = control::label::LOBBY;
                let request = self.of_lobby(&mut send)?;
                encode(&request)?
            }
            Side::Client => {
                label = control::label::CLIENT;
                let request = self.of_client(&mut send)?;
                encode(&request)?
            }
            Side::Driver => {
                label = control::label::DRIVER;
                let request = self.of_driver(&mut send);
                encode(&request)?
            }
            Side::Service | Side::File => self.of_descriptor(&mut label, &mut words, &mut send)?,
        };
        let length = if self.random.below(2) == 0 { self.mutate(length) } else { length };
        if self.random.below(16) == 0 {
            label = self.number() as u32 & 0x7fff_ffff;
        }
        if self.random.below(8) == 0
            && let Some(more) = self.shown(None)
        {
            send.push(more);
        }
        if self.random.below(8) == 0 {
            words = [self.number(), self.number(), self.number(), self.number()];
        }
        send.truncate(4);
        let is_driver = matches!(side, Side::Service | Side::File);
        let deadline = if is_driver { rt::clock::after(BRIEFLY) } else { soon() };
        match call(&self.ends[at].1, label, words, length, send, deadline) {
            Ok((reply, arrivals)) => self.keep_all(side, reply.tag.bytes(), arrivals),
            Err(error) if error.errno == ETIMEDOUT && is_driver => {}
            Err(error) if [ETIMEDOUT, EPIPE].contains(&error.errno) => {
                return Err(Failure::from(error).within(&alloc::format!("{side:?} answers no more")));
            }
            Err(_) => {}
        }
        Ok(())
    }

    /// Changes what lies in the message's buffer; its new length.
    fn mutate(&mut self, length: usize) -> usize {
        let changes = 1 + self.random.below(4);
        let longer = match self.random.below(4) {
            0 => self.random.below(length as u64 + 1) as usize,
            1 => (length + self.random.below(40) as usize).min(MAX_BYTES),
            _ => length,
        };
        let random = &mut self.random;
        with_bytes_mut(longer, |bytes| {
            for _ in 0..changes.min(bytes.len() as u64) {
                let place = random.below(bytes.len() as u64) as usize;
                bytes[place] = match random.below(4) {
                    0 => random.draw() as u8,
                    1 => *random.pick(&[0, 1, 0x7f, 0x80, 0xff]),
                    2 => bytes[place] ^ 1 << random.below(8),
                    _ => bytes[place].wrapping_add(1),
                };
            }
        });
        longer
    }

    /// What came with an answer is what is asked, shown, written and rung next.
    fn keep_all(&mut self, side: Side, bytes: usize, mut arrivals: Arrivals) {
        let Fuzzer { random, ends, sources, memory, bells, .. } = self;
        // The first ends stay.
        let mut keep_end = |random: &mut Random, side, arrivals: &mut Arrivals, at| {
            if let Ok(handle) = arrivals.object::<AnyHandle>(at) {
                keep(random, ends, (side, handle.into_object()), 3);
            }
        };
        match side {
            Side::Lobby | Side::Shown => match decode::<lobby::Reply>(bytes) {
                Ok(lobby::Reply::Shard { .. }) => keep_end(random, Side::Lobby, &mut arrivals, 0),
                Ok(lobby::Reply::Session { .. }) => {
                    keep_end(random, Side::Client, &mut arrivals, 0);
                    keep_end(random, Side::Shown, &mut arrivals, 1);
                }
                Ok(lobby::Reply::Attached { doorbell_bits, .. }) => {
                    keep_end(random, Side::Driver, &mut arrivals, 0);
                    if let Ok(bell) = arrivals.object(1) {
                        keep(random, bells, (Arc::new(bell), doorbell_bits), 0);
                    }
                }
                _ => {}
            },
            Side::Client => match decode::<client::Reply>(bytes) {
                // From `Meet`.
                Ok(client::Reply::Done) => keep_end(random, Side::Client, &mut arrivals, 0),
                Ok(client::Reply::Adopted(adopted)) => keep(random, sources, adopted.source, 0),
                _ => {}
            },
            Side::Driver => match decode::<driver::Reply>(bytes) {
                Ok(driver::Reply::Created { source, .. }) => {
                    keep(random, sources, source, 0);
                    if let Ok(page) = arrivals.object::<Memory>(0)
                        && let Ok(page) = Words::map(&page)
                    {
                        keep(random, memory, Arc::new(page), 0);
                    }
                    keep_end(random, Side::Shown, &mut arrivals, 1);
                }
                Ok(driver::Reply::Done) => keep_end(random, Side::Shown, &mut arrivals, 0),
                _ => {}
            },
            Side::Service | Side::File => {
                keep_end(random, Side::File, &mut arrivals, 0);
                keep_end(random, Side::Shown, &mut arrivals, 1);
            }
        }
    }
}

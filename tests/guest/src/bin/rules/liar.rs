//! A driver that speaks the protocol itself and answers nonsense: `/dev/liar/N`, where N is the lie of [`LIES`]. What
//! there is to watch of `/dev/liar/silent` it never says. It keeps all that it is sent, and tells of it through
//! `/dev/liar/loot`.

use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;

use abi::Rights;
use abi::error::{EBADMSG, Error, Result};
use abi::message::LABEL_CLOSED;
use event_protocol::badge::{Badge, SourceId};
use event_protocol::changed::memory_size;
use event_protocol::control::{self, SERVICE, driver, lobby};
use event_protocol::descriptor::{Kind, Open, Opened, label, words};
use event_protocol::filter::Filters;
use event_protocol::park::SESSION_SIZE;
use guest_tests::soon;
use rt::ipc::{Arrivals, Arrived, Reply, Transfer, call_postcard, decode, set_accept};
use rt::sys::{AnyHandle, Endpoint, Memory, Notification, Object};

/// What it lies about.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Lie {
    /// The errno of an open is no errno.
    Errno,
    /// An open is answered with no document and no handle.
    Nothing,
    /// With bytes that are no document.
    Garbage,
    /// With a document and no handle.
    NoHandle,
    /// With a handle that is no endpoint.
    OtherHandle,
    /// The watch handle is none for this client.
    Watch(Given),
    /// Counts are greater than what was asked for, and documents are none.
    Counts,
}

/// What a liar gives out as a watch handle.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Given {
    /// Its own endpoint, with the badge of a source.
    Own,
    /// The same, which nobody may pass on.
    Fixed,
    /// Its own endpoint, to receive from: the client gets it, and what is sent there.
    Receive,
    /// No endpoint.
    Notification,
    /// Another kind of no endpoint.
    Memory,
    /// The session handle of a client of its own.
    Session,
    /// The ticket of the client that opens.
    Ticket,
    /// The watch handle of another client's source.
    Others,
    /// A true one, and another shard is said to know it.
    OtherShard,
    /// A true one, and a shard that there is not.
    NoShard,
    /// A true one of a source that is destroyed already.
    Destroyed,
}

pub const LIES: [Lie; 17] = [
    Lie::Errno,
    Lie::Nothing,
    Lie::Garbage,
    Lie::NoHandle,
    Lie::OtherHandle,
    Lie::Watch(Given::Own),
    Lie::Watch(Given::Fixed),
    Lie::Watch(Given::Receive),
    Lie::Watch(Given::Notification),
    Lie::Watch(Given::Memory),
    Lie::Watch(Given::Session),
    Lie::Watch(Given::Ticket),
    Lie::Watch(Given::Others),
    Lie::Watch(Given::OtherShard),
    Lie::Watch(Given::NoShard),
    Lie::Watch(Given::Destroyed),
    Lie::Counts,
];

const CELLS: u32 = 16;
/// Badge of the file about which nothing is said.
const SILENT: u64 = u32::MAX as u64;
/// Badge of the file that tells what it got.
const LOOT: u64 = SILENT + 1;

/// Runs it.
pub fn run() -> i32 {
    let served = Liar::new().and_then(Liar::serve);
    rt::log!("liar: ends: {served:?}");
    1
}

struct Liar {
    endpoint: Endpoint,
    attached: Attached,
    /// All handles that it was ever sent.
    loot: Vec<AnyHandle>,
    /// Calls that are none of a client to its driver.
    misled: u64,
}

impl Liar {
    fn new() -> Result<Liar> {
        let endpoint = Endpoint::create()?;
        let attached = Attached::new()?;
        rt::init::register("liar", &endpoint)?;
        Ok(Liar { endpoint, attached, loot: Vec::new(), misled: 0 })
    }

    fn serve(mut self) -> Result<()> {
        loop {
            set_accept(abi::message::MAX_HANDLES as u32);
            let heard = self.endpoint.recv(abi::limits::FOREVER)?;
            if heard.tag.label() == LABEL_CLOSED {
                continue;
            }
            let mut arrivals = Arrivals::of(heard.tag);
            let sent = (0..abi::message::MAX_HANDLES).filter_map(|index| arrivals.take(index));
            let sent: Vec<AnyHandle> = sent
                .filter_map(|arrived| match arrived {
                    Arrived::Handle(handle, _) => Some(handle),
                    Arrived::Badge(_) => None,
                })
                .collect();
            let reply = match heard.tag.label() {
                label::OPEN => {
                    let open: Open = decode(heard.tag.bytes())?;
                    self.opened(open.path.rsplit('/').next().unwrap_or_default(), sent.first())?
                }
                label::WATCH if heard.badge == SILENT => {
                    self.loot.extend(sent);
                    continue;
                }
                label::READ if heard.badge == LOOT => self.told()?,
                label::CONTROL => Reply::data(label::REPLY, &[0xff; 40]),
                other => {
                    self.misled += u64::from(![label::READ, label::WRITE, label::WATCH].contains(&other));
                    Reply::data(label::REPLY, b"bytes")
                        .word(words::COUNT, 1 << 40)
                        .word(words::ARRIVAL, u64::MAX)
                }
            };
            self.loot.extend(sent);
            // Who asked may be gone.
            let _ = reply.send(heard.token);
        }
    }

    fn opened(&self, name: &str, ticket: Option<&AnyHandle>) -> Result<Reply> {
        let (lie, badge) = match name.parse::<usize>() {
            // A badge is never 0.
            Ok(number) => (LIES[number % LIES.len()], (number + LIES.len()) as u64),
            Err(_) if name == "loot" => (Lie::Counts, LOOT),
            Err(_) => (Lie::Counts, SILENT),
        };
        let own =
            |badge| self.endpoint.with_badge(Rights::WRITE | Rights::DUPLICATE | Rights::TRANSFER, badge);
        let document = Reply::document(label::REPLY, &Opened { kind: Kind::Pipe });
        Ok(match lie {
            Lie::Errno => Reply::ok(label::REPLY).word(words::ERRNO, 0xdead_beef_0000),
            Lie::Nothing => Reply::ok(label::REPLY),
            Lie::Garbage => Reply::data(label::REPLY, &[0xff; 100]),
            Lie::NoHandle => document,
            Lie::OtherHandle => document.handle(Transfer::moved(Notification::create()?)),
            Lie::Counts => document.handle(Transfer::moved(own(badge)?)),
            Lie::Watch(given) => {
                let (watch, home) = self.given(given, ticket)?;
                // What it asked meanwhile lay where the document was.
                Reply::document(label::REPLY, &Opened { kind: Kind::Pipe })
                    .word(words::HOME, home)
                    .handle(Transfer::moved(own(badge)?))
                    .handle(watch)
            }
        })
    }

    /// A handle, and the shard that is said to know it.
    fn given(&self, given: Given, ticket: Option<&AnyHandle>) -> Result<(Transfer, u64)> {
        let Attached { shards, session, watch, destroyed, theirs, .. } = &self.attached;
        let badge = SourceId::new(0, 0, 1).0;
        let own = |rights| self.endpoint.with_badge(rights, badge).map(Transfer::moved);
        Ok(match given {
            Given::Own => (own(Rights::WRITE | Rights::DUPLICATE | Rights::TRANSFER)?, 0),
            Given::Fixed => {
                let handle = self.endpoint.with_badge(Rights::WRITE | Rights::TRANSFER, badge)?;
                (Transfer::moved(handle), 0)
            }
            Given::Receive => (Transfer::moved(Endpoint::create()?), 0),
            Given::Notification => (Transfer::moved(Notification::create()?), 0),
            Given::Memory => (Transfer::moved(Memory::create(4096)?), 0),
            Given::Session => (Transfer::copy(session), 0),
            Given::Ticket => (Transfer::copy(ticket.ok_or(Error::new(EBADMSG))?), 0),
            Given::Others => (Transfer::copy(theirs), 0),
            Given::OtherShard => (Transfer::copy(watch), if *shards > 1 { 1 } else { u64::MAX }),
            Given::NoShard => (Transfer::copy(watch), u64::from(*shards)),
            Given::Destroyed => (Transfer::copy(destroyed), 0),
        })
    }

    /// How many handles it ever got, how many of them are more than a ticket, and what came that no driver is asked.
    fn told(&self) -> Result<Reply> {
        let mut powers = 0;
        for handle in &self.loot {
            powers += u64::from(!matches!(Badge::decode(handle.info()?.badge), Badge::Ticket(_)));
        }
        let told = [self.loot.len() as u64, powers, self.misled].map(u64::to_le_bytes);
        Ok(Reply::data(label::REPLY, told.as_flattened()).word(words::COUNT, size_of_val(&told) as u64))
    }
}

/// Its true ends of things.
struct Attached {
    shards: u32,
    /// A client of its own.
    session: Endpoint,
    /// Watch handles: of a source for all, of one that is no more, of one for that client.
    watch: Endpoint,
    destroyed: Endpoint,
    theirs: Endpoint,
    _ticket: Endpoint,
    _driver: Endpoint,
}

impl Attached {
    fn new() -> Result<Attached> {
        let any = rt::init::connect_until(SERVICE, soon())?;
        let ask = |lobby: &Endpoint, request, send| -> Result<(lobby::Reply, Arrivals)> {
            call_postcard(lobby, control::label::LOBBY, &request, send, soon())
        };
        let (reply, mut handles) = ask(&any, lobby::Request::Shard { shard: 0 }, Vec::new())?;
        let lobby::Reply::Shard { shards } = reply else { return Err(Error::new(EBADMSG)) };
        let lobby: Endpoint = handles.object(0)?;
        let memory = vec![Transfer::moved(Memory::create(SESSION_SIZE)?)];
        let (_, mut handles) = ask(&lobby, lobby::Request::OpenSession, memory)?;
        let (session, ticket): (Endpoint, Endpoint) = (handles.object(0)?, handles.object(1)?);
        let memory = Memory::create(memory_size(CELLS).ok_or(Error::new(EBADMSG))?)?;
        let request = lobby::Request::Attach {
            version: control::VERSION,
            name: String::from("liar"),
            filters: Filters::READ,
            cells: CELLS,
        };
        let (_, mut handles) = ask(&lobby, request, vec![Transfer::moved(memory)])?;
        let driver: Endpoint = handles.object(0)?;
        let (watch, _) = create(&driver, None)?;
        let (theirs, _) = create(&driver, Some(&ticket))?;
        let (destroyed, source) = create(&driver, None)?;
        let request = driver::Request::DestroySource { source, errno: 0 };
        let _: (driver::Reply, _) =
            call_postcard(&driver, control::label::DRIVER, &request, Vec::new(), soon())?;
        Ok(Attached { shards, session, watch, destroyed, theirs, _ticket: ticket, _driver: driver })
    }
}

fn create(session: &Endpoint, client: Option<&Endpoint>) -> Result<(Endpoint, SourceId)> {
    let shared = client.is_none();
    let request = driver::Request::CreateSource { filters: Filters::READ, shared, low_water: (1, 1) };
    let send = client.map(|ticket| Transfer::copy_with(ticket, Rights::WRITE)).into_iter().collect();
    match call_postcard(session, control::label::DRIVER, &request, send, soon())? {
        (driver::Reply::Created { source, .. }, mut handles) => Ok((handles.object(1)?, source)),
        _ => Err(Error::new(EBADMSG)),
    }
}

//! A driver that speaks the protocol itself and answers nonsense: `/dev/liar/N`, where N is the lie of [`LIES`]. What
//! there is to watch of `/dev/liar/silent` it never says.

use abi::Rights;
use abi::error::Result;
use abi::message::LABEL_CLOSED;
use event_protocol::badge::SourceId;
use event_protocol::control::client::Adopted;
use event_protocol::control::label as control_label;
use event_protocol::descriptor::{Kind, Open, Opened, label, words};
use event_protocol::filter::Filters;
use rt::ipc::{Reply, Transfer, decode, set_accept};
use rt::sys::{Endpoint, Memory, Notification, Object};

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
    /// The watch handle is the liar's own, and is answered with this.
    Watch(Told),
    /// Counts are greater than what was asked for, and documents are none.
    Counts,
}

/// What a liar that poses as the event server says of a source.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Told {
    /// Nothing.
    Nothing,
    /// An errno that is none.
    Errno,
    /// Bytes that are no document.
    Garbage,
    /// A cell beyond its page.
    Cell,
    /// Memory of less than a page, or none at all.
    Page,
    /// A source of a shard that there is not.
    Shard,
    /// A source that nobody knows.
    Source,
}

pub const LIES: [Lie; 13] = [
    Lie::Errno,
    Lie::Nothing,
    Lie::Garbage,
    Lie::NoHandle,
    Lie::OtherHandle,
    Lie::Watch(Told::Nothing),
    Lie::Watch(Told::Errno),
    Lie::Watch(Told::Garbage),
    Lie::Watch(Told::Cell),
    Lie::Watch(Told::Page),
    Lie::Watch(Told::Shard),
    Lie::Watch(Told::Source),
    Lie::Counts,
];

/// Badge of the file about which nothing is said.
const SILENT: u64 = u32::MAX as u64;

/// Runs it.
pub fn run() -> i32 {
    let served = serve();
    rt::log!("liar: ends: {served:?}");
    1
}

fn serve() -> Result<()> {
    let endpoint = Endpoint::create()?;
    rt::init::register("liar", &endpoint)?;
    loop {
        set_accept(abi::message::MAX_HANDLES as u32);
        let heard = endpoint.recv(abi::limits::FOREVER)?;
        if heard.tag.label() == LABEL_CLOSED {
            continue;
        }
        // What came with it is dropped here.
        drop(rt::ipc::Arrivals::of(heard.tag));
        let reply = match heard.tag.label() {
            label::OPEN => {
                let open: Open = decode(heard.tag.bytes())?;
                let lie = open.path.rsplit('/').next().and_then(|number| number.parse().ok());
                opened(&endpoint, lie)?
            }
            control_label::ADOPT if heard.badge == SILENT => continue,
            control_label::ADOPT => adopted(LIES[heard.badge as usize % LIES.len()])?,
            label::CONTROL => Reply::data(label::REPLY, &[0xff; 40]),
            _ => {
                Reply::data(label::REPLY, b"bytes").word(words::COUNT, 1 << 40).word(words::ARRIVAL, u64::MAX)
            }
        };
        // Who asked may be gone.
        let _ = reply.send(heard.token);
    }
}

fn opened(endpoint: &Endpoint, number: Option<usize>) -> Result<Reply> {
    // A badge is never 0.
    let badge = number.map_or(SILENT, |number| (number + LIES.len()) as u64);
    let own = || endpoint.with_badge(Rights::WRITE | Rights::DUPLICATE | Rights::TRANSFER, badge);
    let document = Reply::document(label::REPLY, &Opened { kind: Kind::Pipe });
    Ok(match number.map_or(Lie::Counts, |number| LIES[number % LIES.len()]) {
        Lie::Errno => Reply::ok(label::REPLY).word(words::ERRNO, 0xdead_beef_0000),
        Lie::Nothing => Reply::ok(label::REPLY),
        Lie::Garbage => Reply::data(label::REPLY, &[0xff; 100]),
        Lie::NoHandle => document,
        Lie::OtherHandle => document.handle(Transfer::moved(Notification::create()?)),
        Lie::Watch(_) | Lie::Counts => {
            document.handle(Transfer::moved(own()?)).handle(Transfer::moved(own()?))
        }
    })
}

fn adopted(lie: Lie) -> Result<Reply> {
    let Lie::Watch(told) = lie else { return Ok(Reply::ok(label::REPLY)) };
    let shard = if told == Told::Shard { 15 } else { 0 };
    let document = Adopted {
        source: SourceId::new(shard, 7, 3),
        page: 99,
        cell: if told == Told::Cell { u32::MAX } else { 0 },
        filters: Filters::all(),
        low_water: (u32::MAX, 0),
    };
    let page = if told == Told::Page { None } else { Some(Memory::create(4096)?) };
    Ok(match told {
        Told::Nothing => Reply::ok(label::REPLY),
        Told::Errno => Reply::ok(label::REPLY).word(words::ERRNO, u64::MAX),
        Told::Garbage => Reply::data(label::REPLY, &[0xff; 100]),
        Told::Cell | Told::Page | Told::Shard | Told::Source => {
            let reply = Reply::document(label::REPLY, &document);
            page.into_iter().fold(reply, |reply, page| reply.handle(Transfer::moved(page)))
        }
    })
}

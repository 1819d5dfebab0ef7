//! What docs/filter-protocol.md says is what the code does: the tables of the document against it.

use crate::badge::{Badge, ClientId, DriverId, GENERATION_MAX, INDEX_MAX, LineageId, SourceId, TicketId};
use crate::cell::{CELL_SIZE, CELLS_PER_PAGE, Cell};
use crate::changed::{ChangedHeader, ENTRIES_OFFSET, memory_size};
use crate::control::{self, VERSION, driver, limits, lobby};
use crate::descriptor;
use crate::filter::Filters;
use crate::level::{Level, LevelFlags};
use crate::ring::RingHeader;
use crate::trace;
use init_protocol::caller::Caller;

const TEXT: &str = include_str!("../../../docs/filter-protocol.md");

/// A field: its name, offset and size.
pub(crate) type Field = (&'static str, usize, usize);

/// The size of what a field is.
pub(crate) const fn size_of_field<T, F>(_: fn(&T) -> &F) -> usize {
    size_of::<F>()
}

/// The fields of a type, in the module that they are private to.
macro_rules! fields {
    ($type:ty: $($field:ident),*) => {
        vec![$((
            stringify!($field),
            core::mem::offset_of!($type, $field),
            crate::document::size_of_field(|whole: &$type| &whole.$field),
        )),*]
    };
}
pub(crate) use fields;

/// Rows of all tables below a heading, up to the next one, each as its cells without the marks of code.
fn rows(heading: &str) -> Vec<Vec<String>> {
    let begin = TEXT.find(&format!("\n{heading}\n")).unwrap_or_else(|| panic!("no heading {heading}"));
    let section = &TEXT[begin + heading.len() + 2..];
    let end = section.find("\n#").unwrap_or(section.len());
    let cells = |line: &str| {
        line.trim_matches('|').split('|').map(|cell| cell.replace('`', "").trim().to_owned()).collect()
    };
    section[..end].lines().filter(|line| line.starts_with('|')).map(cells).collect()
}

fn number(text: &str) -> u64 {
    let number = match text.strip_prefix("0x") {
        Some(digits) => u64::from_str_radix(digits, 16),
        None => text.parse(),
    };
    number.unwrap_or_else(|_| panic!("{text} is no number"))
}

/// The table below a heading whose columns are called so: rows of a name and a number.
fn table(heading: &str, columns: [&str; 2]) -> Vec<(String, u64)> {
    let rows = rows(heading);
    let first =
        rows.iter().position(|row| row[..2] == columns).unwrap_or_else(|| panic!("no table {columns:?}"));
    let is_row = |row: &&Vec<String>| row[1].starts_with(|c: char| c.is_ascii_digit());
    // Behind the line that divides titles from rows.
    let rows = rows[first + 2..].iter().take_while(is_row);
    rows.map(|row| (row[0].clone(), number(&row[1]))).collect()
}

fn layout(name: &str, size: usize, fields: &[Field]) {
    let rows = rows(&format!("### `{name}`, {size} bytes"));
    let numbered = rows[2..].iter().take_while(|row| row[0].starts_with(|c: char| c.is_ascii_digit()));
    let told: Vec<_> = numbered.map(|row| (row[2].as_str(), number(&row[0]), number(&row[1]))).collect();
    let known: Vec<_> =
        fields.iter().map(|&(name, offset, size)| (name, offset as u64, size as u64)).collect();
    assert_eq!(told, known, "{name}");
    // No field was left out: they follow each other from the beginning to the end.
    let end = fields.iter().fold(0, |end, &(field, offset, size)| {
        assert_eq!(offset, end, "{name}.{field}");
        offset + size
    });
    assert_eq!(end, size, "{name}");
}

#[test]
fn layouts_are_as_documented() {
    layout("Cell", size_of::<Cell>(), &crate::cell::fields());
    layout("ChangedHeader", size_of::<ChangedHeader>(), &crate::changed::fields());
    layout("RingHeader", size_of::<RingHeader>(), &crate::ring::fields());
    let [whole, place] = crate::trace::fields();
    layout("Trace", trace::SIZE, &whole);
    layout("Place", 32, &place);
    assert!(TEXT.contains(&format!("{0} entries; entry n is in place n mod {0}", trace::KEPT)));
    assert!(TEXT.contains(&format!(
        "A page of 4096 bytes has {CELLS_PER_PAGE} cells; cell n begins at {CELL_SIZE} n."
    )));
    assert!(TEXT.contains(&format!(
        "entries of 8 bytes from offset {ENTRIES_OFFSET} on; together in whole pages of 4096"
    )));
    assert_eq!(memory_size(512), Some((ENTRIES_OFFSET + 8 * 512).next_multiple_of(4096)));
    let memory = crate::shared::Region::new(crate::shared::Owned::new(4096));
    let ends_at = |cells: u32| memory.changed(cells).is_ok();
    assert!(ends_at(256) && !ends_at(512), "192 + 8 * 512 bytes are more than a page");
    assert_eq!(Level { amount: 5, flags: LevelFlags::HANGUP }.pack(), 5 << 16 | 4, "amount << 16 | flags");
}

#[test]
fn bits_are_as_documented() {
    let level =
        |(name, bit): (String, u64)| (LevelFlags::from_name(&name), LevelFlags::from_bits(bit as u16));
    let told = table("### `Cell`, 64 bytes", ["level flag", "bit"]);
    assert_eq!(told.len(), LevelFlags::all().iter().count());
    for (known, told) in told.into_iter().map(level) {
        assert_eq!((known, known.is_some()), (told, true));
    }
    let filter = |(name, bit): (String, u64)| (Filters::from_name(&name), Filters::from_bits(bit as u32));
    let told = table("### `Cell`, 64 bytes", ["filter", "bit"]);
    assert_eq!(told.len(), Filters::all().iter().count());
    for (known, told) in told.into_iter().map(filter) {
        assert_eq!((known, known.is_some()), (told, true));
    }
    let cell = Cell::default();
    cell.abandon();
    assert!(cell.is_abandoned() && TEXT.contains("interest = 1 << 31"));
}

#[test]
fn events_of_traces_are_as_documented() {
    let told = table("### `Place`, 32 bytes", ["event", "number"]);
    let known = trace::Event::ALL.iter().map(|event| (event.name().to_owned(), event.code().into()));
    assert_eq!(told, known.collect::<Vec<_>>());
    assert_eq!(trace::MAGIC, u64::from_be_bytes(*b"KQTRACE\x01"));
}

#[test]
fn ids_are_as_documented() {
    let id = SourceId::new(0x7f, INDEX_MAX, 0);
    assert_eq!(id.0, 3 << 61 | 0x7f << 54 | 0xff_ffff, "the picture");
    assert_eq!(SourceId::new(0, 0, GENERATION_MAX).0, 3 << 61 | ((1 << 54) - (1 << 24)));
    let kind = |badge: u64| badge >> 61;
    let told: Vec<_> =
        rows("## Handles and ids")[2..].iter().map(|row| (row[1].clone(), number(&row[0]))).collect();
    let known = [
        ("lobby", 0),
        ("client session", kind(ClientId::new(0, 0, 1).0)),
        ("driver session", kind(DriverId::new(0, 0, 1).0)),
        ("watch handle", kind(id.0)),
        ("ticket", kind(TicketId::new(0, ClientId::new(0, 0, 1)).0)),
        ("lineage", kind(LineageId::new(0, 0, 1).0)),
    ];
    assert_eq!(told, known.map(|(name, kind)| (name.to_owned(), kind)));
    let caller = Caller { pid: 5, provider: true };
    assert_eq!(Badge::decode(5 | 1 << 31), Badge::Lobby(caller));
    let ticket = TicketId::new(5, ClientId::new(0, 6, 7));
    assert_eq!(ticket.0, 4 << 61 | 5 << 29 | 7 << 10 | 6, "the picture of a ticket");
}

#[test]
fn labels_and_limits_are_as_documented() {
    let owned = |known: &[(&str, u64)]| {
        known.iter().map(|&(name, value)| (name.to_owned(), value)).collect::<Vec<_>>()
    };
    let known = [
        ("LOBBY", control::label::LOBBY),
        ("CLIENT", control::label::CLIENT),
        ("DRIVER", control::label::DRIVER),
        ("REPLY", control::label::REPLY),
    ];
    let told = table("## Messages of the event server", ["label", "value"]);
    assert_eq!(told, owned(&known.map(|(name, value)| (name, value.into()))));
    let known = [
        ("OPEN", descriptor::label::OPEN),
        ("OPEN", descriptor::label::OPEN),
        ("READ", descriptor::label::READ),
        ("WRITE", descriptor::label::WRITE),
        ("CONTROL", descriptor::label::CONTROL),
        ("WATCH", descriptor::label::WATCH),
        ("SEND", descriptor::label::SEND),
        ("RECEIVE", descriptor::label::RECEIVE),
        ("PATH", descriptor::label::PATH),
        ("INSPECT", descriptor::label::INSPECT),
        ("REPLY", descriptor::label::REPLY),
    ];
    let told = table("## Messages of a driver", ["label", "value"]);
    assert_eq!(told, owned(&known.map(|(name, value)| (name, value.into()))));
    let known = [
        ("MAX_SHARDS", limits::MAX_SHARDS.into()),
        ("MAX_CELLS", limits::MAX_CELLS.into()),
        ("MAX_DRIVERS", limits::MAX_DRIVERS.into()),
        ("MAX_DRIVERS_OF_PROCESS", limits::MAX_DRIVERS_OF_PROCESS as u64),
        ("DRIVERS_OF_MANIFEST", limits::DRIVERS_OF_MANIFEST as u64),
        ("MAX_NAME", limits::MAX_NAME as u64),
        ("MAX_SOURCES", limits::MAX_SOURCES.into()),
        ("MAX_KEPT", limits::MAX_KEPT as u64),
        ("MAX_BYTES", limits::MAX_BYTES as u64),
    ];
    assert_eq!(table("### Limits", ["limit", "value"]), owned(&known));
    assert_eq!((descriptor::NONBLOCK, descriptor::CURRENT), (1, u64::MAX));
    assert!(TEXT.contains(&format!("Flag {:#x} (`DURABLE`)", descriptor::DURABLE)));
    assert!(TEXT.contains(&format!("the specification, version {VERSION}.")));
    assert!(TEXT.contains(&format!("`VERSION` is {VERSION}.")));
}

/// The places of words in the table of a driver's messages.
#[test]
fn words_are_as_documented() {
    use descriptor::words;
    let rows = rows("## Messages of a driver");
    let row = |label: &str| rows.iter().find(|row| row[0] == label).unwrap();
    let at = |label: &str, column: usize, word: usize| {
        row(label)[column].split(", ").nth(word).unwrap_or_default().to_owned()
    };
    assert_eq!(at("READ", 3, words::LENGTH), "length");
    assert_eq!(at("READ", 3, words::FLAGS), "flags");
    assert_eq!(at("READ", 3, words::OFFSET), "offset");
    assert_eq!(at("READ", 5, words::ERRNO), "0");
    assert_eq!(at("READ", 5, words::COUNT), "count");
    assert_eq!(at("READ", 5, words::ARRIVAL), "arrival");
    assert_eq!(at("WRITE", 3, words::OFFSET), "offset");
    assert_eq!(at("WRITE", 5, words::COUNT), "count");
    assert_eq!(at("OPEN", 5, words::HOME), "home shard");
    assert_eq!(at("WATCH", 5, words::HOME), "home shard");
    assert_eq!(at("SEND", 3, words::LENGTH), "length of the address");
    assert_eq!(at("SEND", 3, words::FLAGS), "flags");
    assert_eq!(at("RECEIVE", 3, words::HANDLES), "handles");
    assert_eq!(at("RECEIVE", 5, words::MESSAGE), "flags and length of the address");
    assert_eq!(at("RECEIVE", 5, words::WHOLE), "whole length");
}

#[test]
fn encodings_are_as_documented() {
    let bytes =
        |document: &[u8]| document.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().join(" ");
    let filters = Filters::READ.union(Filters::WRITE);
    let attach = lobby::Request::Attach { version: VERSION, name: "lamp".into(), filters, cells: 64 };
    let encoded = bytes(&postcard::to_allocvec(&attach).unwrap());
    assert!(TEXT.contains(&format!("is `{encoded}`.")), "{encoded}");
    let variant = |document: Vec<u8>| u64::from(document[0]);
    let source = SourceId::new(0, 0, 1);
    let create = driver::Request::CreateSource { filters, shared: true, low_water: (1, 1) };
    let kept = vec![8, 9];
    let durable = driver::Request::CreateDurable { filters, shared: true, low_water: (1, 1), kept };
    let of = |request: &driver::Request| u64::from(postcard::to_allocvec(request).unwrap()[0]);
    let known = [
        ("lobby Shard", variant(postcard::to_allocvec(&lobby::Request::Shard { shard: 0 }).unwrap())),
        ("lobby Attach", variant(postcard::to_allocvec(&attach).unwrap())),
        ("lobby Home", variant(postcard::to_allocvec(&lobby::Request::Home).unwrap())),
        ("driver CreateSource", variant(postcard::to_allocvec(&create).unwrap())),
        (
            "driver DestroySource",
            variant(postcard::to_allocvec(&driver::Request::DestroySource { source, errno: 0 }).unwrap()),
        ),
        ("driver CreateDurable", of(&durable)),
        ("driver Bequeath", of(&driver::Request::Bequeath)),
        ("driver Orphans", of(&driver::Request::Orphans { after: None })),
        ("driver Claim", of(&driver::Request::Claim { source })),
        ("driver Settled", of(&driver::Request::Settled)),
        ("driver Share", of(&driver::Request::Share { source })),
    ];
    let owned = |known: &[(&str, u64)]| {
        known.iter().map(|&(name, value)| (name.to_owned(), value)).collect::<Vec<_>>()
    };
    assert_eq!(bytes(&postcard::to_allocvec(&durable).unwrap()), "02 03 01 01 01 02 08 09");
    assert_eq!(table("## Messages of the event server", ["request", "variant"]), owned(&known));
    let shared = driver::Reply::Shared { source, page: 0, cell: 0, is_new: true };
    let attached = lobby::Reply::Attached { driver: DriverId::new(0, 0, 1), shard: 0, doorbell_bits: 1 };
    let known = [
        ("lobby Shard", variant(postcard::to_allocvec(&lobby::Reply::Shard { shards: 1 }).unwrap())),
        ("lobby Attached", variant(postcard::to_allocvec(&attached).unwrap())),
        ("lobby Home", variant(postcard::to_allocvec(&lobby::Reply::Home { shard: 0 }).unwrap())),
        (
            "driver Created",
            variant(postcard::to_allocvec(&driver::Reply::Created { source, page: 0, cell: 0 }).unwrap()),
        ),
        ("driver Done", variant(postcard::to_allocvec(&driver::Reply::Done).unwrap())),
        ("driver Orphans", variant(postcard::to_allocvec(&driver::Reply::Orphans(vec![])).unwrap())),
        ("driver Shared", variant(postcard::to_allocvec(&shared).unwrap())),
    ];
    assert_eq!(table("## Messages of the event server", ["reply", "variant"]), owned(&known));
    // Fields in their order: the document has no names in it.
    assert_eq!(bytes(&postcard::to_allocvec(&create).unwrap()), "00 03 01 01 01");
}

//! Who wants what is another's.

use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;

use abi::Rights;
use abi::error::{EACCES, EBADMSG, EINVAL, ENOENT, EPERM, Error, Result};
use event_protocol::changed::memory_size;
use event_protocol::control::{SERVICE, VERSION, driver, label, lobby};
use event_protocol::filter::Filters;
use guest_tests::child::{Role, ends_well};
use guest_tests::failure::{equal, refused};
use guest_tests::suite::Test;
use guest_tests::{Outcome, operator, soon};
use rt::ipc::{Transfer, call_postcard};
use rt::sys::{Endpoint, Memory, Notification};

use crate::PROGRAM;
use crate::seen::{SERIAL, ask, durable, number, until_back};
use crate::serial::MAKE;

pub const TESTS: &[Test] = &[("a_namesake_gets_nothing", a_namesake_gets_nothing)];

/// While the driver is away another program, and this one, attach under its name and ask for what it left.
fn a_namesake_gets_nothing() -> Outcome {
    let file = durable(SERIAL)?;
    ask(&file, MAKE, 1)?;
    operator::kill(SERIAL)?;
    namesake()?;
    ends_well(&Role::new(PROGRAM, "namesake").spawn(Vec::new())?)?;
    until_back(SERIAL)?;
    equal(number(&file, 0)?, 0)
}

fn attach(lobby: &Endpoint, lineage: Option<Transfer>) -> Result<Endpoint> {
    let request = lobby::Request::Attach {
        version: VERSION,
        name: String::from(SERIAL),
        filters: Filters::READ | Filters::WRITE,
        cells: 64,
    };
    let memory = Memory::create(memory_size(64).ok_or(Error::new(EINVAL))?)?;
    let send = [Transfer::moved(memory)].into_iter().chain(lineage).collect();
    let (reply, mut handles) = call_postcard(lobby, label::LOBBY, &request, send, soon())?;
    match reply {
        lobby::Reply::Attached { .. } => handles.object(0),
        _ => Err(Error::new(EBADMSG)),
    }
}

/// Who is called as the driver, and is not it.
pub fn namesake() -> Outcome {
    let lobby = rt::init::connect(SERVICE)?;
    let session = attach(&lobby, None)?;
    let ask = |request: driver::Request, send: Vec<Transfer>| {
        call_postcard::<_, driver::Reply>(&session, label::DRIVER, &request, send, soon())
            .map(|(reply, _)| reply)
    };
    refused(ask(driver::Request::Orphans { after: None }, vec![]), EPERM)?;
    // What is a lineage to nobody but the server: anything else is none.
    let own = Endpoint::create()?;
    let forged = own.with_badge_of(5 << 61 | 1 << 24)?;
    refused(attach(&lobby, Some(Transfer::copy(&forged))), EINVAL)?;
    refused(attach(&lobby, Some(Transfer::copy(&lobby))), EPERM)?;
    refused(attach(&lobby, Some(Transfer::copy(&Notification::create()?))), EINVAL)?;
    // With a lineage of its own it has what is its own: nothing.
    let bequeath = driver::Request::Bequeath;
    let (_, handles) = call_postcard::<_, driver::Reply>(&session, label::DRIVER, &bequeath, vec![], soon())?;
    equal(ask(driver::Request::Orphans { after: None }, vec![])?, driver::Reply::Orphans(vec![]))?;
    for index in 0..64 {
        for generation in 1..4 {
            let source = event_protocol::badge::SourceId::new(0, index, generation);
            let claimed = ask(driver::Request::Claim { source }, vec![Transfer::copy(&own)]);
            refused(claimed, ENOENT)?;
        }
    }
    refused(
        ask(driver::Request::Claim { source: event_protocol::badge::SourceId::new(0, 0, 1) }, vec![]),
        EINVAL,
    )?;
    let memory = Memory::create(4096)?;
    let claim = driver::Request::Claim { source: event_protocol::badge::SourceId::new(0, 0, 1) };
    refused(ask(claim, vec![Transfer::moved(memory)]), EACCES)?;
    // It ends with whoever has its handle.
    drop(handles);
    refused(ask(driver::Request::Orphans { after: None }, vec![]), EPERM)
}

trait Forge {
    fn with_badge_of(&self, badge: u64) -> Result<Endpoint>;
}

impl Forge for Endpoint {
    fn with_badge_of(&self, badge: u64) -> Result<Endpoint> {
        rt::sys::Object::with_badge(self, Rights::all(), badge)
    }
}

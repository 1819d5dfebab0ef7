//! The driver of a case of a durable file: a driver of the manifest, which goes on with what the one before it left.

use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;

use abi::Rights;
use abi::error::{EBADMSG, EINVAL, ENOENT, Error, Result};
use abi::limits::FOREVER;
use abi::message::{LABEL_CLOSED, MAX_HANDLES};
use event_protocol::control::{self, driver, lobby};
use event_protocol::descriptor::label;
use guest_tests::{Outcome, child, peers};
use init_protocol::request::KEPT;
use rt::Start;
use rt::init;
use rt::ipc::{Arrivals, Reply, Transfer, call_postcard, set_accept};
use rt::sys::{Endpoint, Notification, Object};

use super::{BRIEF, CLIENT, Case, Driver, File, MASTER, SERVICE};
use crate::step::Step;

/// The process. It ends with its case, so that init starts the next one: what a server keeps of a process goes with it.
pub fn run(start: &Start) -> i32 {
    match child::status("struck", play(start)) {
        // As a failure: who ends well is not started again.
        0 => 1,
        failed => failed,
    }
}

fn play(start: &Start) -> Outcome {
    let endpoint = Arc::new(Endpoint::create()?);
    init::register(SERVICE, &endpoint)?;
    // If it is the next of a lineage, what is left is of this case.
    let lineage: Option<Endpoint> = start.object(KEPT);
    let (case, shard) = briefed(&endpoint)?;
    let driver = match lineage.as_ref().map(home).transpose()?.flatten() {
        Some(home) => follow(case, home, lineage.as_ref())?,
        None => begin(case, shard)?,
    };
    let ending = driver.serve()?;
    // Nobody goes on with it: something else is kept.
    init::keep(Notification::create()?)?;
    Ok(Reply::ok(label::REPLY).send(ending)?)
}

/// Waits for a case.
fn briefed(endpoint: &Arc<Endpoint>) -> Result<(Case, u32)> {
    loop {
        set_accept(MAX_HANDLES as u32);
        let heard = endpoint.recv(FOREVER)?;
        let mut arrivals = Arrivals::of(heard.tag);
        if heard.tag.label() == LABEL_CLOSED {
            continue;
        }
        if heard.tag.label() != BRIEF {
            Reply::error(BRIEF, Error::new(EINVAL)).send(heard.token)?;
            continue;
        }
        let [_, step, shard, lost] = heard.words;
        let (told, go): (Notification, Notification) = (arrivals.object(0)?, arrivals.object(1)?);
        let orders = endpoint.with_badge(Rights::WRITE | Rights::TRANSFER, MASTER)?;
        let clients = endpoint.restricted(CLIENT)?;
        let reply = Reply::ok(BRIEF).handle(Transfer::moved(orders)).handle(Transfer::moved(clients));
        reply.send(heard.token)?;
        let (endpoint, step) = (endpoint.clone(), Step::of(step as usize));
        return Ok((Case { endpoint, told, go, step, lost: lost != 0 }, shard as u32));
    }
}

/// The shard of a lineage; `None`: it is none any more.
fn home(lineage: &Endpoint) -> Result<Option<u32>> {
    let (any, _) = peers::lobby(0)?;
    let send = vec![Transfer::copy(lineage)];
    match call_postcard(&any, control::label::LOBBY, &lobby::Request::Home, send, FOREVER) {
        Ok((lobby::Reply::Home { shard }, _)) => Ok(Some(shard)),
        Ok(_) => Err(Error::new(EBADMSG)),
        Err(error) if error.errno == EINVAL => Ok(None),
        Err(error) => Err(error),
    }
}

/// The first of a lineage.
fn begin(case: Case, shard: u32) -> Result<Driver> {
    let mut driver = case.attach(shard, None, true)?;
    let (reply, mut handles) = driver.ask(&driver::Request::Bequeath, Vec::new())?;
    if reply != driver::Reply::Done {
        return Err(Error::new(EBADMSG));
    }
    let lineage: Endpoint = handles.object(0)?;
    driver.reach(Step::Bequeathed)?;
    init::keep(lineage)?;
    driver.reach(Step::Kept)?;
    Ok(driver)
}

/// The next one. Each file that was left has something to read.
fn follow(case: Case, shard: u32, lineage: Option<&Endpoint>) -> Result<Driver> {
    let mut driver = case.attach(shard, lineage, true)?;
    let (reply, _) = driver.ask(&driver::Request::Orphans { after: None }, Vec::new())?;
    let driver::Reply::Orphans(left) = reply else { return Err(Error::new(EBADMSG)) };
    driver.reach(Step::Listed)?;
    for orphan in left {
        if driver.lost {
            break;
        }
        driver.made += 1;
        let badge = driver.made;
        let descriptor = driver.endpoint.with_badge(CLIENT, badge)?;
        let claim = driver::Request::Claim { source: orphan.source };
        match driver.ask(&claim, vec![Transfer::moved(descriptor)]) {
            Ok((reply, mut handles)) => {
                driver.files.push(File { badge, source: None, full: true });
                driver.has_source(badge, reply, &mut handles)?;
                driver.reach(Step::Claimed)?;
            }
            // Its client has died meanwhile.
            Err(error) if error.errno == ENOENT => {}
            Err(error) => return Err(error),
        }
    }
    driver.ask(&driver::Request::Settled, Vec::new())?;
    driver.reach(Step::Settled)?;
    driver.arrive()?;
    Ok(driver)
}

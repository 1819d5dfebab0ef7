//! Start: the first thread becomes shard 0 and starts the others.

use abi::Rights;
use abi::error::{EINVAL, Error, Result};
use abi::limits::MAX_CPUS;
use alloc::sync::Arc;
use alloc::vec::Vec;
use event_protocol::control::SERVICE;
use event_protocol::control::limits::MAX_SHARDS;
use event_protocol::control::policy::Policy;
use rt::sys::{Endpoint, Notification, Object, Process};
use rt::thread::Builder;

use crate::serve::ShardThread;
use crate::setup::{Gate, Setup};
use crate::trace::Ring;

const _: () = assert!(MAX_CPUS <= MAX_SHARDS as usize);

/// The stack of a shard: requests of up to a message's bytes are decoded on it.
const STACK: usize = 64 << 10;

/// Runs the server. Returns only when it cannot go on.
pub fn main(start: &rt::Start) -> i32 {
    let error = match run(start) {
        Ok(error) => error,
        Err(error) => error,
    };
    rt::log!("event: ends: {error}");
    1
}

fn run(start: &rt::Start) -> Result<abi::error::Error> {
    let shards = rt::clock::cpu_count().clamp(1, MAX_CPUS);
    let mut ends = Vec::new();
    let mut gates = Vec::new();
    for _ in 0..shards {
        let (endpoint, doorbell) = (Endpoint::create()?, Notification::create()?);
        gates.push(Gate { endpoint: endpoint.restricted(MINT)?, doorbell: doorbell.restricted(BELL)? });
        ends.push((endpoint, doorbell));
    }
    let policy = policy(start)?;
    let own = Process::from_handle(start.process());
    let quota = own.status()?.quota_limit;
    let setup = Arc::new(Setup::new(gates, own.into_handle(), quota));
    rt::init::register_knowing_callers(SERVICE, &setup.gates[0].endpoint)?;
    let mut first = None;
    for (shard, (endpoint, doorbell)) in ends.into_iter().enumerate() {
        let ring = Ring::begin()?;
        let mut thread = ShardThread::new(shard as u32, endpoint, doorbell, setup.clone(), ring);
        thread.shard.set_policy(policy);
        if shard == 0 {
            first = Some(thread);
            continue;
        }
        let builder = Builder::new().name("shard").stack(STACK).cpus(1 << shard);
        drop(builder.spawn(move || {
            let error = thread.run();
            rt::log!("event: shard {shard} ends: {error}");
            rt::sys::exit(1)
        })?);
    }
    rt::sys::set_affinity(1)?;
    rt::log!("event: {shards} shard{}", if shards == 1 { "" } else { "s" });
    match first {
        Some(thread) => Ok(thread.run()),
        None => Err(abi::error::Error::new(abi::error::EINVAL)),
    }
}

/// Whom arrivals wake that exclusive notes wait for, where neither note nor file says it: the manifest's arguments `policy NAME`.
fn policy(start: &rt::Start) -> Result<Policy> {
    match (start.arg(1), Policy::from_name(start.arg(2))) {
        ("", _) => Ok(Policy::default()),
        ("policy", Some(policy)) => Ok(policy),
        _ => {
            let names = Policy::ALL.map(Policy::name);
            rt::log!("event: {:?}: arguments are `policy` and one of {names:?}", start.args());
            Err(Error::new(EINVAL))
        }
    }
}

/// What badged handles of an endpoint are made of.
const MINT: Rights = Rights::WRITE.union(Rights::DUPLICATE).union(Rights::TRANSFER).union(Rights::MINT);
/// What drivers' doorbells are made of.
const BELL: Rights = MINT;

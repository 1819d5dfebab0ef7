//! Functions of the PCI bus on the machine: who has one, what the owner gets, and what becomes of it. Runs with the manifest
//! `functions`, where it is a driver, and four virtio entropy sources, of which the first is its
//! driver's and the last another part's of this program.
#![no_std]
#![no_main]
#![forbid(unsafe_code)]

extern crate alloc;

use alloc::vec;
use alloc::vec::Vec;

use abi::error::{EBADMSG, EBUSY, EINVAL, EIO, ENODEV, ENOSPC, ENOSYS, EPERM, Error, Result};
use driver_sdk::{Function, Registers, SharedMemory, Wanted};
use guest_tests::child::{self, Role};
use guest_tests::failure::{ensure, equal, refused};
use guest_tests::random::Random;
use guest_tests::{Failure, Outcome, Suite, a_moment, operator, soon};
use libkq::Descriptor;
use libkq::flag::O_RDONLY;
use pci_protocol::{
    Address, FunctionReply, FunctionRequest, LENT, Listed, Reply, Request, SERVICE, State, label,
};
use rt::clock;
use rt::init;
use rt::ipc::{self, Transfer, call_postcard};
use rt::sys::Endpoint;

const PROGRAM: &str = env!("CARGO_BIN_NAME");
/// Reaching memory, in the command register.
const MASTER: u8 = 4;

rt::entry!(main);

fn main(start: &rt::Start) -> i32 {
    if let Some(status) = child::played(start, play) {
        return status;
    }
    let mut suite = Suite::new(start);
    let seed = Random::seed(start.arg(2));
    suite.table(&[
        ("every_function_is_listed_once", every_function_is_listed_once),
        ("a_function_has_one_owner", a_function_has_one_owner),
        ("who_is_no_driver_of_the_manifest_gets_no_function", who_is_no_driver),
        ("what_is_not_there_is_refused", what_is_not_there),
        ("registers_are_within_their_bar", registers_are_within_their_bar),
        ("the_interrupt_table_is_the_buses", the_interrupt_table),
        ("interrupts_are_those_of_the_table", interrupts),
        ("a_returned_function_is_stopped", a_returned_function_is_stopped),
        ("a_dead_owner_returns_its_function", a_dead_owner),
        ("lent_memory_has_a_limit", lent_memory_has_a_limit),
    ]);
    suite.test("nonsense_is_answered_and_leaves_nothing", || nonsense(seed));
    suite.finish()
}

fn source(skip: u32) -> Wanted {
    Wanted { vendor: 0x1af4, devices: vec![0x1005, 0x1044], skip }
}

fn list() -> Result<Vec<Listed>> {
    let bus = init::connect(SERVICE)?;
    let mut all = Vec::new();
    loop {
        let after = all.last().map(|last: &Listed| last.address);
        let request = Request::Functions { after };
        let (reply, _) = call_postcard(&bus, label::BUS, &request, vec![], soon())?;
        let Reply::Functions(some) = reply else { return Err(Error::new(EBADMSG)) };
        if some.is_empty() {
            return Ok(all);
        }
        all.extend(some);
    }
}

fn state(address: Address) -> Outcome<State> {
    let found = list()?.into_iter().find(|listed| listed.address == address);
    Ok(found.ok_or(Failure::new("it is not there any more"))?.state)
}

fn every_function_is_listed_once() -> Outcome {
    // The driver has its function when it serves.
    Descriptor::open("/dev/random", O_RDONLY)?;
    let all = list()?;
    ensure(all.is_sorted_by(|a, b| a.address < b.address), "in the order of their addresses")?;
    equal(all[0].address, Address::new(0, 0, 0))?;
    equal((all[0].identity.vendor, all[0].identity.class >> 16, all[0].state), (0x8086, 6, State::Unusable))?;
    let sources: Vec<&Listed> = all.iter().filter(|listed| listed.identity.vendor == 0x1af4).collect();
    equal(sources.len(), 4)?;
    // Another driver has the last one, perhaps a moment later.
    let wanted = [State::Claimed, State::Free, State::Free, State::Claimed];
    guest_tests::crew::until(|| {
        let states = list().map(|all| {
            all.into_iter()
                .filter(|listed| listed.identity.vendor == 0x1af4)
                .map(|listed| listed.state)
                .collect()
        });
        states.is_ok_and(|states: Vec<State>| states == wanted)
    })?;
    // Behind ports of their own.
    ensure(sources.iter().all(|listed| listed.address.bus() > 0), "the bus looks behind bridges")
}

fn a_function_has_one_owner() -> Outcome {
    refused(Function::claim(source(0)), EBUSY)?;
    let (one, other) = (Function::claim(source(1))?, Function::claim(source(2))?);
    ensure(one.address() != other.address(), "two functions")?;
    refused(Function::claim(source(1)), EBUSY)?;
    equal((state(one.address())?, state(other.address())?), (State::Claimed, State::Claimed))?;
    let address = one.address();
    drop(one);
    // It waits for the end of the reset.
    let one = Function::claim(source(1))?;
    equal(one.address(), address)
}

fn what_is_not_there() -> Outcome {
    refused(Function::claim(source(4)), ENODEV)?;
    refused(Function::claim(Wanted { vendor: 1, devices: vec![1], skip: 0 }), ENODEV)?;
    refused(Function::claim(Wanted { vendor: 0x1af4, devices: vec![], skip: 0 }), ENODEV)?;
    // A bridge is nobody's.
    let bridge = list()?[0].identity;
    refused(Function::claim(Wanted { vendor: bridge.vendor, devices: vec![bridge.device], skip: 0 }), EIO)
}

fn registers_are_within_their_bar() -> Outcome {
    let function = Function::claim(source(1))?;
    let config = function.config()?;
    equal((config.len(), u16::from_le_bytes([config[0], config[1]])), (256, 0x1af4))?;
    // The BAR of today's structures has 16 KiB.
    equal(function.window(4, 0, 0x4000)?.length(), 0x4000)?;
    let part = function.window(4, 0x1004, 8)?;
    equal((part.length(), part.read::<u32>(8), part.read::<u64>(1)), (8, u32::MAX, u64::MAX))?;
    for (bar, offset, length) in
        [(4, 0, 0), (4, 0x4000, 1), (4, 0x3fff, 2), (4, u32::MAX, 1), (4, 0, u32::MAX)]
    {
        refused(function.window(bar, offset, length), EINVAL)?;
    }
    for bar in [2, 3, 5, 6, 255] {
        refused(function.window(bar, 0, 4), EINVAL)?;
    }
    Ok(())
}

fn the_interrupt_table() -> Outcome {
    let function = Function::claim(source(1))?;
    refused(function.window(1, 0, 16), EPERM)?;
    refused(function.window(1, 0x800, 4), EPERM)
}

fn interrupts() -> Outcome {
    let function = Function::claim(source(1))?;
    let (first, message) = function.interrupt(0)?;
    ensure(message, "MSI-X")?;
    // Who waits for it does not get to know what raises it.
    refused(first.message(0), EPERM)?;
    let (_second, _) = function.interrupt(1)?;
    for entry in [2, 2048, u16::MAX] {
        refused(function.interrupt(entry), EINVAL)?;
    }
    // Given again it is another, and the first one is silent from now on.
    let (_again, _) = function.interrupt(0)?;
    Ok(())
}

fn is_master(function: &Function) -> Outcome<bool> {
    Ok(function.config()?[4] & MASTER != 0)
}

fn a_returned_function_is_stopped() -> Outcome {
    let function = Function::claim(source(1))?;
    ensure(!is_master(&function)?, "nobody has allowed it to reach memory")?;
    function.set_master(true)?;
    ensure(is_master(&function)?, "it may reach memory")?;
    function.set_master(false)?;
    ensure(!is_master(&function)?, "no longer")?;
    function.set_master(true)?;
    let memory = function.dma(8192)?;
    ensure(memory.address().is_multiple_of(4096) && memory.length() == 8192, "whole pages")?;
    memory.write(8184, 0x0123_4567_89ab_cdef_u64);
    equal((memory.read::<u8>(8184), memory.read::<u64>(8184)), (0xef, 0x0123_4567_89ab_cdef))?;
    memory.write(8192, 1u8);
    equal(memory.read::<u32>(8190), u32::MAX)?;
    let address = function.address();
    drop(function);
    let function = Function::claim(source(1))?;
    equal(function.address(), address)?;
    ensure(!is_master(&function)?, "the next owner decides for itself")?;
    // The reset has left it where it was.
    equal(function.window(4, 0, 0x4000)?.read::<u8>(0x14), 0)
}

fn play(role: &str) -> Outcome {
    match role {
        // A driver of the manifest.
        "owns" => {
            let function = Function::claim(source(3))?;
            assert!(!is_master(&function)?, "the owner before was not stopped");
            function.set_master(true)?;
            let _memory = function.dma(4096)?;
            // Until it is killed.
            loop {
                rt::thread::sleep(1_000_000_000);
            }
        }
        // A free one, others', and one that is not there.
        "asks" => (0..5).try_for_each(|skip| refused(Function::claim(source(skip)), EPERM)),
        _ => Err(Failure::new("no such part")),
    }
}

fn who_is_no_driver() -> Outcome {
    child::ends_well(&Role::new(PROGRAM, "asks").spawn(Vec::new())?)
}

fn a_dead_owner() -> Outcome {
    let address = list()?.into_iter().filter(|listed| listed.identity.vendor == 0x1af4).nth(3);
    let address = address.ok_or(Failure::new("no fourth source"))?.address;
    let deadline = soon();
    for _ in 0..3 {
        // It has mastered when it is asked again for its function, or begins to.
        while state(address)? != State::Claimed {
            ensure(clock::now_ns() < deadline, "its driver claims it")?;
            a_moment();
        }
        let owner = operator::find("owner")?.ok_or(Failure::new("no owner"))?;
        init::kill(owner.pid, 9)?;
        while operator::find("owner")?.is_none_or(|now| now.pid == owner.pid) {
            ensure(clock::now_ns() < deadline, "init starts it again")?;
            a_moment();
        }
    }
    Ok(())
}

fn lent_memory_has_a_limit() -> Outcome {
    let function = Function::claim(source(2))?;
    let lent: Vec<_> = (0..LENT).map(|_| function.dma(4096)).collect::<Result<_>>()?;
    refused(function.dma(4096), ENOSPC)?;
    equal(lent.len(), LENT)
}

fn nonsense(seed: u64) -> Outcome {
    let mut random = Random::new(seed);
    let (bus, endpoint) = (init::connect(SERVICE)?, Endpoint::create()?);
    let before = list()?;
    for _ in 0..500 {
        let length = *random.pick(&[0, 1, 2, 3, 8, 100, 3968]);
        let bytes: Vec<u8> = (0..length).map(|_| *random.pick(&[0, 1, 2, 3, 255, 0x44])).collect();
        ipc::write_bytes(&bytes)?;
        let label = *random.pick(&[label::BUS, label::FUNCTION, 0, 1, 0x7fff_ffff]);
        let send = if random.below(4) == 0 { vec![Transfer::copy(&endpoint)] } else { vec![] };
        match ipc::call(&bus, label, [random.draw(); 4], bytes.len(), send, soon()) {
            // EINVAL: by chance it asks to be told of functions, and gives no notification.
            Err(error) if [EBADMSG, EINVAL, ENOSYS, ENODEV].contains(&error.errno) => {}
            // What means something by chance is a list of functions.
            Ok(_) => ensure(label == label::BUS, "only the bus answers")?,
            Err(error) => return Err(error.into()),
        }
    }
    let request = FunctionRequest::Master(true);
    refused(call_postcard::<_, FunctionReply>(&bus, label::FUNCTION, &request, vec![], soon()), ENOSYS)?;
    equal(list()?.len(), before.len())
}

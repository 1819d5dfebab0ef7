//! A process that makes a million calls with wild arguments: the kernel, init and everybody else go on.
#![no_std]
#![no_main]
#![forbid(unsafe_code)]

extern crate alloc;

use alloc::vec;
use alloc::vec::Vec;

use abi::flag::MapFlags;
use abi::message::MAX_HANDLES;
use abi::number::*;
use abi::{Handle, TransferSlot};
use guest_tests::child::{self, Role};
use guest_tests::failure::ensure;
use guest_tests::ledger::Ledger;
use guest_tests::random::Random;
use guest_tests::shared::Shared;
use guest_tests::witness::Witnesses;
use guest_tests::{IpcPage, Outcome, Suite, raw_registers};
use rt::ipc::Transfer;
use rt::sys::{Endpoint, Memory, Notification, Object, Registers};
use rt::{clock, init, thread};

const PROGRAM: &str = env!("CARGO_BIN_NAME");
/// Calls in all.
const CALLS: u64 = 1_000_000;
/// Calls of one process: then its quota is full of what it made.
const CALLS_OF_ONE: u64 = 25_000;
/// Time without a call after which a hostile process has shut itself out.
const STALLED: u64 = 30_000_000;

rt::entry!(main);

fn main(start: &rt::Start) -> i32 {
    match child::role(start) {
        Some("hostile") => return hostile(start),
        Some(_) => return 2,
        None => {}
    }
    let mut suite = Suite::new(start);
    let seed = Random::seed(start.arg(2));
    let times: u64 = start.arg(3).parse().unwrap_or(1);
    suite.test("a_million_wild_calls", || a_million_wild_calls(seed, times));
    suite.finish()
}

fn a_million_wild_calls(seed: u64, times: u64) -> Outcome {
    // The first half makes the tables as large as wild calls make them; what the second half made is gone after it.
    let half = CALLS * times / 2;
    among_witnesses(seed, half)?;
    let ledger = Ledger::open()?;
    among_witnesses(!seed, half)?;
    ledger.balance()
}

/// Lets hostile processes make so many calls, one process after the other, while others go on.
fn among_witnesses(seed: u64, calls: u64) -> Outcome {
    let witnesses = Witnesses::start()?;
    let mut done = 0;
    let mut round = 0;
    let result = loop {
        if done >= calls {
            break Ok(());
        }
        round += 1;
        match run(seed.wrapping_add(round), CALLS_OF_ONE.min(calls - done)) {
            Ok(calls) => done += calls,
            Err(failure) => break Err(failure),
        }
        if round > calls / 50 {
            break ensure(false, "hostile processes get somewhere");
        }
    };
    let rounds = witnesses.finish()?;
    result?;
    rt::log!("{done} calls by {round} processes, {rounds} rounds of checks meanwhile");
    ensure(rounds > 0, "the witnesses went on")
}

/// Lets one hostile process run until it has made so many calls, or has ended or locked itself out. Returns how many.
fn run(seed: u64, calls: u64) -> Outcome<u64> {
    let progress = Shared::create()?;
    let own = rt::block::current().priority();
    let role = Role::new(PROGRAM, "hostile").argument(seed).argument(calls).priority(own - 1);
    let child = role.spawn(vec![("progress", Transfer::copy(progress.memory()))])?;
    let ended = Notification::create()?;
    ended.watch_exit(&child.process, 1)?;
    let mut last = 0;
    loop {
        if ended.wait(clock::after(STALLED)).is_ok() {
            break;
        }
        let now = progress.get(0);
        if now == last {
            // It waits for something that never comes, or has suspended itself.
            let _ = init::kill(child.pid, 0);
        }
        last = now;
    }
    Ok(progress.get(0).max(1))
}

/// What a hostile process has to throw at the kernel.
struct Stock {
    handles: Vec<u64>,
    addresses: Vec<u64>,
    /// Its own process and thread: an end by them is too cheap.
    own: [u64; 2],
    ipc: IpcPage,
}

impl Stock {
    fn argument(&self, random: &mut Random) -> u64 {
        match random.below(12) {
            0..=4 => *random.pick(&self.handles),
            5 | 6 => *random.pick(&self.addresses),
            7 => random.below(16),
            8 => 1 << random.below(64),
            9 => random.below(16) * 4096,
            10 => *random.pick(&[0, u64::MAX, i64::MAX as u64, u64::from(u32::MAX), 0xfff, 0x1000]),
            _ => random.draw(),
        }
    }

    fn deadline(&self, random: &mut Random) -> u64 {
        match random.below(4000) {
            0 => random.draw(),
            1..=20 => clock::after(random.below(20_000)),
            _ => 0,
        }
    }
}

fn call_number(random: &mut Random) -> u64 {
    match random.below(NATIVE_COUNT + 6) {
        native if native < NATIVE_COUNT => CLASS_NATIVE + native,
        other => match other - NATIVE_COUNT {
            0..=1 => SYS_CLOSE,
            2 => SYS_FUTEX,
            3 => SYS_CLOCK_GETTIME,
            4 => SYS_YIELD,
            _ => random.draw(),
        },
    }
}

fn hostile(start: &rt::Start) -> i32 {
    let seed = start.arg(3).parse().unwrap_or(1);
    let calls: u64 = start.arg(4).parse().unwrap_or(1);
    let Some(progress) = start.object::<Memory>("progress").and_then(|memory| Shared::open(memory).ok())
    else {
        return 3;
    };
    let mut random = Random::new(seed);
    let Ok(mut stock) = stock(start) else { return 4 };
    for call in 1..=calls {
        progress.set(0, call);
        let number = call_number(&mut random);
        let mut registers = Registers {
            rax: number,
            rdi: stock.argument(&mut random),
            rsi: stock.argument(&mut random),
            rdx: stock.argument(&mut random),
            r10: stock.argument(&mut random),
            r8: stock.argument(&mut random),
            r9: stock.argument(&mut random),
            r12: stock.deadline(&mut random),
            r13: random.draw(),
        };
        tame(&mut registers, &stock, &mut random);
        if matches!(number, SYS_CALL | SYS_REPLY | SYS_REPLY_RECV) {
            messages(&mut registers, &stock, &mut random);
        }
        raw_registers(&mut registers);
        // What a call gave may be worth throwing at the next.
        if abi::demux(registers.rax).is_ok_and(|value| value >> 32 != 0) && stock.handles.len() < 64 {
            stock.handles.push(registers.rax);
        }
    }
    0
}

fn stock(start: &rt::Start) -> abi::error::Result<Stock> {
    let endpoint = Endpoint::create()?;
    let badged = endpoint.with_badge(abi::Rights::all(), 5)?;
    let notification = Notification::create()?;
    let memory = Memory::create(1 << 14)?;
    let contiguous = Memory::create_contiguous(1 << 13)?;
    let stale = Notification::create()?.handle();
    let scratch = memory.map_all(MapFlags::PROT_READ | MapFlags::PROT_WRITE)?;
    let other = thread::Builder::new().spawn_suspended(|| ())?;
    let process = start.process();
    let init = start.header().init;
    let handles = vec![
        0,
        stale.0,
        process.0,
        thread::current().0,
        init.0,
        other.thread().handle().0,
        endpoint.into_handle().0,
        badged.into_handle().0,
        notification.into_handle().0,
        memory.into_handle().0,
        contiguous.into_handle().0,
    ];
    core::mem::forget(other);
    let inside = scratch.leak().addr().get() as u64;
    let addresses = vec![
        inside,
        inside + 8,
        inside + 1,
        inside + 4092,
        inside + (1 << 14) - 8,
        inside + (1 << 14),
        abi::hints::HINTS_ADDRESS,
        0x10_0000,
        0x7000_0000_0000,
        0x7fff_ffff_e000,
        0x7fff_ffff_f000,
        0x7fff_ffff_fff8,
        0x8000_0000_0000,
        0xffff_8000_0000_0000,
        0xffff_8000_0010_0000,
        0xffff_ffff_8000_0000,
        0xffff_ffff_8010_0000,
        0xffff_ffff_ffff_f000,
    ];
    Ok(Stock { handles, addresses, own: [process.0, thread::current().0], ipc: IpcPage::here() })
}

/// Keeps the run going: an end by its own hand now and then is enough, and the log is not for noise.
fn tame(registers: &mut Registers, stock: &Stock, random: &mut Random) {
    let own = registers.rdi == 0 || stock.own.contains(&registers.rdi);
    match registers.rax {
        SYS_PROCESS_KILL | SYS_THREAD_KILL | SYS_THREAD_SUSPEND if own && random.below(50) != 0 => {
            registers.rdi = random.draw();
        }
        SYS_LOG if registers.rsi <= abi::limits::LOG_LINE as u64 => registers.rdi |= 0xffff_8000_0000_0000,
        // Its deadline is the fourth argument.
        SYS_FUTEX => registers.r10 = registers.r12,
        _ => {}
    }
}

/// Makes some of the messages good ones, with wild handles.
fn messages(registers: &mut Registers, stock: &Stock, random: &mut Random) {
    let slots = [(); MAX_HANDLES].map(|()| TransferSlot {
        handle: Handle(stock.argument(random)),
        badge: random.draw(),
        rights: random.draw() as u32,
        flags: if random.below(8) == 0 { random.draw() as u16 } else { random.below(2) as u16 },
        arrived: random.draw() as u16,
    });
    let good = random.below(4) != 0;
    if good {
        let label = *random.pick(&[1, 2, init_protocol::request::LABEL]);
        registers.rsi = abi::Tag::new(label, random.below(3969) as usize, random.below(5) as usize).0;
    }
    // Not through the run-time: the thread pointer may be one of the things that went wild.
    stock.ipc.change(|buffer| {
        buffer.slots = slots;
        buffer.accept = random.below(6) as u32;
        if good {
            buffer.bytes[..64].iter_mut().for_each(|byte| *byte = random.below(20) as u8);
        }
    });
}

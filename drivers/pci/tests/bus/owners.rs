//! Whose a function is, and what its owner gets.

use crate::board::{Act, Bench, LINED, OTHER, SOURCE, TABLE, refused};
use crate::space::Function;
use abi::error::{EBUSY, EINVAL, EIO, ENODEV, ENOSPC, EPERM, Error};
use abi::limits::FOREVER;
use pci::bus::RESET_NS;
use pci_protocol::{Address, INTERRUPTS, LENT, LISTED, State, Wanted};

#[test]
fn a_function_has_one_owner_at_a_time() {
    let mut bench = Bench::new();
    let source = bench.source();
    assert_eq!((bench.state(SOURCE), bench.state(OTHER)), (State::Claimed, State::Free));
    refused(bench.claim(2), EBUSY);
    assert_eq!(bench.claim(3).unwrap().unwrap().address, OTHER);
    refused(bench.claim(4), ENODEV);
    refused(bench.claim(1), EIO);
    assert_eq!(bench.state(Address::new(0, 6, 0)), State::Unusable);
    refused(bench.bus.claim(&Wanted { vendor: 0x8086, devices: vec![0x29c0], skip: 0 }), EIO);
    bench.bus.closed(source.badge, 5);
    assert_eq!((bench.state(SOURCE), bench.bus.deadline()), (State::Resetting, 5 + RESET_NS));
    assert_eq!(bench.claim(2), Ok(None), "wait");
    bench.bus.expired(4 + RESET_NS);
    assert_eq!(bench.claim(2), Ok(None));
    bench.bus.expired(5 + RESET_NS);
    assert_eq!((bench.state(SOURCE), bench.bus.deadline()), (State::Free, FOREVER));
    let again = bench.source();
    assert_ne!(again.badge, source.badge);
    // The first owner's badge is worth nothing, and its close is not the second one's.
    refused(bench.bus.config(source.badge), ENODEV);
    refused(bench.bus.window(source.badge, 4, 0, 4), ENODEV);
    refused(bench.bus.set_master(source.badge, true), ENODEV);
    bench.bus.closed(source.badge, 9);
    assert_eq!(bench.state(SOURCE), State::Claimed);
    for forged in [0, 1, 1 << 32, again.badge + 1, again.badge ^ 1 << 40, u64::MAX] {
        refused(bench.bus.config(forged), ENODEV);
    }
}

#[test]
fn a_claimed_function_answers_and_does_nothing_by_itself() {
    let mut bench = Bench::with(|space| space.functions.get_mut(&SOURCE).unwrap().bytes[4] = 1);
    let source = bench.source();
    assert_eq!(bench.command(SOURCE), 0x402, "memory, no ports, no mastering, no line");
    bench.bus.set_master(source.badge, true).unwrap();
    assert_eq!(bench.command(SOURCE), 0x406);
    bench.bus.set_master(source.badge, false).unwrap();
    assert_eq!(bench.command(SOURCE), 0x402);
    let config = bench.bus.config(source.badge).unwrap();
    assert_eq!((config.len(), &config[..4]), (256, &[0xf4, 0x1a, 0x44, 0x10][..]));
}

#[test]
fn registers_come_in_whole_pages_and_the_interrupt_table_does_not() {
    let mut bench = Bench::new();
    let source = bench.source();
    let mut window = |bar, offset, length| {
        bench.bus.window(source.badge, bar, offset, length).map(|(memory, at)| (memory.0, memory.1, at))
    };
    let base = TABLE + 0x10_0000;
    assert_eq!(window(4, 0, 0x4000), Ok((base, 0x4000, 0)));
    assert_eq!(window(4, 0x1ffe, 4), Ok((base + 0x1000, 0x2000, 0xffe)));
    for (bar, offset, length) in [
        (4, 0, 0),
        (4, 0x4000, 1),
        (4, 0, 0x4001),
        (4, u32::MAX, u32::MAX),
        (0, 0, 4),
        (5, 0, 4),
        (6, 0, 4),
        (255, 0, 4),
    ] {
        assert_eq!(window(bar, offset, length), Err(Error::new(EINVAL)), "{bar} {offset} {length}");
    }
    assert_eq!(window(1, 0, 4), Err(Error::new(EPERM)));
    assert_eq!(window(1, 0xfff, 1), Err(Error::new(EPERM)), "its page is the table's");
    // The same BAR without a table in it, and one that the firmware has given no address.
    let lined = bench.claim(0).unwrap().unwrap();
    assert_eq!(lined.address, LINED);
    let (memory, at) = bench.bus.window(lined.badge, 0, 0x10, 4).unwrap();
    assert_eq!((memory.0, memory.1, at), (0xfea0_0000, 0x1000, 0x10));
    let mut bench = Bench::with(|space| {
        let nowhere = Function::new(0x1af4, 0x1044, 0x00ff00).bar(0, 0, 0x80);
        space.functions.insert(LINED, nowhere);
    });
    let lined = bench.claim(0).unwrap().unwrap();
    refused(bench.bus.window(lined.badge, 0, 0, 4), EINVAL);
    refused(bench.bus.interrupt(lined.badge, 0, 0), ENODEV);
}

#[test]
fn a_message_is_written_into_the_table_and_then_let_go() {
    let mut bench = Bench::new();
    let source = bench.source();
    bench.board.acts.borrow_mut().clear();
    assert_eq!(bench.bus.interrupt(source.badge, 1, 3), Ok((1, true)));
    let at = TABLE + 16;
    let expected = [
        Act::Register(at + 12, 1),
        Act::Register(at, 0xfee0_3000),
        Act::Register(at + 4, 0),
        Act::Register(at + 8, 1),
        Act::Register(at + 12, 0),
        Act::Config(SOURCE, 0x40, 0x8001_4c11),
    ];
    assert_eq!(*bench.board.acts.borrow(), expected);
    refused(bench.bus.interrupt(source.badge, 2, 0), EINVAL);
}

#[test]
fn a_function_without_messages_has_its_line() {
    let mut bench = Bench::new();
    let lined = bench.claim(0).unwrap().unwrap();
    refused(bench.bus.interrupt(lined.badge, 1, 0), EINVAL);
    assert_eq!(bench.bus.interrupt(lined.badge, 0, 0), Ok((1021, false)));
    assert_eq!(bench.command(LINED), 2, "its line is on");
}

#[test]
fn a_returned_function_is_stopped_before_its_memory_is_free() {
    let mut bench = Bench::new();
    let bars = |bench: &Bench| bench.board.space.borrow().at(SOURCE).bytes[0x10..0x28].to_vec();
    let before = bars(&bench);
    let source = bench.source();
    bench.bus.interrupt(source.badge, 0, 0).unwrap();
    bench.bus.set_master(source.badge, true).unwrap();
    (7..9).for_each(|name| bench.lend(source, name).unwrap());
    bench.board.acts.borrow_mut().clear();
    bench.bus.closed(source.badge, 0);
    {
        let acts = bench.board.acts.borrow();
        assert_eq!(acts[0], Act::Config(SOURCE, 4, 0x402), "mastering off, first of all");
        assert!(acts.contains(&Act::Register(TABLE + 12, 1)) && acts.contains(&Act::Register(TABLE + 28, 1)));
        assert_eq!(*acts.last().unwrap(), Act::Config(SOURCE, 0x54, 1 << 15), "reset, last");
        assert!(!acts.iter().any(|act| matches!(act, Act::Freed(_))), "it may still be on its way");
    }
    bench.bus.expired(RESET_NS);
    let freed: Vec<Act> =
        bench.board.acts.borrow().iter().filter(|act| matches!(act, Act::Freed(_))).cloned().collect();
    assert_eq!(freed, [Act::Freed(7), Act::Freed(8)]);
    assert_eq!(bars(&bench), before, "it is where it was");
    assert_eq!(bench.board.space.borrow().at(SOURCE).get(0x40) >> 31, 0, "no messages");
}

#[test]
fn what_is_not_there_any_more_is_not_claimed() {
    let mut bench = Bench::new();
    let source = bench.source();
    let function = bench.board.space.borrow_mut().functions.remove(&SOURCE).unwrap();
    bench.bus.closed(source.badge, 0);
    bench.bus.expired(RESET_NS);
    refused(bench.claim(2), ENODEV);
    bench.board.space.borrow_mut().functions.insert(SOURCE, Function::new(0x1af4, 0x1045, 0));
    refused(bench.claim(2), ENODEV);
    bench.board.space.borrow_mut().functions.insert(SOURCE, function);
    bench.source();
}

#[test]
fn one_claim_does_not_take_all_interrupts() {
    let mut bench = Bench::new();
    let source = bench.source();
    for given in 0..INTERRUPTS {
        bench.bus.interrupt(source.badge, (given % 2) as u16, 0).unwrap();
    }
    let taken = *bench.board.vectors.borrow();
    refused(bench.bus.interrupt(source.badge, 0, 0), ENOSPC);
    assert_eq!(*bench.board.vectors.borrow(), taken, "nothing was taken of the machine");
    bench.bus.closed(source.badge, 0);
    bench.bus.expired(RESET_NS);
    let next = bench.source();
    bench.bus.interrupt(next.badge, 0, 0).unwrap();
    let lined = bench.claim(0).unwrap().unwrap();
    (0..INTERRUPTS).for_each(|_| _ = bench.bus.interrupt(lined.badge, 0, 0).unwrap());
    refused(bench.bus.interrupt(lined.badge, 0, 0), ENOSPC);
}

#[test]
fn what_was_lent_is_counted() {
    let mut bench = Bench::new();
    let source = bench.source();
    (0..LENT as u64).for_each(|name| bench.lend(source, name).unwrap());
    refused(bench.lend(source, 99), ENOSPC);
    assert_eq!(*bench.board.acts.borrow().last().unwrap(), Act::Freed(99));
}

#[test]
fn a_new_bus_stops_what_an_old_one_left_running() {
    let mut bench = Bench::with(|space| {
        space.functions.get_mut(&SOURCE).unwrap().bytes[4] = 6;
        space.functions.get_mut(&Address::new(0, 0, 0)).unwrap().bytes[4] = 6;
    });
    assert_eq!((bench.state(SOURCE), bench.state(OTHER)), (State::Resetting, State::Free));
    assert_eq!(
        (bench.command(SOURCE) & 4, bench.command(Address::new(0, 0, 0))),
        (0, 6),
        "a bridge is left alone"
    );
    bench.bus.expired(RESET_NS);
    bench.source();
}

#[test]
fn lists_go_on_where_they_ended() {
    let bench = Bench::with(|space| {
        for number in 0..100u8 {
            let address = Address::new(4, number / 8 + 1, number % 8);
            let mut function = Function::new(1, 1, 0);
            function.bytes[0x0e] = 0x80;
            space.functions.insert(address, function);
        }
    });
    let (mut all, mut after) = (Vec::new(), None);
    loop {
        let some = bench.bus.list(after);
        let Some(last) = some.last() else { break };
        assert!(some.len() <= LISTED);
        after = Some(last.address);
        all.extend(some);
    }
    assert_eq!(all.len(), 107);
    assert!(all.is_sorted_by(|a, b| a.address < b.address));
}

//! Whose a function is, and what its owner gets.

mod space;

use abi::error::{EBUSY, EINVAL, EIO, ENODEV, ENOSPC, EPERM, Error, Result};
use abi::limits::FOREVER;
use abi::memory::InterruptMessage;
use driver_sdk::{Registers, Word};
use pci::bus::{Bus, Claimed, Machine, RESET_NS};
use pci::config::ConfigSpace;
use pci::enumeration::{Found, Kind, enumerate};
use pci::fault::Fault;
use pci::hotplug::News;
use pci_protocol::{AWAITED, Address, INTERRUPTS, LENT, LISTED, State, Wanted};
use space::{Function, Space};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

const SOURCE: Address = Address::new(3, 0, 0);
const OTHER: Address = Address::new(4, 0, 0);
const LINED: Address = Address::new(0, 5, 0);
const TABLE: u64 = 0xfe80_0000;

/// What happened to the machine, in its order.
#[derive(Clone, PartialEq, Eq, Debug)]
enum Act {
    Config(Address, u16, u32),
    Register(u64, u32),
    Freed(u64),
    Told(u32),
}

/// A machine with a log.
#[derive(Clone, Default)]
struct Board {
    space: Rc<RefCell<Space>>,
    acts: Rc<RefCell<Vec<Act>>>,
    registers: Rc<RefCell<BTreeMap<u64, u32>>>,
    vectors: Rc<RefCell<u32>>,
    /// What happens at a port as soon as its events are cleared: bits of its slot that are set, and that are cleared.
    meanwhile: Rc<RefCell<Option<(Address, u32, u32)>>>,
}

/// Memory that says when it is freed.
struct Memory(u64, u64, Rc<RefCell<Vec<Act>>>);

impl Drop for Memory {
    fn drop(&mut self) {
        self.2.borrow_mut().push(Act::Freed(self.0));
    }
}

struct Table(u64, u64, Board);

impl Registers for Table {
    fn read<W: Word>(&self, offset: usize) -> W {
        W::from_bits(u64::from(*self.2.registers.borrow().get(&(self.0 + offset as u64)).unwrap_or(&0)))
    }

    fn write<W: Word>(&self, offset: usize, value: W) {
        assert!(W::SIZE == 4 && (offset as u64) < self.1);
        let (at, value) = (self.0 + offset as u64, value.to_bits() as u32);
        self.2.registers.borrow_mut().insert(at, value);
        self.2.acts.borrow_mut().push(Act::Register(at, value));
    }

    fn length(&self) -> usize {
        self.1 as usize
    }
}

impl ConfigSpace for Board {
    fn read(&self, address: Address, offset: u16) -> u32 {
        self.space.borrow().read(address, offset)
    }

    fn write(&mut self, address: Address, offset: u16, value: u32) {
        self.acts.borrow_mut().push(Act::Config(address, offset, value));
        let mut space = self.space.borrow_mut();
        space.write(address, offset, value);
        // Function level reset: BARs and command are forgotten.
        if offset == 0x4c + 8
            && value & 1 << 15 != 0
            && let Some(function) = space.functions.get_mut(&address)
        {
            let writable: Vec<usize> = (4..0x28).filter(|&at| function.writable[at] != 0).collect();
            for at in writable {
                function.bytes[at] &= !function.writable[at];
            }
        }
    }

    fn write_half(&mut self, address: Address, offset: u16, value: u16) {
        let mut space = self.space.borrow_mut();
        space.write_half(address, offset, value);
        if usize::from(offset) == SLOT + 2
            && let Some((port, set, clear)) = self.meanwhile.take()
        {
            space.happens(port, set, clear);
        }
    }
}

impl Machine for Board {
    type Memory = Memory;
    type Interrupt = u32;
    type Table = Table;
    type Notice = u32;

    fn memory(&mut self, address: u64, length: u64) -> Result<Memory> {
        assert!((address | length).is_multiple_of(4096) && length > 0);
        Ok(Memory(address, length, Rc::default()))
    }

    fn table(&mut self, address: u64, length: u64) -> Result<Table> {
        Ok(Table(address, length, self.clone()))
    }

    fn message(&mut self, cpu: u32) -> Result<(u32, InterruptMessage)> {
        let mut vectors = self.vectors.borrow_mut();
        *vectors += 1;
        Ok((*vectors, InterruptMessage { address: 0xfee0_0000 | cpu << 12, data: *vectors }))
    }

    fn line(&mut self, gsi: u32) -> Result<u32> {
        Ok(1000 + gsi)
    }

    fn tell(&mut self, notice: &u32) {
        self.acts.borrow_mut().push(Act::Told(*notice));
    }
}

struct Bench {
    board: Board,
    bus: Bus<Board>,
}

impl Bench {
    fn new() -> Bench {
        Bench::with(|_| {})
    }

    fn with(prepare: impl FnOnce(&mut Space)) -> Bench {
        let mut lined = Function::new(0x1af4, 0x1044, 0x00ff00).bar(0, 0xfea0_0000, 0x80);
        lined.bytes[0x3d] = 1;
        let mut broken = Function::source(0xfeb0_0000);
        broken.bytes[0x3d] = 9;
        let mut space = Space::default()
            .with(Address::new(0, 0, 0), Function::new(0x8086, 0x29c0, 0x060000))
            .with(Address::new(0, 1, 0), Function::bridge(3))
            .with(Address::new(0, 2, 0), Function::bridge(4))
            .with(LINED, lined)
            .with(Address::new(0, 6, 0), broken)
            .with(SOURCE, Function::source(TABLE as u32))
            .with(OTHER, Function::source(0xfec0_0000));
        prepare(&mut space);
        let found = enumerate(&mut space, 255);
        let board = Board { space: Rc::new(RefCell::new(space)), ..Board::default() };
        let bus = Bus::new(board.clone(), found, 0);
        Bench { board, bus }
    }

    fn claim(&mut self, skip: u32) -> Result<Option<Claimed>> {
        self.bus.claim(&Wanted { vendor: 0x1af4, devices: vec![0x1005, 0x1044], skip })
    }

    /// The source behind the first port.
    fn source(&mut self) -> Claimed {
        let claimed = self.claim(2).unwrap().unwrap();
        assert_eq!(claimed.address, SOURCE);
        claimed
    }

    fn command(&self, address: Address) -> u32 {
        self.board.space.borrow().at(address).get(4) & 0xffff
    }

    fn state(&self, address: Address) -> State {
        self.bus.list(None).into_iter().find(|listed| listed.address == address).unwrap().state
    }

    fn lend(&mut self, claimed: Claimed, name: u64) -> Result<()> {
        self.bus.lend(claimed.badge, Memory(name, 4096, self.board.acts.clone()))
    }
}

fn refused<T>(result: Result<T>, errno: i32) {
    assert_eq!(result.err(), Some(Error::new(errno)));
}

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

/// Two ports, of which the first has a source in it.
fn sockets() -> Bench {
    Bench::with(|space| {
        space.functions.insert(Address::new(0, 1, 0), Function::port(3, 0xfe80_0000));
        space.functions.insert(Address::new(0, 2, 0), Function::port(4, 0xfec0_0000));
        space.functions.remove(&OTHER);
        space.functions.get_mut(&Address::new(0, 1, 0)).unwrap().set(SLOT, PRESENT);
        space.functions.get_mut(&Address::new(0, 2, 0)).unwrap().set(SLOT, POWER_OFF);
    })
}

/// Slot control and status of the ports.
const SLOT: usize = 0x4c + 0x18;
const BUTTON: u32 = 1 << 16;
const CHANGED: u32 = 1 << 19;
const PRESENT: u32 = 1 << 22;
const POWER_OFF: u32 = 1 << 10;
const PORT: Address = Address::new(0, 1, 0);
const EMPTY: Address = Address::new(0, 2, 0);
const MS: u64 = 1_000_000;

impl Space {
    fn happens(&mut self, port: Address, set: u32, clear: u32) {
        let port = self.functions.get_mut(&port).unwrap();
        port.set(SLOT, port.get(SLOT) & !clear | set);
    }
}

impl Bench {
    /// Something happens at a port, and it interrupts.
    fn happens(&mut self, port: Address, set: u32, clear: u32, now: u64) -> Vec<News> {
        self.board.space.borrow_mut().happens(port, set, clear);
        self.bus.interrupted(now);
        self.bus.news()
    }

    /// Something is put into the second port, or a port of this address.
    fn plug(&mut self, port: Address, at: Address, function: Function, now: u64) {
        self.board.space.borrow_mut().functions.insert(at, function);
        self.happens(port, PRESENT | CHANGED | BUTTON, 0, now);
    }

    fn pull(&mut self, port: Address, at: Address, now: u64) -> Vec<News> {
        self.board.space.borrow_mut().functions.remove(&at);
        self.happens(port, CHANGED, PRESENT, now)
    }

    fn expire(&mut self, now: u64) -> Vec<News> {
        self.bus.expired(now);
        self.bus.news()
    }

    fn has_power(&self, port: Address) -> bool {
        self.board.space.borrow().at(port).get(SLOT) & POWER_OFF == 0
    }

    fn told(&self) -> Vec<u32> {
        let acts = self.board.acts.borrow();
        acts.iter().filter_map(|act| if let Act::Told(who) = act { Some(*who) } else { None }).collect()
    }
}

fn wanted(skip: u32) -> Wanted {
    Wanted { vendor: 0x1af4, devices: vec![0x1005, 0x1044], skip }
}

/// A source as it is before anybody gave it addresses.
fn fresh() -> Function {
    Function::source(0).nowhere()
}

#[test]
fn what_is_asked_for_is_returned_by_its_owner_and_then_let_go() {
    let mut bench = sockets();
    let source = bench.source();
    bench.bus.watch(source.badge, 7).unwrap();
    bench.lend(source, 1).unwrap();
    assert_eq!(bench.happens(PORT, BUTTON, 0, 0), []);
    assert_eq!((bench.told(), bench.state(SOURCE)), (vec![7], State::Leaving));
    refused(bench.claim(2), ENODEV);
    assert!(
        bench.has_power(PORT) && bench.bus.config(source.badge).is_ok(),
        "it has time to put things in order"
    );
    bench.bus.closed(source.badge, 5);
    assert!(bench.has_power(PORT), "it is being reset");
    assert_eq!(bench.expire(5 + RESET_NS), [News::Left(SOURCE)]);
    assert!(!bench.has_power(PORT) && bench.board.acts.borrow().contains(&Act::Freed(1)));
    assert!(bench.bus.list(None).iter().all(|listed| listed.address != SOURCE));
    refused(bench.claim(2), ENODEV);
    refused(bench.bus.config(source.badge), ENODEV);
    // What stays in there stays without power, until it is pulled.
    bench.expire(100_000 * MS);
    assert!(!bench.has_power(PORT));
    bench.pull(PORT, SOURCE, 100_000 * MS);
    assert_eq!(bench.bus.deadline(), 101_000 * MS);
    bench.expire(101_000 * MS);
    assert_eq!(bench.bus.deadline(), FOREVER, "nothing is in it");
}

#[test]
fn what_nobody_has_is_let_go_at_once() {
    let mut bench = sockets();
    assert_eq!(bench.happens(PORT, BUTTON, 0, 0), [News::Left(SOURCE)]);
    assert!(!bench.has_power(PORT));
    // Pressed once more, it comes back.
    bench.happens(PORT, BUTTON, 0, 1);
    bench.expire(2000 * MS);
    assert!(matches!(bench.expire(3000 * MS)[..], [News::Came(Found { address: SOURCE, .. })]));
    bench.source();
}

#[test]
fn what_an_owner_keeps_loses_its_power_and_its_place_waits() {
    let mut bench = sockets();
    let source = bench.source();
    bench.happens(PORT, BUTTON, 0, 0);
    assert_eq!(bench.expire(10_000 * MS), [News::Kept(SOURCE), News::Left(SOURCE)]);
    assert!(!bench.has_power(PORT));
    bench.pull(PORT, SOURCE, 10_000 * MS);
    bench.plug(PORT, SOURCE, fresh(), 11_000 * MS);
    bench.expire(60_000 * MS);
    assert!(!bench.has_power(PORT), "its registers are still in somebody's memory");
    assert_eq!(bench.bus.deadline(), FOREVER);
    bench.bus.closed(source.badge, 60_000 * MS);
    bench.expire(60_100 * MS);
    assert!(bench.has_power(PORT));
    bench.expire(60_200 * MS);
    assert_ne!(bench.source().badge, source.badge);
}

#[test]
fn what_is_torn_out_is_told_and_nothing_of_it_is_believed() {
    let mut bench = sockets();
    let source = bench.source();
    bench.bus.watch(source.badge, 7).unwrap();
    bench.bus.interrupt(source.badge, 0, 0).unwrap();
    bench.lend(source, 1).unwrap();
    assert_eq!(bench.pull(PORT, SOURCE, 0), [News::Torn(SOURCE)]);
    assert_eq!(bench.told(), [7]);
    assert!(!bench.has_power(PORT));
    refused(bench.bus.config(source.badge), ENODEV);
    // Whoever watches it later hears of it all the same.
    bench.bus.watch(source.badge, 8).unwrap();
    assert_eq!(bench.told(), [7, 8]);
    bench.bus.closed(source.badge, 0);
    bench.expire(RESET_NS);
    assert!(bench.board.acts.borrow().contains(&Act::Freed(1)));
    // In the middle of an unplugging, too.
    bench.plug(PORT, SOURCE, fresh(), 2000 * MS);
    bench.expire(2100 * MS);
    let source = bench.source();
    bench.happens(PORT, BUTTON, 0, 3000 * MS);
    assert_eq!(bench.pull(PORT, SOURCE, 3000 * MS), [News::Torn(SOURCE)]);
    bench.bus.closed(source.badge, 3000 * MS);
    bench.expire(3100 * MS);
    // And by another that was in it before anybody looked.
    bench.plug(PORT, SOURCE, fresh(), 5000 * MS);
    bench.expire(5100 * MS);
    bench.source();
    assert_eq!(bench.happens(PORT, CHANGED, 0, 6000 * MS), [News::Torn(SOURCE)]);
    assert_eq!(bench.state(SOURCE), State::Leaving);
}

#[test]
fn what_is_plugged_in_gets_addresses_and_who_waits_is_told() {
    let mut bench = sockets();
    let badge = bench.bus.await_function(wanted(3), 9).unwrap();
    let other = bench.bus.await_function(wanted(3), 10).unwrap();
    bench.bus.closed(other, 0);
    bench.bus.expired(0);
    assert_eq!(bench.told(), []);
    bench.plug(EMPTY, OTHER, fresh(), 0);
    assert!(bench.has_power(EMPTY));
    assert_eq!(bench.bus.deadline(), 100 * MS);
    bench.bus.expired(100 * MS);
    let news = bench.bus.news();
    let [News::Came(Found { address: OTHER, kind: Ok(Kind::Device(device)), .. })] = news[..] else {
        panic!("{news:?}")
    };
    assert_eq!(bench.told(), [9], "once, and not who gave up");
    assert_ne!(badge, other);
    // In the windows of its port, on pages of their own.
    let (table, registers) = (device.bars[1].unwrap(), device.bars[4].unwrap());
    assert_eq!((registers.base, table.base), (0xfec0_0000, 0xfec0_4000));
    let space = bench.board.space.borrow().at(OTHER).clone();
    assert_eq!((space.get(0x20), space.get(0x24), space.get(0x14)), (0xfec0_0004, 0, 0xfec0_4000));
    // And again after a reset.
    let claimed = bench.claim(3).unwrap().unwrap();
    bench.bus.closed(claimed.badge, 200 * MS);
    bench.bus.expired(300 * MS);
    assert_eq!(bench.board.space.borrow().at(OTHER).get(0x14), 0xfec0_4000);
}

/// A port interrupts when the first event is there, and not for those that come before all are cleared.
#[test]
fn what_happens_while_a_port_is_looked_at_is_seen() {
    let mut bench = sockets();
    let source = bench.source();
    bench.bus.watch(source.badge, 7).unwrap();
    // Its button is pressed, and it is taken out.
    *bench.board.meanwhile.borrow_mut() = Some((PORT, CHANGED, PRESENT));
    assert_eq!(bench.happens(PORT, BUTTON, 0, 0), [News::Torn(SOURCE)]);
    assert_eq!(bench.told(), [7]);
    bench.bus.closed(source.badge, 0);
    bench.expire(RESET_NS);
    assert_eq!(bench.bus.deadline(), 1000 * MS, "until it may have power again");
    bench.expire(1000 * MS);
    // Somebody puts it in half, and then wholly.
    bench.board.space.borrow_mut().functions.insert(SOURCE, fresh());
    *bench.board.meanwhile.borrow_mut() = Some((PORT, CHANGED | PRESENT, 0));
    bench.happens(PORT, CHANGED, 0, 2000 * MS);
    assert!(matches!(bench.expire(2100 * MS)[..], [News::Came(Found { address: SOURCE, .. })]));
    bench.source();
}

#[test]
fn names_go_by_places_that_stay() {
    let mut bench = sockets();
    bench.plug(EMPTY, OTHER, fresh(), 0);
    bench.expire(100 * MS);
    assert_eq!(bench.claim(3).unwrap().unwrap().address, OTHER);
    bench.pull(PORT, SOURCE, 1000 * MS);
    refused(bench.claim(2), ENODEV);
    refused(bench.claim(3), EBUSY);
    // Another kind in the place of one that has gone does not take its number.
    let mut another = fresh();
    another.set(0, 0x1041_1af4);
    bench.plug(PORT, SOURCE, another, 3000 * MS);
    bench.expire(3100 * MS);
    refused(bench.claim(2), ENODEV);
    let card = Wanted { vendor: 0x1af4, devices: vec![0x1041], skip: 0 };
    assert_eq!(bench.bus.claim(&card).unwrap().unwrap().address, SOURCE);
    assert_eq!(bench.bus.list(None).iter().filter(|listed| listed.address == SOURCE).count(), 1);
}

#[test]
fn what_is_swapped_before_it_answers_has_its_own_time() {
    let mut bench = sockets();
    bench.plug(EMPTY, OTHER, fresh(), 0);
    let mut another = fresh();
    another.set(0, 0x1041_1af4);
    bench.board.space.borrow_mut().functions.insert(OTHER, another);
    bench.happens(EMPTY, CHANGED, 0, 90 * MS);
    assert!(!bench.has_power(EMPTY));
    assert_eq!(bench.expire(100 * MS), [], "its power has been on for 10 ms");
    assert_eq!(bench.bus.deadline(), 1090 * MS);
    assert_eq!(bench.expire(1090 * MS), []);
    assert!(bench.has_power(EMPTY));
    let news = bench.expire(1190 * MS);
    assert!(matches!(news[..], [News::Came(Found { address: OTHER, .. })]), "{news:?}");
    let card = Wanted { vendor: 0x1af4, devices: vec![0x1041], skip: 0 };
    assert_eq!(bench.bus.claim(&card).unwrap().unwrap().address, OTHER);
}

/// The list is full of what is gone: the bus lives on, and what is there keeps its name.
#[test]
fn any_number_of_kinds_come_and_go() {
    let mut bench = sockets();
    let mut now = 0;
    let mut held = None;
    for kind in 0..1500u32 {
        let mut card = fresh();
        card.set(0, 0x2000_1af4 + (kind << 16));
        now += 2000 * MS;
        bench.plug(EMPTY, OTHER, card, now);
        now += 100 * MS;
        let news = bench.expire(now);
        assert!(matches!(news[..], [News::Came(_)]), "{kind}: {news:?}");
        let card = Wanted { vendor: 0x1af4, devices: vec![0x2000 + kind as u16], skip: 0 };
        let claimed = bench.bus.claim(&card).unwrap().unwrap();
        assert!(held.replace(claimed.badge) != Some(claimed.badge), "a badge is one claim's");
        bench.pull(EMPTY, OTHER, now);
        bench.bus.closed(claimed.badge, now);
        now += 2000 * MS;
        bench.expire(now);
        refused(bench.bus.config(claimed.badge), ENODEV);
    }
    assert_eq!(bench.source().address, SOURCE);
    assert!(bench.bus.list(None).len() < 10);
}

#[test]
fn what_makes_no_sense_hurts_nobody() {
    let mut bench = sockets();
    // Too large for the window.
    let large = fresh().wide_bar(4, 0, 1 << 30);
    bench.plug(EMPTY, OTHER, large, 0);
    let news = bench.expire(100 * MS);
    assert!(matches!(news[..], [News::Came(Found { kind: Err(Fault::NoRoom(4)), .. })]), "{news:?}");
    refused(bench.claim(3), EIO);
    assert!(news[0].to_string().contains("no addresses left"));
    bench.pull(EMPTY, OTHER, 200 * MS);
    // Says that something is there, and nobody answers.
    bench.happens(EMPTY, PRESENT | CHANGED, 0, 2000 * MS);
    let mut news = Vec::new();
    (21..40).for_each(|tenth| news.extend(bench.expire(tenth * 100 * MS)));
    assert_eq!(news, [News::Mute(EMPTY)]);
    assert!(!bench.has_power(EMPTY));
    // A button that is pressed all the time.
    for at in 0..100 {
        bench.happens(EMPTY, BUTTON | CHANGED, PRESENT, 5000 * MS + at);
    }
    assert_eq!(bench.bus.news(), []);
    bench.source();
    // The port itself is gone.
    bench.board.space.borrow_mut().functions.remove(&PORT);
    bench.bus.interrupted(9000 * MS);
    assert_eq!(bench.bus.news(), [News::Torn(SOURCE)]);
}

#[test]
fn a_new_bus_finds_what_is_plugged_in() {
    let mut bench = sockets();
    bench.plug(EMPTY, OTHER, fresh(), 0);
    // The old one dies between power and addresses.
    let found = enumerate(&mut *bench.board.space.borrow_mut(), 255);
    let mut bus = Bus::new(bench.board.clone(), found, 50 * MS);
    refused(bus.claim(&wanted(3)), ENODEV);
    bus.expired(150 * MS);
    bus.expired(300 * MS);
    assert_eq!(bus.claim(&wanted(3)).unwrap().unwrap().address, OTHER);
    assert_eq!(bus.claim(&wanted(2)).unwrap().unwrap().address, SOURCE);
}

#[test]
fn ports_interrupt_by_messages_and_waiters_have_a_limit() {
    let mut bench = sockets();
    assert_eq!(bench.bus.listen(1), [Ok(1), Ok(2)]);
    assert!(bench.board.acts.borrow().contains(&Act::Register(0xfe20_0000, 0xfee0_1000)));
    assert_eq!(bench.command(PORT) & 6, 6, "a port that may not write sends no message");
    let enabled = bench.board.space.borrow().at(PORT).get(SLOT) & 0x29;
    assert_eq!(enabled, 0x29, "button, presence, interrupts");
    (0..AWAITED as u32).for_each(|who| _ = bench.bus.await_function(wanted(5), who).unwrap());
    refused(bench.bus.await_function(wanted(5), 0), ENOSPC);
}

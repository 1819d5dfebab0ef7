//! Devices that are unplugged while clients wait for them in every interface, and plugged in again. Runs with the manifest
//! `hotplug`; what the host does at which line of the log stands in the table of guest tests.
#![no_std]
#![no_main]
#![forbid(unsafe_code)]

extern crate alloc;

use alloc::format;
use alloc::vec;
use alloc::vec::Vec;
use core::time::Duration;

use abi::error::{EAGAIN, EBADMSG, EINVAL, ENODEV, ESPIPE, Error};
use guest_tests::bereavement::{kill, open_again};
use guest_tests::books;
use guest_tests::child::{self, Role, ends_well};
use guest_tests::crew::until;
use guest_tests::failure::{ensure, equal, refused};
use guest_tests::ledger::Ledger;
use guest_tests::looks::{NOW, PATIENTLY, next, only_told, ready, told};
use guest_tests::operator::find;
use guest_tests::records::until_told;
use guest_tests::{Failure, Outcome, Suite, soon};
use input::record;
use libkq::flag::{O_DURABLE, O_NONBLOCK, O_RDONLY, O_RDWR};
use libkq::process::SocketType;
use libkq::{Conditions, Descriptor, EpollFlags, EpollSet, FdSet, KEvent, PollFd, Queue, process};
use pci_protocol::{Listed, Reply, Request, SERVICE, label};
use rt::ipc::call_postcard;
use rt::thread::{Builder, JoinHandle};

/// Devices by their numbers in the table.
const CARD: usize = 0;
/// Cannot be written: nobody who waits to write is ever served.
const READ_ONLY: usize = 1;
const DISK: usize = 2;
const SOURCE: usize = 3;
const MOUSE: usize = 4;

/// Long enough to sleep in, whatever is there already.
const A_WHILE: Option<Duration> = Some(Duration::from_millis(1));

rt::entry!(main);

const PROGRAM: &str = env!("CARGO_BIN_NAME");

fn main(start: &rt::Start) -> i32 {
    if child::role(start).is_some() {
        return match client(start.arg(3)) {
            Ok(()) => 0,
            Err(failure) => {
                rt::log!("client: {failure}");
                1
            }
        };
    }
    let mut suite = Suite::new(start);
    suite.table(&[
        ("what_was_never_there_is_plugged_in", what_was_never_there),
        ("r57_an_unplugged_card_is_told_to_all_who_wait", || unplugged(&Kind::CARD, Act::Unplug)),
        ("r57_an_unplugged_disk_is_told_to_all_who_wait", || unplugged(&Kind::DISK, Act::Unplug)),
        ("r57_a_card_that_is_torn_out_is_told_to_all_who_wait", || unplugged(&Kind::CARD, Act::Tear)),
        ("r57_a_disk_that_is_torn_out_is_told_to_all_who_wait", || unplugged(&Kind::DISK, Act::Tear)),
        ("r57_an_unplugged_mouse_is_told_to_all_who_wait", || unplugged(&Kind::MOUSE, Act::Unplug)),
        ("r57_a_mouse_that_is_torn_out_is_told_to_all_who_wait", || unplugged(&Kind::MOUSE, Act::Tear)),
        ("each_reader_hears_of_the_mouse", each_reader_hears),
        ("keys_and_places_are_told", keys_and_places),
        ("the_clock_tells_each_second", the_clock_tells),
        ("what_was_written_is_on_the_disk_when_it_goes", what_was_written),
        ("names_stay_with_their_places", names_stay),
        ("r57_a_lasting_file_ends_with_its_device", lasting_file_ends),
    ]);
    suite.finish()
}

/// What the host does.
#[derive(Clone, Copy, Debug)]
enum Act {
    Plug,
    Unplug,
    Tear,
}

/// Has the host do something to a device.
fn have(act: Act, device: usize) {
    rt::log!("hotplug: {act:?} {device}");
}

/// A kind of device, and how its file is waited for.
struct Kind {
    device: usize,
    driver: &'static str,
    path: &'static str,
    flags: usize,
    /// What nobody gets of it.
    never: Conditions,
}

impl Kind {
    /// A datagram socket to which nobody sends.
    const CARD: Kind =
        Kind { device: CARD, driver: "net", path: "/dev/net/datagram", flags: O_RDWR, never: Conditions::IN };
    const DISK: Kind =
        Kind { device: READ_ONLY, driver: "vda", path: "/dev/vda", flags: O_RDONLY, never: Conditions::OUT };

    /// A mouse that nobody moves.
    const MOUSE: Kind =
        Kind { device: MOUSE, driver: "input0", path: "/dev/input0", flags: O_RDONLY, never: Conditions::IN };

    /// Its file does what it is for.
    fn works(&self) -> Outcome {
        let file = open_again(self.path, self.flags)?;
        match self.device {
            CARD => {
                let (one, other) = (
                    Descriptor::inet_socket(SocketType::Datagram)?,
                    Descriptor::inet_socket(SocketType::Datagram)?,
                );
                process().bind(one.number(), "127.0.0.1:9")?;
                process().connect(other.number(), "127.0.0.1:9")?;
                other.write_all(b"hello")?;
                equal(one.read(&mut [0; 16])?, 5)
            }
            MOUSE => {
                let move_it = || rt::log!("hotplug: move");
                move_it();
                until_told(&file, (record::REL, 0, 5)).map(drop)
            }
            _ => {
                let mut bytes = [0; 8];
                equal(process().read_at(file.number(), &mut bytes, 512 * 63)?.count, 8)?;
                equal(u64::from_le_bytes(bytes), 63)
            }
        }
    }
}

/// How many functions the bus has.
fn functions() -> Outcome<usize> {
    let bus = rt::init::connect(SERVICE)?;
    let mut all: Vec<Listed> = Vec::new();
    loop {
        let after = all.last().map(|last: &Listed| last.address);
        let (reply, _) = call_postcard(&bus, label::BUS, &Request::Functions { after }, vec![], soon())?;
        let Reply::Functions(some) = reply else { return Err(Error::new(EBADMSG).into()) };
        if some.is_empty() {
            return Ok(all.len());
        }
        all.extend(some);
    }
}

/// Waits until the bus has let a device go, of so many functions.
fn until_gone(before: usize) -> Outcome {
    until(|| functions().is_ok_and(|now| now < before))
}

/// One who waits in an interface for what never comes.
type Waiter = fn(i32, Conditions) -> Outcome;
const WAITERS: [Waiter; 5] = [in_kevent, in_select, in_poll, in_epoll, in_devpoll];

fn is_reading(never: Conditions) -> bool {
    never == Conditions::IN
}

fn in_kevent(number: i32, never: Conditions) -> Outcome {
    let queue = Queue::new()?;
    let note = if is_reading(never) { KEvent::read(number) } else { KEvent::write(number) };
    queue.apply(&[note.add()])?;
    let event = next(&queue)?;
    equal((event.is_eof(), event.fflags, event.filter), (true, ENODEV as u32, note.filter))?;
    equal(ready(&queue)?, vec![])?;
    refused(queue.apply(&[note.add()]), ENODEV)
}

fn in_select(number: i32, never: Conditions) -> Outcome {
    let mut set = FdSet::from_iter([number]);
    let sets = if is_reading(never) { [Some(&mut set), None, None] } else { [None, Some(&mut set), None] };
    equal(libkq::select(number + 1, sets, PATIENTLY, None)?, 1)
}

fn in_poll(number: i32, never: Conditions) -> Outcome {
    let mut list = [PollFd::new(number, never)];
    equal(libkq::poll(&mut list, PATIENTLY, None)?, 1)?;
    ensure(list[0].revents.contains(Conditions::HUP), "POLLHUP")
}

fn in_epoll(number: i32, never: Conditions) -> Outcome {
    let set = EpollSet::new()?;
    set.add(number, if is_reading(never) { EpollFlags::IN } else { EpollFlags::OUT } | EpollFlags::ET, 7)?;
    let event = only_told(&set)?;
    ensure(event.data() == 7 && event.events().contains(EpollFlags::HUP), "EPOLLHUP")?;
    ensure(told(&set)?.is_empty(), "once")
}

fn in_devpoll(number: i32, never: Conditions) -> Outcome {
    let device = Descriptor::open("/dev/poll", O_RDWR)?;
    process().devpoll_write(device.number(), &[PollFd::new(number, never)])?;
    let mut list = [PollFd::default()];
    equal(process().devpoll_poll(device.number(), &mut list, PATIENTLY, None)?, 1)?;
    ensure(list[0].fd == number && list[0].revents.contains(Conditions::HUP), "POLLHUP")
}

/// Twice, of which the first time is for what keeps what it grew to.
fn unplugged(kind: &Kind, act: Act) -> Outcome {
    round(kind, act)?;
    sleep_once(kind)?;
    let ledger = Ledger::open()?;
    let left = || Ok::<_, Failure>([books::settled()?, books::sum(|stats| stats.sources)?]);
    let before = left()?;
    round(kind, act)?;
    until(|| left().is_ok_and(|left| left[0] <= before[0] && left[1] <= before[1]))?;
    ledger.balance()
}

/// What the library keeps for a thread that sleeps in poll it makes when one does so first in a program that had others. Who polls
/// a mouse that has moved already does not sleep: so it comes here, and not when it happens to.
fn sleep_once(kind: &Kind) -> Outcome {
    let file = open_again(kind.path, kind.flags)?;
    Builder::new().spawn(|| ())?.join()?;
    equal(libkq::poll(&mut [PollFd::new(file.number(), kind.never)], A_WHILE, None)?, 0)?;
    libkq::poll(&mut [], NOW, None)?;
    Ok(())
}

fn round(kind: &Kind, act: Act) -> Outcome {
    let (count, before) = (functions()?, books::settled()?);
    let file = open_again(kind.path, kind.flags)?;
    let client = Role::new(PROGRAM, "client").argument(kind.driver).quota(16 << 20).spawn(vec![])?;
    until(|| books::notes().is_ok_and(|notes| notes >= before + WAITERS.len() as u64))?;
    have(act, kind.device);
    ends_well(&client)?;
    drop(client);
    // What is open stays dead, and nothing new can be opened, at once.
    refused(file.read(&mut [0; 16]), ENODEV)?;
    until_gone(count)?;
    for _ in 0..3 {
        refused(Descriptor::open(kind.path, kind.flags | O_NONBLOCK), ENODEV)?;
    }
    ensure(find(kind.driver)?.is_some(), "the driver waits for the next one")?;
    have(Act::Plug, kind.device);
    kind.works()?;
    // poll keeps a note of what its thread asked last.
    libkq::poll(&mut [], NOW, None)?;
    refused(file.read(&mut [0; 16]), ENODEV)?;
    equal(functions()?, count)
}

/// A process that waits for the end of a device in every interface.
fn client(driver: &str) -> Outcome {
    let kind = [Kind::CARD, Kind::DISK, Kind::MOUSE].into_iter().find(|kind| kind.driver == driver);
    let kind = kind.ok_or(Failure::new("no such driver"))?;
    let file = Descriptor::open(kind.path, kind.flags)?;
    let (number, never) = (file.number(), kind.never);
    let waiter = |wait: Waiter| Builder::new().spawn(move || wait(number, never));
    let waiters: Vec<JoinHandle<Outcome>> = WAITERS.into_iter().map(waiter).collect::<Result<_, _>>()?;
    if is_reading(never) {
        // One who waits in the driver, where it lets anybody wait.
        refused(file.read(&mut [0; 16]), ENODEV)?;
    }
    for (at, waiter) in waiters.into_iter().enumerate() {
        waiter.join()?.map_err(|failure| Failure::new(format!("waiter {at}: {failure}")))?;
    }
    refused(file.read(&mut [0; 16]), ENODEV)
}

fn each_reader_hears() -> Outcome {
    let readers: Vec<Descriptor> =
        (0..4).map(|_| Descriptor::open("/dev/input0", O_RDONLY | O_NONBLOCK)).collect::<Result<_, _>>()?;
    let queue = Queue::new()?;
    let notes: Vec<KEvent> = readers.iter().map(|reader| KEvent::read(reader.number()).add()).collect();
    queue.apply(&notes)?;
    rt::log!("hotplug: move");
    let event = next(&queue)?;
    ensure(event.data > 0 && event.data % record::SIZE as i64 == 0, "whole records")?;
    for reader in &readers {
        until_told(reader, (record::REL, 0, 5))?;
        until_told(reader, (record::SYN, record::REPORT, 0))?;
        refused(reader.read(&mut [0; 64]), EAGAIN)?;
    }
    equal(ready(&queue)?, vec![])?;
    refused(readers[0].read(&mut [0; record::SIZE - 1]), EINVAL)?;
    refused(process().read_at(readers[0].number(), &mut [0; 64], 0), ESPIPE)
}

/// Key A is 30, and a tablet tells where it is.
fn keys_and_places() -> Outcome {
    let (keyboard, tablet) =
        (Descriptor::open("/dev/input1", O_RDONLY)?, Descriptor::open("/dev/input2", O_RDONLY)?);
    rt::log!("hotplug: key");
    until_told(&keyboard, (record::KEY, 30, 1))?;
    let before = until_told(&keyboard, (record::KEY, 30, 0))?;
    equal(before.iter().map(|told| (told.kind, told.code)).collect(), vec![(record::SYN, record::REPORT)])?;
    rt::log!("hotplug: press");
    until_told(&tablet, (record::KEY, 0x110, 1)).map(drop)
}

fn the_clock_tells() -> Outcome {
    let clock = Descriptor::open("/dev/rtc", O_RDONLY | O_NONBLOCK)?;
    let read = || -> Outcome<(u64, u64)> {
        let mut halves = [[0; 8]; 2];
        equal(clock.read(halves.as_flattened_mut())?, 16)?;
        Ok((u64::from_le_bytes(halves[0]), u64::from_le_bytes(halves[1])))
    };
    let (first, begun) = read()?;
    equal(begun, 0)?;
    // The system's own clock was set by it when the machine was switched on.
    let now = rt::clock::realtime_ns() / 1_000_000_000;
    ensure(first.abs_diff(now) < 3600, "both say about the same")?;
    refused(clock.read(&mut [0; 16]), EAGAIN)?;
    let queue = Queue::new()?;
    queue.apply(&[KEvent::read(clock.number()).add()])?;
    let mut last = first;
    for _ in 0..2 {
        equal(next(&queue)?.data, 16)?;
        let (time, begun) = read()?;
        ensure(begun >= 1 && time > last, "a second has begun")?;
        last = time;
    }
    equal(ready(&queue)?, vec![])
}

fn what_was_never_there() -> Outcome {
    refused(Descriptor::open("/dev/random", O_RDONLY), ENODEV)?;
    have(Act::Plug, SOURCE);
    let random = open_again("/dev/random", O_RDONLY)?;
    ensure(random.read(&mut [0; 64])? > 0, "random bytes")
}

/// Nobody says `fsync`: that the disk is asked for is enough.
fn what_was_written() -> Outcome {
    let count = functions()?;
    for round in 0..2u8 {
        let disk = open_again("/dev/vdb", O_RDWR)?;
        for sector in 0..32 {
            let bytes = [round + sector; 512];
            equal(process().write_at(disk.number(), &bytes, u64::from(sector) * 4096)?, 512)?;
        }
        have(Act::Unplug, DISK);
        until_gone(count)?;
        refused(process().read_at(disk.number(), &mut [0; 8], 0), ENODEV)?;
        have(Act::Plug, DISK);
        let disk = open_again("/dev/vdb", O_RDONLY)?;
        for sector in 0..32 {
            let mut bytes = [0; 512];
            equal(process().read_at(disk.number(), &mut bytes, u64::from(sector) * 4096)?.count, 512)?;
            ensure(bytes == [round + sector; 512], "what was written")?;
        }
    }
    Ok(())
}

/// The first disk is out: the second is not the first meanwhile.
fn names_stay() -> Outcome {
    let count = functions()?;
    have(Act::Unplug, READ_ONLY);
    until_gone(count)?;
    refused(Descriptor::open("/dev/vda", O_RDONLY), ENODEV)?;
    let second = open_again("/dev/vdb", O_RDWR)?;
    equal(process().stat(second.number())?.size, 512 * 1024)?;
    have(Act::Plug, READ_ONLY);
    let first = open_again("/dev/vda", O_RDONLY)?;
    equal(process().stat(first.number())?.size, 512 * 64)
}

/// A driver that is started again goes on with what is durable, but not without the device: once it is asked for while the driver is
/// there, and once it is torn out when that has died and the next one is not there yet.
fn lasting_file_ends() -> Outcome {
    let count = functions()?;
    for act in [Act::Unplug, Act::Tear] {
        let file = open_again("/dev/vda", O_RDONLY | O_DURABLE)?;
        let queue = Queue::new()?;
        // Nobody writes to it.
        queue.apply(&[KEvent::write(file.number()).add()])?;
        equal(process().read_at(file.number(), &mut [0; 8], 512)?.count, 8)?;
        if matches!(act, Act::Tear) {
            kill("vda")?;
        }
        have(act, READ_ONLY);
        let event = next(&queue)?;
        equal((event.is_eof(), event.fflags), (true, ENODEV as u32))?;
        equal(ready(&queue)?, vec![])?;
        until_gone(count)?;
        refused(file.read(&mut [0; 8]), ENODEV)?;
        have(Act::Plug, READ_ONLY);
        Kind::DISK.works()?;
        refused(file.read(&mut [0; 8]), ENODEV)?;
    }
    Ok(())
}

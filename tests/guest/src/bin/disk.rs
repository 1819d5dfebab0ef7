//! Disks on the machine: what is where, what is written, readiness, errors, deaths. Runs with the manifest `devices` and virtio
//! block devices whose sectors begin with their numbers: `vda` can be written, `vdb` cannot.
#![no_std]
#![no_main]
#![forbid(unsafe_code)]

extern crate alloc;

use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;
use core::time::Duration;

use abi::error::{EAGAIN, EBADF, EINVAL, ENOENT, ENOSPC, EROFS};
use event_protocol::descriptor::label::INSPECT;
use guest_tests::bereavement::{is_told, kill, open_again};
use guest_tests::failure::{ensure, equal, refused};
use guest_tests::ledger::Ledger;
use guest_tests::random::Random;
use guest_tests::{Failure, Outcome, PATIENCE, Suite, soon};
use libkq::control::{Control, ControlReply, Whence};
use libkq::flag::{O_NONBLOCK, O_RDONLY, O_RDWR, O_WRONLY};
use libkq::{Conditions, Descriptor, KEvent, PollFd, Queue, process};
use rt::init;
use rt::ipc;
use rt::thread::Builder;

const PATH: &str = "/dev/vda";
const SECTOR: u64 = 512;
/// Of the disk in the table of tests: its last page is a part of one.
const SECTORS: u64 = 2051;
const SIZE: u64 = SECTORS * SECTOR;
const PATIENTLY: Option<Duration> = Some(Duration::from_nanos(PATIENCE));

rt::entry!(main);

fn main(start: &rt::Start) -> i32 {
    let mut suite = Suite::new(start);
    if start.arg(1) == "withheld" {
        suite.test("withheld_r57_who_waits_is_told_of_the_death", who_waits_is_told);
        return suite.finish();
    }
    let seed = Random::seed(start.arg(2));
    suite.table(&[
        ("sectors_are_where_they_belong", sectors_are_where_they_belong),
        ("the_end_is_where_it_is", the_end_is_where_it_is),
        ("a_file_has_a_position", a_file_has_a_position),
        ("what_makes_no_sense_is_refused", what_makes_no_sense),
        ("a_disk_that_cannot_be_written", a_disk_that_cannot_be_written),
        ("r23_readiness_is_what_is_left_and_room", readiness),
        ("many_requests_are_on_their_way", many_requests),
        ("many_clients_read_and_write", many_clients),
        ("files_that_are_closed_leave_nothing", nothing_is_left),
        ("r57_what_was_made_safe_survives_the_driver", what_was_made_safe),
    ]);
    suite.test("a_disk_holds_what_was_written_last", || holds_what_was_written_last(seed));
    suite.finish()
}

fn read_at(disk: &Descriptor, mut bytes: &mut [u8], mut offset: u64) -> Outcome {
    while !bytes.is_empty() {
        let count = process().read_at(disk.number(), bytes, offset)?.count;
        ensure(count > 0, "there is more")?;
        (bytes, offset) = (&mut bytes[count..], offset + count as u64);
    }
    Ok(())
}

fn write_at(disk: &Descriptor, mut bytes: &[u8], mut offset: u64) -> Outcome {
    while !bytes.is_empty() {
        let count = process().write_at(disk.number(), bytes, offset)?;
        (bytes, offset) = (&bytes[count..], offset + count as u64);
    }
    Ok(())
}

fn sync(disk: &Descriptor) -> Outcome {
    equal(disk.control(Control::Sync)?, ControlReply::Done)
}

fn is_sector(disk: &Descriptor, number: u64) -> Outcome {
    let mut bytes = [0xaa; SECTOR as usize];
    read_at(disk, &mut bytes, number * SECTOR)?;
    equal(u64::from_le_bytes(bytes[..8].try_into().unwrap_or_default()), number)?;
    ensure(bytes[8..].iter().all(|&byte| byte == 0), "the rest is empty")
}

fn sectors_are_where_they_belong() -> Outcome {
    let disk = Descriptor::open(PATH, O_RDONLY)?;
    for number in (0..SECTORS).step_by(97).chain([7, 8, 9, SECTORS - 1, 0]) {
        is_sector(&disk, number)?;
    }
    // Across pages, and not at a sector's beginning.
    let mut bytes = [0; 600];
    read_at(&disk, &mut bytes, 4096 - 100)?;
    equal((bytes[100], bytes[99]), (8, 0))
}

fn the_end_is_where_it_is() -> Outcome {
    let disk = Descriptor::open(PATH, O_RDWR)?;
    equal(process().stat(disk.number())?.size, SIZE)?;
    let mut bytes = [1; 64];
    for beyond in [SIZE, SIZE + 1, 1 << 40, i64::MAX as u64, u64::MAX - 1] {
        equal(process().read_at(disk.number(), &mut bytes, beyond)?.count, 0)?;
        refused(process().write_at(disk.number(), &bytes, beyond), ENOSPC)?;
    }
    equal(process().read_at(disk.number(), &mut bytes, SIZE - 10)?.count, 10)?;
    // What fits is written, what does not is refused.
    equal(process().write_at(disk.number(), &[7; 64], SIZE - 10)?, 10)?;
    equal(process().read_at(disk.number(), &mut bytes, SIZE - 11)?.count, 11)?;
    equal((bytes[0], bytes[1], bytes[10]), (0, 7, 7))?;
    write_at(&disk, &[0; 10], SIZE - 10)
}

fn a_file_has_a_position() -> Outcome {
    let (disk, other) = (Descriptor::open(PATH, O_RDWR)?, Descriptor::open(PATH, O_RDONLY)?);
    let mut bytes = [0; 1024];
    equal(disk.read(&mut bytes)?, 1024)?;
    equal((bytes[0], bytes[512]), (0, 1))?;
    equal(disk.read(&mut bytes)?, 1024)?;
    equal((bytes[0], bytes[512]), (2, 3))?;
    equal(other.read(&mut bytes)?, 1024)?;
    equal(bytes[512], 1)?;
    let fd = disk.number();
    equal(process().seek(fd, -512, Whence::Current)?, 1536)?;
    equal(disk.read(&mut bytes[..512])?, 512)?;
    equal(bytes[0], 3)?;
    equal(process().seek(fd, 5 * 512 + 8, Whence::Start)?, 5 * 512 + 8)?;
    disk.write_all(b"here")?;
    equal(process().seek(fd, 0, Whence::Current)?, 5 * 512 + 12)?;
    read_at(&other, &mut bytes[..16], 5 * 512)?;
    equal(&bytes[..16], b"\x05\0\0\0\0\0\0\0here\0\0\0\0")?;
    write_at(&disk, &[0; 4], 5 * 512 + 8)?;
    equal(process().seek(fd, -1, Whence::End)?, SIZE - 1)?;
    equal(disk.read(&mut bytes)?, 1)?;
    equal(disk.read(&mut bytes)?, 0)?;
    refused(disk.write_all(b"x"), ENOSPC)
}

fn what_makes_no_sense() -> Outcome {
    for path in ["/dev/vda/1", "/dev/vda/"] {
        refused(Descriptor::open(path, O_RDONLY), ENOENT)?;
    }
    refused(Descriptor::open("/dev/vdz", O_RDONLY), ENOENT)?;
    let disk = Descriptor::open(PATH, O_RDWR)?;
    for (offset, whence) in [(-1, Whence::Start), (i64::MIN, Whence::Current), (i64::MAX, Whence::End)] {
        refused(process().seek(disk.number(), offset, whence), EINVAL)?;
    }
    refused(process().truncate(disk.number(), 0), EINVAL)?;
    refused(disk.control(Control::TerminalMode), EINVAL)?;
    refused(Descriptor::open(PATH, O_WRONLY)?.read(&mut [0; 4]), EBADF)?;
    refused(Descriptor::open(PATH, O_RDONLY)?.write_all(b"x"), EBADF)
}

fn a_disk_that_cannot_be_written() -> Outcome {
    for flags in [O_RDWR, O_WRONLY] {
        refused(Descriptor::open("/dev/vdb", flags), EROFS)?;
    }
    let disk = Descriptor::open("/dev/vdb", O_RDONLY)?;
    equal(process().stat(disk.number())?.size, 64 * SECTOR)?;
    is_sector(&disk, 63)?;
    sync(&disk)
}

fn readiness() -> Outcome {
    let disk = Descriptor::open(PATH, O_RDWR | O_NONBLOCK)?;
    let queue = Queue::new()?;
    queue.apply(&[
        KEvent::read(disk.number()).add().clear().udata(1),
        KEvent::write(disk.number()).add().clear().udata(2),
    ])?;
    let mut events = [KEvent::default(); 4];
    let first = queue.wait(&mut events, PATIENTLY)?.to_vec();
    equal(first.iter().map(|event| event.udata).sum::<usize>(), 3)?;
    let data = |events: &[KEvent], which: usize| {
        events.iter().find(|event| event.udata == which).map(|event| event.data)
    };
    equal(data(&first, 1), Some(SIZE as i64))?;
    ensure(data(&first, 2) >= Some(4096), "room for a page")?;
    // Far from what was read before: it has to come, and the file is ready when it is there.
    let mut bytes = [0; 8];
    let (mut waited, mut at) = (0, 0);
    while waited < 20 && at < SIZE - 8 {
        match process().read_at(disk.number(), &mut bytes, at) {
            Ok(_) => {
                equal(u64::from_le_bytes(bytes), at / SECTOR)?;
                at += 4096;
            }
            Err(error) if error.errno == EAGAIN => {
                waited += 1;
                let mut list = [PollFd::new(disk.number(), Conditions::IN)];
                equal(libkq::poll(&mut list, PATIENTLY, None)?, 1)?;
            }
            Err(error) => return Err(error.into()),
        }
    }
    ensure(waited > 0, "not all of a megabyte is in memory")?;
    // At the end there is nothing to wait for, and that is what is told.
    process().seek(disk.number(), 0, Whence::End)?;
    let level = Queue::new()?;
    level.apply(&[KEvent::read(disk.number()).add()])?;
    let event = *level.wait(&mut events, PATIENTLY)?.first().ok_or(Failure::new("nothing came"))?;
    equal((event.is_eof(), event.data), (true, 0))?;
    process().seek(disk.number(), -5, Whence::Current)?;
    let event = *level.wait(&mut events, PATIENTLY)?.first().ok_or(Failure::new("nothing came"))?;
    equal((event.is_eof(), event.data), (false, 5))
}

/// A figure of what the driver says of itself.
fn figure(name: &str) -> Outcome<u64> {
    let (reply, _) = ipc::call(&init::connect("vda")?, INSPECT, [0; 4], 0, vec![], soon())?;
    let mut bytes = vec![0; reply.tag.bytes()];
    ipc::read_bytes(reply.tag.bytes(), &mut bytes);
    let text = String::from_utf8_lossy(&bytes).into_owned();
    let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')?.parse().ok());
    value.ok_or_else(|| Failure::new(alloc::format!("no {name} in {text}")))
}

fn many_requests() -> Outcome {
    let disk = Descriptor::open(PATH, O_RDONLY | O_NONBLOCK)?;
    // One request for two pages has both on their way, and nobody waits for those before.
    let mut bytes = [0; 600];
    for page in (0..SIZE / 4096 - 1).step_by(2) {
        match process().read_at(disk.number(), &mut bytes, page * 4096 + 4000) {
            Ok(_) => {}
            Err(error) => equal(error.errno, EAGAIN)?,
        }
    }
    ensure(figure("most_on_their_way")? >= 2, "several requests are on their way at a time")?;
    for page in (0..SIZE / 4096 - 1).step_by(2) {
        is_sector(&Descriptor::open(PATH, O_RDONLY)?, page * 8)?;
    }
    equal(figure("failures")?, 0)
}

/// Each has sectors of its own between those of the others.
fn many_clients() -> Outcome {
    const CLIENTS: u64 = 8;
    let mut threads = Vec::new();
    for client in 0..CLIENTS {
        threads.push(Builder::new().spawn(move || -> Outcome {
            let disk = Descriptor::open(PATH, O_RDWR)?;
            let sectors = || (client..SECTORS).step_by(CLIENTS as usize * 3);
            for sector in sectors() {
                write_at(&disk, &[client as u8 + 1; 500], sector * SECTOR + 8)?;
            }
            for sector in sectors() {
                let mut bytes = [0; 512];
                read_at(&disk, &mut bytes, sector * SECTOR)?;
                equal(u64::from_le_bytes(bytes[..8].try_into().unwrap_or_default()), sector)?;
                ensure(bytes[8..508].iter().all(|&byte| byte == client as u8 + 1), "what this one wrote")?;
                write_at(&disk, &[0; 500], sector * SECTOR + 8)?;
            }
            sync(&disk)
        })?);
    }
    threads.into_iter().try_for_each(|thread| thread.join()?)
}

fn nothing_is_left() -> Outcome {
    let round = || -> Outcome {
        let disk = Descriptor::open(PATH, O_RDWR)?;
        let queue = Queue::new()?;
        queue.apply(&[KEvent::read(disk.number()).add()])?;
        is_sector(&disk, 5)?;
        sync(&disk)
    };
    round()?;
    let ledger = Ledger::open()?;
    for _ in 0..50 {
        round()?;
    }
    ledger.balance()
}

fn what_was_made_safe() -> Outcome {
    for round in 1..4u8 {
        let disk = open_again(PATH, O_RDWR)?;
        for page in 0..100 {
            write_at(&disk, &[round; 8], page * 4096 + 100)?;
        }
        sync(&disk)?;
        // And something that is still on its way: it may be lost, and nothing else.
        write_at(&disk, &[0xff; 8], 200)?;
        kill("vda")?;
        drop(disk);
        let disk = open_again(PATH, O_RDWR)?;
        for page in 0..100 {
            let mut bytes = [0; 8];
            read_at(&disk, &mut bytes, page * 4096 + 100)?;
            equal(bytes, [round; 8])?;
            is_number(&disk, page * 8)?;
        }
        write_at(&disk, &[0; 8], 200)?;
    }
    let disk = Descriptor::open(PATH, O_RDWR)?;
    for page in 0..100 {
        write_at(&disk, &[0; 8], page * 4096 + 100)?;
    }
    sync(&disk)
}

fn is_number(disk: &Descriptor, sector: u64) -> Outcome {
    let mut bytes = [0; 8];
    read_at(disk, &mut bytes, sector * SECTOR)?;
    equal(u64::from_le_bytes(bytes), sector)
}

/// Random reads and writes of all lengths against what should be there.
fn holds_what_was_written_last(seed: u64) -> Outcome {
    let mut random = Random::new(seed);
    let files = [Descriptor::open(PATH, O_RDWR)?, Descriptor::open(PATH, O_RDWR)?];
    let mut model = vec![0; SIZE as usize];
    for (number, sector) in model.chunks_exact_mut(SECTOR as usize).enumerate() {
        sector[..8].copy_from_slice(&(number as u64).to_le_bytes());
    }
    for step in 0..400u64 {
        let disk = &files[random.below(2) as usize];
        let length = *random.pick(&[1, 7, 512, 1000, 3968, 9000]);
        let at = random.below(SIZE - length);
        let range = at as usize..(at + length) as usize;
        match random.below(5) {
            0 | 1 => {
                let byte = step as u8;
                model[range.clone()].fill(byte);
                write_at(disk, &model[range], at)?;
            }
            2 if random.below(8) == 0 => sync(disk)?,
            _ => {
                let mut bytes = vec![0; length as usize];
                read_at(disk, &mut bytes, at)?;
                ensure(bytes == model[range], "what was written last")?;
            }
        }
    }
    sync(&files[0])?;
    drop(files);
    kill("vda")?;
    let disk = open_again(PATH, O_RDONLY)?;
    let mut bytes = vec![0; SIZE as usize];
    read_at(&disk, &mut bytes, 0)?;
    ensure(bytes == model, "all of it is on the disk")
}

/// The device moves a few bytes a second: the first request may be done, another is not.
fn who_waits_is_told() -> Outcome {
    for _ in 0..3 {
        let disk = open_again(PATH, O_RDONLY | O_NONBLOCK)?;
        let pages = process().stat(disk.number())?.size / 4096;
        // The second one waits for the first, which is more than an hour's worth, and the file for the second.
        for page in [0, pages - 1] {
            refused(process().read_at(disk.number(), &mut [0; 8], page * 4096), EAGAIN)?;
        }
        process().set_nonblocking(disk.number(), false)?;
        process().seek(disk.number(), (pages as i64 - 1) * 4096, Whence::Start)?;
        is_told(disk, PATH, "vda")?;
    }
    Ok(())
}

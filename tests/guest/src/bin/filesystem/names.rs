//! Names, openings, positions, listings.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use abi::error::{EBADF, EEXIST, EINVAL, EISDIR, ENAMETOOLONG, ENOENT, ENOTDIR, ENOTEMPTY, EPERM, EXDEV};
use guest_tests::failure::{ensure, equal, refused};
use guest_tests::suite::Test;
use guest_tests::{Failure, Outcome};
use libkq::control::Whence;
use libkq::flag::{O_APPEND, O_CREAT, O_DIRECTORY, O_EXCL, O_RDONLY, O_RDWR, O_TRUNC, O_WRONLY};
use libkq::{Descriptor, process};

use crate::make;

pub const TESTS: &[Test] = &[
    ("unlinked_files_live_on", unlinked_files_live_on),
    ("names_say_what_is_wrong", names_say_what_is_wrong),
    ("opening_as_asked", opening_as_asked),
    ("positions_and_lengths", positions_and_lengths),
    ("listings_are_whole_though_names_come_and_go", listings),
];

fn unlinked_files_live_on() -> Outcome {
    let file = make("/tmp/gone")?;
    process().unlink("/tmp/gone")?;
    refused(Descriptor::open("/tmp/gone", O_RDONLY), ENOENT)?;
    file.write_all(b"still here")?;
    let mut buffer = [0; 16];
    equal(process().read_at(file.number(), &mut buffer, 0)?.count, 10)?;
    let stat = process().stat(file.number())?;
    equal((stat.links, stat.size), (0, 10))
}

fn names_say_what_is_wrong() -> Outcome {
    let files = process();
    files.mkdir("/data/d", 0o700)?;
    drop(make("/data/d/f")?);
    refused(files.mkdir("/data/d", 0o700), EEXIST)?;
    refused(files.mkdir("/data/none/d", 0o700), ENOENT)?;
    refused(files.mkdir("/data/d/f/d", 0o700), ENOTDIR)?;
    refused(files.rmdir("/data/d"), ENOTEMPTY)?;
    refused(files.rmdir("/data/d/f"), ENOTDIR)?;
    refused(files.unlink("/data/d"), EISDIR)?;
    refused(files.unlink("/data/none"), ENOENT)?;
    refused(files.rename("/data/d/f", "/tmp/f"), EXDEV)?;
    refused(files.link("/data/d/f", "/tmp/f"), EXDEV)?;
    refused(files.link("/data/d", "/data/e"), EPERM)?;
    refused(files.link("/data/d/f", "/data/d/f"), EEXIST)?;
    refused(files.rename("/data/d", "/data/d/e"), EINVAL)?;
    refused(files.rename("/data/d/f", "/data/d"), EISDIR)?;
    refused(files.stat_path(&format!("/data/{}", "n".repeat(256))), ENAMETOOLONG)?;
    equal(files.stat_path("/data/d")?.links, 2)?;
    files.unlink("/data/d/f")?;
    Ok(files.rmdir("/data/d")?)
}

fn opening_as_asked() -> Outcome {
    let file = make("/tmp/open")?;
    refused(Descriptor::open("/tmp/open", O_RDWR | O_CREAT | O_EXCL), EEXIST)?;
    refused(Descriptor::open("/tmp/open", O_RDONLY | O_DIRECTORY), ENOTDIR)?;
    refused(Descriptor::open("/tmp", O_RDWR), EISDIR)?;
    file.write_all(b"some text")?;
    let append = Descriptor::open("/tmp/open", O_WRONLY | O_APPEND)?;
    refused(append.read(&mut [0]), EBADF)?;
    process().seek(append.number(), 0, Whence::Start)?;
    append.write_all(b" more")?;
    equal(process().stat(file.number())?.size, 14)?;
    drop(Descriptor::open("/tmp/open", O_WRONLY | O_TRUNC)?);
    equal(process().stat(file.number())?.size, 0)?;
    Ok(process().unlink("/tmp/open")?)
}

fn positions_and_lengths() -> Outcome {
    let file = make("/tmp/holes")?;
    process().seek(file.number(), 10_000, Whence::Start)?;
    file.write_all(b"end")?;
    let stat = process().stat(file.number())?;
    equal((stat.size, stat.mode), (10_003, 0o644))?;
    ensure(stat.modified > 0 && stat.modified >= stat.accessed, "times are the clock's")?;
    let mut buffer = [1; 8];
    equal(process().read_at(file.number(), &mut buffer, 9_997)?.count, 6)?;
    equal(&buffer[..6], &[0, 0, 0, b'e', b'n', b'd'])?;
    refused(process().seek(file.number(), -1, Whence::Start), EINVAL)?;
    process().truncate(file.number(), 4)?;
    equal(process().seek(file.number(), 0, Whence::End)?, 4)?;
    equal(process().seek(file.number(), 0, Whence::Current)?, 4)?;
    Ok(process().unlink("/tmp/holes")?)
}

fn listings() -> Outcome {
    process().mkdir("/tmp/list", 0o700)?;
    let name = |number: u32| format!("/tmp/list/{number:0100}");
    for number in 0..100 {
        drop(make(&name(number))?);
    }
    let directory = Descriptor::open("/tmp/list", O_RDONLY | O_DIRECTORY)?;
    let (first, cookie) = process().read_directory(directory.number(), 0)?;
    let cookie = cookie.ok_or(Failure::new("all in one answer"))?;
    // Half of those that are to come go, and new ones come.
    for number in (50..100).step_by(2) {
        process().unlink(&name(number))?;
    }
    drop(make("/tmp/list/new")?);
    let mut names: Vec<String> = first.into_iter().map(|entry| entry.name).collect();
    let mut at = Some(cookie);
    while let Some(cookie) = at {
        let (more, next) = process().read_directory(directory.number(), cookie)?;
        names.extend(more.into_iter().map(|entry| entry.name));
        at = next;
    }
    names.sort();
    let all = names.len();
    names.dedup();
    equal(names.len(), all)?;
    for number in (0..50).chain((51..100).step_by(2)) {
        ensure(names.contains(&format!("{number:0100}")), "a name that stayed was listed")?;
        process().unlink(&name(number))?;
    }
    ensure(names.iter().any(|name| name == "new"), "a name that came was listed")?;
    process().unlink("/tmp/list/new")?;
    Ok(process().rmdir("/tmp/list")?)
}

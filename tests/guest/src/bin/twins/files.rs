//! The twin of `files.c`.

use alloc::string::String;

use libkq::control::{FileType, Whence};
use libkq::event::note;
use libkq::flag::{O_CREAT, O_EXCL, O_RDWR};
use libkq::{Filter, KEvent, Result, kevent, process};
use rt::abi::error::{EEXIST, EFAULT, ENOENT, ENOTEMPTY, Error};

use crate::{NOW, hex, refused};

fn list(path: &str) -> Result<()> {
    let mut names = String::new();
    for entry in process().list(path)? {
        // The numbers of `d_type`.
        let kind = match entry.file_type {
            FileType::Anonymous => 0,
            FileType::Fifo => 1,
            FileType::Device => 2,
            FileType::Directory => 4,
            FileType::Regular => 8,
            FileType::Socket => 12,
        };
        if !entry.name.starts_with('.') {
            names += &alloc::format!(" {} {kind}", entry.name);
        }
    }
    rt::log!("names:{names}");
    Ok(())
}

pub fn run() -> Result<()> {
    let process = process();
    let mut bytes = [0; 16];
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    process.mkdir("/tmp/c", 0o755)?;
    rt::log!("mkdir 0");
    refused("mkdir again", process.mkdir("/tmp/c", 0o755), EEXIST);
    let file = libkq::open("/tmp/c/one", O_RDWR | O_CREAT | O_EXCL)?;
    rt::log!("open 1");
    rt::log!("wrote {}", libkq::write(file, b"hello world")?);
    rt::log!("seek {}", process.seek(file, -5, Whence::End)?);
    let count = libkq::read(file, &mut bytes)?;
    rt::log!("read {count} {}", text(&bytes[..count]));
    let count = process.read_at(file, &mut bytes[..4], 1)?.count;
    rt::log!("pread {count} {}", text(&bytes[..count]));
    rt::log!("pwrite {}", process.write_at(file, b"J", 0)?);
    let stat = process.stat_path("/tmp/c/one")?;
    rt::log!("stat 0 {} {} {}", stat.size, i32::from(stat.file_type == FileType::Regular), stat.links);
    let queue = libkq::kqueue()?;
    let mut watch = KEvent::new(file as usize, Filter::VNODE).add().clear();
    watch.fflags = note::WRITE | note::EXTEND | note::LINK | note::RENAME;
    rt::log!("watched {}", kevent(queue, &[watch], &mut [], None)?);
    process.link("/tmp/c/one", "/tmp/c/two")?;
    rt::log!("link 0");
    process.rename("/tmp/c/two", "/tmp/c/three")?;
    rt::log!("rename 0");
    let mut events = [KEvent::default()];
    let count = kevent(queue, &[], &mut events, None)?;
    rt::log!("changed {count} {}", hex(events[0].fflags));
    rt::log!("nothing more {}", kevent(queue, &[], &mut events, NOW)?);
    process.truncate(file, 3)?;
    rt::log!("truncate 0");
    let stat = process.stat(file)?;
    rt::log!("fstat 0 {} {}", stat.size, stat.links);
    list("/tmp/c")?;
    refused("not empty", process.rmdir("/tmp/c"), ENOTEMPTY);
    process.unlink("/tmp/c/one")?;
    process.unlink("/tmp/c/three")?;
    rt::log!("unlink 0 0");
    refused("unlink again", process.unlink("/tmp/c/three"), ENOENT);
    process.rmdir("/tmp/c")?;
    rt::log!("rmdir 0");
    // What the types of Rust leave no room for.
    refused("no path", Err::<(), _>(Error::new(EFAULT)), EFAULT);
    libkq::close(file)
}

//! Names of FIFOs.

use crate::bench::{bench, fifo, open};
use crate::fake::{Bench, Got};
use abi::error::{EEXIST, EINVAL, EISDIR, ENOENT, ENOSPC, ENOTDIR, Error};
use abi::flag::{O_CREAT, O_DIRECTORY, O_EXCL, O_RDONLY, O_RDWR};
use driver_sdk::{Control, ControlReply, FileType, PathReply, PathRequest};
use pipe::pipes::Pipes;

#[test]
fn names() {
    let mut bench = bench();
    fifo(&mut bench);
    let make = |path: &str| PathRequest::MakeFifo { path: path.into(), mode: 0o600 };
    for (path, errno) in [
        ("/run/fifo/f", EEXIST),
        ("/run/fifo", EEXIST),
        ("/run/fifo/a/b", ENOTDIR),
        ("/run/fifos/a", ENOENT),
        ("/dev/pipe", ENOENT),
    ] {
        assert_eq!(bench.path(make(path)), Err(Error::new(errno)), "{path}");
    }
    assert_eq!(bench.open("/run/fifo/g", O_RDWR, 1), Err(Error::new(ENOENT)));
    assert_eq!(bench.open("/run/fifo", O_RDONLY, 1), Err(Error::new(EISDIR)));
    assert_eq!(bench.open("/run/fifo/f", O_RDWR | O_DIRECTORY, 1), Err(Error::new(ENOTDIR)));
    assert_eq!(bench.open("/run/fifo/f", O_RDWR | O_CREAT | O_EXCL, 1), Err(Error::new(EEXIST)));
    assert_eq!(bench.open("/run/fifo/f", 0, 1), Err(Error::new(EINVAL)));
    let stat =
        |bench: &mut Bench<Pipes>, path: &str| match bench.path(PathRequest::Stat { path: path.into() }) {
            Ok(PathReply::Stat(stat)) => Ok(stat),
            Ok(other) => panic!("{other:?}"),
            Err(error) => Err(error.errno),
        };
    let link = PathRequest::Link { from: "/run/fifo/f".into(), to: "/run/fifo/g".into() };
    assert_eq!(bench.path(link), Ok(PathReply::Done));
    let (f, g) = (stat(&mut bench, "/run/fifo/f").unwrap(), stat(&mut bench, "/run/fifo/g").unwrap());
    assert_eq!((f.inode, f.links, f.mode, f.file_type), (g.inode, 2, 0o644, FileType::Fifo));
    let file = open(&mut bench, O_RDWR);
    assert_eq!(bench.control(file, Control::Stat), Ok(ControlReply::Stat(f)));
    for path in ["/run/fifo/f", "/run/fifo/g"] {
        assert_eq!(bench.path(PathRequest::Unlink { path: path.into() }), Ok(PathReply::Done));
        assert_eq!(stat(&mut bench, path), Err(ENOENT));
    }
    assert_eq!(bench.try_write(file, b"still"), Got::Count(5));
    assert_eq!(bench.engine.driver().count(), (1, 0));
    bench.close(file);
    assert_eq!(bench.engine.driver().count(), (0, 0));
}

#[test]
fn renaming_replaces() {
    let mut bench = bench();
    let path = |name: &str| format!("/run/fifo/{name}");
    for name in ["a", "b"] {
        bench.path(PathRequest::MakeFifo { path: path(name), mode: 0 }).unwrap();
    }
    let rename = |from: &str, to: &str| PathRequest::Rename { from: path(from), to: path(to) };
    assert_eq!(bench.path(rename("a", "a")), Ok(PathReply::Done));
    assert_eq!(bench.path(rename("a", "b")), Ok(PathReply::Done));
    assert_eq!(bench.path(rename("a", "c")), Err(Error::new(ENOENT)));
    assert_eq!(bench.engine.driver().count(), (1, 1));
    let list = PathRequest::ReadDirectory { path: "/run/fifo".into(), cookie: 0 };
    let Ok(PathReply::Entries { entries, next: None }) = bench.path(list) else { panic!("no list") };
    assert_eq!(entries.iter().map(|entry| entry.name.as_str()).collect::<Vec<_>>(), ["b"]);
    assert_eq!(entries[0].inode, 1);
}

#[test]
fn r55_names_have_an_end_and_a_long_list_comes_in_parts() {
    let mut bench = bench();
    let name = |n: usize| format!("/run/fifo/{n:0>200}");
    for n in 0..pipe::names::MOST {
        bench.path(PathRequest::MakeFifo { path: name(n), mode: 0 }).unwrap();
    }
    let one_more = PathRequest::MakeFifo { path: name(5000), mode: 0 };
    assert_eq!(bench.path(one_more), Err(Error::new(ENOSPC)));
    assert_eq!(bench.engine.driver().count(), (pipe::names::MOST, pipe::names::MOST));
    let (mut seen, mut cookie) = (0, 0);
    loop {
        let list = PathRequest::ReadDirectory { path: "/run/fifo/".into(), cookie };
        let Ok(PathReply::Entries { entries, next }) = bench.path(list) else { panic!("no list") };
        assert!(!entries.is_empty());
        seen += entries.len();
        match next {
            Some(next) => cookie = next,
            None => break,
        }
    }
    assert_eq!(seen, pipe::names::MOST);
}

//! What cannot be done, and that nothing has changed then.

use abi::error::{
    EBADF, EBUSY, EEXIST, EFBIG, EINVAL, EISDIR, ENAMETOOLONG, ENOENT, ENOSPC, ENOTDIR, ENOTEMPTY, EPERM,
    EXDEV, Error,
};
use files::system::{FileSystem, How, Limits, Whence};

const READ: How = How {
    read: true,
    write: false,
    create: false,
    exclusive: false,
    truncate: false,
    append: false,
    directory: false,
    mode: 0o600,
};
const CREATE: How = How { write: true, create: true, ..READ };

fn errno<T>(errno: i32) -> Result<T, Error> {
    Err(Error::new(errno))
}

fn system() -> FileSystem<u32> {
    let mut system = FileSystem::new(&["/tmp", "/data"], Limits { pages: 64, names: 64 });
    system.mkdir(1, None, "/tmp/d", 0o700).unwrap();
    assert_eq!(system.open(1, 1, None, "/tmp/d/f", CREATE), Ok(false));
    system.close(1);
    system
}

#[test]
fn opening_says_what_is_wrong_with_the_path() {
    let mut system = system();
    let long = format!("/tmp/{}", "n".repeat(256));
    let cases = [
        ("/tmp/none", READ, ENOENT),
        ("/tmp/none/f", CREATE, ENOENT),
        ("/elsewhere/f", CREATE, ENOENT),
        ("/tmpf", CREATE, ENOENT),
        ("", CREATE, ENOENT),
        ("relative", CREATE, ENOENT),
        ("/tmp/d/f/g", CREATE, ENOTDIR),
        ("/tmp/d/f/", READ, ENOTDIR),
        ("/tmp/d/f", How { directory: true, ..READ }, ENOTDIR),
        ("/tmp/d", How { write: true, ..READ }, EISDIR),
        ("/tmp/d", CREATE, EISDIR),
        ("/tmp/g/", CREATE, EISDIR),
        ("/tmp/d/f", How { exclusive: true, ..CREATE }, EEXIST),
        ("/tmp/g", How { directory: true, ..CREATE }, EINVAL),
        (long.as_str(), CREATE, ENAMETOOLONG),
    ];
    let nodes = system.nodes();
    for (path, how, error) in cases {
        assert_eq!(system.open(2, 1, None, path, how), errno(error), "{path} {how:?}");
    }
    assert_eq!((system.nodes(), system.used().1), (nodes, 2));
    assert_eq!(system.open(2, 1, None, "/tmp/./d//../d/f", READ), Ok(false), "dots and slashes do no harm");
    assert_eq!(system.open(3, 1, None, "/tmp/../../tmp", READ), errno(ENOENT), "`..` stays inside");
    assert_eq!(system.open(3, 1, None, "/tmp/d/", How { directory: true, ..READ }), Ok(true));
    assert_eq!(system.open(4, 1, Some(3), "f", READ), Ok(false), "beside an open directory");
    assert_eq!(system.open(5, 1, Some(4), "f", READ), errno(ENOTDIR));
}

#[test]
fn names_say_what_they_cannot_do() {
    let mut system = system();
    system.mkdir(1, None, "/tmp/e", 0).unwrap();
    system.mkdir(1, None, "/data/x", 0).unwrap();
    let mut all = vec![
        (system.mkdir(1, None, "/tmp/d", 0), EEXIST),
        (system.mkdir(1, None, "/tmp", 0), EEXIST),
        (system.mkdir(1, None, "/tmp/none/d", 0), ENOENT),
        (system.link(1, None, "/tmp/d", "/tmp/g"), EPERM),
        (system.link(1, None, "/tmp/d/f", "/tmp/e"), EEXIST),
        (system.link(1, None, "/tmp/d/f", "/data/f"), EXDEV),
        (system.link(1, None, "/tmp/d/f", "/tmp/g/"), ENOENT),
        (system.unlink(None, "/tmp/d"), EISDIR),
        (system.unlink(None, "/tmp/none"), ENOENT),
        (system.unlink(None, "/tmp/d/f/"), ENOTDIR),
        (system.rmdir(None, "/tmp/d"), ENOTEMPTY),
        (system.rmdir(None, "/tmp/d/f"), ENOTDIR),
        (system.rmdir(None, "/tmp/e/."), EINVAL),
        (system.rmdir(None, "/tmp"), EBUSY),
    ];
    for (old, new, error) in [
        ("/tmp/d/f", "/data/f", EXDEV),
        ("/tmp/d", "/data/x", EXDEV),
        ("/tmp/d", "/tmp/d/e", EINVAL),
        ("/tmp/d", "/tmp/d", 0),
        ("/tmp/e", "/tmp/d", ENOTEMPTY),
        ("/tmp/d/f", "/tmp/e", EISDIR),
        ("/tmp/e", "/tmp/d/f", ENOTDIR),
        ("/tmp/d/f", "/tmp/g/", ENOTDIR),
        ("/tmp/none", "/tmp/g", ENOENT),
        ("/tmp/d/f", "/tmp/none/g", ENOENT),
        ("/tmp", "/tmp/d/t", EBUSY),
        ("/tmp/d/f", "/tmp/d/.", EINVAL),
        ("/tmp/d/f", "/tmp", EBUSY),
    ] {
        all.push((system.rename(None, old, new).map_err(|error| Error::new(error.errno)), error));
    }
    system.take_changes();
    for (at, (result, error)) in all.into_iter().enumerate() {
        assert_eq!(result, if error == 0 { Ok(()) } else { errno(error) }, "case {at}");
    }
    assert_eq!(system.used().1, 4);
}

#[test]
fn open_files_say_what_they_cannot_do() {
    let mut system = system();
    system.open(1, 1, None, "/tmp/d/f", READ).unwrap();
    system.open(2, 1, None, "/tmp/d/f", How { read: false, write: true, ..READ }).unwrap();
    system.open(3, 1, None, "/tmp/d", READ).unwrap();
    assert_eq!(system.write(1, b"x", None), errno(EBADF));
    assert_eq!(system.read(2, &mut [0], None), errno(EBADF));
    assert_eq!(system.read(3, &mut [0], None), errno(EISDIR));
    assert_eq!(system.read(9, &mut [0], None), errno(EBADF));
    assert_eq!(system.truncate_open(1, 0), errno(EINVAL));
    assert_eq!(system.truncate_open(2, u64::MAX), errno(EFBIG));
    assert_eq!(system.truncate(None, "/tmp/d", 0), errno(EISDIR));
    assert_eq!(system.seek(1, Whence::Start, -1), errno(EINVAL));
    assert_eq!(system.seek(1, Whence::End, i64::MAX), Ok(i64::MAX as u64));
    assert!(system.seek(1, Whence::Current, 1).is_err());
    assert_eq!(system.listing_open(1), errno(ENOTDIR));
}

#[test]
fn a_removed_directory_takes_nothing_in() {
    let mut system = system();
    system.mkdir(1, None, "/tmp/e", 0).unwrap();
    system.open(1, 1, None, "/tmp/e", READ).unwrap();
    system.rmdir(None, "/tmp/e").unwrap();
    assert_eq!(system.open(2, 1, Some(1), "f", CREATE), errno(ENOENT));
    assert_eq!(system.mkdir(1, Some(1), "f", 0), errno(ENOENT));
    assert_eq!(system.rename(Some(1), "/tmp/d/f", "f"), errno(ENOENT));
    let directory = system.listing_open(1).unwrap();
    assert_eq!(system.list(directory, 0), Ok(None));
    system.close(1);
    assert_eq!(system.nodes(), 4);
}

#[test]
fn r55_one_client_cannot_take_all_pages_or_names() {
    let mut system = system();
    system.open(1, 1, None, "/tmp/d/f", CREATE).unwrap();
    assert_eq!(system.write(1, &[7; 100_000], None), Ok(16 * 4096));
    assert_eq!(system.write(1, &[7; 1], None), errno(ENOSPC));
    system.open(2, 2, None, "/tmp/d/f", CREATE).unwrap();
    assert_eq!(system.write(2, &[7; 1], Some(16 * 4096)), Ok(1), "another client has its own share");
    let made = (0..).take_while(|n| system.mkdir(1, None, &format!("/tmp/{n}"), 0).is_ok()).count();
    assert_eq!(made, 14);
    assert_eq!(system.open(3, 1, None, "/tmp/g", CREATE), errno(ENOSPC));
    assert_eq!(system.rename(None, "/tmp/0", "/tmp/other"), Ok(()), "a name that moves is no new one");
    system.rmdir(None, "/tmp/1").unwrap();
    assert_eq!(system.open(3, 1, None, "/tmp/g", CREATE), Ok(false));
    system.truncate_open(1, 0).unwrap();
    assert_eq!(system.used().0, 0);
}

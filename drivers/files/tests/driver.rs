//! The file service as its clients see it, through the real engine.

#[path = "../../sdk/tests/fake/mod.rs"]
mod fake;

use abi::error::{EBADF, ENOENT, ENOSPC, ENOTSOCK, ENOTTY, Error};
use abi::flag::{O_CREAT, O_DIRECTORY, O_RDONLY, O_RDWR, O_WRONLY};
use driver_sdk::{Control, ControlReply, FileId, Level, LevelFlags, PathReply, PathRequest, Whence};
use fake::{Bench, Got};
use files::driver::{Files, LIMITS};
use files::notes::Notes;

struct Clients(Bench<Files>);

fn distance(bytes: i64) -> Level {
    Level::new(bytes).with(LevelFlags::SIGNED)
}

impl Clients {
    fn new() -> Clients {
        Clients(Bench::new(Files::default()))
    }

    fn open(&mut self, path: &str, flags: usize) -> FileId {
        self.0.open(path, flags, 1).expect("a file")
    }

    fn notes(&mut self, file: FileId) -> Notes {
        Notes::from_bits_retain(self.0.source(file).notes)
    }

    fn path(&mut self, request: PathRequest) -> PathReply {
        self.0.path(request).expect("it can be done")
    }

    fn names(&mut self, path: &str) -> Vec<String> {
        let (mut names, mut cookie) = (vec![], Some(0));
        while let Some(at) = cookie {
            match self.path(PathRequest::ReadDirectory { path: path.into(), cookie: at }) {
                PathReply::Entries { entries, next } => {
                    assert!(!entries.is_empty() || next.is_none(), "each answer goes on");
                    names.extend(entries.into_iter().map(|entry| entry.name));
                    cookie = next;
                }
                other => panic!("no entries but {other:?}"),
            }
        }
        names
    }
}

#[test]
fn r23_each_open_file_tells_its_own_distance() {
    let mut clients = Clients::new();
    let writer = clients.open("/tmp/f", O_RDWR | O_CREAT | 0o640);
    let reader = clients.open("/tmp/f", O_RDONLY);
    clients.0.try_write(writer, b"0123456789");
    assert_eq!((clients.0.source(writer).read, clients.0.source(reader).read), (distance(0), distance(10)));
    let arrivals = clients.0.source(reader).arrivals;
    clients.0.try_read(reader, 4);
    assert_eq!(clients.0.source(reader).read, distance(6));
    assert_eq!(clients.0.source(reader).arrivals, arrivals);
    clients.0.try_write(writer, b"!");
    assert_eq!(clients.0.source(reader).read, distance(7));
    assert_eq!(clients.0.source(reader).arrivals, arrivals + 1, "growth is news");
    let seek = Control::Seek { whence: Whence::End, offset: 3 };
    assert_eq!(clients.0.control(reader, seek), Ok(ControlReply::Number(14)));
    assert_eq!(clients.0.source(reader).read, distance(-3));
    assert_eq!(clients.0.source(reader).write, Level::new(u32::MAX.into()), "always writable");
    let Ok(ControlReply::Stat(stat)) = clients.0.control(reader, Control::Stat) else { panic!("no stat") };
    assert_eq!((stat.size, stat.links, stat.mode), (11, 1, 0o640));
    assert_eq!(stat.modified, 1_000_000_000, "the time of the clock");
}

#[test]
fn acts_are_told_to_all_who_have_the_file_open() {
    let mut clients = Clients::new();
    let directory = clients.open("/tmp", O_RDONLY | O_DIRECTORY);
    let file = clients.open("/tmp/f", O_RDWR | O_CREAT);
    assert_eq!(clients.notes(directory), Notes::WRITE);
    assert_eq!(clients.notes(file), Notes::empty(), "its own opening was before it");
    clients.path(PathRequest::Link { from: "/tmp/f".into(), to: "/tmp/g".into() });
    clients.path(PathRequest::Rename { from: "/tmp/g".into(), to: "/tmp/h".into() });
    clients.path(PathRequest::SetMode { path: "/tmp/h".into(), mode: 0o600 });
    assert_eq!(clients.notes(file), Notes::LINK | Notes::RENAME | Notes::ATTRIB);
    clients.path(PathRequest::MakeDirectory { path: "/tmp/d".into(), mode: 0o700 });
    assert_eq!(clients.notes(directory), Notes::WRITE | Notes::LINK);
    let other = clients.open("/tmp/h", O_WRONLY);
    clients.0.let_go(other);
    assert!(clients.notes(file).contains(Notes::OPEN | Notes::CLOSE_WRITE));
    clients.path(PathRequest::Unlink { path: "/tmp/f".into() });
    clients.path(PathRequest::Unlink { path: "/tmp/h".into() });
    assert!(clients.notes(file).contains(Notes::DELETE));
    assert_eq!(clients.0.try_write(file, b"it lives on"), Got::Count(11));
    clients.0.close(file);
    assert_eq!(clients.0.engine.driver().system().used(), (0, 1));
}

#[test]
fn a_dead_readers_bytes_are_read_again() {
    let mut clients = Clients::new();
    let file = clients.open("/tmp/f", O_RDWR | O_CREAT);
    clients.0.try_write(file, b"abc");
    clients.0.control(file, Control::Seek { whence: Whence::Start, offset: 0 }).expect("sought");
    // The next token is known before it is used.
    let next = clients.0.read(file, 0) + 1;
    clients.0.link().dead.insert(next);
    clients.0.read(file, 2);
    assert_eq!(clients.0.source(file).read, distance(3));
    assert_eq!(clients.0.try_read(file, 9), Got::Data(b"abc".to_vec(), 0));
    assert_eq!(clients.0.try_read(file, 9), Got::Count(0), "the end");
}

#[test]
fn a_full_file_system_answers_at_once() {
    let mut clients = Clients::new();
    let file = clients.open("/tmp/f", O_RDWR | O_CREAT);
    let share = LIMITS.pages / 4 * 4096;
    let seek = Control::Seek { whence: Whence::Start, offset: 100 };
    clients.0.control(file, seek).expect("sought");
    let mut written = 0;
    loop {
        let token = clients.0.write(file, &[7; 3000]);
        match clients.0.got(token) {
            Some(Got::Count(3000)) => written += 3000,
            Some(Got::Count(count)) => {
                written += count;
                break;
            }
            other => panic!("a write was answered by {other:?}"),
        }
    }
    assert_eq!(written, share - 100);
    assert_eq!(clients.0.try_write(file, b"x"), Got::Errno(ENOSPC));
}

#[test]
fn listings_come_in_pieces_and_are_whole() {
    let mut clients = Clients::new();
    let mut made: Vec<String> = (0..300).map(|number| format!("{number:0200}")).collect();
    for name in &made {
        clients.path(PathRequest::MakeDirectory { path: format!("/data/{name}"), mode: 0o700 });
    }
    made.sort();
    let mut names = clients.names("/data");
    names.sort();
    assert_eq!(names, made);
    assert_eq!(clients.names("/tmp"), Vec::<String>::new());
}

#[test]
fn files_open_beside_directories_and_say_what_they_are_not() {
    let mut clients = Clients::new();
    clients.path(PathRequest::MakeDirectory { path: "/tmp/d".into(), mode: 0o700 });
    let directory = clients.open("/tmp/d", O_RDONLY | O_DIRECTORY);
    let file = clients.0.open_at(directory, "f", O_RDWR | O_CREAT, 1).expect("a file");
    assert_eq!(clients.names("/tmp/d"), ["f"]);
    let entries = clients.0.control(directory, Control::ReadDirectory(0));
    assert!(matches!(entries, Ok(ControlReply::Path(PathReply::Entries { next: None, .. }))));
    assert_eq!(clients.0.open("/var", O_RDONLY, 1), Err(Error::new(ENOENT)));
    let reader = clients.open("/tmp/d/f", O_RDONLY);
    assert_eq!(clients.0.try_write(reader, b"x"), Got::Errno(EBADF));
    assert_eq!(clients.0.control(file, Control::Listen(1)), Err(Error::new(ENOTSOCK)));
    assert_eq!(clients.0.control(file, Control::TerminalMode), Err(Error::new(ENOTTY)));
}

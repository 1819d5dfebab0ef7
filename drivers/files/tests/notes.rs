//! What each act tells those who have files open (kqueue(2), `EVFILT_VNODE` and `EVFILT_READ` of files).

use files::notes::Notes;
use files::system::{Change, FileSystem, How, Limits, Whence};
use std::collections::BTreeMap;

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
const WRITE: How = How { write: true, create: true, ..READ };

/// File system with `/tmp/d/f` open twice (1 to read, 2 to write), `/tmp/d` (10) and `/tmp` (11).
struct Watched(FileSystem<u32>);

impl Watched {
    fn new() -> Watched {
        let mut system = FileSystem::new(&["/tmp", "/data"], Limits { pages: 64, names: 64 });
        system.mkdir(1, None, "/tmp/d", 0o700).unwrap();
        system.open(2, 1, None, "/tmp/d/f", WRITE).unwrap();
        system.open(1, 1, None, "/tmp/d/f", READ).unwrap();
        system.open(10, 1, None, "/tmp/d", READ).unwrap();
        system.open(11, 1, None, "/tmp", READ).unwrap();
        system.take_changes();
        Watched(system)
    }

    /// What was told since the last call.
    fn told(&mut self) -> BTreeMap<u32, Notes> {
        let mut told = BTreeMap::new();
        for change in self.0.take_changes() {
            if let Change::Note(open, notes) = change {
                *told.entry(open).or_default() |= notes;
            }
        }
        told
    }

    /// The last distances told, and whether growth was told with any.
    fn distances(&mut self) -> BTreeMap<u32, (i64, bool)> {
        let mut told = BTreeMap::<u32, (i64, bool)>::new();
        for change in self.0.take_changes() {
            if let Change::Distance { open, bytes, grew } = change {
                let before = told.get(&open).is_some_and(|told| told.1);
                told.insert(open, (bytes, grew || before));
            }
        }
        told
    }
}

fn told<const N: usize>(expected: [(u32, Notes); N]) -> BTreeMap<u32, Notes> {
    BTreeMap::from(expected)
}

#[test]
fn reading_and_writing_are_told_to_all_openers() {
    let mut watched = Watched::new();
    watched.0.write(2, b"four", None).unwrap();
    let grew = Notes::WRITE | Notes::EXTEND;
    assert_eq!(watched.told(), told([(1, grew), (2, grew)]));
    watched.0.write(2, b"FO", Some(0)).unwrap();
    assert_eq!(watched.told(), told([(1, Notes::WRITE), (2, Notes::WRITE)]), "nothing grew");
    watched.0.read(1, &mut [0; 9], None).unwrap();
    assert_eq!(watched.told(), told([(1, Notes::READ), (2, Notes::READ)]));
    watched.0.write(2, b"", None).unwrap();
    assert_eq!(watched.told(), told([]), "nothing was written");
}

#[test]
fn attributes() {
    let mut watched = Watched::new();
    watched.0.set_mode(None, "/tmp/d/f", 0o640).unwrap();
    assert_eq!(watched.told(), told([(1, Notes::ATTRIB), (2, Notes::ATTRIB)]));
    watched.0.truncate_open(2, 100).unwrap();
    let grew = Notes::ATTRIB | Notes::EXTEND;
    assert_eq!(watched.told(), told([(1, grew), (2, grew)]));
    watched.0.truncate(None, "/tmp/d/f", 10).unwrap();
    assert_eq!(watched.told(), told([(1, Notes::ATTRIB), (2, Notes::ATTRIB)]));
}

#[test]
fn opening_and_closing_are_told_to_the_others() {
    let mut watched = Watched::new();
    watched.0.open(3, 2, None, "/tmp/d/f", WRITE).unwrap();
    assert_eq!(watched.told(), told([(1, Notes::OPEN), (2, Notes::OPEN)]));
    watched.0.open(4, 2, None, "/tmp/d/f", READ).unwrap();
    watched.told();
    watched.0.close(3);
    let written = Notes::CLOSE_WRITE;
    assert_eq!(watched.told(), told([(1, written), (2, written), (4, written)]));
    watched.0.close(4);
    assert_eq!(watched.told(), told([(1, Notes::CLOSE), (2, Notes::CLOSE)]));
    watched.0.open(3, 2, None, "/tmp/d/f", How { truncate: true, ..WRITE }).unwrap();
    let truncated = Notes::ATTRIB | Notes::OPEN;
    assert_eq!(watched.told(), told([(1, truncated), (2, truncated)]));
}

#[test]
fn names_that_come_and_go() {
    let mut watched = Watched::new();
    watched.0.open(3, 2, None, "/tmp/d/g", WRITE).unwrap();
    assert_eq!(watched.told(), told([(10, Notes::WRITE)]));
    watched.0.mkdir(1, None, "/tmp/d/e", 0).unwrap();
    assert_eq!(watched.told(), told([(10, Notes::WRITE | Notes::LINK)]));
    watched.0.rmdir(None, "/tmp/d/e").unwrap();
    assert_eq!(watched.told(), told([(10, Notes::WRITE | Notes::LINK)]));
    watched.0.link(1, None, "/tmp/d/f", "/tmp/h").unwrap();
    assert_eq!(watched.told(), told([(1, Notes::LINK), (2, Notes::LINK), (11, Notes::WRITE)]));
    watched.0.unlink(None, "/tmp/h").unwrap();
    let gone = Notes::DELETE | Notes::LINK;
    assert_eq!(watched.told(), told([(1, gone), (2, gone), (11, Notes::WRITE)]));
    let directory = watched.0.listing(None, "/tmp/d").unwrap();
    assert_eq!(watched.0.list(directory, 0).map(|next| next.map(|(_, name, _)| name.len())), Ok(Some(1)));
    assert_eq!(watched.told(), told([(10, Notes::READ)]));
}

#[test]
fn renames_tell_the_file_and_both_directories() {
    let mut watched = Watched::new();
    watched.0.rename(None, "/tmp/d/f", "/tmp/d/g").unwrap();
    assert_eq!(watched.told(), told([(1, Notes::RENAME), (2, Notes::RENAME), (10, Notes::WRITE)]));
    watched.0.rename(None, "/tmp/d/g", "/tmp/g").unwrap();
    let moved = Notes::WRITE | Notes::EXTEND;
    assert_eq!(watched.told(), told([(1, Notes::RENAME), (2, Notes::RENAME), (10, moved), (11, moved)]));
    watched.0.open(3, 1, None, "/tmp/h", WRITE).unwrap();
    watched.told();
    watched.0.rename(None, "/tmp/h", "/tmp/g").unwrap();
    let gone = Notes::DELETE | Notes::LINK;
    assert_eq!(
        watched.told(),
        told([(1, gone), (2, gone), (3, Notes::RENAME), (11, Notes::WRITE)]),
        "what was in the way is gone"
    );
    watched.0.mkdir(1, None, "/tmp/e", 0).unwrap();
    watched.told();
    watched.0.rename(None, "/tmp/e", "/tmp/d/e").unwrap();
    let subdirectory = moved | Notes::LINK;
    assert_eq!(watched.told(), told([(10, subdirectory), (11, subdirectory)]));
    watched.0.mkdir(1, None, "/tmp/e", 0).unwrap();
    watched.told();
    watched.0.rename(None, "/tmp/e", "/tmp/d/e").unwrap();
    assert_eq!(watched.told(), told([(10, moved), (11, subdirectory)]), "as many subdirectories as before");
    assert_eq!(watched.0.stat(None, "/tmp").map(|stat| stat.links), Ok(3));
    assert_eq!(watched.0.stat(None, "/tmp/d").map(|stat| stat.links), Ok(3));
}

#[test]
fn an_unlinked_file_lives_on_while_it_is_open() {
    let mut watched = Watched::new();
    watched.0.unlink(None, "/tmp/d/f").unwrap();
    let gone = Notes::DELETE | Notes::LINK;
    assert_eq!(watched.told(), told([(1, gone), (2, gone), (10, Notes::WRITE)]));
    watched.0.write(2, b"still here", None).unwrap();
    let mut buffer = [0; 16];
    assert_eq!(watched.0.read(1, &mut buffer, None), Ok(10));
    assert_eq!(watched.0.stat_open(1).map(|stat| (stat.links, stat.size)), Ok((0, 10)));
    watched.0.open(3, 1, None, "/tmp/d/f", WRITE).unwrap();
    watched.told();
    watched.0.write(3, b"another", None).unwrap();
    assert!(!watched.told().contains_key(&1), "a new file of that name is another file");
    let nodes = watched.0.nodes();
    watched.0.close(1);
    watched.0.close(2);
    assert_eq!((watched.0.nodes(), watched.0.used().0), (nodes - 1, 1));
}

#[test]
fn r23_the_distance_to_the_end_is_the_open_files_own_and_growth_is_news() {
    let mut watched = Watched::new();
    watched.0.write(2, b"0123456789", None).unwrap();
    assert_eq!(watched.distances(), BTreeMap::from([(1, (10, true)), (2, (0, true))]));
    watched.0.read(1, &mut [0; 4], None).unwrap();
    assert_eq!(watched.distances(), BTreeMap::from([(1, (6, false))]));
    watched.0.read(1, &mut [0; 4], Some(0)).unwrap();
    assert_eq!(watched.distances(), BTreeMap::new(), "a read at a position moves nothing");
    watched.0.seek(1, Whence::End, 5).unwrap();
    assert_eq!(watched.distances(), BTreeMap::from([(1, (-5, false))]));
    watched.0.write(2, b"ab", Some(0)).unwrap();
    assert_eq!(watched.distances(), BTreeMap::from([(1, (-5, false)), (2, (0, false))]));
    watched.0.write(2, b"ab", None).unwrap();
    assert_eq!(watched.distances(), BTreeMap::from([(1, (-3, true)), (2, (0, true))]));
    watched.0.truncate_open(2, 0).unwrap();
    assert_eq!(watched.distances(), BTreeMap::from([(1, (-15, false)), (2, (-12, false))]));
}

#[test]
fn what_a_dead_reader_did_not_get_is_read_again() {
    let mut watched = Watched::new();
    watched.0.write(2, b"0123456789", None).unwrap();
    watched.0.read(1, &mut [0; 4], None).unwrap();
    watched.0.unread(1, 4);
    assert_eq!(watched.0.distance(1), Ok(10));
}

#[test]
fn appending_writes_go_to_the_end_wherever_the_file_stands() {
    let mut watched = Watched::new();
    watched.0.open(3, 1, None, "/tmp/d/f", How { append: true, ..WRITE }).unwrap();
    watched.0.write(2, b"12345", None).unwrap();
    watched.0.write(3, b"678", Some(0)).unwrap();
    watched.0.write(2, b"x", None).unwrap();
    let mut buffer = [0; 16];
    assert_eq!(watched.0.read(1, &mut buffer, None), Ok(8));
    assert_eq!(&buffer[..8], b"12345x78");
}

//! What `fstat(2)` and `stat(2)` say of what is no file with a name.

mod world;

use abi::error::{EBADF, ENOENT, EOPNOTSUPP};
use abi::flag::O_RDWR;
use event_protocol::descriptor::FileType;
use libkq::Error;
use libkq::process::Process;
use world::World;

#[test]
fn every_descriptor_has_a_type() {
    let process = Process::new(World::new());
    let type_of = |fd: i32| process.stat(fd).map(|stat| stat.file_type);
    let (queue, epoll) = (process.kqueue().unwrap(), process.epoll_create(0).unwrap());
    let polled = process.open("/dev/poll", O_RDWR as u64).unwrap();
    assert_eq!(type_of(queue), Ok(FileType::Fifo));
    assert_eq!(type_of(epoll), Ok(FileType::Anonymous));
    assert_eq!(type_of(polled), Ok(FileType::Device));
    let file = process.open("/dev/thing", O_RDWR as u64).unwrap();
    assert_eq!(type_of(file), Ok(FileType::Device), "what its driver says");
    process.close(queue).unwrap();
    assert_eq!(type_of(queue), Err(Error::new(EBADF)));
    assert_eq!(type_of(-1), Err(Error::new(EBADF)));
}

#[test]
fn the_path_of_a_device_is_known_by_opening_it() {
    let process = Process::new(World::new());
    let type_of = |path: &str| process.stat_path(path).map(|stat| stat.file_type);
    assert_eq!(type_of("/dev/thing"), Ok(FileType::Device));
    assert_eq!(type_of("/dev/poll"), Ok(FileType::Device));
    assert_eq!(type_of("/file/thing"), Err(Error::new(EOPNOTSUPP)), "a name is its service's to know");
    assert_eq!(process.open_descriptors(), 0);
}

#[test]
fn a_name_that_is_no_files_may_be_a_sockets() {
    let process = Process::new(World::new());
    assert_eq!(process.stat_path("/tmp/socket").map(|stat| stat.file_type), Ok(FileType::Socket));
    assert_eq!(process.unlink("/tmp/socket"), Ok(()));
    assert_eq!(process.unlink("/tmp/nothing"), Err(Error::new(ENOENT)), "what the service of the path says");
    assert_eq!(process.stat_path("/tmp/nothing"), Err(Error::new(ENOENT)));
}

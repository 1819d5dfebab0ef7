//! Transfers that are longer than a message.

mod world;

use abi::error::{EAGAIN, EBADF, EPIPE};
use abi::flag::{O_NONBLOCK, O_RDWR};
use event_protocol::descriptor::{CURRENT, MAX_TRANSFER};
use libkq::Error;
use world::World;

const LONG: usize = 2 * MAX_TRANSFER + 100;

#[test]
fn what_was_taken_counts_and_the_error_is_told_next() {
    for (flags, errno) in [(O_RDWR, EPIPE), (O_RDWR | O_NONBLOCK, EAGAIN)] {
        let world = World::new();
        let process = world.process();
        let fd = process.open("/narrow/a", flags as u64).unwrap();
        world.writable("/narrow/a", LONG as i64);
        assert_eq!(process.write_whole(fd, &[1; LONG], CURRENT), Ok(LONG), "in three messages");
        world.writable("/narrow/a", LONG as i64);
        assert_eq!(process.write(fd, &[1; LONG]), Ok(MAX_TRANSFER), "in one");
        assert_eq!(process.write_whole(fd, &[1; LONG], CURRENT), Ok(LONG - MAX_TRANSFER));
        assert_eq!(process.write_whole(fd, &[1; LONG], CURRENT), Err(Error::new(errno)));
    }
}

#[test]
fn a_file_is_read_up_to_its_end() {
    let world = World::new();
    let process = world.process();
    let (file, device) = (process.open("/file/a", 0).unwrap(), process.open("/dev/a", 0).unwrap());
    world.readable("/file/a", LONG as i64);
    world.readable("/dev/a", LONG as i64);
    let mut buffer = [0; 2 * LONG];
    assert_eq!(process.read_whole(file, &mut buffer, CURRENT), Ok(LONG));
    assert_eq!(process.read_whole(file, &mut buffer, CURRENT), Ok(0));
    assert_eq!(
        process.read_whole(device, &mut buffer, CURRENT),
        Ok(MAX_TRANSFER),
        "what there is in one message"
    );
    let queue = process.kqueue().unwrap();
    assert_eq!(process.write_whole(queue, &[0; 8], CURRENT), Err(Error::new(EBADF)));
}

//! Several listeners at one address (`SO_REUSEPORT`).

use crate::wire::Desk;
use abi::error::{EADDRINUSE, EAGAIN, ECONNREFUSED, EINVAL, Error, Result};
use driver_sdk::{Control, ControlReply, FileId, Setting};

const ADDRESS: &str = "127.0.0.1:80";

impl Desk {
    fn share(&mut self, file: FileId, shares: bool) -> Result<ControlReply> {
        self.bench.control(file, Control::Set(Setting::ReusePort, shares.into()))
    }

    fn sharing(&mut self, backlog: i32) -> FileId {
        let file = self.stream(1);
        assert_eq!(self.share(file, true), Ok(ControlReply::Done));
        assert_eq!(self.bind(file, ADDRESS), Ok(ControlReply::Done));
        self.bench.control(file, Control::Listen(backlog)).expect("a listener");
        file
    }

    /// Begins a connection; what has become of it.
    fn begin(&mut self) -> (FileId, Result<ControlReply>) {
        let file = self.stream(9);
        let end = self.connect(file, ADDRESS);
        (file, end)
    }

    /// Accepts all that wait: how many there were.
    fn accept_all(&mut self, listener: FileId) -> usize {
        (0..).take_while(|_| self.accept(listener).is_ok()).count()
    }
}

#[test]
fn who_shares_an_address_gets_every_other_connection() {
    let mut desk = Desk::new();
    let listeners: Vec<FileId> = (0..3).map(|_| desk.sharing(64)).collect();
    let mut had = [0; 3];
    // Accepted at once and ended, so that the stack's sockets are used again in any order.
    for _ in 0..150 {
        let (file, end) = desk.begin();
        assert_eq!(end, Ok(ControlReply::Done));
        for (had, &listener) in had.iter_mut().zip(&listeners) {
            while let Ok(accepted) = desk.accept(listener) {
                *had += 1;
                desk.bench.close(accepted);
            }
        }
        desk.bench.close(file);
    }
    assert_eq!(had, [50, 50, 50]);
}

#[test]
fn who_has_no_room_is_passed_over_until_it_has() {
    let mut desk = Desk::new();
    let (small, large) = (desk.sharing(1), desk.sharing(64));
    for _ in 0..10 {
        assert_eq!(desk.begin().1, Ok(ControlReply::Done));
    }
    let few = desk.accept_all(small);
    assert!((1..=2).contains(&few), "{few}");
    assert_eq!(desk.accept_all(large), 10 - few);
    for _ in 0..2 {
        assert_eq!(desk.begin().1, Ok(ControlReply::Done));
    }
    assert_eq!((desk.accept_all(small), desk.accept_all(large)), (1, 1), "it has its turn again");
    // One goes, and what comes is the other's; the last goes, and nobody listens.
    desk.bench.close(small);
    assert_eq!(desk.begin().1, Ok(ControlReply::Done));
    assert_eq!(desk.accept_all(large), 1);
    desk.bench.close(large);
    assert_eq!(desk.begin().1, Err(Error::new(ECONNREFUSED)));
}

#[test]
fn when_none_has_room_first_segments_are_dropped() {
    let mut desk = Desk::new();
    let listeners = [desk.sharing(1), desk.sharing(1)];
    let ends: Vec<_> = (0..8).map(|_| desk.begin().1).collect();
    let made = ends.iter().filter(|end| end.is_ok()).count();
    assert!((2..8).contains(&made), "{made}");
    assert!(
        ends.iter().all(|end| end.is_ok() || *end == Err(Error::new(EAGAIN))),
        "none is refused: {ends:?}"
    );
    // Their senders try again, and there is room by then.
    let mut had = 0;
    for _ in 0..40 {
        had += listeners.iter().map(|&it| desk.accept_all(it)).sum::<usize>();
        desk.pass(1_000_000_000);
    }
    assert_eq!(had, 8);
}

#[test]
fn all_have_to_ask_for_it_and_before_they_have_the_address() {
    let mut desk = Desk::new();
    let first = desk.sharing(4);
    assert_eq!(desk.bench.control(first, Control::Get(Setting::ReusePort)), Ok(ControlReply::Number(1)));
    assert_eq!(desk.share(first, false), Err(Error::new(EINVAL)), "it has the address");
    let alone = desk.stream(1);
    assert_eq!(desk.bind(alone, ADDRESS), Err(Error::new(EADDRINUSE)));
    assert_eq!(desk.share(alone, true), Ok(ControlReply::Done));
    assert_eq!(desk.bind(alone, ADDRESS), Ok(ControlReply::Done));
    let datagrams = desk.datagram(1);
    assert_eq!(desk.share(datagrams, true), Err(Error::new(EINVAL)));
    // Who has an address alone has it alone.
    let (other, third) = (desk.stream(1), desk.stream(1));
    assert_eq!(desk.bind(other, "127.0.0.1:81"), Ok(ControlReply::Done));
    assert_eq!(desk.share(third, true), Ok(ControlReply::Done));
    assert_eq!(desk.bind(third, "127.0.0.1:81"), Err(Error::new(EADDRINUSE)));
}

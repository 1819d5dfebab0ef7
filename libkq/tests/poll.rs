//! The rules of poll and select, each by its number.

mod world;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use abi::error::{EBADF, EINTR, EINVAL};
use event_protocol::cell::Direction;
use event_protocol::level::{Level, LevelFlags};
use libkq::Error;
use libkq::conditions::Conditions;
use libkq::interruption::{Interruption, SignalMask};
use libkq::poll::{FdSet, PollFd};
use libkq::process::Process;
use world::World;

const NOW: Option<Duration> = Some(Duration::ZERO);
const IN: Conditions = Conditions::IN;
const OUT: Conditions = Conditions::OUT;
const NONE: Conditions = Conditions::empty();

struct Setting {
    world: World,
    process: Process<World>,
    fd: i32,
}

fn setting() -> Setting {
    let world = World::new();
    let process = world.process();
    let fd = process.open("a", 0).unwrap();
    Setting { world, process, fd }
}

impl Setting {
    fn poll(&self, list: &mut [PollFd]) -> usize {
        self.process.poll(list, NOW, None).unwrap()
    }

    fn told(&self, fd: i32, events: Conditions) -> Conditions {
        let mut list = [PollFd { fd, events, revents: Conditions::all() }];
        let count = self.poll(&mut list);
        assert_eq!((list[0].fd, list[0].events), (fd, events), "R46");
        assert_eq!(count, usize::from(!list[0].revents.is_empty()));
        list[0].revents
    }

    fn select(&self, nfds: i32, numbers: [&[i32]; 3]) -> Result<(usize, [Vec<i32>; 3]), Error> {
        let [mut read, mut write, mut except] = numbers.map(|list| list.iter().copied().collect::<FdSet>());
        let sets = [Some(&mut read), Some(&mut write), Some(&mut except)];
        let count = self.process.select(nfds, sets, NOW, None)?;
        Ok((count, [read, write, except].map(|set| set.iter().collect())))
    }
}

#[test]
fn r45_a_number_that_is_not_open_counts_and_returns_at_once() {
    let s = setting();
    let mut list = [PollFd::new(s.fd, IN), PollFd::new(77, NONE)];
    assert_eq!(s.process.poll(&mut list, None, None), Ok(1));
    assert_eq!((list[0].revents, list[1].revents), (NONE, Conditions::NVAL));
    // The number is open the next time.
    let other = s.process.dup2(s.fd, 77).unwrap();
    assert_eq!(s.told(other, IN), NONE);
}

#[test]
fn r46_events_is_never_written_and_revents_is_zeroed_at_the_end_of_the_time() {
    let s = setting();
    let mut list = [PollFd { fd: s.fd, events: IN | OUT, revents: Conditions::all() }; 2];
    let wait = Some(Duration::from_millis(3));
    assert_eq!(s.process.poll(&mut list, wait, None), Ok(0));
    assert_eq!(list, [PollFd::new(s.fd, IN | OUT); 2]);
}

#[test]
fn r45_negative_numbers_are_skipped() {
    let s = setting();
    let mut list =
        [PollFd { fd: -1, events: IN, revents: IN }, PollFd { fd: i32::MIN, events: IN, revents: IN }];
    assert_eq!(s.poll(&mut list), 0);
    assert!(list.iter().all(|entry| entry.revents.is_empty()));
}

#[test]
fn r46_the_same_number_twice_fills_both() {
    let s = setting();
    s.world.level("a", Level::new(1), Level::new(1));
    let mut list = [PollFd::new(s.fd, IN), PollFd::new(s.fd, OUT), PollFd::new(s.fd, Conditions::PRI)];
    assert_eq!(s.poll(&mut list), 2);
    assert_eq!(list.map(|entry| entry.revents), [IN, OUT, NONE]);
    assert_eq!(s.world.notes(), 1);
}

#[test]
fn r41_hang_up_and_error_are_told_unasked_and_hang_up_excludes_out() {
    let s = setting();
    let ended = LevelFlags::EOF | LevelFlags::HANGUP;
    s.world.level("a", Level::new(0).with(ended), Level::new(5).with(ended));
    assert_eq!(s.told(s.fd, NONE), Conditions::HUP);
    assert_eq!(s.told(s.fd, OUT), Conditions::HUP);
    s.world.level("a", Level::new(0).with(LevelFlags::ERROR), Level::new(5));
    assert_eq!(s.told(s.fd, NONE), Conditions::ERR);
    s.world.driver_dies("a");
    assert!(s.told(s.fd, NONE).contains(Conditions::HUP));
}

#[test]
fn r57_polling_what_is_gone_is_a_hang_up_and_no_error() {
    let s = setting();
    s.world.driver_dies("a");
    assert!(s.told(s.fd, IN).contains(Conditions::HUP));
    assert!(s.told(s.fd, IN).contains(Conditions::HUP));
    assert_eq!(s.select(9, [&[s.fd], &[], &[]]).unwrap().0, 1);
}

#[test]
fn regular_files_are_always_ready() {
    let s = setting();
    let file = s.process.open("/file/x", 0).unwrap();
    assert_eq!(s.told(file, IN | OUT | Conditions::PRI), IN | OUT);
    let (count, sets) = s.select(99, [&[file], &[file], &[file]]).unwrap();
    assert_eq!((count, sets), (2, [vec![file], vec![file], vec![]]));
    s.process.close(file).unwrap();
    assert_eq!(s.told(file, IN), Conditions::NVAL);
}

#[test]
fn urgent_data_is_exceptional() {
    let s = setting();
    let fd = s.process.open("/urgent/x", 0).unwrap();
    s.world.publish("/urgent/x", Direction::Read, Level::new(0).with(LevelFlags::EXCEPT), true);
    assert_eq!(s.told(fd, Conditions::PRI | IN), Conditions::PRI);
    let (count, sets) = s.select(99, [&[fd], &[], &[fd]]).unwrap();
    assert_eq!((count, sets), (1, [vec![], vec![], vec![fd]]));
}

#[test]
fn an_unchanged_list_sends_no_message() {
    let s = setting();
    let other = s.process.open("b", 0).unwrap();
    let mut list = [PollFd::new(s.fd, IN), PollFd::new(other, IN | OUT)];
    s.poll(&mut list);
    let before = s.world.messages();
    for _ in 0..5 {
        s.poll(&mut list);
    }
    assert_eq!(s.world.messages(), before);
    // One less: one message.
    s.poll(&mut list[..1]);
    assert_eq!((s.world.messages(), s.world.notes()), (before + 1, 1));
    // select has a set of its own.
    s.select(9, [&[s.fd], &[], &[]]).unwrap();
    assert_eq!(s.world.notes(), 2);
}

#[test]
fn r31_a_number_used_again_is_another_descriptor() {
    let s = setting();
    s.world.readable("a", 1);
    assert_eq!(s.told(s.fd, IN), IN);
    s.process.close(s.fd).unwrap();
    assert_eq!(s.world.notes(), 0);
    assert_eq!(s.process.open("b", 0), Ok(s.fd));
    assert_eq!(s.told(s.fd, IN), NONE);
    s.world.readable("b", 1);
    assert_eq!(s.told(s.fd, IN), IN);
}

#[test]
fn r45_a_number_that_is_closed_while_another_thread_waits_for_it_ends_the_wait() {
    let s = setting();
    s.world.stop_clock();
    thread::scope(|scope| {
        let waiter = scope.spawn(|| {
            let mut list = [PollFd::new(s.fd, IN)];
            s.process.poll(&mut list, None, None).map(|count| (count, list[0].revents))
        });
        s.world.until_parked(1);
        s.process.close(s.fd).unwrap();
        assert_eq!(waiter.join().unwrap(), Ok((1, Conditions::NVAL)));
    });
}

#[test]
fn r48_waits_end_when_something_comes_and_not_before_their_time() {
    let s = setting();
    let mut list = [PollFd::new(s.fd, IN)];
    let before = s.world.time();
    assert_eq!(s.process.poll(&mut list, Some(Duration::from_nanos(300)), None), Ok(0));
    assert!(s.world.time() - before >= 300, "not rounded to nothing");
    let before = s.world.time();
    assert_eq!(s.process.poll(&mut [], Some(Duration::from_millis(2)), None), Ok(0));
    assert!(s.world.time() - before >= 2_000_000, "no entries: a sleep");
    s.world.stop_clock();
    thread::scope(|scope| {
        let waiter = scope.spawn(|| {
            let mut list = [PollFd::new(s.fd, IN)];
            s.process.poll(&mut list, Some(Duration::MAX), None).map(|count| (count, list[0].revents))
        });
        s.world.until_parked(1);
        // What is not asked for wakes nobody.
        s.world.writable("a", 3);
        s.world.readable("a", 3);
        assert_eq!(waiter.join().unwrap(), Ok((1, IN)));
    });
}

#[test]
fn r59_a_level_that_came_and_went_does_not_lose_the_next() {
    let s = setting();
    s.world.stop_clock();
    for _ in 0..20 {
        s.world.readable("a", 1);
        s.world.drained_to("a", 0);
        thread::scope(|scope| {
            let waiter = scope.spawn(|| s.process.poll(&mut [PollFd::new(s.fd, IN)], None, None));
            s.world.until_parked(1);
            s.world.readable("a", 2);
            assert_eq!(waiter.join().unwrap(), Ok(1));
        });
        s.world.drained_to("a", 0);
    }
}

#[test]
fn r47_select_counts_bits() {
    let s = setting();
    let other = s.process.open("b", 0).unwrap();
    s.world.level("a", Level::new(1), Level::new(1));
    s.world.writable("b", 1);
    let both = [s.fd, other];
    let (count, [read, write, except]) = s.select(9, [&both, &both, &both]).unwrap();
    assert_eq!((count, read, write, except), (3, vec![s.fd], vec![s.fd, other], vec![]));
}

#[test]
fn r47_a_closed_number_is_an_error_and_the_sets_are_untouched() {
    let s = setting();
    s.world.readable("a", 1);
    let mut read: FdSet = [s.fd, 88].into_iter().collect();
    let mut write: FdSet = [s.fd].into_iter().collect();
    let before = (read.clone(), write.clone());
    let got = s.process.select(89, [Some(&mut read), Some(&mut write), None], None, None);
    assert_eq!(got, Err(Error::new(EBADF)));
    assert_eq!((read, write), before);
}

#[test]
fn r47_bits_from_nfds_on_are_ignored_and_a_negative_nfds_is_refused() {
    let s = setting();
    s.world.readable("a", 1);
    let (count, sets) = s.select(s.fd + 1, [&[s.fd, 88], &[], &[]]).unwrap();
    assert_eq!((count, &sets[0][..]), (1, &[s.fd][..]));
    assert_eq!(s.select(s.fd, [&[s.fd], &[], &[]]).unwrap().0, 0);
    assert_eq!(s.select(-1, [&[], &[], &[]]), Err(Error::new(EINVAL)));
}

#[test]
fn r47_a_hang_up_makes_readable_and_an_error_both() {
    let s = setting();
    let ended = LevelFlags::EOF | LevelFlags::HANGUP;
    s.world.publish("a", Direction::Read, Level::new(0).with(ended), true);
    assert_eq!(s.select(9, [&[s.fd], &[s.fd], &[]]).unwrap().1, [vec![s.fd], vec![], vec![]]);
    let error = Level::new(0).with(LevelFlags::ERROR);
    s.world.level("a", error, error);
    assert_eq!(s.select(9, [&[s.fd], &[s.fd], &[s.fd]]).unwrap().1, [vec![s.fd], vec![s.fd], vec![]]);
}

#[test]
fn select_has_no_limit_in_numbers() {
    let s = setting();
    s.process.dup2(s.fd, 5000).unwrap();
    s.world.readable("a", 1);
    assert_eq!(s.select(5001, [&[5000], &[], &[]]).unwrap().1[0], [5000]);
}

/// A thread with signal 5 pending, and a mask.
struct Pending(AtomicU64);

impl Interruption for Pending {
    fn enter(&self, mask: Option<SignalMask>) -> SignalMask {
        let mask = mask.unwrap_or(SignalMask(self.0.load(Ordering::SeqCst)));
        SignalMask(self.0.swap(mask.0, Ordering::SeqCst))
    }

    fn is_due(&self) -> bool {
        !SignalMask(self.0.load(Ordering::SeqCst)).contains(5)
    }

    fn leave(&self, before: SignalMask) {
        self.0.store(before.0, Ordering::SeqCst);
    }
}

#[test]
fn r49_a_pending_signal_that_the_mask_lets_through_interrupts_at_once() {
    let s = setting();
    let blocked = SignalMask::empty().with(5);
    let pending = Arc::new(Pending(AtomicU64::new(blocked.0)));
    s.process.set_interruption(pending.clone());
    let mut list = [PollFd::new(s.fd, IN)];
    let wait = Some(Duration::from_millis(1));
    assert_eq!(s.process.poll(&mut list, wait, None), Ok(0), "blocked as the thread has it");
    let open = Some(SignalMask::empty());
    for timeout in [None, wait, NOW] {
        assert_eq!(s.process.poll(&mut list, timeout, open), Err(Error::new(EINTR)));
        let mut set: FdSet = [s.fd].into_iter().collect();
        let select = s.process.select(9, [Some(&mut set), None, None], timeout, open);
        assert_eq!(select, Err(Error::new(EINTR)));
        assert!(set.contains(s.fd));
    }
    assert_eq!(SignalMask(pending.0.load(Ordering::SeqCst)), blocked, "put back");
    // What is ready comes first.
    s.world.readable("a", 1);
    assert_eq!(s.process.poll(&mut list, None, open), Ok(1));
}

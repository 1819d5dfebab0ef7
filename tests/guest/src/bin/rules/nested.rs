//! Sets in sets (R37, R38), with the threads that wait on them.

use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;

use abi::error::{EINVAL, ELOOP};
use guest_tests::failure::{equal, refused, refused_with};
use guest_tests::suite::Test;
use guest_tests::{Outcome, a_moment};
use libkq::flag::O_RDWR;
use libkq::{Conditions, Descriptor, EpollFlags, EpollSet, FdSet, Filter, KEvent, PollFd, Queue, process};

use guest_tests::crew::Crew;
use guest_tests::looks::{NOW, PATIENTLY, drain, only, only_told, pipe, ready, told};

pub const TESTS: &[Test] = &[
    ("r37_every_interface_sees_sets_of_every_other", every_interface_sees_sets),
    ("r37_five_sets_in_a_chain_and_no_sixth", five_in_a_chain),
    ("r37_rings_are_refused", rings),
    ("r37_who_waits_on_the_outermost_hears_of_the_innermost", outermost_hears),
    ("r38_no_set_watches_itself", not_itself),
];

/// A set of one of the three kinds that can be nested.
enum Set {
    Kqueue(Queue),
    Epoll(EpollSet),
    Device(Descriptor),
}

impl Set {
    /// The kinds one after the other.
    fn new(kind: usize) -> Outcome<Set> {
        Ok(match kind % 3 {
            0 => Set::Kqueue(Queue::new()?),
            1 => Set::Epoll(EpollSet::new()?),
            _ => Set::Device(Descriptor::open("/dev/poll", O_RDWR)?),
        })
    }

    fn number(&self) -> i32 {
        match self {
            Set::Kqueue(queue) => queue.number(),
            Set::Epoll(set) => set.number(),
            Set::Device(set) => set.number(),
        }
    }

    fn add(&self, number: i32) -> libkq::Result<()> {
        match self {
            Set::Kqueue(queue) => queue.apply(&[KEvent::read(number).add()]),
            Set::Epoll(set) => set.add(number, EpollFlags::IN, number as u64),
            Set::Device(set) => process().devpoll_write(set.number(), &[PollFd::new(number, Conditions::IN)]),
        }
    }

    fn remove(&self, number: i32) -> libkq::Result<()> {
        match self {
            Set::Kqueue(queue) => queue.apply(&[KEvent::read(number).delete()]),
            Set::Epoll(set) => set.remove(number),
            Set::Device(set) => {
                process().devpoll_write(set.number(), &[PollFd::new(number, Conditions::REMOVE)])
            }
        }
    }

    /// The numbers that it tells of now, or waits for.
    fn told(&self, wait: bool) -> Outcome<Vec<i32>> {
        let timeout = if wait { PATIENTLY } else { NOW };
        Ok(match self {
            Set::Kqueue(queue) => {
                let mut events = [KEvent::default(); 4];
                queue.wait(&mut events, timeout)?.iter().map(|event| event.ident as i32).collect()
            }
            Set::Epoll(set) => {
                let mut events = [libkq::EpollEvent::default(); 4];
                set.wait(&mut events, timeout)?.iter().map(|event| event.data() as i32).collect()
            }
            Set::Device(set) => {
                let mut list = [PollFd::default(); 4];
                let count = process().devpoll_poll(set.number(), &mut list, timeout, None)?;
                list[..count].iter().map(|entry| entry.fd).collect()
            }
        })
    }
}

fn every_interface_sees_sets() -> Outcome {
    for kind in 0..3 {
        let (inner, (reader, writer)) = (Set::new(kind)?, pipe()?);
        inner.add(reader.number())?;
        let number = inner.number();
        let outer: Vec<Set> = (0..3).map(Set::new).collect::<Outcome<_>>()?;
        outer.iter().try_for_each(|set| set.add(number))?;
        let by_poll = || -> Outcome<usize> {
            let mut list = [PollFd::new(number, Conditions::IN | Conditions::OUT)];
            let count = libkq::poll(&mut list, NOW, None)?;
            equal(list[0].revents, if count == 1 { Conditions::IN } else { Conditions::empty() })?;
            let mut read = FdSet::from_iter([number]);
            equal(libkq::select(number + 1, [Some(&mut read), None, None], NOW, None)?, count)?;
            Ok(count)
        };
        for _ in 0..3 {
            for set in &outer {
                equal(set.told(false)?, vec![])?;
            }
            equal(by_poll()?, 0)?;
            writer.write_all(b"x")?;
            for set in &outer {
                equal(set.told(true)?, vec![number])?;
            }
            equal(by_poll()?, 1)?;
            equal(inner.told(false)?, vec![reader.number()])?;
            drain(&reader, 1)?;
        }
        // A kqueue says how many.
        writer.write_all(b"x")?;
        let Set::Kqueue(queue) = &outer[0] else { continue };
        equal((only(queue)?.filter, only(queue)?.data), (Filter::READ, 1))?;
        // Taken out, and closed.
        outer[1].remove(number)?;
        equal(outer[1].told(false)?, vec![])?;
        drop(inner);
        equal(ready(queue)?, vec![])?;
    }
    Ok(())
}

fn five_in_a_chain() -> Outcome {
    for first in 0..3 {
        let chain: Vec<Set> = (0..6).map(|at| Set::new(first + at)).collect::<Outcome<_>>()?;
        for at in 1..5 {
            chain[at - 1].add(chain[at].number())?;
        }
        refused_with(chain[4].add(chain[5].number()), &[ELOOP, EINVAL])?;
        refused_with(chain[5].add(chain[0].number()), &[ELOOP, EINVAL])?;
        // The refused ones changed nothing, and a shorter chain has room.
        equal(chain[4].told(false)?, vec![])?;
        chain[0].remove(chain[1].number())?;
        chain[4].add(chain[5].number())?;
    }
    Ok(())
}

fn rings() -> Outcome {
    for length in 2..=4 {
        for first in 0..3 {
            let ring: Vec<Set> = (0..length).map(|at| Set::new(first + at)).collect::<Outcome<_>>()?;
            for at in 1..length {
                ring[at - 1].add(ring[at].number())?;
            }
            for from in 1..length {
                refused_with(ring[from].add(ring[0].number()), &[ELOOP, EINVAL])?;
            }
            // No look hangs.
            for set in &ring {
                equal(set.told(false)?, vec![])?;
            }
        }
    }
    Ok(())
}

fn outermost_hears() -> Outcome {
    for first in 0..3 {
        let chain: Vec<Arc<Set>> =
            (0..5).map(|at| Set::new(first + at).map(Arc::new)).collect::<Outcome<_>>()?;
        let (reader, writer) = pipe()?;
        chain[4].add(reader.number())?;
        // From the inside out, under who waits already, too.
        for at in (1..5).rev() {
            chain[at - 1].add(chain[at].number())?;
        }
        for round in 0..4 {
            // One waits on the outermost, others on those within: all of them are told, since nobody reads.
            let crew = Crew::start(chain.len() as u64, |me| {
                let set = chain[me as usize].clone();
                let expected = chain.get(me as usize + 1).map_or(reader.number(), |inner| inner.number());
                move || equal(set.told(true)?, vec![expected])
            })?;
            if round % 2 == 0 {
                a_moment();
            }
            writer.write_all(b"x")?;
            crew.join()?;
            drain(&reader, 1)?;
            equal(chain[0].told(false)?, vec![])?;
        }
    }
    Ok(())
}

fn not_itself() -> Outcome {
    for kind in 0..3 {
        let set = Set::new(kind)?;
        refused(set.add(set.number()), EINVAL)?;
        // Nor by another number of its own.
        let twin = Descriptor::from_number(libkq::dup(set.number())?);
        refused(set.add(twin.number()), EINVAL)?;
        equal(set.told(false)?, vec![])?;
    }
    let (queue, set) = (Queue::new()?, EpollSet::new()?);
    queue.apply(&[KEvent::user(1).add().trigger()])?;
    set.add(queue.number(), EpollFlags::IN, 1)?;
    equal((only_told(&set)?.data(), told(&set)?.len()), (1, 1))
}

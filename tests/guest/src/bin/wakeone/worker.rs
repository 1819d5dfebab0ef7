//! A process whose threads sleep for records of a pipe that it has inherited, and which kills them when it is told to.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::ops::Range;

use abi::error::{EAGAIN, ESRCH};
use abi::limits::FOREVER;
use abi::status::Waits;
use guest_tests::failure::ensure;
use guest_tests::looks::NOW;
use guest_tests::random::Random;
use guest_tests::{Failure, Outcome};
use libkq::{EpollEvent, EpollFlags, EpollOp, EventFlags, KEvent};
use rt::clock;
use rt::sys::{Memory, Notification};
use rt::thread::{self, Builder, JoinHandle};

use crate::ledger::Ledger;

/// The pipe's number.
pub const PIPE: i32 = 5;
/// Most nanoseconds for which a thread is suspended before it is killed: longer than an arrival is leased to it, now and then.
const SUSPENDED: u64 = 2_000_000;
const LONG: u64 = 120_000_000;

/// What a process is told: bits.
pub mod command {
    /// Kill a thread that sleeps, if one does.
    pub const KILL: u64 = 1;
    /// Start others in the place of those that were killed.
    pub const RESTORE: u64 = 2;
    /// End: the pipe has.
    pub const END: u64 = 4;
}

/// By what its threads sleep.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Sharing {
    /// A queue each.
    Queues,
    /// One queue.
    Queue,
    /// An epoll set each.
    Sets,
}

impl Sharing {
    pub const ALL: [Sharing; 3] = [Sharing::Queues, Sharing::Queue, Sharing::Sets];

    /// The number of a set with a note of the pipe.
    fn make(self) -> Outcome<i32> {
        if self == Sharing::Sets {
            let set = libkq::epoll_create1(0)?;
            let event = EpollEvent::new(EpollFlags::IN | EpollFlags::EXCLUSIVE, 0);
            libkq::epoll_ctl(set, EpollOp::Add, PIPE, event)?;
            return Ok(set);
        }
        let queue = libkq::kqueue()?;
        libkq::kevent(queue, &[KEvent::read(PIPE).add().with(EventFlags::WAKEONE)], &mut [], NOW)?;
        Ok(queue)
    }

    /// Waits for the pipe.
    fn wait(self, set: i32) -> libkq::Result<usize> {
        match self {
            Sharing::Sets => libkq::epoll_wait(set, &mut [EpollEvent::default()], None),
            Sharing::Queues | Sharing::Queue => libkq::kevent(set, &[], &mut [KEvent::default()], None),
        }
    }
}

/// The process; it is killed, or ends when the pipe does.
pub fn play(start: &rt::Start) -> Outcome {
    let missing = || Failure::new("something is missing");
    let number = |at| start.arg(at).parse::<usize>().map_err(|_| missing());
    let ledger: Memory = start.object("ledger").ok_or_else(missing)?;
    let told: Notification = start.object("told").ok_or_else(missing)?;
    let (first, threads, sharing) = (number(3)?, number(4)?, number(5)?);
    let mut random = Random::new(number(6)? as u64);
    let sharing = *Sharing::ALL.get(sharing).ok_or_else(missing)?;
    let mut crew = Crew::start(Arc::new(Ledger::open(ledger)?), sharing, first..first + threads)?;
    loop {
        let what = told.wait(FOREVER)?;
        if what & command::KILL != 0 {
            crew.kill_one(&mut random)?;
        }
        if what & command::RESTORE != 0 {
            crew.restore()?;
        }
        if what & command::END != 0 {
            return crew.sleepers.into_iter().try_for_each(|sleeper| sleeper.thread.join()?);
        }
    }
}

struct Sleeper {
    thread: JoinHandle<Outcome>,
    set: i32,
    slot: usize,
}

struct Crew {
    ledger: Arc<Ledger>,
    sharing: Sharing,
    /// What all share, if they do.
    queue: Option<i32>,
    sleepers: Vec<Sleeper>,
    /// Slots of those that were killed.
    vacant: Vec<usize>,
}

impl Crew {
    fn start(ledger: Arc<Ledger>, sharing: Sharing, slots: Range<usize>) -> Outcome<Crew> {
        let queue = if sharing == Sharing::Queue { Some(sharing.make()?) } else { None };
        let mut crew = Crew { ledger, sharing, queue, sleepers: Vec::new(), vacant: slots.collect() };
        crew.restore()?;
        Ok(crew)
    }

    fn restore(&mut self) -> Outcome {
        while let Some(slot) = self.vacant.pop() {
            let set = match self.queue {
                Some(queue) => queue,
                None => self.sharing.make()?,
            };
            // What a killed thread has on its stack stays there for good, and so the ledger's count.
            let (ledger, sharing) = (self.ledger.clone(), self.sharing);
            let cpu = slot % clock::cpu_count();
            let thread = Builder::new().cpus(1 << cpu).spawn(move || take(&ledger, slot, sharing, set))?;
            self.sleepers.push(Sleeper { thread, set, slot });
        }
        Ok(())
    }

    /// Kills a thread in its wait, some time after it could last come back from that.
    fn kill_one(&mut self, random: &mut Random) -> Outcome {
        let count = self.sleepers.len() as u64;
        let first = random.below(count.max(1));
        for at in (0..count).map(|step| ((first + step) % count) as usize) {
            let sleeper = &self.sleepers[at];
            let thread = sleeper.thread.thread();
            match thread.suspend() {
                // The pipe has ended meanwhile.
                Err(error) if error.errno == ESRCH => continue,
                suspended => suspended?,
            }
            // In its wait it has none of the library's locks.
            if thread.status()?.waits != Waits::Notification as u64 {
                thread.start()?;
                continue;
            }
            let longest = if random.below(16) == 0 { LONG } else { SUSPENDED };
            thread::sleep(random.below(longest));
            thread.kill()?;
            let Sleeper { set, slot, .. } = self.sleepers.swap_remove(at);
            ensure(!self.ledger.bury(slot), "who sleeps reads nothing")?;
            if self.queue.is_none() {
                libkq::close(set)?;
            }
            self.vacant.push(slot);
            self.ledger.has_killed(1);
            return Ok(());
        }
        Ok(())
    }
}

/// Takes a record whenever it is woken, until the pipe ends.
fn take(ledger: &Ledger, slot: usize, sharing: Sharing, set: i32) -> Outcome {
    let mut record = [0; 8];
    loop {
        sharing.wait(set)?;
        ledger.asks(slot);
        let got = libkq::read(PIPE, &mut record);
        ledger.got(slot, (got == Ok(8)).then(|| u64::from_le_bytes(record)));
        match got {
            Ok(8) => {}
            Ok(0) => return Ok(()),
            Ok(_) => return Err(Failure::new("half a record")),
            // Another was faster.
            Err(error) if error.errno == EAGAIN => {}
            Err(error) => return Err(error.into()),
        }
    }
}

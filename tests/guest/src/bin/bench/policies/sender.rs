//! Who sends the items, and counts what they cost.

use alloc::vec;
use alloc::vec::Vec;
use core::sync::atomic::Ordering::Relaxed;

use abi::hints::CpuHint;
use guest_tests::failure::ensure;
use guest_tests::{Outcome, soon};
use libkq::Descriptor;
use rt::clock;
use rt::sys::{Notification, set_affinity, set_priority};

use super::board::{Board, Item, SHARES, chunks, spend};
use super::workload::Workload;
use crate::wakeup::Counts;

/// Looks in a row that find the other CPUs idle, each after they had their turn: an interrupt may be on its way to one.
const CALM: u32 = 50;
/// Instructions of work by which its cost is known.
const SAMPLE: u64 = 50_000;

/// What a workload came to. Times are ns: with counted instructions, instructions of all CPUs.
pub struct Measured {
    /// From the first item until all sleep again.
    pub cost: u64,
    /// From the first item until the last is done, pauses between bursts left out.
    pub time: u64,
    /// Of the cost, what was work of handlers and between items, and how long that would have taken on CPUs that run at once.
    pub work: u64,
    pub span: u64,
    pub counts: Counts,
}

/// The sender.
pub struct Sender<'a> {
    pub board: &'a Board,
    /// Of the common pipe, and of each worker's.
    pub common: &'a Descriptor,
    pub own: Vec<&'a Descriptor>,
    pub done: &'a Notification,
}

impl Sender<'_> {
    /// Sends so many items, and waits until all sleep again.
    pub fn run(&self, workload: &Workload, items: u64) -> Outcome<Measured> {
        let last = clock::cpu_count() - 1;
        set_affinity(1 << if workload.hot { 0 } else { last })?;
        calm()?;
        // What looking costs, when there is nothing else.
        let begin = clock::now_ns();
        let looks = calm()?;
        let look = (clock::now_ns() - begin) * 100 / u64::from(looks.max(1));
        // What work costs.
        let begin = clock::now_ns();
        spend(SAMPLE);
        let sample = clock::now_ns() - begin;
        let of_chunks = |count: u64, parts: u64| sample * count / chunks(SAMPLE) / parts;
        let spent = |looks: u32| u64::from(looks) * look / 100;

        let (mut cost, mut time, mut left) = (0, 0, items);
        let before = Counts::now();
        while left > 0 {
            let batch = if workload.bursts { left.min(workload.window as u64) } else { left };
            let begin = clock::now_ns();
            self.send(workload, items - left, batch)?;
            time += clock::now_ns() - begin;
            let looks = calm()?;
            cost += (clock::now_ns() - begin).saturating_sub(spent(looks));
            left -= batch;
        }
        let counts = Counts::now().since(&before);
        let work = of_chunks(items * (chunks(workload.work) + chunks(workload.between)), 1);
        Ok(Measured { cost, time, work, span: of_chunks(self.board.span(), SHARES), counts })
    }

    /// Sends items, as many at once as the window has, and waits until all are done.
    fn send(&self, workload: &Workload, first: u64, items: u64) -> Outcome {
        let (mut sent, mut done) = (0, 0);
        // What is still to follow the item of each place; `None`: there is none.
        let mut places = vec![None::<u64>; workload.window];
        while done < items {
            let mut news = false;
            for (place, follows) in places.iter_mut().enumerate() {
                let mut to = self.common;
                if let Some(follow) = *follows {
                    let Some(who) = self.board.done(place) else { continue };
                    (news, done) = (true, done + 1);
                    *follows = follow.checked_sub(1);
                    to = if follow > 0 { self.own[who] } else { self.common };
                }
                if sent == items {
                    *follows = None;
                    continue;
                }
                *follows = follows.or(Some(workload.follow));
                self.board.work(workload.between);
                let item = Item { number: (first + sent) as usize, place };
                sent += 1;
                self.board.sent(item);
                to.write_all(&item.to_bytes())?;
            }
            if !news && done < items {
                self.done.wait(soon())?;
            }
        }
        Ok(())
    }
}

/// Waits until everybody else sleeps, and says how often it looked.
pub fn calm() -> Outcome<u32> {
    let own = rt::block::current().priority();
    // Whoever is ready on this CPU comes first.
    set_priority(own - 1)?;
    let here = clock::cpu();
    let others =
        || clock::hints().cpus[..clock::cpu_count()].iter().enumerate().filter(|(cpu, _)| *cpu != here);
    let sleeps = |cpu: &CpuHint| cpu.idle.load(Relaxed) == 1 && cpu.queue_length.load(Relaxed) == 0;
    let (mut looks, mut row, deadline) = (0, 0, soon());
    while row < CALM && clock::cpu_count() > 1 {
        // Under emulation it is another CPU's turn.
        core::hint::spin_loop();
        row = if others().all(|(_, cpu)| sleeps(cpu)) { row + 1 } else { 0 };
        looks += 1;
        ensure(looks % 4096 != 0 || clock::now_ns() < deadline, "all sleep at last")?;
    }
    set_priority(own)?;
    Ok(looks)
}

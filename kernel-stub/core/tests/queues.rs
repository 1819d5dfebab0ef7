//! Run queues and deadlines against simple models.

use kernel_core::{
    Objects,
    quota::Account,
    run_queue::{RunQueue, Schedulable},
};
use proptest::prelude::*;
use std::collections::{HashMap, VecDeque};

const THREADS: u32 = 24;

#[derive(Clone, Debug)]
enum Step {
    Push(u32),
    PushFront(u32),
    PushResuming(u32),
    Pop,
    Remove(u32),
    Priority(u32, u8),
    Steal(u8),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        (0..THREADS).prop_map(Step::Push),
        (0..THREADS).prop_map(Step::PushFront),
        (0..THREADS).prop_map(Step::PushResuming),
        Just(Step::Pop),
        (0..THREADS).prop_map(Step::Remove),
        (0..THREADS, 0_u8..64).prop_map(|(thread, priority)| Step::Priority(thread, priority)),
        (0_u8..2).prop_map(Step::Steal),
    ];
    proptest::collection::vec(step, 0..200)
}

/// The obvious scheduler: a list, searched.
#[derive(Default)]
struct Model {
    ready: VecDeque<(u32, u8)>,
    /// Who resumes, by priority: as long as nothing is before it.
    resuming: HashMap<u8, u32>,
}

impl Model {
    fn best(&self, eligible: impl Fn(u32) -> bool) -> Option<usize> {
        let candidates = self.ready.iter().enumerate().filter(|(_, (thread, _))| eligible(*thread));
        let highest = candidates.clone().map(|(_, (_, priority))| *priority).max()?;
        candidates.clone().find(|(_, (_, priority))| *priority == highest).map(|(position, _)| position)
    }

    fn take(&mut self, position: Option<usize>) -> Option<u32> {
        let (thread, _) = self.ready.remove(position?)?;
        self.resuming.retain(|_, resuming| *resuming != thread);
        Some(thread)
    }

    fn has(&self, thread: u32) -> bool {
        self.ready.iter().any(|(ready, _)| *ready == thread)
    }
}

proptest! {
    /// Highest priority first, first come first served within one, whatever is removed in between.
    #[test]
    fn run_queue_matches_a_searched_list(steps in steps()) {
        let table: Vec<Schedulable> = (0..THREADS).map(|_| Schedulable::new()).collect();
        for thread in (1..THREADS).step_by(2) {
            table[thread as usize].set_affinity(1);
        }
        let mut queue = RunQueue::new();
        let mut model = Model::default();
        for step in steps {
            match step {
                Step::Push(thread) if !model.has(thread) => {
                    queue.push(&table, thread);
                    model.ready.push_back((thread, table[thread as usize].priority()));
                }
                Step::PushFront(thread) if !model.has(thread) => {
                    let priority = table[thread as usize].priority();
                    queue.push_front(&table, thread);
                    model.ready.push_front((thread, priority));
                    model.resuming.remove(&priority);
                }
                Step::PushResuming(thread) if !model.has(thread) => {
                    let priority = table[thread as usize].priority();
                    queue.push_resuming(&table, thread);
                    model.ready.push_front((thread, priority));
                    model.resuming.insert(priority, thread);
                }
                Step::Pop => {
                    let best = model.best(|_| true);
                    prop_assert_eq!(queue.pop(&table), model.take(best));
                }
                Step::Remove(thread) if model.has(thread) => {
                    queue.remove(&table, thread);
                    let position = model.ready.iter().position(|(ready, _)| *ready == thread);
                    model.take(position);
                }
                Step::Priority(thread, priority) if !model.has(thread) => {
                    table[thread as usize].set_priority(priority);
                }
                Step::Steal(cpu) => {
                    let best = model.best(|thread| table[thread as usize].may_run_on(cpu));
                    prop_assert_eq!(queue.steal(&table, cpu), model.take(best));
                }
                _ => {}
            }
            let highest = model.ready.iter().map(|(_, priority)| *priority).max();
            prop_assert_eq!(queue.highest(), highest);
            prop_assert_eq!(queue.len() as usize, model.ready.len());
            for priority in 0..64 {
                prop_assert_eq!(queue.has_above(priority), highest.is_some_and(|best| best > priority));
                prop_assert_eq!(queue.has_resuming(priority), model.resuming.contains_key(&priority));
                prop_assert_eq!(queue.has_equal(priority), model.ready.iter().any(|(_, ready)| *ready == priority));
            }
            for thread in 0..THREADS {
                prop_assert_eq!(table[thread as usize].is_queued(), model.has(thread));
            }
        }
    }

    /// Deadlines come out in order, and a wait that ends early takes its deadline with it.
    #[test]
    fn deadlines_come_in_order(times in proptest::collection::vec(0_u64..1000, 1..40), early in any::<u64>()) {
        let mut objects = Objects::new();
        let account = Account::root(1 << 30);
        let process = objects.create_process(account, 1, 63, None).unwrap();
        let mut expected = Vec::new();
        for (i, &at) in times.iter().enumerate() {
            let thread = objects.create_thread(process, 0).unwrap().index();
            let first = objects.set_deadline(thread, 0, at);
            let earliest = times[..=i].iter().min() == Some(&at);
            prop_assert_eq!(first, earliest);
            expected.push((at, thread));
        }
        let (gone, mut kept): (Vec<_>, Vec<_>) =
            expected.into_iter().partition(|(_, thread)| early >> (thread % 64) & 1 != 0);
        for (_, thread) in gone {
            objects.end_wait(thread);
        }
        kept.sort_unstable();
        let mut last = 0;
        for _ in 0..kept.len() {
            let earliest = objects.deadlines[0].earliest().unwrap();
            prop_assert!(earliest >= last);
            last = earliest;
            prop_assert_eq!(objects.deadlines[0].due(earliest.wrapping_sub(1)).filter(|_| earliest > 0), None);
            let thread = objects.deadlines[0].due(earliest).unwrap();
            let position = kept.iter().position(|&(at, kept)| kept == thread && at == earliest);
            prop_assert!(position.is_some(), "thread {} at {} was not expected", thread, earliest);
            kept.remove(position.unwrap());
            objects.cancel_wait(thread);
        }
        prop_assert_eq!(objects.deadlines[0].earliest(), None);
    }
}

//! Several jobs at a time, within the number of the host's CPUs.

use std::{
    collections::VecDeque,
    sync::{Condvar, Mutex, MutexGuard},
    thread,
};

/// Something to do that keeps `weight` CPUs busy.
pub struct Job<'a> {
    /// CPUs.
    pub weight: usize,
    /// The work.
    pub work: Box<dyn FnOnce() + Send + 'a>,
}

/// CPUs of the host.
pub fn cpus() -> usize {
    thread::available_parallelism().map_or(1, usize::from)
}

struct Free {
    cpus: Mutex<usize>,
    more: Condvar,
}

impl Free {
    fn lock(&self) -> MutexGuard<'_, usize> {
        self.cpus.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    fn take(&self, weight: usize) {
        let mut free = self.lock();
        while *free < weight {
            free = self.more.wait(free).unwrap_or_else(|poisoned| poisoned.into_inner());
        }
        *free -= weight;
    }
}

/// Does all jobs, those that keep the most CPUs busy first: one that waits for several would leave some idle until the last of them is
/// free. Among equals they begin in order, and one that needs more CPUs than there are has them all.
pub fn run<'a>(cpus: usize, jobs: impl IntoIterator<Item = Job<'a>>) {
    let mut jobs = Vec::from_iter(jobs);
    jobs.sort_by_key(|job| std::cmp::Reverse(job.weight.clamp(1, cpus)));
    let free = Free { cpus: Mutex::new(cpus), more: Condvar::new() };
    thread::scope(|scope| {
        for job in jobs {
            let weight = job.weight.clamp(1, cpus);
            free.take(weight);
            let free = &free;
            scope.spawn(move || {
                let _back = Back { free, weight };
                (job.work)();
            });
        }
    });
}

/// Gives the CPUs back, also when the work panics.
struct Back<'a> {
    free: &'a Free,
    weight: usize,
}

impl Drop for Back<'_> {
    fn drop(&mut self) {
        *self.free.lock() += self.weight;
        self.free.more.notify_all();
    }
}

/// Does the same to many things, each on one CPU, with one thread for each CPU.
pub fn for_each<T: Send>(cpus: usize, things: Vec<T>, work: impl Fn(T) + Sync) {
    let queue = Mutex::new(VecDeque::from(things));
    let next = || queue.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).pop_front();
    thread::scope(|scope| {
        for _ in 0..cpus {
            scope.spawn(|| {
                while let Some(thing) = next() {
                    work(thing);
                }
            });
        }
    });
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[test]
    fn never_more_than_the_cpus_and_all_are_done() {
        let (busy, most, done) = (AtomicUsize::new(0), AtomicUsize::new(0), AtomicUsize::new(0));
        let jobs = [1, 1, 4, 1, 2, 1, 1].map(|weight: usize| {
            let (busy, most, done) = (&busy, &most, &done);
            let weighs = weight.min(2);
            Job {
                weight,
                work: Box::new(move || {
                    let now = busy.fetch_add(weighs, Ordering::SeqCst) + weighs;
                    most.fetch_max(now, Ordering::SeqCst);
                    thread::yield_now();
                    busy.fetch_sub(weighs, Ordering::SeqCst);
                    done.fetch_add(1, Ordering::SeqCst);
                }),
            }
        });
        run(2, jobs);
        assert_eq!(done.into_inner(), 7);
        assert!(most.into_inner() <= 2);
    }

    #[test]
    fn who_needs_all_cpus_is_first_and_equals_keep_their_order() {
        let begun = Mutex::new(Vec::new());
        let jobs = [1, 2, 1, 4].into_iter().enumerate().map(|(number, weight)| {
            let begun = &begun;
            Job { weight, work: Box::new(move || begun.lock().unwrap().push(number)) }
        });
        run(1, jobs);
        assert_eq!(begun.into_inner().unwrap(), [0, 1, 2, 3], "on one CPU all are equals");
        let begun = Mutex::new(Vec::new());
        let jobs = [1, 2, 4].into_iter().enumerate().map(|(number, weight)| {
            let begun = &begun;
            Job { weight, work: Box::new(move || begun.lock().unwrap().push(number)) }
        });
        run(2, jobs);
        assert_eq!(begun.into_inner().unwrap(), [1, 2, 0]);
    }
}

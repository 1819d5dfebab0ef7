//! Files and queues that are closed while others look.

use alloc::sync::Arc;
use alloc::vec;
use core::sync::atomic::{AtomicBool, Ordering};
use core::time::Duration;

use abi::error::{EBADF, ENOENT};
use guest_tests::crew::Crew;
use guest_tests::failure::{equal, refused};
use guest_tests::looks::{PATIENTLY, ready};
use guest_tests::suite::Test;
use guest_tests::{Outcome, a_moment};
use libkq::{KEvent, Queue};

use crate::open_template;

pub const TESTS: &[Test] = &[
    ("r31_closed_numbers_are_silent", closed_numbers_are_silent),
    ("r34_a_closed_queue_wakes_its_waiters", a_closed_queue_wakes_its_waiters),
];

fn closed_numbers_are_silent() -> Outcome {
    let queue = Arc::new(Queue::new()?);
    let stop = Arc::new(AtomicBool::new(false));
    let threads = Crew::on_each_cpu(1, |_| {
        let (queue, stop) = (queue.clone(), stop.clone());
        move || -> Outcome {
            let mut events = [KEvent::default(); 4];
            while !stop.load(Ordering::SeqCst) {
                queue.wait(&mut events, Some(Duration::from_millis(1)))?;
            }
            Ok(())
        }
    })?;
    for _ in 0..100 {
        let file = open_template()?;
        let number = file.number();
        file.write_all(b"x")?;
        queue.apply(&[KEvent::read(number).add(), KEvent::write(number).add().clear()])?;
        drop(file);
        refused(queue.apply(&[KEvent::read(number).delete()]), ENOENT)?;
        refused(queue.apply(&[KEvent::read(number).add()]), EBADF)?;
        let again = open_template()?;
        equal(again.number(), number)?;
        refused(queue.apply(&[KEvent::write(number).enable()]), ENOENT)?;
    }
    stop.store(true, Ordering::SeqCst);
    threads.join()?;
    equal(ready(&queue)?, vec![])
}

fn a_closed_queue_wakes_its_waiters() -> Outcome {
    for _ in 0..20 {
        let number = libkq::kqueue()?;
        let threads = Crew::on_each_cpu(2, |_| {
            move || -> Outcome {
                refused(libkq::kevent(number, &[], &mut [KEvent::default()], PATIENTLY), EBADF)
            }
        })?;
        a_moment();
        libkq::close(number)?;
        threads.join()?;
    }
    Ok(())
}

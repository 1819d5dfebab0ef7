//! What goes to one of many threads, once.

use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicU64, Ordering};
use core::time::Duration;

use abi::error::{EAGAIN, ENOENT, Error, Result};
use guest_tests::Outcome;
use guest_tests::crew::{Crew, until};
use guest_tests::failure::{equal, refused};
use guest_tests::looks::{next, ready};
use guest_tests::suite::Test;
use libkq::{Descriptor, Filter, KEvent, Queue};

use crate::open_template;

pub const TESTS: &[Test] = &[
    ("r10_oneshot_goes_to_one_of_many", oneshot_goes_to_one_of_many),
    ("r10_oneshot_is_gone_with_its_delivery", oneshot_is_gone_with_its_delivery),
    ("r60_no_byte_is_lost_or_read_twice", no_byte_is_lost_or_read_twice),
];

fn oneshot_goes_to_one_of_many() -> Outcome {
    const ROUNDS: u64 = 300;
    let (queue, file) = (Arc::new(Queue::new()?), open_template()?);
    file.write_all(b"always ready")?;
    let taken = Arc::new(AtomicU64::new(0));
    let threads = Crew::on_each_cpu(2, |_| {
        let (queue, taken) = (queue.clone(), taken.clone());
        move || -> Outcome {
            while next(&queue)?.filter != Filter::USER {
                taken.fetch_add(1, Ordering::SeqCst);
            }
            Ok(())
        }
    })?;
    for round in 1..=ROUNDS {
        queue.apply(&[KEvent::read(file.number()).add().oneshot()])?;
        until(|| taken.load(Ordering::SeqCst) >= round)?;
    }
    queue.apply(&[KEvent::user(0).add().trigger()])?;
    threads.join()?;
    equal(taken.load(Ordering::SeqCst), ROUNDS)
}

fn oneshot_is_gone_with_its_delivery() -> Outcome {
    let (queue, file) = (Queue::new()?, open_template()?);
    file.write_all(b"ready")?;
    let notes = [
        KEvent::read(file.number()).add().oneshot(),
        KEvent::user(7).add().oneshot().trigger(),
        KEvent::timer(8).after(Duration::from_millis(1)),
    ];
    for add in notes {
        let bare = KEvent::new(add.ident, add.filter);
        queue.apply(&[add])?;
        rt::thread::sleep(2_000_000);
        // True, and not told: still there.
        queue.apply(&[bare.disable(), bare.enable()])?;
        let event = next(&queue)?;
        equal((event.ident, event.filter), (add.ident, add.filter))?;
        refused(queue.apply(&[bare.delete()]), ENOENT)?;
        refused(queue.apply(&[bare.enable()]), ENOENT)?;
        equal(ready(&queue)?, vec![])?;
        // Deleted before it is told, it is not told.
        queue.apply(&[add])?;
        queue.apply(&[bare.delete()])?;
        rt::thread::sleep(2_000_000);
        equal(ready(&queue)?, vec![])?;
    }
    Ok(())
}

fn no_byte_is_lost_or_read_twice() -> Outcome {
    const BYTES: u64 = 20_000;
    let queue = Arc::new(Queue::new()?);
    let files: Vec<Arc<Descriptor>> = (0..3).map(|_| open_template().map(Arc::new)).collect::<Result<_>>()?;
    let changes: Vec<KEvent> =
        files.iter().map(|file| KEvent::read(file.number()).add().dispatch()).collect();
    queue.apply(&changes)?;
    let (sum, read) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
    let total = BYTES * files.len() as u64;
    let readers = Crew::on_each_cpu(1, |_| {
        let (queue, sum, read) = (queue.clone(), sum.clone(), read.clone());
        move || -> Outcome {
            let mut buffer = [0; 100];
            loop {
                let event = next(&queue)?;
                if event.filter == Filter::USER {
                    return Ok(());
                }
                // Only this thread was told; until it says so, nobody else is.
                let fd = event.ident as i32;
                match libkq::read(fd, &mut buffer) {
                    Ok(count) => {
                        let bytes = buffer[..count].iter().map(|&byte| u64::from(byte)).sum();
                        sum.fetch_add(bytes, Ordering::SeqCst);
                        read.fetch_add(count as u64, Ordering::SeqCst);
                    }
                    Err(error) => return Err(error.into()),
                }
                queue.apply(&[KEvent::read(fd).enable()])?;
            }
        }
    })?;
    let mut expected = 0;
    let room = Queue::new()?;
    for at in 0..BYTES / 50 {
        for file in &files {
            let byte = (at % 251) as u8;
            let mut left = 50;
            while left > 0 {
                match libkq::write(file.number(), &[byte; 50][..left]) {
                    Ok(count) => left -= count,
                    Err(Error { errno: EAGAIN }) => {
                        room.apply(&[KEvent::write(file.number()).add().oneshot()])?;
                        next(&room)?;
                    }
                    Err(error) => return Err(error.into()),
                }
            }
            expected += 50 * u64::from(byte);
        }
    }
    until(|| read.load(Ordering::SeqCst) >= total)?;
    queue.apply(&[KEvent::user(0).add().trigger()])?;
    readers.join()?;
    equal((read.load(Ordering::SeqCst), sum.load(Ordering::SeqCst)), (total, expected))
}

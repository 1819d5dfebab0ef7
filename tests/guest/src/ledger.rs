//! The kernel's books before and after: what a test made must be gone when it ends.

use alloc::format;
use alloc::sync::Arc;
use core::sync::atomic::{AtomicUsize, Ordering};

use abi::counters::KernelCounters;
use rt::sys::counters;
use rt::thread::Builder;

use crate::{Failure, Outcome, a_moment, soon};

/// Page frames that may be missing, and bytes that the kernel's heap may have grown by: its tables keep what they grew to when
/// more things met than ever before. A test that looks for leaks does what it does more often than this.
const SPARE_FRAMES: u64 = 8;
const SPARE_BYTES: u64 = 16 << 10;

/// What there was at some moment.
#[derive(Clone, Copy, Debug)]
pub struct Ledger {
    before: KernelCounters,
}

impl Ledger {
    /// What there is now. Let what shall be compared happen once before: the heap and the tables of the
    /// program, of init and of the kernel keep what they grew to.
    pub fn open() -> Outcome<Ledger> {
        Ok(Ledger { before: settle()? })
    }

    /// Fails unless there is again what there was. The kernel may clean up behind a death for a while.
    #[track_caller]
    pub fn balance(&self) -> Outcome {
        let deadline = soon();
        loop {
            let now = counters()?;
            // What the heap keeps of its pages is not lost.
            let frames = |counters: &KernelCounters| counters.frames_free + counters.heap_frames;
            let missing = frames(&self.before).saturating_sub(frames(&now));
            let grown = now.heap_bytes.saturating_sub(self.before.heap_bytes);
            let objects = KernelCounters {
                frames_free: self.before.frames_free,
                heap_frames: self.before.heap_frames,
                heap_bytes: self.before.heap_bytes,
                ..now
            };
            if objects == self.before && missing <= SPARE_FRAMES && grown <= SPARE_BYTES {
                return Ok(());
            }
            if rt::clock::now_ns() > deadline {
                return Err(Failure::new(format!("left over: {}", difference(&self.before, &now))));
            }
            a_moment();
        }
    }
}

/// Waits until the numbers stand still: the kernel cleans up behind a death for a while.
fn settle() -> Outcome<KernelCounters> {
    let deadline = soon();
    let mut last = counters()?;
    while rt::clock::now_ns() < deadline {
        a_moment();
        all_idle()?;
        let now = counters()?;
        if now == last {
            break;
        }
        last = now;
    }
    Ok(last)
}

/// Waits until each CPU has had nothing to do: what cleans up there is better than a thread of the lowest priority.
fn all_idle() -> Outcome {
    let ran = Arc::new(AtomicUsize::new(0));
    for cpu in 0..rt::clock::cpu_count() {
        let mark = ran.clone();
        let idle = Builder::new().cpus(1 << cpu).priority(0);
        let thread = idle.spawn(move || {
            mark.fetch_add(1, Ordering::Relaxed);
        })?;
        let deadline = soon();
        while ran.load(Ordering::Relaxed) <= cpu {
            if rt::clock::now_ns() > deadline {
                return Err(Failure::new(format!("CPU {cpu} is never idle: what is left running there?")));
            }
            a_moment();
        }
        thread.join()?;
    }
    Ok(())
}

fn difference(before: &KernelCounters, now: &KernelCounters) -> alloc::string::String {
    let lines = [
        ("free frames", before.frames_free, now.frames_free),
        ("frames of the heap", before.heap_frames, now.heap_frames),
        ("bytes of the heap", before.heap_bytes, now.heap_bytes),
        ("handles", before.handles, now.handles),
        ("processes", before.processes, now.processes),
        ("threads", before.threads, now.threads),
        ("endpoints", before.endpoints, now.endpoints),
        ("badges", before.badges, now.badges),
        ("notifications", before.notifications, now.notifications),
        ("memory objects", before.memory_objects, now.memory_objects),
        ("mappings", before.mappings, now.mappings),
        ("watches", before.watches, now.watches),
    ];
    let changed = lines.iter().filter(|(_, before, now)| before != now);
    changed.map(|(name, before, now)| format!("{name} {before} -> {now}; ")).collect()
}

//! What a `kevent` that does not wait costs, told in the kernel's log. One instruction is one nanosecond when the machine
//! counts instructions (`cargo xtask run --app cost --icount --smp 1`).
#![cfg_attr(target_os = "none", no_std, no_main)]

#[cfg(target_os = "none")]
mod program {
    use core::sync::atomic::Ordering::Relaxed;
    use core::time::Duration;

    use libkq::flag::O_RDWR;
    use libkq::{Descriptor, KEvent, Queue, Result};
    use rt::clock;

    rt::entry!(main);

    /// More than any cache or lazily made thing needs to settle.
    const ROUNDS: usize = 1000;

    fn main(_: &rt::Start) -> i32 {
        measure().map_or_else(
            |error| {
                rt::log!("cost: {error}");
                1
            },
            |()| 0,
        )
    }

    fn measure() -> Result<()> {
        // Ticks and entries are read on one CPU.
        rt::sys::set_affinity(1)?;
        let queue = Queue::new()?;
        tell("kevent, nothing ready", &queue, 0)?;
        let terminal = Descriptor::open("/dev/tty", O_RDWR)?;
        queue.apply(&[KEvent::timer(1).every(Duration::from_secs(1000))])?;
        tell("kevent, one note that is not ready", &queue, 0)?;
        queue.apply(&[KEvent::write(terminal.number()).add()])?;
        tell("kevent, one of two notes ready", &queue, 1)?;
        queue.apply(&[KEvent::user(1).add().trigger()])?;
        tell("kevent, two of three notes ready", &queue, 2)
    }

    fn tell(name: &str, queue: &Queue, ready: usize) -> Result<()> {
        let mut events = [KEvent::default(); 8];
        let mut least = u64::MAX;
        for _ in 0..ROUNDS {
            let begin = clock::ticks();
            let count = libkq::kevent(queue.number(), &[], &mut events, Some(Duration::ZERO))?;
            least = least.min(clock::ticks() - begin);
            assert_eq!(count, ready);
        }
        let entries = clock::cpu_hint().entries.load(Relaxed);
        for _ in 0..ROUNDS {
            queue.wait(&mut events, Some(Duration::ZERO))?;
        }
        let entries = clock::cpu_hint().entries.load(Relaxed) - entries;
        let hints = clock::hints();
        let (mul, shift) = (hints.tsc_mul.load(Relaxed), hints.tsc_shift.load(Relaxed));
        // To the nearest, for the calibration is not exact.
        let ns = (u128::from(least) * u128::from(mul) + (1 << shift >> 1)) >> shift;
        rt::log!("{name}: {ns} ns, {entries} kernel entries in {ROUNDS} calls");
        Ok(())
    }
}

#[cfg(not(target_os = "none"))]
fn main() {}

//! One of everything that a program needs: descriptors, kevent, poll and epoll on the same pipe, errors, signals, threads.
//! `docs/applications.md` explains it.
#![cfg_attr(target_os = "none", no_std, no_main)]

#[cfg(target_os = "none")]
mod program {
    use core::sync::atomic::{AtomicU32, Ordering};
    use core::time::Duration;

    use libkq::signal::{self, Action, SIGUSR1};
    use libkq::{
        Conditions, Descriptor, EpollEvent, EpollFlags, EpollSet, Filter, KEvent, PollFd, Queue, Result,
    };
    use rt::abi::error::{EINTR, ENOENT};

    rt::entry!(main);

    fn main(_: &rt::Start) -> i32 {
        match kevent().and_then(|()| poll()).and_then(|()| epoll()).and_then(|()| signals()) {
            Ok(()) => 0,
            Err(error) => {
                rt::log!("tour: {error}");
                1
            }
        }
    }

    /// A pipe that another thread writes to, and a timer, in one wait.
    fn kevent() -> Result<()> {
        let (reader, writer) = Descriptor::pipe()?;
        let queue = Queue::new()?;
        queue.apply(&[
            KEvent::read(reader.number()).add(),
            KEvent::timer(1).every(Duration::from_millis(10)),
        ])?;
        let thread = rt::thread::spawn(move || {
            rt::thread::sleep(25_000_000);
            writer.write_all(b"hello")
            // The writer is closed here: the end of the pipe.
        })?;
        let (mut events, mut ticks) = ([KEvent::default(); 4], 0);
        loop {
            for event in queue.wait(&mut events, None)? {
                match event.filter {
                    Filter::TIMER => ticks += event.data,
                    _ => {
                        let mut bytes = [0; 16];
                        match reader.read(&mut bytes)? {
                            0 => {
                                thread.join()??;
                                rt::log!("kevent: the end, after ticks: {}", ticks > 0);
                                return Ok(());
                            }
                            count => rt::log!("kevent: {count} bytes"),
                        }
                    }
                }
            }
        }
    }

    /// Two ends of a pipe, for as long as a second.
    fn poll() -> Result<()> {
        let (reader, writer) = Descriptor::pipe()?;
        let mut list =
            [PollFd::new(reader.number(), Conditions::IN), PollFd::new(writer.number(), Conditions::OUT)];
        let ready = libkq::poll(&mut list, Some(Duration::from_secs(1)), None)?;
        rt::log!("poll: {ready}, the writer is {:?}", list[1].revents);
        Ok(())
    }

    /// An item that is told once for each arrival.
    fn epoll() -> Result<()> {
        let (reader, writer) = Descriptor::pipe()?;
        let set = EpollSet::new()?;
        set.add(reader.number(), EpollFlags::IN | EpollFlags::ET, 7)?;
        writer.write_all(b"hello")?;
        let mut events = [EpollEvent::default(); 4];
        for event in set.wait(&mut events, None)? {
            rt::log!("epoll: item {} is {:?}", event.data(), event.events());
        }
        let again = set.wait(&mut events, Some(Duration::ZERO))?.len();
        rt::log!("epoll: {again} without news");
        Ok(())
    }

    static CAUGHT: AtomicU32 = AtomicU32::new(0);

    /// A handler, which may interrupt a wait, and an error that is expected.
    fn signals() -> Result<()> {
        signal::sigaction(SIGUSR1.into(), Some(Action::handler(caught)))?;
        let queue = Queue::new()?;
        let thread = rt::thread::spawn(|| {
            rt::thread::sleep(10_000_000);
            signal::raise(SIGUSR1.into())
        })?;
        while CAUGHT.load(Ordering::Relaxed) == 0 {
            match queue.wait(&mut [KEvent::default()], Some(Duration::from_millis(100))) {
                // The handler ran in this thread, or in the other: in one.
                Err(error) if error.errno == EINTR => {}
                other => drop(other?),
            }
        }
        thread.join()??;
        rt::log!("signals: caught {}", CAUGHT.load(Ordering::Relaxed));
        match Descriptor::open("/tmp/none", 0) {
            Err(error) if error.errno == ENOENT => rt::log!("errors: {error}"),
            other => drop(other?),
        }
        Ok(())
    }

    fn caught(_: i32) {
        CAUGHT.fetch_add(1, Ordering::Relaxed);
    }
}

#[cfg(not(target_os = "none"))]
fn main() {}

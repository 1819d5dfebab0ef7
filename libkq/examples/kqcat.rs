//! `cat` for one terminal, with a clock and a second thread: everything that it waits for, it waits for in one `kevent`.
//!
//! Prints each line that it is given with the time from the interrupt that brought it to the moment of printing. Ends
//! with status 0 on the line `exit` or at the end of input, 130 on Ctrl-C.
#![cfg_attr(target_os = "none", no_std, no_main)]

#[cfg(target_os = "none")]
extern crate alloc;

#[cfg(target_os = "none")]
mod program {
    use alloc::format;
    use alloc::string::String;
    use alloc::vec::Vec;
    use core::time::Duration;

    use libkq::flag::{O_NONBLOCK, O_RDWR};
    use libkq::{Descriptor, Error, EventFlags, Filter, KEvent, Queue, Result, control};
    use rt::abi::error::{EAGAIN, EINTR};

    rt::entry!(main);

    /// What a shell reports of a program that Ctrl-C ended: 128 + SIGINT.
    const INTERRUPTED: i32 = 130;
    const TICK: KEvent = KEvent::timer(1);
    const OTHER_THREAD: KEvent = KEvent::user(1);

    fn main(_: &rt::Start) -> i32 {
        Cat::new().and_then(|mut cat| cat.run()).unwrap_or_else(|error| {
            rt::log!("kqcat: {error}");
            1
        })
    }

    struct Cat {
        terminal: Descriptor,
        queue: Queue,
        /// Bytes of a line that has not ended.
        partial: Vec<u8>,
        /// When the last bytes came.
        arrival: u64,
        lines: u64,
        ticks: u64,
        calls: u64,
    }

    impl Cat {
        fn new() -> Result<Cat> {
            // Nonblocking: an event is a reason to read, not a promise about what is there by then.
            let terminal = Descriptor::open("/dev/tty", O_RDWR | O_NONBLOCK)?;
            let queue = Queue::new()?;
            queue.apply(&[
                KEvent::read(terminal.number()).add(),
                TICK.every(Duration::from_secs(1)),
                OTHER_THREAD.add().clear(),
            ])?;
            Ok(Cat { terminal, queue, partial: Vec::new(), arrival: 0, lines: 0, ticks: 0, calls: 0 })
        }

        fn run(&mut self) -> Result<i32> {
            let number = self.queue.number();
            rt::thread::spawn(move || call_every(number, Duration::from_millis(1500)))?;
            let mut events = [KEvent::default(); 8];
            let status = loop {
                let count = self.queue.wait(&mut events, None)?.len();
                if let Some(status) = self.handle(&events[..count])? {
                    break status;
                }
            };
            let (lines, ticks) = (count(self.lines, "line"), count(self.ticks, "tick"));
            self.print(format!("{lines}, {ticks}, {}\n", count(self.calls, "call")).as_bytes())?;
            Ok(status)
        }

        /// The status to end with, if that is what the events mean.
        fn handle(&mut self, events: &[KEvent]) -> Result<Option<i32>> {
            for event in events {
                match event.filter {
                    Filter::TIMER => self.ticks += event.data as u64,
                    Filter::USER => self.calls += 1,
                    _ => {
                        if let Some(status) = self.read()? {
                            return Ok(Some(status));
                        }
                    }
                }
            }
            Ok(None)
        }

        fn read(&mut self) -> Result<Option<i32>> {
            let mut buffer = [0; control::MAX_TRANSFER];
            let read = match self.terminal.read_stamped(&mut buffer) {
                Ok(read) => read,
                Err(Error { errno: EAGAIN }) => return Ok(None),
                Err(Error { errno: EINTR }) => return Ok(Some(INTERRUPTED)),
                Err(error) => return Err(error),
            };
            if read.count == 0 {
                return self.end().map(Some);
            }
            self.arrival = read.arrival;
            for &byte in &buffer[..read.count] {
                if byte != b'\n' {
                    self.partial.push(byte);
                    continue;
                }
                let line = core::mem::take(&mut self.partial);
                if line == b"exit" {
                    return Ok(Some(0));
                }
                self.lines += 1;
                self.print_line(line, read.arrival)?;
            }
            Ok(None)
        }

        /// The end of the input: what it left of a line is a line.
        fn end(&mut self) -> Result<i32> {
            let rest = core::mem::take(&mut self.partial);
            if !rest.is_empty() && rest != b"exit" {
                self.lines += 1;
                self.print(b"\n")?;
                self.print_line(rest, self.arrival)?;
            }
            Ok(0)
        }

        fn print_line(&self, mut line: Vec<u8>, arrival: u64) -> Result<()> {
            let late = rt::clock::now_ns().saturating_sub(arrival);
            line.extend_from_slice(format!(" ({late} ns after the interrupt)\n").as_bytes());
            self.print(&line)
        }

        /// Writes all of it, waiting for room where there is none.
        fn print(&self, mut bytes: &[u8]) -> Result<()> {
            while !bytes.is_empty() {
                match libkq::write(self.terminal.number(), bytes) {
                    Ok(taken) => bytes = &bytes[taken..],
                    Err(Error { errno: EAGAIN }) => self.until_writable()?,
                    Err(error) => return Err(error),
                }
            }
            Ok(())
        }

        /// Waits in a queue of its own: what else comes meanwhile stays for [`run`](Cat::run).
        fn until_writable(&self) -> Result<()> {
            let room = Queue::new()?;
            room.apply(&[KEvent::write(self.terminal.number()).add()])?;
            room.wait(&mut [KEvent::default()], None).map(drop)
        }
    }

    /// `1 line`, `2 lines`.
    fn count(number: u64, what: &str) -> String {
        format!("{number} {what}{}", if number == 1 { "" } else { "s" })
    }

    /// The second thread.
    fn call_every(queue: i32, period: Duration) {
        let call = OTHER_THREAD.trigger().with(EventFlags::KEEPUDATA);
        loop {
            rt::thread::sleep(period.as_nanos() as u64);
            if libkq::kevent(queue, &[call], &mut [], Some(Duration::ZERO)).is_err() {
                return;
            }
        }
    }
}

#[cfg(not(target_os = "none"))]
fn main() {}

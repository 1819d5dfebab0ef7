//! The client of a case: one thread goes through the steps, through libkq; the first one looks after it.

use alloc::string::ToString;
use alloc::sync::Arc;
use core::sync::atomic::Ordering;

use abi::error::{ENODEV, Result};
use abi::flag::O_RDWR;
use abi::limits::FOREVER;
use abi::status::Waits;
use guest_tests::crew::until;
use guest_tests::failure::{ensure, equal, refused};
use guest_tests::shared::Shared;
use guest_tests::{Failure, Outcome};
use libkq::flag::O_DURABLE;
use libkq::process::Process;
use rt::Start;
use rt::sys::{Endpoint, Notification, Object};
use rt::thread::{Builder, JoinHandle};

use crate::step::{INTERFACES, Interface, Step};
use crate::stopping::{Place, SLEEPS, STOPPED, Stopping};
use crate::way::{Told, Way};

/// Bits that it signals to who strikes, beside [`STOPPED`]: its thread is asleep; has been killed, and has a successor; has come to
/// its end; the successor is asleep.
pub const ASLEEP: u64 = STOPPED << 2;
pub const REPLACED: u64 = STOPPED << 3;
pub const DONE: u64 = STOPPED << 4;
pub const ASLEEP_AGAIN: u64 = STOPPED << 5;

/// What it is ordered, beside hearing of [`SLEEPS`]: to kill the thread and to have another go on; to end.
pub const REPLACE: u64 = SLEEPS << 1;
pub const END: u64 = SLEEPS << 2;
/// The thread has come to its end.
const ENDED: u64 = SLEEPS << 3;

/// What a thread waits for when it is stopped, sleeps or asks: it has no lock then that is not its step's.
const WAITING: [u64; 2] = [Waits::Notification as u64, Waits::Answer as u64];

/// Names of what it is given.
pub mod given {
    pub const TOLD: &str = "told";
    pub const GO: &str = "go";
    pub const ORDERS: &str = "orders";
    pub const DRIVER: &str = "driver";
    pub const PAGE: &str = "page";
}

/// The word of the page that says that the device is gone.
pub const GONE: usize = 0;
/// It is, or is about to be: calls to its driver that were stopped, or come later, fail.
pub const GOING: u64 = 1;
/// The event server has heard of it, too.
pub const KNOWN: u64 = 2;

/// A handle of those that it was given.
pub fn take<T: Object>(start: &Start, name: &str) -> Outcome<T> {
    start.object(name).ok_or(Failure::new("it was not given all"))
}

/// What the thread needs.
#[derive(Clone)]
struct Part {
    process: Arc<Process<Stopping>>,
    place: Arc<Place>,
    page: Arc<Shared>,
    interface: Interface,
}

/// The process. Arguments: the numbers of the step and of the interface.
pub fn run(start: &Start) -> Outcome {
    let number = |at| start.arg(at).parse::<usize>().map_err(|error| Failure::new(error.to_string()));
    let interface = *INTERFACES.get(number(4)?).ok_or(Failure::new("an interface"))?;
    let orders: Notification = take(start, given::ORDERS)?;
    let place = Arc::new(Place::new(
        Step::of(number(3)?),
        take(start, given::TOLD)?,
        take(start, given::GO)?,
        orders.duplicate()?,
    ));
    let driver: Endpoint = take(start, given::DRIVER)?;
    let process = Arc::new(Process::new(Stopping::new(driver, place.clone())?));
    let page = Arc::new(Shared::open(take(start, given::PAGE)?)?);
    let part = Part { process, place, page, interface };
    let told = &part.place.told;
    let mut thread = part.start(&orders)?;
    let mut asleep = ASLEEP;
    loop {
        let heard = orders.wait(FOREVER)?;
        if heard & SLEEPS != 0 && part.until_asleep(&thread)? {
            told.signal(asleep)?;
        }
        if heard & REPLACE != 0 {
            until(|| thread.thread().status().is_ok_and(|status| WAITING.contains(&status.waits)))?;
            thread.thread().kill()?;
            part.place.sleeping.store(false, Ordering::SeqCst);
            asleep = ASLEEP_AGAIN;
            thread = part.start(&orders)?;
            told.signal(REPLACED)?;
        }
        if heard & ENDED != 0 {
            told.signal(DONE)?;
        }
        if heard & END != 0 {
            return thread.join()?;
        }
    }
}

impl Part {
    fn start(&self, orders: &Notification) -> Outcome<JoinHandle<Outcome>> {
        let (part, orders) = (self.clone(), orders.duplicate()?);
        Ok(Builder::new().spawn(move || {
            let gone_through = part.go_through();
            orders.signal(ENDED)?;
            gone_through
        })?)
    }

    /// Waits until the thread sleeps; false if it has been woken already.
    fn until_asleep(&self, thread: &JoinHandle<Outcome>) -> Outcome<bool> {
        while self.place.sleeping.load(Ordering::SeqCst) {
            if thread.thread().status()?.waits == Waits::Notification as u64 {
                return Ok(true);
            }
            rt::thread::sleep(20_000);
        }
        Ok(false)
    }

    fn is_gone(&self) -> bool {
        self.page.get(GONE) != 0
    }

    /// All steps of a file, from the open, or from where a thread that was killed left it, to the close. What is asked after the
    /// device has gone, or was being asked when it went, fails as specified.
    fn go_through(&self) -> Outcome {
        let (process, place) = (&*self.process, &*self.place);
        let mut file = place.file.load(Ordering::SeqCst);
        if file < 0 {
            let lasting = if place.step.is_some_and(Step::is_lasting) { O_DURABLE } else { 0 };
            match process.open("/dev/struck", (O_RDWR | lasting) as u64) {
                Err(error) if self.is_gone() && error.errno == ENODEV => return Ok(()),
                opened => file = opened?,
            }
            place.file.store(file, Ordering::SeqCst);
        }
        place.reach(Step::Opened);
        let way = Way::new(process, self.interface)?;
        let told = self.wait(&way, file)?;
        place.reach(Step::Told);
        if told == Some(Told::Ready) {
            let mut byte = [0; 8];
            self.ends(process.read(file, &mut byte).map(|read| read.count))?;
            place.reach(Step::ReadAnswered);
            self.ends(process.write(file, b"x"))?;
            if self.is_gone() {
                // A call fails at once when the driver dies, and looks ask nobody: until the server has heard they see what was.
                until(|| self.page.get(GONE) == KNOWN)?;
                self.is_told_once(&way, file, Some(way.wait(file)?))?;
            }
        }
        way.close()?;
        place.file.store(-1, Ordering::SeqCst);
        Ok(process.close(file)?)
    }

    /// The first wait: that the file is ready, or that it is gone; `None`: that there is nothing to wait for.
    fn wait(&self, way: &Way<'_, Stopping>, file: i32) -> Outcome<Option<Told>> {
        let added = way.add(file);
        if way.add_refuses() && self.is_gone() && self.place.step != Some(Step::NoteAdded) {
            refused(added, ENODEV)?;
            equal(way.again(file)?, None)?;
            return Ok(None);
        }
        added?;
        let told = way.wait(file)?;
        if self.is_gone() {
            self.is_told_once(way, file, Some(told))?;
            return Ok(None);
        }
        ensure(told != Told::Gone, "the device is there")?;
        Ok(Some(Told::Ready))
    }

    /// The end was told, and is told no more where it is an event; where it is a level it goes on to be one.
    fn is_told_once(&self, way: &Way<'_, Stopping>, file: i32, told: Option<Told>) -> Outcome {
        let level = match self.interface {
            Interface::Kevent => None,
            Interface::Select => Some(Told::Either),
            _ => Some(Told::Gone),
        };
        equal(told, level.or(Some(Told::Gone)))?;
        equal(way.again(file)?, level)
    }

    /// A read or write of a byte.
    fn ends(&self, result: Result<usize>) -> Outcome {
        if self.is_gone() { refused(result, ENODEV) } else { equal(result?, 1) }
    }
}

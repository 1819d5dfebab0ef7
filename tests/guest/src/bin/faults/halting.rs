//! A driver on the sdk that stops in the midst of what it is asked: it is not dead, and does nothing any more. Its watchdog ends it.

use alloc::vec::Vec;

use abi::error::{EINVAL, ENODEV, Error, Result};
use abi::flag::{O_NONBLOCK, O_RDWR};
use driver_sdk::{Context, Driver, FileId, Filters, Kind, Opening, Setup, Taken};
use event_protocol::descriptor::{Control, ControlReply};
use guest_tests::bereavement::open_again;
use guest_tests::failure::{ensure, equal, refused};
use guest_tests::loopback::Loopback;
use guest_tests::{Failure, Outcome, books, crew::until};
use libkq::{Descriptor, process};
use rt::sys::{Object, Thread};
use rt::thread::{self, Builder, JoinHandle};

use crate::bystander::{Bystander, SOURCES};
use crate::step::{INTERFACES, Interface};
use crate::way::{Told, Way};

/// Where it takes the order to stop: the number of one of [`HALTS`].
const DESK: &str = "/dev/halting/desk";
const DEVICE: &str = "/dev/halting/device";

/// Where it stops.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Halt {
    /// Before it has made a file.
    Open,
    /// The file is made, with its source, and the open not answered.
    Opened,
    /// Before it has read.
    Read,
    /// What was written is published, and the write not answered.
    Written,
    Control,
    /// The descriptor is closed, and the source there.
    Close,
}

const HALTS: [Halt; 6] = [Halt::Open, Halt::Opened, Halt::Read, Halt::Written, Halt::Control, Halt::Close];

struct Halting {
    devices: Loopback,
    next: Option<Halt>,
}

impl Halting {
    fn reach(&self, halt: Halt) {
        if self.next == Some(halt) {
            let this = Thread::from_handle(thread::current());
            // It comes back from this when somebody lets it go on, which nobody does.
            let suspended = this.suspend();
            rt::log!("halting: it goes on: {suspended:?}");
            this.into_handle();
        }
    }
}

impl Driver for Halting {
    fn open(&mut self, context: &mut Context<'_>, file: FileId, path: &str, flags: u64) -> Result<Opening> {
        if path == DESK {
            return Ok(Opening::new(Kind::Device, Filters::empty()));
        }
        self.reach(Halt::Open);
        self.devices.open(context, file, path, flags)
    }

    fn opened(&mut self, _: &mut Context<'_>, file: FileId) {
        if self.devices.has(file) {
            self.reach(Halt::Opened);
        }
    }

    fn close(&mut self, context: &mut Context<'_>, file: FileId) {
        if self.devices.has(file) {
            self.reach(Halt::Close);
        }
        self.devices.close(context, file);
    }

    fn read(
        &mut self,
        context: &mut Context<'_>,
        file: FileId,
        buffer: &mut [u8],
        offset: Option<u64>,
    ) -> Result<Taken> {
        self.reach(Halt::Read);
        self.devices.read(context, file, buffer, offset)
    }

    fn unread(&mut self, context: &mut Context<'_>, file: FileId, taken: &[u8]) {
        self.devices.unread(context, file, taken);
    }

    fn write(
        &mut self,
        context: &mut Context<'_>,
        file: FileId,
        bytes: &[u8],
        offset: Option<u64>,
    ) -> Result<usize> {
        if !self.devices.has(file) {
            let number = bytes.first().copied().unwrap_or(u8::MAX);
            self.next = Some(*HALTS.get(usize::from(number)).ok_or(Error::new(EINVAL))?);
            return Ok(bytes.len());
        }
        let count = self.devices.write(context, file, bytes, offset)?;
        self.reach(Halt::Written);
        Ok(count)
    }

    fn control(&mut self, _: &mut Context<'_>, _: FileId, _: &Control) -> Result<ControlReply> {
        self.reach(Halt::Control);
        Err(Error::new(EINVAL))
    }
}

/// The driver's process.
pub fn run(start: &rt::Start) -> i32 {
    let setup =
        Setup { service: "halting", filters: Filters::READ | Filters::WRITE, sources: 64, interrupt: None };
    driver_sdk::run(start, setup, Ok(Halting { devices: Loopback::new(DEVICE), next: None }))
}

/// A thread that waits for a device by one interface, and is told that it is gone, once where that is an event.
fn waits(interface: Interface, number: i32) -> Outcome<JoinHandle<Outcome>> {
    Ok(Builder::new().spawn(move || {
        let way = Way::new(process(), interface)?;
        way.add(number)?;
        let told = way.wait(number)?;
        ensure(told != Told::Ready, "the device is gone")?;
        if interface == Interface::Kevent {
            equal(way.again(number)?, None)?;
        }
        Ok(way.close()?)
    })?)
}

/// What makes the driver stop there. It fails when the driver is ended.
fn provoke(halt: Halt, device: Descriptor) -> Outcome {
    let number = device.number();
    let outcome = match halt {
        // Once it is asked again, of the next driver if that is known already.
        Halt::Open | Halt::Opened => match Descriptor::open(DEVICE, O_RDWR) {
            Ok(_) => return Ok(()),
            refused => refused.map(drop),
        },
        Halt::Read => libkq::read(number, &mut [0; 8]).map(drop),
        Halt::Written => libkq::write(number, b"x").map(drop),
        Halt::Control => device.control(Control::Available).map(drop),
        Halt::Close => {
            drop(device);
            return Ok(());
        }
    };
    refused(outcome, ENODEV)
}

/// It is stopped at each place, while clients wait for it in all interfaces: its watchdog ends it, they are told, the others do not notice,
/// and the next driver serves.
pub fn is_ended_by_its_watchdog() -> Outcome {
    let mut bystander = Bystander::new()?;
    // What is kept for those who come again is there when the books are opened.
    halt(Halt::Read, &mut bystander)?;
    let books = books::open_beside(SOURCES)?;
    for at in HALTS {
        halt(at, &mut bystander).map_err(|failure| failure.within(&alloc::format!("{at:?}")))?;
    }
    books.are_balanced()
}

fn halt(at: Halt, bystander: &mut Bystander) -> Outcome {
    let hung = rt::init::counters()?.hung;
    let desk = open_again(DESK, O_RDWR)?;
    let (watched, device) = (Descriptor::open(DEVICE, O_RDWR)?, Descriptor::open(DEVICE, O_RDWR)?);
    let notes = books::notes()?;
    let waiting = INTERFACES.into_iter().map(|interface| waits(interface, watched.number()));
    let waiting = waiting.collect::<Outcome<Vec<_>>>()?;
    until(|| books::notes().is_ok_and(|now| now >= notes + INTERFACES.len() as u64))?;
    let place = HALTS.iter().position(|&halt| halt == at).ok_or(Failure::new("a place"))?;
    desk.write_all(&[place as u8])?;
    let provoked = Builder::new().spawn(move || provoke(at, device))?;
    // While it is stopped, and afterwards.
    while rt::init::counters()?.hung == hung {
        INTERFACES.into_iter().try_for_each(|interface| bystander.exchange(interface))?;
        guest_tests::a_moment();
    }
    provoked.join()??;
    waiting.into_iter().try_for_each(|thread| thread.join()?)?;
    equal(rt::init::counters()?.hung, hung + 1)?;
    refused(watched.read(&mut [0; 8]), ENODEV)?;
    drop((desk, watched));
    // The next one serves.
    let again = open_again(DEVICE, O_RDWR | O_NONBLOCK)?;
    again.write_all(b"again")?;
    equal(again.read(&mut [0; 8])?, 5)
}

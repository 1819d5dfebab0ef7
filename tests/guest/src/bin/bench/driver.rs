//! A driver of one source that publishes whenever it runs, below its client in priority: so it runs when the client waits.

use alloc::vec;

use abi::Rights;
use abi::error::Result;
use abi::message::WORDS;
use event_protocol::level::Level;
use guest_tests::child::{self, Role};
use guest_tests::measure::{Clock, Stamp};
use guest_tests::shared::Shared;
use guest_tests::{Failure, Outcome, soon};
use libkq::Descriptor;
use libkq::flag::O_RDONLY;
use rt::init::Child;
use rt::ipc::Transfer;
use rt::sys::{Endpoint, Notification, Object};

use crate::PROGRAM;
use crate::kernel::meet;
use crate::source::Source;

/// Word 0 of the shared page ends the driver; here it leaves its stamp.
const STAMP: usize = 1;

/// The driver's process and a descriptor of it.
pub struct Partner {
    child: Child,
    shared: Shared,
    go: Notification,
    lowered: Notification,
    /// The descriptor.
    pub file: Descriptor,
}

impl Partner {
    /// Starts it; it waits to [`go`](Partner::go).
    pub fn start() -> Outcome<Partner> {
        let (meeting, shared) = (Endpoint::create()?, Shared::create()?);
        let (go, lowered) = (Notification::create()?, Notification::create()?);
        let handles = vec![
            ("meeting", Transfer::moved(meeting.with_badge(Rights::all(), 1)?)),
            ("shared", Transfer::copy(shared.memory())),
            ("go", Transfer::copy(&go)),
            ("lowered", Transfer::copy(&lowered)),
        ];
        let below = rt::block::current().priority() - 1;
        let child = Role::new(PROGRAM, "driver").on(1).priority(below).spawn(handles)?;
        let driver = meet(&meeting)?;
        let file = Descriptor::open_at(&driver, "/dev/bench", O_RDONLY)?;
        Ok(Partner { child, shared, go, lowered, file })
    }

    /// Lets it publish without end.
    pub fn go(&self) -> Result<()> {
        self.go.signal(1)
    }

    /// Waits until what was published is gone. The next event is not published before the caller waits again.
    pub fn lower(&self) -> Result<()> {
        self.lowered.poll()?;
        self.lowered.wait(soon()).map(drop)
    }

    /// When it began to publish the last time.
    pub fn began(&self) -> Stamp {
        Stamp::load(&self.shared, STAMP)
    }

    /// Ends it.
    pub fn end(self) -> Outcome {
        self.shared.set(0, 1);
        self.go()?;
        child::ends_well(&self.child)
    }
}

/// The driver: it speaks the protocols itself, for what it does besides publishing must not count.
pub fn driver(start: &rt::Start) -> Outcome {
    let clock = Clock::here();
    let missing = || Failure::new("handles are missing");
    let meeting: Endpoint = start.object("meeting").ok_or_else(missing)?;
    let shared = Shared::open(start.object("shared").ok_or_else(missing)?)?;
    let go: Notification = start.object("go").ok_or_else(missing)?;
    let lowered: Notification = start.object("lowered").ok_or_else(missing)?;
    let endpoint = Endpoint::create()?;
    let client = endpoint.with_badge(Rights::all(), 7)?;
    rt::ipc::call(&meeting, 1, [0; WORDS], 0, vec![Transfer::moved(client)], soon())?;
    let mut source = Source::for_one(&endpoint)?;
    let mut amount = 0;
    loop {
        if shared.get(0) != 0 {
            return Ok(());
        }
        // The first time, and whenever somebody ends it.
        if amount == 0 {
            go.wait(soon())?;
        }
        amount += 1;
        source.publish(Level::new(0), false)?;
        lowered.signal(1)?;
        clock.begin().store(&shared, STAMP);
        source.publish(Level::new(amount), true)?;
    }
}

//! What a case is made of: who is struck, at which step of the filter protocol, and how its client waits.

use core::fmt;

/// Steps of the filter protocol, in the order in which a file goes through them. The system is stopped *at* the step: what it names has
/// been done, and nothing after it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Step {
    /// The driver runs, and nobody knows it yet.
    Started,
    /// It has a session with its shard. Its client's open waits already.
    Attached,
    /// It has the open in its hands.
    OpenAsked,
    /// The source is made, and the open not answered.
    SourceMade,
    /// The client has the descriptor.
    Opened,
    /// Its set is known to all shards.
    QueueMade,
    /// The driver has the request for a watch handle in its hands.
    WatchAsked,
    /// The watch handle was shown, and the client has the page of cells.
    Adopted,
    /// The shard has the note, and the cell its interest.
    NoteAdded,
    /// The waiter has announced itself, and does not sleep yet.
    Announced,
    /// It sleeps.
    Asleep,
    /// The level is in the cell, which nobody was told.
    LevelStored,
    /// The cell says that an entry is in the changed ring, which it is not yet.
    Marked,
    /// It is, and the doorbell has not been rung.
    InRing,
    /// The shard has queued the activation and chosen the waiter, which is not asleep yet.
    Chosen,
    /// The waiter was woken, and has not looked.
    Woken,
    /// It has looked: its call is over.
    Told,
    /// The driver has a read in its hands.
    ReadAsked,
    /// The client has the bytes.
    ReadAnswered,
    /// The driver has a write in its hands.
    WriteAsked,
    /// The client has given the source up, and the descriptor not yet.
    Released,
    /// The driver has heard that the descriptor is closed.
    Closed,
    /// It has destroyed the source.
    Destroyed,
    /// From here on the file is durable. The driver's session has a lineage, whose handle nobody has but the driver.
    Bequeathed,
    /// init has it.
    Kept,
    /// The durable source is made, and the open not answered.
    DurableMade,
    /// The client sleeps, the driver has died, and nobody has come in its place.
    Left,
    /// The next driver has a session of the lineage.
    Followed,
    /// It knows what was left to it.
    Listed,
    /// The source is its own, and the shard has a descriptor for the client.
    Claimed,
    /// It has said that it claims no more.
    Settled,
    /// Its level is in the cell: not counted, and nobody told.
    Snapshot,
    /// The cell's interest has had it put an entry into the changed ring; the doorbell has not been rung.
    Replayed,
    /// The client, whose read came too late for the dead driver, has the new descriptor, and not in the old one's place.
    Reopened,
    /// It has, and has not asked the next driver for anything.
    Renewed,
}

/// All of them.
pub const STEPS: [Step; 35] = [
    Step::Started,
    Step::Attached,
    Step::OpenAsked,
    Step::SourceMade,
    Step::Opened,
    Step::QueueMade,
    Step::WatchAsked,
    Step::Adopted,
    Step::NoteAdded,
    Step::Announced,
    Step::Asleep,
    Step::LevelStored,
    Step::Marked,
    Step::InRing,
    Step::Chosen,
    Step::Woken,
    Step::Told,
    Step::ReadAsked,
    Step::ReadAnswered,
    Step::WriteAsked,
    Step::Released,
    Step::Closed,
    Step::Destroyed,
    Step::Bequeathed,
    Step::Kept,
    Step::DurableMade,
    Step::Left,
    Step::Followed,
    Step::Listed,
    Step::Claimed,
    Step::Settled,
    Step::Snapshot,
    Step::Replayed,
    Step::Reopened,
    Step::Renewed,
];

impl Step {
    /// The step of a number in [`STEPS`]; one beyond them is never reached.
    pub fn of(number: usize) -> Option<Step> {
        STEPS.get(number).copied()
    }

    /// Its number.
    pub fn number(self) -> usize {
        self as usize
    }

    /// Whether it is one of a durable file.
    pub fn is_lasting(self) -> bool {
        self >= Step::Bequeathed
    }

    /// Whether a durable file has had another driver before it.
    pub fn is_inherited(self) -> bool {
        self >= Step::Left
    }
}

/// Who is struck.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Party {
    /// The driver's process is killed.
    Driver,
    /// The client's process is killed.
    Client,
    /// The driver loses the device, and lives.
    Device,
    /// The client's thread that goes through the steps is killed; another one of the process takes its place.
    Waiter,
}

/// All of them.
pub const PARTIES: [Party; 4] = [Party::Driver, Party::Client, Party::Device, Party::Waiter];

/// How the client waits.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Interface {
    Kevent,
    Select,
    Poll,
    Epoll,
    DevPoll,
}

/// All of them.
pub const INTERFACES: [Interface; 5] =
    [Interface::Kevent, Interface::Select, Interface::Poll, Interface::Epoll, Interface::DevPoll];

/// One case.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Case {
    pub party: Party,
    pub step: Step,
    pub interface: Interface,
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} at {:?}, {:?}", self.party, self.step, self.interface)
    }
}

/// The product: every case is in it once.
pub fn product() -> impl Iterator<Item = Case> {
    PARTIES.into_iter().flat_map(|party| {
        STEPS.into_iter().flat_map(move |step| {
            INTERFACES.into_iter().map(move |interface| Case { party, step, interface })
        })
    })
}

/// Why there is no such case, if there is none.
pub fn impossible(party: Party, step: Step) -> Option<&'static str> {
    match (party, step) {
        // A thread that is killed keeps what it has locked, on every system (`sys::Thread::kill`): who kills one has to know that
        // it has nothing.
        (Party::Waiter, Step::WatchAsked | Step::Adopted) => {
            Some("its thread has locked the file, which is asked for once")
        }
        (Party::Waiter, Step::NoteAdded) => {
            Some("its thread has locked the set's changes, which have an order")
        }
        (Party::Waiter, Step::Closed | Step::Destroyed) => {
            Some("its thread has ended: nobody waits for a file that is closed")
        }
        (Party::Driver, Step::Left) => Some("it has none: who comes is struck at the next step"),
        (Party::Device, Step::Destroyed) => Some("the source has ended already, and the device has no other"),
        _ => None,
    }
}

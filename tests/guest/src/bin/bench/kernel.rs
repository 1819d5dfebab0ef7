//! The kernel's calls.

use alloc::vec;

use abi::limits::FOREVER;
use abi::{Message, Rights, Tag};
use guest_tests::child::{self, Role};
use guest_tests::measure::{Clock, Stamp, measure, tell};
use guest_tests::shared::Shared;
use guest_tests::{Failure, Outcome, soon};
use rt::init::Child;
use rt::ipc::Transfer;
use rt::sys::{self, Endpoint, Memory, Notification, Object};

use crate::PROGRAM;

/// A figure: its name and what tells it.
pub type Figure = (&'static str, fn(&str) -> Outcome);

pub const FIGURES: &[Figure] = &[
    ("nothing", nothing),
    ("null_syscall", null_syscall),
    ("signal_no_switch", signal_no_switch),
    ("signal_and_wait_switch", signal_and_wait_switch),
    ("signal_wakes_higher_process", signal_wakes_higher_process),
    ("call_reply_cross_process", call_reply_cross_process),
];

/// The part of another process.
pub fn play(role: &str, start: &rt::Start) -> Outcome {
    match role {
        "echo" => echo(start),
        "partner" => partner(start),
        "driver" => crate::driver::driver(start),
        "publisher" => crate::wakeup::publisher(start),
        "worker" => crate::policies::worker(start),
        "sleepers" => crate::wakeup::sleepers(start),
        _ => Err(Failure::new("an unknown part")),
    }
}

/// What measuring itself costs: it is in every other figure.
fn nothing(name: &str) -> Outcome {
    let clock = Clock::here();
    let cost = measure(|| {
        let begin = clock.begin();
        Ok(clock.end().since(begin))
    })?;
    tell(name, cost);
    Ok(())
}

fn null_syscall(name: &str) -> Outcome {
    let clock = Clock::here();
    let cost = measure(|| {
        let begin = clock.begin();
        let result = sys::null();
        let end = clock.end();
        result?;
        Ok(end.since(begin))
    })?;
    tell(name, cost);
    Ok(())
}

/// A signal that wakes nobody.
fn signal_no_switch(name: &str) -> Outcome {
    let clock = Clock::here();
    let word = Notification::create()?;
    let cost = measure(|| {
        let begin = clock.begin();
        let result = word.signal(1);
        let end = clock.end();
        result?;
        word.poll()?;
        Ok(end.since(begin))
    })?;
    tell(name, cost);
    Ok(())
}

/// A short call to a server in another process, and its reply.
fn call_reply_cross_process(name: &str) -> Outcome {
    let clock = Clock::here();
    let meeting = Endpoint::create()?;
    let invitation = meeting.with_badge(Rights::all(), 1)?;
    let role = Role::new(PROGRAM, "echo").on(1);
    let child = role.spawn(vec![("meeting", Transfer::moved(invitation))])?;
    let server = meet(&meeting)?;
    let message = Message { tag: Tag::words(1), words: [1, 2, 3, 4] };
    let cost = measure(|| {
        let begin = clock.begin();
        let reply = server.call(message, FOREVER);
        let end = clock.end();
        if reply?.words != message.words {
            return Err(Failure::new("the reply is another one"));
        }
        Ok(end.since(begin))
    })?;
    tell(name, cost);
    server.call(Message { tag: Tag::words(2), ..message }, soon())?;
    child::ends_well(&child)
}

/// The other process shows up with a handle to its own endpoint.
pub fn meet(meeting: &Endpoint) -> Outcome<Endpoint> {
    rt::ipc::set_accept(1);
    let received = meeting.recv(soon());
    rt::ipc::set_accept(0);
    let received = received?;
    let endpoint = rt::ipc::Arrivals::of(received.tag).object(0)?;
    Endpoint::reply(received.token, Message { tag: Tag::words(0), words: [0; 4] })?;
    Ok(endpoint)
}

fn echo(start: &rt::Start) -> Outcome {
    let meeting: Endpoint = start.object("meeting").ok_or(Failure::new("no meeting"))?;
    let endpoint = Endpoint::create()?;
    let client = endpoint.with_badge(Rights::all(), 7)?;
    rt::ipc::call(&meeting, 1, [0; 4], 0, vec![Transfer::moved(client)], soon())?;
    let mut received = endpoint.recv(soon())?;
    while received.tag.label() == 1 {
        received = endpoint.reply_recv(received.token, received.message(), FOREVER)?;
    }
    Endpoint::reply(received.token, received.message())?;
    Ok(())
}

/// Where the partner leaves its stamp; word 0 ends it.
const STAMP: usize = 1;

struct Partner {
    child: Child,
    there: Notification,
    back: Notification,
    shared: Shared,
}

impl Partner {
    fn start() -> Outcome<Partner> {
        let (there, back, shared) = (Notification::create()?, Notification::create()?, Shared::create()?);
        let handles = vec![
            ("there", Transfer::copy(&there)),
            ("back", Transfer::copy(&back)),
            ("shared", Transfer::copy(shared.memory())),
        ];
        let child = Role::new(PROGRAM, "partner").on(1).spawn(handles)?;
        back.wait(soon())?;
        Ok(Partner { child, there, back, shared })
    }

    fn end(self) -> Outcome {
        self.shared.set(0, 1);
        self.there.signal(1)?;
        child::ends_well(&self.child)
    }
}

/// Takes a stamp whenever it is woken, and answers in one entry.
fn partner(start: &rt::Start) -> Outcome {
    let clock = Clock::here();
    let (there, back): (Option<Notification>, Option<Notification>) =
        (start.object("there"), start.object("back"));
    let shared = start.object::<Memory>("shared").map(Shared::open);
    let (Some(there), Some(back), Some(shared)) = (there, back, shared) else {
        return Err(Failure::new("handles are missing"));
    };
    let shared = shared?;
    loop {
        back.signal_and_wait(1, &there, FOREVER)?;
        clock.end().store(&shared, STAMP);
        if shared.get(0) != 0 {
            return Ok(());
        }
    }
}

/// One entry that wakes another process and waits: to the first instruction of the other one.
fn signal_and_wait_switch(name: &str) -> Outcome {
    let clock = Clock::here();
    let partner = Partner::start()?;
    let cost = measure(|| {
        let begin = clock.begin();
        partner.there.signal_and_wait(1, &partner.back, FOREVER)?;
        Ok(Stamp::load(&partner.shared, STAMP).since(begin))
    })?;
    tell(name, cost);
    partner.end()
}

/// A plain signal to a process of a higher priority, which then runs: to its first instruction.
fn signal_wakes_higher_process(name: &str) -> Outcome {
    let clock = Clock::here();
    let partner = Partner::start()?;
    let own = rt::block::current().priority();
    sys::set_priority(own - 1)?;
    let cost = measure(|| {
        let begin = clock.begin();
        partner.there.signal(1)?;
        let end = Stamp::load(&partner.shared, STAMP);
        partner.back.wait(soon())?;
        Ok(end.since(begin))
    });
    sys::set_priority(own)?;
    tell(name, cost?);
    partner.end()
}

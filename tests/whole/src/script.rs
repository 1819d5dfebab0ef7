//! Random programs of several processes, their drivers and the time.

use std::fmt;

use event_protocol::cell::Direction;
use libkq::event::note;
use libkq::{Conditions, EpollFlags, EpollOp, EventFlags, Filter, KEvent};
use proptest::prelude::*;

use crate::rules::level::Side;

/// Processes.
pub const PROCESSES: usize = 2;
/// Paths of files.
pub const PATHS: usize = 6;
/// Numbers that steps are about: mostly open ones.
const NUMBERS: i32 = 10;

/// Which kind of set.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SetKind {
    /// kqueue.
    Kqueue,
    /// epoll.
    Epoll,
    /// /dev/poll.
    DevPoll,
}

/// A call that may wait.
#[derive(Clone, Debug)]
pub enum Call {
    /// kevent, epoll_wait or DP_POLL on the set that is open as the so manieth, with so much room.
    Set(usize, usize),
    /// poll.
    Poll(Vec<(i32, Conditions)>),
    /// select: numbers, and which of the three sets each is in.
    Select(Vec<(i32, Conditions)>),
}

/// What happens next.
#[derive(Clone, Debug)]
pub enum Act {
    /// Opens the file of a path.
    Open(usize),
    /// Makes a set.
    Make(SetKind),
    /// dup.
    Dup(i32),
    /// dup2.
    Dup2(i32, i32),
    /// close.
    Close(i32),
    /// A descriptor is passed to the other process.
    Pass(i32),
    /// kevent with changes, on the so manieth queue, with so much room for answers and events.
    Kevent(usize, Vec<KEvent>, usize),
    /// epoll_ctl on the so manieth epoll set.
    Control(usize, EpollOp, i32, EpollFlags, u64),
    /// A write to the so manieth /dev/poll set.
    Write(usize, Vec<(i32, Conditions)>),
    /// DP_ISPOLLED.
    IsPolled(usize, i32),
    /// A call that does not wait.
    Look(Call),
    /// A thread makes a call that waits, up to so many nanoseconds.
    Park(Call, Option<u64>),
    /// A signal is sent to the process.
    Attempt(u32),
    /// The process dies and another one takes its place.
    Die,
}

/// A step.
#[derive(Clone, Debug)]
pub enum Step {
    /// A process does something.
    Process(usize, Act),
    /// A driver publishes a level of a path's file; something arrived, or not.
    Publish(usize, Direction, Side, bool),
    /// An error is pending, or (0) none any more.
    Error(usize, i32),
    /// Something happened to a path's file.
    Note(usize, u32),
    /// The device of a path is unplugged, and another one plugged in.
    Detach(usize),
    /// The driver of a path dies and is started again.
    DriverDies(usize),
    /// Time passes.
    Wait(u64),
    /// Threads that were woken run.
    Run,
}

/// A program.
#[derive(Clone)]
pub struct Program(pub Vec<Step>);

impl fmt::Debug for Program {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|step| write!(out, "\n    {step:?}"))
    }
}

fn number() -> impl Strategy<Value = i32> {
    prop_oneof![12 => 0..NUMBERS, 1 => Just(-1)]
}

fn conditions() -> impl Strategy<Value = Conditions> {
    let bits = [
        Conditions::IN,
        Conditions::OUT,
        Conditions::PRI,
        Conditions::RDHUP,
        Conditions::RDNORM,
        Conditions::WRBAND,
    ];
    prop_oneof![
        4 => Just(Conditions::IN),
        2 => Just(Conditions::OUT),
        2 => Just(Conditions::IN | Conditions::OUT),
        3 => prop::sample::subsequence(bits.to_vec(), 0..=bits.len())
            .prop_map(|some| some.into_iter().fold(Conditions::empty(), |all, one| all | one)),
    ]
}

fn flags() -> impl Strategy<Value = EventFlags> {
    use EventFlags as F;
    let flag = |flag: F, weight| prop_oneof![weight => Just(F::empty()), 1 => Just(flag)];
    let action = prop_oneof![6 => Just(F::ADD), 1 => Just(F::DELETE), 3 => Just(F::empty())];
    let switch = prop_oneof![5 => Just(F::empty()), 1 => Just(F::ENABLE), 1 => Just(F::DISABLE)];
    let sticky = (flag(F::ONESHOT, 4), flag(F::CLEAR, 2), flag(F::DISPATCH, 4));
    let rare = (flag(F::KEEPUDATA, 12), flag(F::RECEIPT, 12), flag(F::WAKEONE, 12));
    (action, switch, sticky, rare)
        .prop_map(|(action, switch, a, b)| action | switch | a.0 | a.1 | a.2 | b.0 | b.1 | b.2)
}

fn change() -> impl Strategy<Value = KEvent> {
    let key = prop_oneof![
        5 => (number(), Just(Filter::READ)),
        3 => (number(), Just(Filter::WRITE)),
        2 => (number(), Just(Filter::EXCEPT)),
        3 => (number(), Just(Filter::VNODE)),
        1 => (20..22, Just(Filter::TIMER)),
        2 => (0..2, Just(Filter::USER)),
        1 => (1..3, Just(Filter::SIGNAL)),
    ];
    (key, flags(), 0..5i64, 0..8u32, 0..6u8, 0..100usize).prop_map(|(key, flags, data, bits, kind, udata)| {
        let (ident, filter) = key;
        let fflags = match (filter, kind) {
            (Filter::USER, 0..4) => note::TRIGGER | note::FFOR | bits,
            (Filter::USER, _) => note::FFCOPY | bits,
            (Filter::TIMER, _) => note::NSECONDS,
            (Filter::VNODE, _) => bits,
            (Filter::READ | Filter::WRITE, 0) => note::LOWAT,
            (Filter::READ, 1) => note::FILE_POLL,
            (_, 2) if bits == 0 => 0x8000,
            _ => 0,
        };
        KEvent { ident: ident as isize as usize, filter, flags, fflags, data, udata }
    })
}

fn room() -> impl Strategy<Value = usize> {
    prop_oneof![3 => Just(32usize), 2 => 1..4usize]
}

fn questions() -> impl Strategy<Value = Vec<(i32, Conditions)>> {
    prop::collection::vec((number(), conditions()), 0..6)
}

fn call() -> impl Strategy<Value = Call> {
    prop_oneof![
        6 => (0..8usize, room()).prop_map(|(set, room)| Call::Set(set, room)),
        2 => questions().prop_map(Call::Poll),
        1 => questions().prop_map(Call::Select),
    ]
}

fn control() -> impl Strategy<Value = Act> {
    use EpollFlags as F;
    let op = prop_oneof![4 => Just(EpollOp::Add), 3 => Just(EpollOp::Modify), 1 => Just(EpollOp::Delete)];
    let flag = |flag: F, weight| prop_oneof![weight => Just(F::empty()), 1 => Just(flag)];
    let flags = (conditions(), flag(F::ET, 2), flag(F::ONESHOT, 4), flag(F::EXCLUSIVE, 12))
        .prop_map(|(wanted, a, b, c)| F::from_bits_retain(u32::from(wanted.bits())) | a | b | c);
    (0..3usize, op, number(), flags, 0..100u64)
        .prop_map(|(set, op, fd, flags, data)| Act::Control(set, op, fd, flags, data))
}

fn write() -> impl Strategy<Value = Act> {
    let wish = prop_oneof![
        5 => conditions(),
        1 => Just(Conditions::REMOVE),
        1 => conditions().prop_map(|wanted| wanted | Conditions::REMOVE),
    ];
    (0..3usize, prop::collection::vec((number(), wish), 1..4)).prop_map(|(set, list)| Act::Write(set, list))
}

fn act() -> impl Strategy<Value = Act> {
    let kind = prop_oneof![Just(SetKind::Kqueue), Just(SetKind::Epoll), Just(SetKind::DevPoll)];
    let room_or_none = prop_oneof![1 => Just(0usize), 3 => room()];
    let until = prop_oneof![Just(None), (1..8u64).prop_map(Some)];
    prop_oneof![
        6 => (0..PATHS).prop_map(Act::Open),
        3 => kind.prop_map(Act::Make),
        2 => number().prop_map(Act::Dup),
        2 => (number(), 0..NUMBERS).prop_map(|(fd, to)| Act::Dup2(fd, to)),
        4 => number().prop_map(Act::Close),
        1 => number().prop_map(Act::Pass),
        14 => (0..3usize, prop::collection::vec(change(), 1..5), room_or_none)
            .prop_map(|(set, changes, room)| Act::Kevent(set, changes, room)),
        8 => control(),
        6 => write(),
        1 => (0..3usize, number()).prop_map(|(set, fd)| Act::IsPolled(set, fd)),
        12 => call().prop_map(Act::Look),
        5 => (call(), until).prop_map(|(call, until)| Act::Park(call, until)),
        1 => (1..3u32).prop_map(Act::Attempt),
        1 => prop::bool::weighted(0.3).prop_map(|dies| if dies { Act::Die } else { Act::Open(0) }),
    ]
}

fn side() -> impl Strategy<Value = Side> {
    let rare = prop::bool::weighted(0.1);
    (-1..6i64, rare, rare, rare).prop_map(|(amount, eof, hung_up, urgent)| Side {
        amount,
        // Who hung up sends no more.
        eof: eof || hung_up,
        hung_up,
        urgent,
    })
}

/// A random step.
pub fn step() -> impl Strategy<Value = Step> {
    let direction = prop_oneof![3 => Just(Direction::Read), 2 => Just(Direction::Write)];
    let errno = prop_oneof![Just(0), Just(abi::error::EPIPE), Just(abi::error::EIO)];
    prop_oneof![
        40 => (prop_oneof![3 => Just(0), 1 => 1..PROCESSES], act()).prop_map(|(process, act)| Step::Process(process, act)),
        18 => (0..PATHS, direction, side(), any::<bool>())
            .prop_map(|(path, direction, side, arrived)| Step::Publish(path, direction, side, arrived)),
        1 => (0..PATHS, errno).prop_map(|(path, errno)| Step::Error(path, errno)),
        4 => (prop_oneof![3 => Just(3), 1 => 0..PATHS], 1..8u32).prop_map(|(path, bits)| Step::Note(path, bits)),
        1 => prop_oneof![2 => (0..PATHS).prop_map(Step::Detach), 1 => (0..PATHS).prop_map(Step::DriverDies)],
        3 => (1..5u64).prop_map(Step::Wait),
        8 => Just(Step::Run),
    ]
}

/// A random program. It begins with what makes the rest worth while: files and a set of each kind.
pub fn program(longest: usize) -> impl Strategy<Value = Program> {
    let opening = |process| {
        let acts = [
            Act::Open(0),
            Act::Open(1),
            Act::Make(SetKind::Kqueue),
            Act::Make(SetKind::Epoll),
            Act::Make(SetKind::DevPoll),
            Act::Open(2),
            Act::Open(3),
        ];
        acts.map(|act| Step::Process(process, act))
    };
    prop::collection::vec(step(), 1..longest).prop_map(move |steps| {
        let openings = (0..PROCESSES).flat_map(opening);
        Program(openings.chain(steps).collect())
    })
}
